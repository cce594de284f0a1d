package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/mattn/go-sqlite3"

	"oshirase/store/internal/engine"
)

//go:embed hot.sql
var hotSQL string

// writerDriver names the driver of the connection that writes.
const writerDriver = "sqlite3-ledger-writer"

func init() {
	sql.Register(writerDriver, &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		// Fewer, larger checkpoints: each costs two syncs.
		_, err := c.Exec(hotSQL+`PRAGMA wal_autocheckpoint = 4000;`, nil)
		return err
	}})
}

// Write runs fn in one write transaction; an error rolls everything back. Another
// process may hold the writer's lock over and over, as a sender does, or for long,
// as a large import does: it is asked for often, so that a pause does not wait in
// the shadow of a thousand commits, and for as long as patience lasts.
func (db *DB) Write(ctx context.Context, fn func(tx *sqlx.Tx) error) error {
	if db.w == nil {
		return engine.ErrReadOnly
	}
	var tx *sqlx.Tx
	err := db.patiently(func() (err error) {
		tx, err = db.w.BeginTxx(ctx, nil)
		return err
	})
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // the error of fn says more; the connection is discarded where this fails
		return err
	}
	return tx.Commit()
}

// patiently tries again while another process holds the writer's lock.
func (db *DB) patiently(try func() error) error {
	start := time.Now()
	for said := start; ; {
		err := try()
		if err == nil || !locked(err) || time.Since(start) > db.patience {
			return err
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			db.log.Warn("waiting for another program that writes to the database", "since", start)
		}
	}
}

// FreeChunks finds chunks that no lease has. The groups that have some are found by
// skipping through the index: the cost depends on their number and on n, not on the
// size of the campaign.
func (db *DB) FreeChunks(ctx context.Context, q sqlx.QueryerContext, campaign int64, n int, skip []string) ([]engine.Chunk, error) {
	const most = 8 // of each group: small ones make up a lease together
	chunks := []engine.Chunk{}
	if err := sqlx.SelectContext(ctx, q, &chunks, `
		WITH RECURSIVE g (grp) AS (
			SELECT (SELECT min(grp) FROM chunk WHERE campaign = ?1 AND lease IS NULL)
			UNION ALL
			SELECT (SELECT min(grp) FROM chunk WHERE campaign = ?1 AND lease IS NULL AND grp > g.grp) FROM g WHERE g.grp IS NOT NULL
		)
		SELECT c.id, c.grp, c.n, c.deliveries FROM g JOIN chunk c ON c.id IN (
			SELECT f.id FROM chunk f WHERE f.campaign = ?1 AND f.grp = g.grp AND f.lease IS NULL ORDER BY f.id LIMIT ?2)
		WHERE g.grp IS NOT NULL AND g.grp NOT IN (SELECT value FROM json_each(?3)) ORDER BY c.id`,
		campaign, most, textArray(skip)); err != nil {
		return nil, err
	}
	for i, c := range chunks {
		if n -= c.N; n <= 0 {
			return chunks[:i+1], nil
		}
	}
	return chunks, nil
}

// In is a condition that a column is one of the numbers: one argument and one
// statement for any number of them.
func (db *DB) In(column string, ids []int64) (condition string, arg any) {
	return column + ` IN (SELECT value FROM json_each(?))`, idArray(ids)
}

// InText is the same for texts.
func (db *DB) InText(column string, values []string) (condition string, arg any) {
	return column + ` IN (SELECT value FROM json_each(?))`, textArray(values)
}

func idArray(ids []int64) string {
	b := make([]byte, 0, 8*len(ids)+2)
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(append(b, ']'))
}

func textArray(values []string) string {
	if len(values) == 0 {
		return "[]" // and not null, which is an element
	}
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

func locked(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
}

// stale recognises what the triggers of hot.sql raise.
func stale(err error) error {
	var e sqlite3.Error
	if errors.As(err, &e) && e.ExtendedCode == sqlite3.ErrConstraintTrigger && e.Error() == "stale" {
		return fmt.Errorf("%w: %w", engine.ErrStale, err)
	}
	return err
}

// Unique reports whether err says that a row is there already.
func (db *DB) Unique(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && e.Code == sqlite3.ErrConstraint &&
		(e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey)
}

// Explain gives errors of SQLite codes of the ledger; others pass.
func (db *DB) Explain(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	var what error
	switch e.Code {
	case sqlite3.ErrFull:
		what = engine.ErrDiskFull
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		what = engine.ErrReadOnly
	case sqlite3.ErrNotADB, sqlite3.ErrCorrupt:
		what = engine.ErrNotDatabase
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		what = engine.ErrLocked
	case sqlite3.ErrIoErr:
		what = engine.ErrIO
	case sqlite3.ErrCantOpen:
		what = engine.ErrNoFile
	default:
		return err
	}
	return fmt.Errorf("%w (%w)", what, err)
}
