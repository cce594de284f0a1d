package store

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"oshirase/mailer"
)

// store writes one chunk. Most lists hold new people only: those go in with one
// statement. Where one is known already the chunk is looked through row by row.
func (im *importer) store(ctx context.Context, c *chunk) error {
	if im.known || !c.plain(im) {
		return im.storeExactly(ctx, c)
	}
	if _, err := im.tx.ExecContext(ctx, `SAVEPOINT chunk`); err != nil {
		return err
	}
	err := im.insert(ctx, c, nil)
	if unique(err) {
		if _, err := im.tx.ExecContext(ctx, `ROLLBACK TO chunk`); err != nil {
			return err
		}
		im.known = true
		err = im.storeExactly(ctx, c)
	}
	if err != nil {
		return err
	}
	_, err = im.tx.ExecContext(ctx, `RELEASE chunk`)
	return err
}

// plain reports whether nothing in the chunk is to be rejected outright.
func (c *chunk) plain(im *importer) bool {
	for i := range c.rows {
		if c.person[i] == nil || len(c.rows[i].Exposures) == 0 {
			return false
		}
		for _, e := range c.rows[i].Exposures {
			if im.exposures[e] == 0 {
				return false
			}
		}
	}
	return true
}

// insert adds new recipients with their exposures: of the whole chunk, or of
// the rows given.
func (im *importer) insert(ctx context.Context, c *chunk, only []int) error {
	n := len(c.rows)
	if only != nil {
		n = len(only)
	}
	if n == 0 {
		return nil
	}
	at := func(k int) int {
		if only != nil {
			return only[k]
		}
		return k
	}
	const step = 128
	byExposure := map[int64][]int64{}
	id := im.nextID
	for from := 0; from < n; from += step {
		to := min(from+step, n)
		args := make([]any, 2, 2+4*(to-from))
		args[0], args[1] = im.incident, im.merchant
		for k := from; k < to; k++ {
			i := at(k)
			var email any
			if c.email[i] != nil {
				email = c.email[i]
			}
			args = append(args, id, c.person[i], email, c.sealed[i])
			for _, e := range c.rows[i].Exposures {
				num := im.exposures[e]
				byExposure[num] = append(byExposure[num], id)
			}
			id++
		}
		if _, err := im.tx.ExecContext(ctx, `INSERT INTO recipient (incident, merchant, id, person_key, email_key, sealed) VALUES `+
			strings.Repeat(`,(?1,?2,?,?,?,?)`, to-from)[1:], args...); err != nil {
			return err
		}
	}
	for _, num := range slices.Sorted(maps.Keys(byExposure)) {
		if err := im.expose(ctx, num, byExposure[num]); err != nil {
			return err
		}
	}
	im.nextID = id
	im.res.Imported += int64(n)
	return nil
}

func (im *importer) expose(ctx context.Context, exposure int64, recipients []int64) error {
	_, err := im.tx.ExecContext(ctx, `
		INSERT OR IGNORE INTO recipient_exposure (recipient, exposure, list) SELECT value, ?, ? FROM json_each(?)`,
		exposure, im.list, idArray(recipients))
	return err
}

// knownRow is a recipient that a row of the chunk names.
type knownRow struct {
	id        int64
	person    mailer.Person
	exposures map[int64]bool
	row       int // of a new one: its row in this chunk; else -1
}

func (im *importer) storeExactly(ctx context.Context, c *chunk) error {
	known, err := im.find(ctx, c)
	if err != nil {
		return err
	}
	im.known = len(known) > 0
	var fresh []int
	added := map[int64][]int64{}
	for i := range c.rows {
		row := &c.rows[i]
		nums, ok := im.numbers(c, i)
		if !ok {
			continue
		}
		k := known[string(c.person[i])]
		if k == nil {
			k = &knownRow{person: row.Person, exposures: map[int64]bool{}, row: i}
			for _, num := range nums {
				k.exposures[num] = true
			}
			known[string(c.person[i])] = k
			fresh = append(fresh, i)
			continue
		}
		sameList := k.row >= 0 || k.id >= im.firstID || !im.seen.add(k.id)
		changed := false
		if sameList {
			if differentPeople(&k.person, &row.Person) {
				c.reject(i, "customer_id", "an earlier row of this list has the same customer_id with another name and another e-mail address: two people with one number?")
				continue
			}
		} else if merged, differs := merge(k.person, row.Person); differs {
			if err := im.update(ctx, k.id, merged, c.person[i]); err != nil {
				return err
			}
			k.person, changed = merged, true
		}
		for _, num := range nums {
			if k.exposures[num] {
				continue
			}
			k.exposures[num], changed = true, true
			if k.row >= 0 {
				c.rows[k.row].Exposures = append(slices.Clip(c.rows[k.row].Exposures), im.exposureID(num))
			} else {
				added[num] = append(added[num], k.id)
			}
		}
		if changed {
			im.res.Updated++
		} else {
			im.res.Duplicates++
		}
	}
	if err := im.insert(ctx, c, append([]int{}, fresh...)); err != nil {
		return err
	}
	for _, num := range slices.Sorted(maps.Keys(added)) {
		if err := im.expose(ctx, num, added[num]); err != nil {
			return err
		}
	}
	return nil
}

// numbers returns the exposures of a row, or rejects the row.
func (im *importer) numbers(c *chunk, i int) ([]int64, bool) {
	row := &c.rows[i]
	if c.person[i] == nil {
		c.reject(i, "", "nothing identifies this person: a customer_id, an e-mail address, or name and postal address is needed")
		return nil, false
	}
	if len(row.Exposures) == 0 {
		c.reject(i, "exposure", "no exposure")
		return nil, false
	}
	nums := make([]int64, 0, len(row.Exposures))
	for _, e := range row.Exposures {
		num := im.exposures[e]
		if num == 0 {
			c.reject(i, "exposure", "the incident has no exposure "+strconv.Quote(e))
			return nil, false
		}
		nums = append(nums, num)
	}
	return nums, true
}

func (im *importer) exposureID(num int64) string {
	for id, n := range im.exposures {
		if n == num {
			return id
		}
	}
	return ""
}

// find reads the recipients that rows of the chunk name, by person key.
func (im *importer) find(ctx context.Context, c *chunk) (map[string]*knownRow, error) {
	b := []byte{'['}
	for _, key := range c.person {
		if key == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = hex.AppendEncode(b, key)
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
		k := &knownRow{id: r.ID, exposures: map[int64]bool{}, row: -1}
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
