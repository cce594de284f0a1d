package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

// stepRow is a row of the view step in hot.sql.
const stepRow = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// stepColumns is how many columns it has.
var stepColumns = strings.Count(stepRow, "?")

// Apply writes steps, and the journal's entry about them, by one statement.
func (db *DB) Apply(ctx context.Context, tx *sqlx.Tx, steps []*engine.Step, entry *engine.Entry) error {
	if db.w == nil {
		return engine.ErrReadOnly
	}
	if slices.ContainsFunc(steps, rare) {
		if tx == nil {
			return engine.ErrStale // two statements: the long way has a transaction
		}
		var err error
		if steps, err = db.applyRare(ctx, tx, steps); err != nil {
			return stale(err)
		}
	}
	rows := len(steps)
	if entry != nil {
		rows++
	}
	if rows == 0 {
		return nil
	}
	args := make([]any, 0, stepColumns*rows)
	for _, s := range steps {
		args = appendStep(args, s)
	}
	if e := entry; e != nil {
		args = append(args, 0, "", 0, "", "", "entry", false, false, 0, e.At, e.Code, "", 0, "", e.Leaves, e.Prev, e.Hash, e.Root, "", e.Chain, e.N)
	}
	query := `INSERT INTO temp.step VALUES ` + stepRow + strings.Repeat(", "+stepRow, rows-1)
	if tx != nil {
		_, err := tx.ExecContext(ctx, query, args...)
		return stale(err)
	}
	return stale(db.patiently(func() error {
		_, err := db.w.ExecContext(ctx, query, args...)
		return err
	}))
}

// rare is what stands in a view of its own.
func rare(s *engine.Step) bool { return s.Kind == mailer.EventHold || s.To == mailer.StateSuppressed }

// heldAt is the place of held among the columns of the view rare; in step next_at stands
// there.
const heldAt = 16

// applyRare writes the steps that are rare, and returns the others.
func (db *DB) applyRare(ctx context.Context, tx *sqlx.Tx, steps []*engine.Step) (others []*engine.Step, err error) {
	for _, s := range steps {
		if !rare(s) {
			others = append(others, s)
			continue
		}
		args := appendStep(make([]any, 0, stepColumns), s)
		args[heldAt] = string(s.Held)
		if _, err := tx.ExecContext(ctx, `INSERT INTO temp.rare VALUES `+stepRow, args...); err != nil {
			return nil, err
		}
	}
	return others, nil
}

func appendStep(args []any, s *engine.Step) []any {
	ids := make([]byte, 0, 9*len(s.Rows)+1)
	var nextAt, events, raws []byte
	for i := range s.Rows {
		r := &s.Rows[i]
		ids = strconv.AppendInt(append(ids, ','), r.ID, 10)
		if s.To == mailer.StateDeferred {
			nextAt = strconv.AppendInt(appendKey(nextAt, r.ID), r.NextAt, 10)
		}
		if s.Kind == "" {
			continue
		}
		events = append(appendKey(events, r.ID), '"')
		events = strconv.AppendInt(events, min(max(r.At, 1e12), 1e13-1), 10) // 13 digits: 2001 to 2286
		events = appendDigits(events, r.Leaf)
		if r.Raw != nil {
			events = appendDigits(appendDigits(append(events, 'x'), len(raws)+1), len(r.Raw))
			raws = append(raws, r.Raw...)
		} else {
			events = appendJSONText(append(events, 't'), r.Text)
		}
		events = append(events, '"')
	}
	if len(ids) > 0 {
		ids[0] = '['
	} else {
		ids = append(ids, '[')
	}
	return append(args, s.Campaign, string(s.Phase), s.Lease, string(s.From), string(s.To), string(s.Kind), s.Tried, s.Counted, s.Chunk, s.At,
		s.Relay, string(s.Point), s.Code, s.Enhanced, len(s.Rows), string(append(ids, ']')), closed(nextAt), closed(events), raws, s.Chain, s.Entry)
}

// appendKey begins the next member of a JSON object that has a number as key.
func appendKey(b []byte, key int64) []byte {
	if len(b) == 0 {
		b = append(b, '{', '"')
	} else {
		b = append(b, ',', '"')
	}
	return append(strconv.AppendInt(b, key, 10), '"', ':')
}

// appendDigits appends a number in eight digits: of a leaf, or a place among replies.
func appendDigits(b []byte, n int) []byte {
	if n < 0 || n > 99_999_999 {
		panic(fmt.Sprintf("%d has more than eight digits", n)) // no statement has as many rows
	}
	for p := 10_000_000; p > 0; p /= 10 {
		b = append(b, byte('0'+n/p%10))
	}
	return b
}

func closed(object []byte) string {
	if len(object) == 0 {
		return ""
	}
	return string(append(object, '}'))
}

// appendJSONText appends valid UTF-8 as the inside of a JSON string. Line ends of
// replies become blanks: JSON and people want none.
func appendJSONText(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return b
}
