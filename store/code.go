package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/journal"
	"oshirase/store/seal"
)

// Control rows decide what is sent, to whom, and who has allowed it. Each carries a
// keyed code over all of its columns, so that nobody who has only the file can change
// one; and their codes are added up in the newest row of control, each version of
// which is a leaf of the journal and stands in checkpoints, so that no row can be
// taken away, put in, or put back to what it was.

// controlTables are the tables of control rows.
var controlTables = []string{
	"incident", "exposure", "merchant", "population", "list", "campaign", "person", "policy", "amendment", "consent",
	"count_acceptance", "sheet", "sheet_campaign", "approval",
}

// controlRow is one of them.
type controlRow struct {
	table string
	where string // a condition that holds for it alone
	args  []any
}

// touched is a control row that a commit may have changed.
type touched struct {
	controlRow
	old, now    seal.Code // before the commit, and when it was looked at last
	fresh, gone bool      // it was put in, or deleted, by this commit
}

// touch says that a control row is about to be changed or deleted. It must be as the program
// wrote it: else mailer.ErrDamaged, so that no change makes good what somebody else
// did to it. Its code is renewed when the transaction ends.
func (c *change) touch(ctx context.Context, table, where string, args ...any) error {
	r := controlRow{table, where, args}
	if slices.ContainsFunc(c.touched, r.is) {
		return nil
	}
	code, err := c.db.proved(ctx, c, r)
	if err != nil {
		return err
	}
	c.touched = append(c.touched, touched{controlRow: r, old: code})
	return nil
}

// made says that a control row was put in by this transaction.
func (c *change) made(table, where string, args ...any) {
	c.touched = append(c.touched, touched{controlRow: controlRow{table, where, args}, fresh: true})
}

func (r controlRow) is(t touched) bool {
	return r.table == t.table && r.where == t.where && fmt.Sprint(r.args...) == fmt.Sprint(t.args...)
}

// flush renews the codes of what was touched so far, so that the transaction itself can
// read it as what the program wrote.
func (c *change) flush(ctx context.Context) error {
	for i := range c.touched {
		t := &c.touched[i]
		octets, have, err := readControl(ctx, c, t.controlRow)
		if errors.Is(err, sql.ErrNoRows) {
			t.now, t.gone = seal.Code{}, true
			continue
		} else if err != nil {
			return err
		}
		t.now, t.gone = c.db.codes.Row(octets), false
		if bytes.Equal(t.now[:], have) {
			continue
		}
		if _, err := do(ctx, c, `UPDATE `+t.table+` SET code = ? WHERE `+t.where, append([]any{t.now[:]}, t.args...)...); err != nil {
			return err
		}
	}
	return nil
}

// recode renews the codes of what was touched, and the sum over all.
func (c *change) recode(ctx context.Context) error {
	if len(c.touched) == 0 {
		return nil
	}
	if err := c.flush(ctx); err != nil {
		return err
	}
	version, sum, err := c.db.control(ctx, c)
	if err != nil {
		return err
	}
	before := sum
	for _, t := range c.touched {
		if !t.fresh {
			sum.Take(t.old)
		}
		if !t.gone {
			sum.Add(t.now)
		}
	}
	c.touched = c.touched[:0]
	if sum == before {
		return nil
	}
	return c.putControl(ctx, version+1, sum)
}

// putControl adds the newest version of the sum over all control rows, and its leaf.
func (c *change) putControl(ctx context.Context, version int64, sum seal.Sum) error {
	j := &c.db.journal
	l := journal.Control{Version: version, Sum: sum}
	leaf := c.tree.Size()
	j.leaf = l.AppendLeaf(j.leaf[:0])
	c.tree.Add(journal.LeafHash(j.leaf))
	code := c.db.codes.Row(appendControl(nil, version, sum, j.num, j.head.N+1, leaf))
	_, err := do(ctx, c, `INSERT INTO control (version, sum, chain, entry, leaf, code) VALUES (?, ?, ?, ?, ?, ?)`,
		version, sum[:], j.num, j.head.N+1, leaf, code[:])
	return err
}

func appendControl(dst []byte, version int64, sum seal.Sum, chain, entry, leaf int64) []byte {
	dst = append(append(dst, "control"...), sum[:]...)
	for _, n := range []int64{version, chain, entry, leaf} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

// control is the newest version of the sum over all control rows; zeros where there
// is none.
func (r *Reader) control(ctx context.Context, h handle) (version int64, sum seal.Sum, err error) {
	var row struct {
		Version, Chain, Entry, Leaf int64
		Sum, Code                   []byte
	}
	err = get(ctx, h, &row, `SELECT version, sum, chain, entry, leaf, code FROM control ORDER BY version DESC LIMIT 1`)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, sum, nil
	} else if err != nil {
		return 0, sum, err
	}
	copy(sum[:], row.Sum)
	code := r.codes.Row(appendControl(nil, row.Version, sum, row.Chain, row.Entry, row.Leaf))
	if !bytes.Equal(code[:], row.Code) || len(row.Sum) != len(sum) {
		return 0, sum, altered("control", fmt.Sprint(row.Version))
	}
	return row.Version, sum, nil
}

// proved is the code of a control row that is as the program wrote it; sql.ErrNoRows
// where there is none, mailer.ErrDamaged where it is not.
func (r *Reader) proved(ctx context.Context, h handle, row controlRow) (seal.Code, error) {
	if c, ok := h.(*change); ok {
		if err := c.flush(ctx); err != nil {
			return seal.Code{}, err
		}
	}
	octets, have, err := readControl(ctx, h, row)
	if err != nil {
		return seal.Code{}, err
	}
	code := r.codes.Row(octets)
	if !bytes.Equal(code[:], have) {
		return code, altered(row.table, fmt.Sprint(row.args...))
	}
	return code, nil
}

// provedAll refuses rows of a table of which one is not as the program wrote it.
func (r *Reader) provedAll(ctx context.Context, h handle, table, where string, args ...any) error {
	if c, ok := h.(*change); ok {
		if err := c.flush(ctx); err != nil {
			return err
		}
	}
	return eachControl(ctx, h, table, ` WHERE `+where, args, func(octets, have []byte, name string) error {
		if code := r.codes.Row(octets); !bytes.Equal(code[:], have) {
			return altered(table, name)
		}
		return nil
	})
}

// altered is what is not as the program wrote it.
func altered(what, id string) error {
	return mailer.NewError(mailer.ErrDamaged, "ledger.altered", "what", what, "id", id)
}

// readControl reads a control row as the octets that its code is over, and the code
// that stands there.
func readControl(ctx context.Context, h handle, row controlRow) (octets, code []byte, err error) {
	err = eachControl(ctx, h, row.table, ` WHERE `+row.where, row.args, func(o, c []byte, _ string) error {
		if octets != nil {
			return fmt.Errorf("two rows of %s: %w", row.table, errCorrupt)
		}
		octets, code = o, c
		return nil
	})
	if err == nil && octets == nil {
		err = sql.ErrNoRows
	}
	return octets, code, err
}

// eachControl calls fn with the octets and the code of control rows, and with what
// names them.
func eachControl(ctx context.Context, h handle, table, where string, args []any, fn func(octets, code []byte, name string) error) error {
	rows, err := h.QueryxContext(ctx, h.Rebind(`SELECT * FROM `+table+where), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	order := columnOrder(columns)
	for rows.Next() {
		values, err := rows.SliceScan()
		if err != nil {
			return err
		}
		octets, code, name := encodeControl(table, columns, order, values)
		if err := fn(octets, code, name); err != nil {
			return err
		}
	}
	return rows.Err()
}

func columnOrder(columns []string) []int {
	order := make([]int, len(columns))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare([]byte(columns[a]), []byte(columns[b])) })
	return order
}

// encodeControl is a row's octets: the table's name, and names and values of all
// columns but the code in the order of their names. What is NULL is left out, so that
// a column that a migration adds changes no code.
func encodeControl(table string, columns []string, order []int, values []any) (octets, code []byte, name string) {
	put := func(s string) {
		octets = binary.AppendUvarint(octets, uint64(len(s)))
		octets = append(octets, s...)
	}
	put(table)
	for _, i := range order {
		if columns[i] == "code" {
			code, _ = values[i].([]byte)
			continue
		}
		if columns[i] == "id" || name == "" && columns[i] == "num" {
			name = text(values[i])
		}
		if values[i] == nil {
			continue
		}
		put(columns[i])
		put(text(values[i]))
	}
	return octets, code, name
}

// text is a value as all drivers would have it as text.
func text(v any) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case string:
		return v
	case bool:
		if v {
			return "1"
		}
		return "0"
	case time.Time:
		return fmt.Sprint(v.UnixMilli())
	}
	return fmt.Sprint(v)
}

// sumControl adds up the codes of all control rows as they stand.
func sumControl(ctx context.Context, h handle) (sum seal.Sum, err error) {
	for _, table := range controlTables {
		var codes [][]byte
		if err := find(ctx, h, &codes, `SELECT code FROM `+table); err != nil {
			return sum, err
		}
		for _, c := range codes {
			if len(c) != len(seal.Code{}) {
				return sum, altered(table, "")
			}
			sum.Add(seal.Code(c))
		}
	}
	return sum, nil
}

var _ handle = (*sqlx.Tx)(nil)
