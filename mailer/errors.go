package mailer

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The kinds of errors that more than one package tells apart with errors.Is.
var (
	// ErrNotFound: no incident, merchant, campaign or delivery of that name.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the thing is not in a state in which this may be done.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: an input breaks a rule; the code says which, the arguments where.
	ErrInvalid = errors.New("invalid")
	// ErrNotAllowed: who acts is not known, not proved, or in no role that may.
	ErrNotAllowed = errors.New("not allowed")
	// ErrLeaseLost: the lease lapsed or was taken over; nothing was written.
	ErrLeaseLost = errors.New("lease lost")
	// ErrNotRunning: the campaign was paused, voided or cancelled meanwhile;
	// nothing was written.
	ErrNotRunning = errors.New("campaign is not running")
	// ErrKeyDestroyed: the incident's key is gone, and with it the personal data.
	ErrKeyDestroyed = errors.New("incident key destroyed")
	// ErrWrongKey: the ledger, or the key of an incident, is wrapped by another master key.
	ErrWrongKey = errors.New("wrong master key")
	// ErrRestored: the ledger is older than what is known of it from elsewhere; a person
	// has to decide before anything is sent from it.
	ErrRestored = errors.New("the ledger is an older one")
	// ErrKeyMissing: the key of an incident is not where keys are kept, though nobody
	// destroyed it in this ledger.
	ErrKeyMissing = errors.New("incident key missing")
	// ErrDamaged: what was kept is not what was written: a bit flipped, or somebody
	// changed it.
	ErrDamaged = errors.New("damaged")
	// ErrNotConcerned: the notice has nothing to say to the recipient.
	ErrNotConcerned = errors.New("the notice does not concern the recipient")
	// ErrRefusesUs: a relay took no connection because of who we are: the client, or its
	// authentication. Waiting will hardly help. See Advice.RefusesUs for messages.
	ErrRefusesUs = errors.New("relay refuses us")
	// ErrRenderedDifferently: a notice is not what was approved; it is not sent.
	ErrRenderedDifferently = errors.New("notice differs from the approved one")
)

// Code names what went wrong, for programs and for the catalogue of words
// (mailer/words): the area, a dot, and what is the matter, as in campaign.phase.
type Code string

// Error is a failure that a person may have to read. It carries a code and
// arguments; the words for them, and the advice, are put by cmd and web alone.
type Error struct {
	// Kind is one of the errors above, for errors.Is; nil: none of them.
	Kind error
	Code Code
	// Args are names and values in turn, as in log/slog. They hold no personal data.
	Args []any
	// Err is the cause; nil: there is none below this.
	Err error
}

// NewError makes an error of a kind, which may be nil. args are names and values
// in turn; a value that is an error and named cause becomes the cause.
func NewError(kind error, code Code, args ...any) error {
	e := &Error{Kind: kind, Code: code, Args: args}
	for i := 0; i+1 < len(args); i += 2 {
		if cause, ok := args[i+1].(error); ok && args[i] == "cause" {
			e.Err = cause
			e.Args = append(append([]any(nil), args[:i]...), args[i+2:]...)
		}
	}
	return e
}

// Invalid is an input that breaks a rule.
func Invalid(code Code, args ...any) error { return NewError(ErrInvalid, code, args...) }

// Conflict is a thing that is not in a state in which this may be done.
func Conflict(code Code, args ...any) error { return NewError(ErrConflict, code, args...) }

// NotFound is a thing that there is not.
func NotFound(code Code, args ...any) error { return NewError(ErrNotFound, code, args...) }

// Error is for logs: the code, the arguments and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	for i := 0; i+1 < len(e.Args); i += 2 {
		sep := ", "
		if i == 0 {
			sep = " ("
		}
		fmt.Fprintf(&b, "%s%v=%v", sep, e.Args[i], e.Args[i+1])
	}
	if len(e.Args) > 1 {
		b.WriteByte(')')
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap has the kind and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// Arg is the value of an argument; nil: there is none of that name.
func (e *Error) Arg(name string) any {
	for i := 0; i+1 < len(e.Args); i += 2 {
		if e.Args[i] == name {
			return e.Args[i+1]
		}
	}
	return nil
}

// CodeOf is the code of the outermost Error in err; empty: there is none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// RelayDown says that no relay takes connections now.
type RelayDown struct {
	RetryAt time.Time // when one is tried again
	Err     error     // the last failure
}

func (e *RelayDown) Error() string { return "no relay takes connections: " + e.Err.Error() }

func (e *RelayDown) Unwrap() error { return e.Err }
