package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"oshirase/mailer"
)

// memberRow is a person who may act, as the database has it.
type memberRow struct {
	Num              int64
	ID, Name         string
	Roles, Merchants string
	Key              string        `db:"ssh_key"`
	OSUser           string        `db:"os_user"`
	From             int64         `db:"valid_from"`
	Until            sql.NullInt64 `db:"valid_until"`
}

// members reads everybody who may act or ever might, oldest first: whoever reads the
// table does it here. They must be as the program wrote them.
func (r *Reader) members(ctx context.Context, h handle) ([]mailer.Member, error) {
	if err := r.provedAll(ctx, h, "person", `num > 0`); err != nil {
		return nil, err
	}
	var rows []memberRow
	if err := find(ctx, h, &rows, `SELECT num, id, name, roles, merchants, ssh_key, os_user, valid_from, valid_until FROM person ORDER BY num`); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, nobodyYet(ctx, h)
	}
	out := make([]mailer.Member, len(rows))
	for i, r := range rows {
		m := &out[i]
		*m = mailer.Member{ID: r.ID, Name: r.Name, Key: r.Key, OSUser: r.OSUser, From: time.UnixMilli(r.From).UTC(), Until: fromMS(r.Until)}
		if err := json.Unmarshal([]byte(r.Roles), &m.Roles); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(r.Merchants), &m.Merchants); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// nobodyYet refuses a table without anybody where somebody was registered: names would
// be free again.
func nobodyYet(ctx context.Context, h handle) error {
	var n int
	if err := get(ctx, h, &n, `SELECT count(*) FROM amendment WHERE kind = 'add' AND done_at IS NOT NULL`); err != nil {
		return err
	}
	if n > 0 {
		return mailer.Conflict("person.gone", "changes", n)
	}
	return nil
}

// addMember writes a row of a person, as the only one who does.
func (c *change) addMember(ctx context.Context, m *mailer.Member) error {
	roles, err := json.Marshal(m.Roles)
	if err != nil {
		return err
	}
	var num int64
	err = get(ctx, c, &num, `INSERT INTO person (id, name, roles, merchants, ssh_key, os_user, valid_from) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING num`,
		m.ID, m.Name, string(roles), stringArray(m.Merchants), m.Key, m.OSUser, c.db.now().UnixMilli())
	c.made("person", `num = ?`, num)
	return err
}

// endMember ends the row of a person that is valid, as the only one who changes one.
func (c *change) endMember(ctx context.Context, id string) error {
	var num int64
	if err := get(ctx, c, &num, `SELECT num FROM person WHERE id = ? AND valid_until IS NULL`, id); err != nil {
		return missing(err, "person", id)
	}
	if err := c.touch(ctx, "person", `num = ?`, num); err != nil {
		return err
	}
	_, err := do(ctx, c, `UPDATE person SET valid_until = ? WHERE num = ?`, c.db.now().UnixMilli(), num)
	return err
}

// Members has everybody who may act or ever might, oldest first; empty: names are free.
func (r *Reader) Members(ctx context.Context) (all []mailer.Member, err error) {
	defer r.explain(&err, "find persons")
	return r.members(ctx, r.pool())
}

// valid are those of the members who may act now.
func valid(all []mailer.Member) (out []mailer.Member) {
	for _, m := range all {
		if m.Until.IsZero() {
			out = append(out, m)
		}
	}
	return out
}

// signers counts the approvers with a key among members.
func signers(members []mailer.Member) (n int) {
	for i := range members {
		if members[i].Signs() {
			n++
		}
	}
	return n
}
