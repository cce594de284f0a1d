// Package keyring keeps the keys of incidents outside the database: in a folder, or
// with a command of the house that runs the program. What it keeps is wrapped by the
// master key before it comes here: whoever has the keyring alone has nothing, and
// whoever has all but the keyring has nothing either.
//
// It neither makes nor opens keys, and knows no ledger.
package keyring

import (
	"context"

	"oshirase/mailer"
)

// Keyring keeps values by id. What a method has written when it returns survives a
// power cut. It is safe for concurrent use, by processes too.
type Keyring interface {
	// Get is the value of a key; ErrNoKey where there is none.
	Get(ctx context.Context, id string) ([]byte, error)
	// Put keeps a new key; ErrExists where there is one of that id, which stays as it is.
	Put(ctx context.Context, id string, value []byte) error
	// Replace exchanges the value of a key, whole or not at all; ErrNoKey where there is
	// none: it brings nothing back.
	Replace(ctx context.Context, id string, value []byte) error
	// Delete destroys a key as far as that can be done from here; ErrNoKey where there is
	// none.
	Delete(ctx context.Context, id string) error
	// List has the ids of all keys, ascending. There may be keys of other ledgers.
	List(ctx context.Context) ([]string, error)
}

var (
	// ErrNoKey: there is no key of that id.
	ErrNoKey = &mailer.Error{Kind: mailer.ErrNotFound, Code: "keyring.no-key"}
	// ErrExists: there is a key of that id already.
	ErrExists = &mailer.Error{Kind: mailer.ErrConflict, Code: "keyring.exists"}
)

// maxValue is how large a value may be, in bytes; they have a few hundred.
const maxValue = 16 << 10

// ValidID reports whether id can name a key: lower-case letters and digits, so that
// it is a plain file name and a plain argument wherever it came from.
func ValidID(id string) bool {
	if len(id) < 1 || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func checkID(id string) error {
	if !ValidID(id) {
		return mailer.Invalid("keyring.id", "id", id)
	}
	return nil
}
