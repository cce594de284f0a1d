// Package mailer holds the words and rules of oshirase: incidents, merchants,
// recipients, campaigns, deliveries, and what may happen to them.
//
// It is the bottom of the house: standard library only, no I/O, no clock and no
// randomness of its own. Everything else (store, templates, list, smtp, the
// runner) speaks in the types of this package and never in each other's.
package mailer

import (
	"errors"
	"time"
)

// JST is the zone of schedules and of people: windows, desks and dates in
// notices. Japan has had no daylight saving since 1951, so a fixed zone is
// exact and does not depend on a zone database on the machine.
var JST = time.FixedZone("JST", 9*60*60)

// Errors that more than one package tells apart with errors.Is.
var (
	// ErrNotFound: no incident, merchant, campaign or delivery of that name.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the thing is not in a state in which this may be done.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: an input breaks a rule; the message says where and which.
	ErrInvalid = errors.New("invalid")
	// ErrLeaseLost: the lease lapsed or was taken over; nothing was written.
	ErrLeaseLost = errors.New("lease lost")
	// ErrNotRunning: the campaign was paused, voided or cancelled meanwhile;
	// nothing was written.
	ErrNotRunning = errors.New("campaign is not running")
	// ErrKeyDestroyed: the incident's key is gone, and with it the personal data.
	ErrKeyDestroyed = errors.New("incident key destroyed")
	// ErrWrongKey: the master key does not open the incident keys of this database.
	ErrWrongKey = errors.New("wrong master key")
	// ErrNotConcerned: the notice has nothing to say to the recipient.
	ErrNotConcerned = errors.New("the notice does not concern the recipient")
	// ErrRenderedDifferently: a notice is not what was approved; it is not sent.
	ErrRenderedDifferently = errors.New("notice differs from the approved one")
)

// RelayDown says that no relay takes connections now.
type RelayDown struct {
	RetryAt time.Time // when one is tried again
	Err     error     // the last failure
}

func (e *RelayDown) Error() string { return "no relay takes connections: " + e.Err.Error() }

func (e *RelayDown) Unwrap() error { return e.Err }
