// Package engine is the seam between the ledger and the database that keeps it:
// only what differs in kind between engines, and none of the ledger's rules. SQL
// that all engines share stands once, in store, in their common dialect: `?` for
// arguments, ON CONFLICT, RETURNING, coalesce, string_agg.
//
// Every engine passes the suite in store/storetest whole.
package engine

import (
	"context"
	"errors"
	"io"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// Engine keeps one ledger. It is safe for concurrent use, but for what is said to
// run inside a transaction.
type Engine interface {
	// Reader is the pool of connections that only read.
	Reader() *sqlx.DB
	// Write runs fn in one write transaction; an error rolls everything back. It
	// waits while another process writes, however long that takes (minutes).
	Write(ctx context.Context, fn func(tx *sqlx.Tx) error) error
	// Apply writes steps, and the journal's entry about them, in one transaction: in
	// tx, or in one of its own where tx is nil. ErrStale where rows or phases are not
	// as a step says; nothing is written then.
	Apply(ctx context.Context, tx *sqlx.Tx, steps []*Step, entry *Entry) error
	// FreeChunks finds chunks of a campaign that no lease has, the oldest first, of
	// each domain group but those to skip, until they hold n deliveries.
	FreeChunks(ctx context.Context, q sqlx.QueryerContext, campaign int64, n int, skip []string) ([]Chunk, error)
	// In is a condition that a column is one of the numbers, and its only argument.
	In(column string, ids []int64) (condition string, arg any)
	// InText is the same for texts.
	InText(column string, values []string) (condition string, arg any)
	// Owner is the name of this handle as an owner of leases; from the first call on
	// others can tell whether it lives.
	Owner() (string, error)
	// Alive reports whether an owner lives. Where that cannot be told, it does: its
	// leases lapse.
	Alive(owner string) bool
	// BeginBulk and EndBulk bracket an import that appends many recipients in tx: in
	// between, the indexes of blind keys need not be kept.
	BeginBulk(ctx context.Context, tx *sqlx.Tx) error
	EndBulk(ctx context.Context, tx *sqlx.Tx) error
	// AddRecipients adds the recipients of a population whose person it does not have,
	// numbers them in the order of the rows, one after another, and returns how many
	// were new.
	AddRecipients(ctx context.Context, tx *sqlx.Tx, incident, merchant int64, rows []Recipient) (int, error)
	// AddDeliveries adds deliveries in one state, in a chunk (0: in none), and returns
	// their IDs, ascending in the order of the rows.
	AddDeliveries(ctx context.Context, tx *sqlx.Tx, of Frozen, rows []Delivery) ([]int64, error)
	// Settle brackets a large import: begin before its transaction, and the result
	// after it.
	Settle(ctx context.Context) (after func(), err error)
	// Purge leaves nothing of what was overwritten in logs. It waits for those who read
	// what was before, and fails with ErrReaders where they go on.
	Purge(ctx context.Context) error
	// Holds names the files of the database, logs and free pages too, in which any 16
	// bytes in a row of one of the secrets stand.
	Holds(ctx context.Context, secrets [][]byte) (where []string, err error)
	// Altered names the tables, indexes and triggers that are missing, or are not as this
	// program makes them.
	Altered(ctx context.Context, q sqlx.QueryerContext) (what []string, err error)
	// Lock waits until this handle alone holds a lock of a name; it goes with the process.
	Lock(ctx context.Context, name string) (unlock func(), err error)
	// Backup copies the ledger, as it is at one moment, to a file that is not there yet,
	// readable by its owner alone; others write meanwhile. The copy is checked, read is
	// called with it, and it is on disk; or there is no file. progress may be nil.
	Backup(ctx context.Context, path string, progress func(done, total int64), read func(copy *sqlx.DB) error) error
	// Unique reports whether err says that a row is there already.
	Unique(err error) bool
	// Explain gives errors of the database codes of the ledger; others pass.
	Explain(err error) error
	io.Closer
}

// Step is what many deliveries of a campaign go through alike: one transition.
type Step struct {
	Campaign int64
	Phase    mailer.Phase // that the campaign must be in
	// Lease is the epoch under which the deliveries must be held (From queued: their
	// chunk is leased under it; else they were last sent under it); 0: it does not matter.
	Lease    int64
	From, To mailer.State
	Kind     mailer.EventKind // of the event that each leaves; empty: none
	Tried    bool             // an attempt ends or begins: first_at is set, and with Kind attempts grows
	Counted  bool             // the attempt was counted before
	Held     mailer.Held      // why they are kept back; with the kind hold, and to queued only
	Chunk    int64            // that the deliveries are in from now on, To queued only; 0: they stay where they are leased
	At       int64            // unix milliseconds, of the last row
	Relay    string
	Point    mailer.Point
	Code     int
	Enhanced string
	// Chain and Entry name the entry of the journal that has the events.
	Chain, Entry int64
	Rows         []Row
}

// Row is one delivery of a step.
type Row struct {
	ID     int64
	At     int64  // unix milliseconds
	NextAt int64  // unix milliseconds; To deferred only
	Leaf   int    // number of its event in the journal's entry
	Text   string // valid UTF-8, without personal data; empty where Raw is not nil
	Raw    []byte // sealed reply; nil: there was none
}

// Entry is one entry of the journal.
type Entry struct {
	Chain, N, At     int64 // number of the chain; counter; unix milliseconds
	Leaves           int64
	Prev, Root, Hash []byte // 32 bytes each
	Code             []byte // 16 bytes, keyed, of the hash
}

// Chunk is some deliveries of one domain group that are leased together.
type Chunk struct {
	ID         int64
	Group      string `db:"grp"`
	N          int
	Deliveries string // JSON array of IDs, ascending
}

// ErrStale: rows are not in the state in which a statement took them to be;
// nothing was written.
var ErrStale = errors.New("rows are not in the state that was expected")

// What can be wrong with the database itself; nothing was written.
var (
	ErrDiskFull    = &mailer.Error{Code: "ledger.disk-full"}
	ErrReadOnly    = &mailer.Error{Code: "ledger.read-only"}
	ErrNotDatabase = &mailer.Error{Code: "ledger.not-database"}
	ErrLocked      = &mailer.Error{Code: "ledger.locked"}
	ErrIO          = &mailer.Error{Code: "ledger.io"}
	ErrNoFile      = &mailer.Error{Code: "ledger.no-file"}
	ErrReaders     = &mailer.Error{Kind: mailer.ErrConflict, Code: "ledger.readers"}
)

// Recipient is one row of recipient.
type Recipient struct {
	PersonKey []byte // 16 bytes
	Blind     Blind
	Sealed    []byte
	Bound     int64 // keyed code of the row, its id among it
}

// Blind are the short blind keys of a person; 0: none. Similar is that of a customer
// number without what people get wrong in it.
type Blind struct{ Email, Phone, Kana, Similar int64 }

// Frozen is what deliveries have in common that are frozen together.
type Frozen struct {
	Campaign, Merchant int64
	Round              int64 // of the campaign's checks
	State              mailer.State
	Chunk              int64 // 0: none
}

// Delivery is one row of delivery as it is frozen.
type Delivery struct {
	Recipient  int64
	Hash       []byte // 32 bytes; nil: nothing is sent
	Told       []byte // JSON; nil: nothing before
	Exposures  string // JSON
	Suppressed mailer.Suppression
	Group      string
}
