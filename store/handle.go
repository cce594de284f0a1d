package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// handle is the pool of readers or a transaction.
type handle interface {
	sqlx.ExtContext
	Rebind(query string) string
}

// get reads one row; sql.ErrNoRows where there is none.
func get(ctx context.Context, h handle, dst any, query string, args ...any) error {
	return sqlx.GetContext(ctx, h, dst, h.Rebind(query), args...)
}

// find reads all rows.
func find(ctx context.Context, h handle, dst any, query string, args ...any) error {
	return sqlx.SelectContext(ctx, h, dst, h.Rebind(query), args...)
}

// do runs a statement and returns how many rows it touched.
func do(ctx context.Context, h handle, query string, args ...any) (int64, error) {
	r, err := h.ExecContext(ctx, h.Rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// pool is the connections that read.
func (r *Reader) pool() handle { return r.eng.Reader() }

// read runs fn in one read transaction: it sees one state of the ledger.
func (r *Reader) read(ctx context.Context, fn func(tx *sqlx.Tx) error) error {
	tx, err := r.eng.Reader().BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	return fn(tx)
}

// wrap names the operation that failed; it is deferred.
func wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *err)
	}
}

// explain gives an error of the database a code, and names the operation; it is
// deferred by the methods that callers see.
func (r *Reader) explain(err *error, format string, args ...any) {
	if *err != nil {
		*err = r.eng.Explain(*err)
		wrap(err, format, args...)
	}
}

// missing turns an empty result into ErrNotFound.
func missing(err error, what, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return mailer.NotFound("ledger.not-found", "what", what, "id", id)
	}
	return err
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

func unmarshal(s string, v any) error { return json.Unmarshal([]byte(s), v) }
