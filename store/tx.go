package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// write runs fn in one write transaction; an error rolls everything back.
func (db *DB) write(ctx context.Context, op string, fn func(tx *sqlx.Tx) error) error {
	if db.w == nil {
		return wrap(op, ErrReadOnly)
	}
	tx, err := db.begin(ctx)
	if err != nil {
		return wrap(op, err)
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // the error of fn says more; the connection is discarded where this fails
		return wrap(op, err)
	}
	return wrap(op, tx.Commit())
}

// begin takes the writer's lock. Another process may hold it over and over, as a
// sender does, or for long, as a large import does: it is asked for often, so
// that a pause does not wait in the shadow of a thousand commits, and for as long
// as patience lasts.
func (db *DB) begin(ctx context.Context) (tx *sqlx.Tx, err error) {
	err = db.patiently(func() (err error) {
		tx, err = db.w.BeginTxx(ctx, nil)
		return err
	})
	return tx, err
}

// patiently tries again while another process holds the writer's lock.
func (db *DB) patiently(try func() error) error {
	start := time.Now()
	for said := start; ; {
		err := try()
		if err == nil || !errors.Is(explain(err), ErrLocked) || time.Since(start) > db.patience {
			return err
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			db.log.Warn("waiting for another program that writes to the database", "since", start)
		}
	}
}

// read runs fn in one read transaction: it sees one state of the ledger.
func (db *DB) read(ctx context.Context, op string, fn func(tx *sqlx.Tx) error) error {
	tx, err := db.r.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return wrap(op, err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	return wrap(op, fn(tx))
}

// ms is a time as the database has it; the zero time is NULL.
func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func fromMS(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMilli(n.Int64).UTC()
}

// idArray is a JSON array of numbers, for json_each: one parameter and one
// statement for any number of rows.
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

func stringArray(s []string) string {
	if len(s) == 0 {
		return "[]"
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

func parseStrings(s string) ([]string, error) {
	if s == "" || s == "[]" {
		return nil, nil
	}
	var out []string
	err := json.Unmarshal([]byte(s), &out)
	return out, err
}

// act records who did what, in the transaction that does it.
func (db *DB) act(ctx context.Context, tx *sqlx.Tx, by mailer.Actor, action mailer.Action, subject, detail string) error {
	if err := by.Valid(); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO act (at, who, proof, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?)`,
		db.now().UnixMilli(), by.Name, string(by.Proof), string(action), subject, detail)
	return err
}

// seen records that somebody is about to be shown personal data: it is committed
// before they are.
func (db *DB) seen(ctx context.Context, by mailer.Actor, action mailer.Action, subject, detail string) error {
	return db.write(ctx, "record "+string(action), func(tx *sqlx.Tx) error { return db.act(ctx, tx, by, action, subject, detail) })
}

// RecordAct records what somebody does who is shown what the ledger says without
// changing it.
func (db *DB) RecordAct(ctx context.Context, by mailer.Actor, action mailer.Action, subject, detail string) error {
	return db.seen(ctx, by, action, subject, detail)
}
