// Package send runs campaigns: it claims batches, renders, hands to a relay and
// records what came of it, within windows, paces and schedules.
//
// It knows the ledger only through the interface below, and relays through
// mailer.Conn and the Dialer of its pool; it knows nothing of SMTP. Another transport
// is a Dialer and a Conn, each of a few methods. cmd wires the concrete ones.
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
	// Running lists the campaigns in phase running, oldest first, with what of each
	// may still be claimed, now or later.
	Running(ctx context.Context) ([]mailer.Backlog, error)
	// Snapshot returns what the campaign was checked with.
	Snapshot(ctx context.Context, campaign string) (mailer.Snapshot, error)
	// Claim leases up to n due deliveries of a running campaign (queued, or
	// deferred with its time come) until the given time, of each domain group in
	// turn but those to skip. It returns nil where nothing is due, ErrNotRunning
	// where the campaign is not running. The owner is this DB handle: while its
	// process lives, the lease is dead only when it lapses.
	Claim(ctx context.Context, campaign string, now, until time.Time, n int, skip []string) (*mailer.Lease, error)
	// Renew extends this handle's leases.
	Renew(ctx context.Context, epochs []int64, until time.Time) error
	// Release puts what is still claimed under leases back to queued (deferred
	// where it had been tried before) and ends the leases.
	Release(ctx context.Context, epochs ...int64) error
	// Record commits intents and outcomes and returns when they are durable.
	// Records of concurrent callers go into one transaction (group commit). The
	// result has one error per record: ErrLeaseLost where state or epoch do not
	// match, ErrNotRunning for an intent of a campaign that is not running; nil
	// where it is committed. Outcomes are taken in any phase. A late outcome also
	// settles a delivery that became unknown under the same epoch.
	Record(ctx context.Context, records ...mailer.Record) []error
	// Hold keeps back a delivery that was claimed under an epoch and not begun, for a
	// reason; ErrLeaseLost where it is no longer so.
	Hold(ctx context.Context, campaign string, delivery, epoch int64, why mailer.Held) error
	// Review decides what is held of a running campaign because others tell the same
	// people: suppressed where they were told, queued where they will not be. It
	// returns how many were decided; where none is held it costs next to nothing.
	Review(ctx context.Context, campaign string) (int64, error)
	// Held counts what is held of a campaign.
	Held(ctx context.Context, campaign string) (mailer.HeldCounts, error)
	// Settle moves a running campaign without open deliveries to finished.
	Settle(ctx context.Context, campaign string) error
	// Pause moves a running campaign to paused, with a reason for people.
	Pause(ctx context.Context, by mailer.Actor, campaign, reason string) error
	// Halt pauses a running campaign for what the program found, with the same in words
	// for people; one that is not running stays as it is.
	Halt(ctx context.Context, campaign string, why mailer.Halt, reason string) error
	// Void takes a campaign back to draft and its approvals away, with the reason.
	Void(ctx context.Context, by mailer.Actor, campaign, reason string) error
	// NextDue is the earliest time at which a delivery of the campaign is due;
	// false where none is queued or deferred.
	NextDue(ctx context.Context, campaign string) (time.Time, bool, error)
	// Reserve takes up to n messages out of every limit at once; the limits are
	// shared by all processes.
	Reserve(ctx context.Context, now time.Time, n int, limits []mailer.Limit) (mailer.Grant, error)
	// SetWaits replaces what a session of this handle says is not sent now, and why,
	// for people to see; it stands until the given time, and while the process lives.
	SetWaits(ctx context.Context, session int64, until time.Time, list []mailer.Wait) error
	// FireOnce reports whether this process may act on a schedule's fire time;
	// of all processes on the ledger exactly one may.
	FireOnce(ctx context.Context, schedule string, at time.Time) (bool, error)
	// Status is that of one campaign, or of all with an empty ID, oldest first.
	Status(ctx context.Context, campaign string) ([]mailer.CampaignStatus, error)
	// Counts returns the deliveries per state.
	Counts(ctx context.Context, campaign string) (mailer.Counts, error)
}

// Pipeliner is a mailer.Conn that can do more than one thing at a time. It is
// optional: with any other Conn the worker calls Send for one message after the
// other. The two ways below are not mixed; each begins where nothing is unanswered.
//
// One message behind the other:
//
//	Begin(1) Ready(1) {intent 1} Finish(1) [Begin(2)] [Flush] Outcome(1) Ready(2) {intent 2} Finish(2) …
//
// Begin of the next message may come between Finish and Outcome of the one before,
// where Pipelining is true: its envelope then travels behind that body (RFC 2920).
// Where Ready says no, the message is over and neither Finish nor Outcome follow.
// Between Ready and Finish the caller commits the intent; without Finish nothing has
// left that a relay could take for a message, and the connection is to be closed.
//
// A window of messages, while Window is more than 1:
//
//	{intents 1 2 3} Stream(1 2 3) Outcome(1) [Answered Outcome(2)] {intents 4 5} Stream(4 5) Outcome(3) …
//
// Intents are committed before Stream, and outcomes come in the order of Stream. No
// more than Window messages are unanswered at any time.
type Pipeliner interface {
	mailer.Conn
	// Pipelining reports whether Begin may come before the Outcome of the
	// message before.
	Pipelining() bool
	// Begin says the envelope of m, and that a body is to come.
	Begin(ctx context.Context, m *mailer.Message)
	// Ready waits for the replies to the envelope last begun. False: the outcome is
	// Deferred or Rejected.
	Ready(ctx context.Context) (out mailer.Outcome, ok bool)
	// Finish lets the body and the final dot leave.
	Finish(ctx context.Context)
	// Flush lets what was finished and begun leave now, so that the relay works
	// while the caller does something else before it asks for the Outcome.
	Flush(ctx context.Context)
	// Outcome waits for the reply to the oldest finished or streamed message. After a
	// cut behind the dot it is Unknown.
	Outcome(ctx context.Context) mailer.Outcome
	// Window is how many streamed messages may be unanswered now; 1 where the next
	// message is to be sent by Begin.
	Window() int
	// Stream sends messages whole, behind those that are still unanswered.
	Stream(ctx context.Context, messages ...*mailer.Message)
	// Answered reports whether the Outcome of the oldest streamed message can be
	// had without waiting.
	Answered() bool
}
