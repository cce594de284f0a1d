package store

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/mattn/go-sqlite3"
)

// What senders write all the time is one statement each: the insertion of a row
// into a view whose trigger does the work. Outside a transaction such a statement
// is one of its own, from the writer's lock to the sync. So while the lock is held
// nothing waits for the scheduler of Go, which under load takes longer than the
// work: everybody else waits for the lock meanwhile.
//
// The rows are named by their IDs. The + before other columns (+campaign, +state)
// keeps SQLite from looking them up by an index on those, which would read all that
// is queued of a campaign.
//
// Views and triggers are temporary: each connection of the writer has them, and
// the schema of the database knows nothing of them.

// writerDriver names the driver of the connection that writes.
const writerDriver = "sqlite3-ledger-writer"

func init() {
	sql.Register(writerDriver, &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		_, err := c.Exec(stepSchema+claimSchema, nil)
		return err
	}})
}

// errMiscounted says that rows were not what a statement took them to be;
// nothing was written.
var errMiscounted = errors.New("rows are not in the state that was expected")

// miscounted recognises what the triggers raise.
func miscounted(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && e.ExtendedCode == sqlite3.ErrConstraintTrigger {
		return fmt.Errorf("%w: %w", errMiscounted, err)
	}
	return err
}

// writeAlone runs fn, which executes one statement, outside any transaction: the
// statement is one itself.
func (db *DB) writeAlone(op string, fn func(q sqlx.ExtContext) error) error {
	if db.w == nil {
		return wrap(op, ErrReadOnly)
	}
	return wrap(op, db.patiently(func() error { return fn(db.w) }))
}
