package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"oshirase/mailer"
)

// store writes one chunk. Rows go in with few statements, and the database passes
// over those whose person it has, be it from before or from an earlier row; what
// it passed over is then looked at one by one, in the order of the rows.
func (im *importer) store(ctx context.Context, c *chunk) error {
	c.fresh = c.fresh[:0]
	if im.bulk != nil {
		if err := im.setAside(ctx, c); err != nil {
			return err
		}
	} else {
		for i := range c.rows {
			if column, reason := im.refusal(c, i); reason != nil {
				c.reject(i, column, reason)
			} else {
				c.fresh = append(c.fresh, i)
			}
		}
	}
	fresh := 0
	const step = 128
	for part := c.fresh; len(part) > 0; {
		n := min(len(part), step)
		k, err := im.insert(ctx, c, part[:n])
		if err != nil {
			return err
		}
		fresh += k
		part = part[n:]
	}
	var known []int
	if fresh < len(c.fresh) {
		var err error
		if known, err = im.split(ctx, c, fresh); err != nil {
			return err
		}
	}
	if err := im.exposeFresh(ctx, c); err != nil {
		return err
	}
	im.nextID += int64(fresh)
	im.res.Imported += int64(fresh)
	if len(known) > 0 {
		if err := im.add(ctx, c, known); err != nil {
			return err
		}
	}
	return im.outgrown(ctx)
}

// refusal says why a row says too little; without a reason it says enough.
func (im *importer) refusal(c *chunk, i int) (column string, reason error) {
	if c.person[i] == nil {
		return "", mailer.Invalid("row.nobody")
	}
	if len(c.rows[i].Exposures) == 0 {
		return "exposure", mailer.Invalid("row.no-exposure")
	}
	for _, e := range c.rows[i].Exposures {
		if im.exposures[e] == 0 {
			return "exposure", mailer.Invalid("row.unknown-exposure", "exposure", strconv.Quote(e))
		}
	}
	return "", nil
}

// insert adds the persons of some rows and returns how many were new. The ids are
// the database's to give, one after another: with ids of ours the statement would
// need a journal of its own.
func (im *importer) insert(ctx context.Context, c *chunk, rows []int) (int, error) {
	args := append(c.args[:0], im.incident, im.merchant)
	for _, i := range rows {
		var email any
		if c.email[i] != nil {
			email = c.email[i]
		}
		args = append(args, c.person[i], email, c.sealed[i])
	}
	c.args = args
	r, err := im.tx.ExecContext(ctx, `INSERT OR IGNORE INTO recipient (incident, merchant, person_key, email_key, sealed) VALUES `+
		values(`(?1,?2,?,?,?)`, len(rows)), args...)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}

// split leaves in c.fresh the rows that made a recipient, and returns those that
// were passed over. Recipients got their ids in the order of the rows, and no two
// have one key: so a row is fresh where its key is that of the next recipient.
func (im *importer) split(ctx context.Context, c *chunk, fresh int) (known []int, err error) {
	var keys [][]byte
	if err := im.tx.SelectContext(ctx, &keys, `SELECT person_key FROM recipient WHERE id >= ? ORDER BY id`, im.nextID); err != nil {
		return nil, err
	}
	if len(keys) != fresh {
		return nil, fmt.Errorf("%d recipients made, %d found: %w", fresh, len(keys), errCorrupt)
	}
	all := c.fresh
	c.fresh = nil
	for _, i := range all {
		if len(keys) > 0 && bytes.Equal(keys[0], c.person[i]) {
			c.fresh = append(c.fresh, i)
			keys = keys[1:]
		} else {
			known = append(known, i)
		}
	}
	return known, nil
}

// exposeFresh gives the recipients that a chunk made their exposures.
func (im *importer) exposeFresh(ctx context.Context, c *chunk) error {
	if len(c.fresh) == 0 {
		return nil
	}
	first := c.rows[c.fresh[0]].Exposures
	same := true
	byExposure := map[int64][]int64{}
	for k, i := range c.fresh {
		same = same && slices.Equal(c.rows[i].Exposures, first)
		for _, e := range c.rows[i].Exposures {
			num := im.exposures[e]
			byExposure[num] = append(byExposure[num], im.nextID+int64(k))
			im.touched[num] = true
		}
	}
	if !same {
		return im.expose(ctx, byExposure)
	}
	for _, e := range first {
		if _, err := im.tx.ExecContext(ctx, `
			INSERT OR IGNORE INTO recipient_exposure (recipient, exposure, list) SELECT id, ?, ? FROM recipient WHERE id BETWEEN ? AND ?`,
			im.exposures[e], im.list, im.nextID, im.nextID+int64(len(c.fresh))-1); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) expose(ctx context.Context, recipients map[int64][]int64) error {
	for _, exposure := range slices.Sorted(maps.Keys(recipients)) {
		if _, err := im.tx.ExecContext(ctx, `
			INSERT OR IGNORE INTO recipient_exposure (recipient, exposure, list) SELECT value, ?, ? FROM json_each(?)`,
			exposure, im.list, idArray(recipients[exposure])); err != nil {
			return err
		}
	}
	return nil
}

// values is n times a row of VALUES.
func values(row string, n int) string {
	return strings.Repeat(","+row, n)[1:]
}

// knownRow is a recipient that a row of the chunk names.
type knownRow struct {
	id        int64
	person    mailer.Person
	exposures map[int64]bool
}

// add takes in rows whose person the ledger has.
func (im *importer) add(ctx context.Context, c *chunk, rows []int) error {
	known, err := im.find(ctx, c, rows)
	if err != nil {
		return err
	}
	added := map[int64][]int64{}
	for _, i := range rows {
		row := &c.rows[i]
		k := known[string(c.person[i])]
		if k == nil {
			return fmt.Errorf("row %d: neither new nor known: %w", row.Number, errCorrupt)
		}
		changed := false
		if k.id >= im.firstID || !im.seen.add(k.id) { // an earlier row of this list
			if differentPeople(&k.person, &row.Person) {
				c.reject(i, "customer_id", mailer.Invalid("row.two-people"))
				continue
			}
		} else if merged, differs := merge(k.person, row.Person); differs {
			if err := im.update(ctx, k.id, merged, c.person[i]); err != nil {
				return err
			}
			k.person, changed = merged, true
		}
		for _, e := range row.Exposures {
			if num := im.exposures[e]; !k.exposures[num] {
				k.exposures[num], changed = true, true
				added[num] = append(added[num], k.id)
			}
		}
		if changed {
			im.res.Updated++
			maps.Copy(im.touched, k.exposures)
		} else {
			im.res.Duplicates++
		}
	}
	return im.expose(ctx, added)
}

// find reads the recipients that rows of the chunk name, by person key.
func (im *importer) find(ctx context.Context, c *chunk, of []int) (map[string]*knownRow, error) {
	b := []byte{'['}
	for _, i := range of {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = hex.AppendEncode(b, c.person[i])
		b = append(b, '"')
	}
	rows, err := im.tx.QueryContext(ctx, `
		SELECT r.id, r.person_key, r.sealed, (SELECT group_concat(x.exposure) FROM recipient_exposure x WHERE x.recipient = r.id)
		FROM recipient r WHERE r.incident = ? AND r.merchant = ? AND r.person_key IN (SELECT unhex(value) FROM json_each(?))`,
		im.incident, im.merchant, string(append(b, ']')))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[string]*knownRow{}
	for rows.Next() {
		var r recipientRow
		if err := rows.Scan(&r.ID, &r.PersonKey, &r.Sealed, &r.Exposures); err != nil {
			return nil, err
		}
		k := &knownRow{id: r.ID, exposures: map[int64]bool{}}
		if k.person, err = im.keys.openPerson(r.Sealed, im.incident, im.merchant, r.PersonKey); err != nil {
			return nil, err
		}
		for s := range strings.SplitSeq(r.Exposures.String, ",") {
			num, err := strconv.ParseInt(s, 10, 64)
			if err != nil && s != "" {
				return nil, errors.Join(errCorrupt, err)
			}
			k.exposures[num] = true
		}
		known[string(r.PersonKey)] = k
	}
	return known, rows.Err()
}

func (im *importer) update(ctx context.Context, id int64, p mailer.Person, personKey []byte) error {
	sealed, err := im.sealer.seal(&p, personKey)
	if err != nil {
		return err
	}
	var email any
	if k := im.sealer.emailKey(&p); k != nil {
		email = k
	}
	_, err = im.tx.ExecContext(ctx, `UPDATE recipient SET sealed = ?, email_key = ? WHERE id = ?`, sealed, email, id)
	return err
}

// differentPeople reports whether two rows of one list with one number are two
// people: the names differ, and so do the addresses, or there are none to tell.
func differentPeople(a, b *mailer.Person) bool {
	differ := func(x, y string) bool { return x != "" && y != "" && fold(x) != fold(y) }
	if !differ(a.Name, b.Name) {
		return false
	}
	return a.Email == "" && b.Email == "" || differ(a.Email, b.Email)
}

// merge takes over what a later list says; a blank there takes nothing away,
// since a list often has fewer columns than the one before.
func merge(old, new mailer.Person) (p mailer.Person, changed bool) {
	p = old
	take := func(dst *string, v string) {
		if v != "" && v != *dst {
			*dst, changed = v, true
		}
	}
	take(&p.CustomerID, new.CustomerID)
	take(&p.Name, new.Name)
	take(&p.NameKana, new.NameKana)
	take(&p.Email, new.Email)
	take(&p.PostalCode, new.PostalCode)
	take(&p.Address, new.Address)
	take(&p.Phone, new.Phone)
	cloned := false
	for k, v := range new.Attributes {
		if v == "" || p.Attributes[k] == v {
			continue
		}
		if !cloned {
			p.Attributes, cloned = maps.Clone(old.Attributes), true
		}
		if p.Attributes == nil {
			p.Attributes = map[string]string{}
		}
		p.Attributes[k] = v
		changed = true
	}
	return p, changed
}
