package words

import (
	"context"
	"errors"
	"io/fs"

	"oshirase/mailer"
)

// HintByKind is what to do about an error for which nothing else advises, by what
// it is; empty: nothing can be advised.
func HintByKind(err error) string {
	if _, ok := errors.AsType[*mailer.RelayDown](err); ok {
		return "look at the relay and at [[relay]] in the config; nothing is lost, and the next run sends what is left"
	}
	switch {
	case errors.Is(err, mailer.ErrWrongKey):
		return "the database was made with another master key: look at [key] in the config, or restore the key from its copy"
	case errors.Is(err, mailer.ErrKeyMissing):
		return "look at [key] in the config, or restore the key's file from its copy"
	case errors.Is(err, mailer.ErrKeyDestroyed):
		return "the personal data of this incident was destroyed and cannot be read again; counts and references remain"
	case errors.Is(err, context.Canceled):
		return "it was stopped; what was recorded stays recorded"
	case errors.Is(err, fs.ErrPermission):
		return "look at the owner and mode of the file and its folder"
	}
	return ""
}
