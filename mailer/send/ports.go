// Package send runs campaigns: it claims batches, renders, hands to a relay and
// records what came of it, within windows, paces and schedules.
//
// It knows the ledger and the relays only through the interfaces below, and knows
// nothing of SMTP; cmd wires the concrete ones.
package send

import (
	"context"
	"time"

	"oshirase/mailer"
)

// Ledger is what the runner needs of the store. All methods are safe for
// concurrent use by goroutines and by processes on one database.
type Ledger interface {
	// Recover takes back what dead workers hold. A lease is dead when it lapsed
	// at now or when its owner is known to be gone (see Claim): its claimed
	// deliveries become queued, those in sending become unknown, or queued
	// where resend is true.
	Recover(ctx context.Context, now time.Time, resend bool) (mailer.Recovered, error)
	// Wake moves scheduled campaigns whose time has come to running, and those
	// whose time passed more than grace ago to overdue.
	Wake(ctx context.Context, now time.Time, grace time.Duration) error
	// Running lists the campaigns in phase running, oldest first.
	Running(ctx context.Context) ([]mailer.Campaign, error)
	// Snapshot returns what the campaign was checked with.
	Snapshot(ctx context.Context, campaign string) (mailer.Snapshot, error)
	// Claim leases up to n due deliveries of a running campaign (queued, or
	// deferred with its time come) until the given time, of each domain group in
	// turn but those to skip. It returns nil where nothing is due, ErrNotRunning where the campaign is
	// not running. The owner is this DB handle: while its process lives, the
	// lease is dead only when it lapses.
	Claim(ctx context.Context, campaign string, now, until time.Time, n int, skip []string) (*mailer.Lease, error)
	// Renew extends this handle's leases.
	Renew(ctx context.Context, epochs []int64, until time.Time) error
	// Release puts what is still claimed under a lease back to queued (deferred
	// where it had been tried before) and ends the lease.
	Release(ctx context.Context, epoch int64) error
	// Record commits intents and outcomes and returns when they are durable.
	// Records of concurrent callers go into one transaction (group commit). The
	// result has one error per record: ErrLeaseLost where state or epoch do not
	// match, ErrNotRunning for an intent of a campaign that is not running; nil
	// where it is committed. Outcomes are taken in any phase. A late outcome also
	// settles a delivery that became unknown under the same epoch.
	Record(ctx context.Context, records ...mailer.Record) []error
	// Settle moves a running campaign without open deliveries to finished.
	Settle(ctx context.Context, campaign string) error
	// Pause moves a running campaign to paused, with a reason for people.
	Pause(ctx context.Context, by mailer.Actor, campaign, reason string) error
	// Void takes a campaign back to draft and its approvals away, with the reason.
	Void(ctx context.Context, by mailer.Actor, campaign, reason string) error
	// NextDue is the earliest time at which a delivery of the campaign is due;
	// false where none is queued or deferred.
	NextDue(ctx context.Context, campaign string) (time.Time, bool, error)
	// Reserve takes up to n messages out of every limit at once; the limits are
	// shared by all processes. With granted == 0, wait says how long until one
	// would be granted.
	Reserve(ctx context.Context, now time.Time, n int, limits []mailer.Limit) (granted int, wait time.Duration, err error)
	// SetWaits replaces what a session of this handle says is not sent now, and why,
	// for people to see; it stands until the given time, and while the process lives.
	SetWaits(ctx context.Context, session int64, until time.Time, list []mailer.Wait) error
	// FireOnce reports whether this process may act on a schedule's fire time;
	// of all processes on the ledger exactly one may.
	FireOnce(ctx context.Context, schedule string, at time.Time) (bool, error)
	// Counts returns the deliveries per state.
	Counts(ctx context.Context, campaign string) (mailer.Counts, error)
}

// Relays hands out connections to the configured relays.
type Relays interface {
	// Get returns an open connection, from the pool or new. It blocks while the
	// pool is at its size. Where no relay takes connections now, the error is a
	// *mailer.RelayDown.
	Get(ctx context.Context) (Conn, error)
	// Put gives a connection back. One that is broken, worn, or on which a
	// message is begun and not over is closed.
	Put(Conn)
	// Size is the number of connections that may be open at once.
	Size() int
	// Aside lists the relays that are set aside: they took no connection when one
	// was last opened.
	Aside() []mailer.Wait
}

// Conn is one open connection to a relay. Messages go through it strictly in
// order: Begin, Ready, Finish, Outcome for each. Begin of the next message may
// come between Finish and Outcome of the one before: its envelope then travels
// behind that body (RFC 2920). Where Window is more than 1, messages may be
// streamed instead: Stream and Outcome for each. A Conn is used by one goroutine.
type Conn interface {
	// Relay is the name of the relay in the config.
	Relay() string
	// Pipelining reports whether Begin may come before the Outcome of the
	// message before.
	Pipelining() bool
	// Usable reports whether another message may begin: the connection is whole
	// and below its number of messages.
	Usable() bool
	// Begin says MAIL, RCPT and DATA for m. Nothing has left that a relay could
	// take as a message.
	Begin(ctx context.Context, m *mailer.Message)
	// Ready reads the replies to the envelope of the message last begun. With ok
	// false the outcome is final (Deferred or Rejected) and neither Finish nor
	// Outcome follow.
	Ready(ctx context.Context) (out mailer.Outcome, ok bool)
	// Finish lets the body and the final dot leave. The caller has committed the
	// intent before.
	Finish(ctx context.Context)
	// Flush lets what was finished and begun leave now, so that the relay works
	// while the caller does something else before it asks for the Outcome.
	Flush(ctx context.Context)
	// Outcome reads the reply to the oldest finished or streamed message. After a
	// cut behind the dot it is Unknown.
	Outcome(ctx context.Context) mailer.Outcome
	// Window is how many streamed messages may be unanswered now; 1 where the next
	// message is to be sent by Begin.
	Window() int
	// Stream sends messages whole, behind those that are still unanswered. The
	// caller has committed the intents before.
	Stream(ctx context.Context, messages ...*mailer.Message)
	// Answered reports whether the Outcome of the oldest streamed message can be
	// had without waiting.
	Answered() bool
}
