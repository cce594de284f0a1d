package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
	"oshirase/store/seal"
)

// store writes one part. Rows go in with few statements, and the database passes
// over those whose person it has, be it from before or from an earlier row; what
// it passed over is then looked at one by one, in the order of the rows.
func (im *importer) store(ctx context.Context, c *part) error {
	c.fresh, c.codes = c.fresh[:0], c.codes[:0]
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
	for rest := c.fresh; len(rest) > 0; {
		n := min(len(rest), importInsert)
		k, err := im.insert(ctx, c, rest[:n], im.nextID+int64(fresh))
		if err != nil {
			return err
		}
		fresh += k
		rest = rest[n:]
	}
	var known []int
	if fresh < len(c.fresh) {
		var err error
		if known, err = im.split(ctx, c, fresh); err != nil {
			return err
		}
		if err := im.bindAgain(ctx, c); err != nil {
			return err
		}
	}
	for _, code := range c.codes[:fresh] {
		im.people.Add(code)
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
	return im.startBulk(ctx)
}

// refusal says why a row says too little; without a reason it says enough.
func (im *importer) refusal(c *part, i int) (column string, reason error) {
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
// need a journal of its own. They are bound to the ids that they have if all are new.
func (im *importer) insert(ctx context.Context, c *part, rows []int, id int64) (int, error) {
	c.toAdd = c.toAdd[:0]
	for k, i := range rows {
		r := engine.Recipient{PersonKey: c.person[i], Blind: c.blind[i], Sealed: c.sealed[i]}
		code := im.keys.Bind(boundRow(id+int64(k), &r))
		r.Bound = code.Short()
		c.codes = append(c.codes, code)
		c.toAdd = append(c.toAdd, r)
	}
	return im.db.eng.AddRecipients(ctx, im.Tx, im.incident, im.merchant, c.toAdd)
}

// bindAgain binds the recipients that a part made to the ids that they have, since
// some rows before them made none.
func (im *importer) bindAgain(ctx context.Context, c *part) error {
	for k, i := range c.fresh {
		id := im.nextID + int64(k)
		code := im.keys.Bind(boundRow(id, &engine.Recipient{PersonKey: c.person[i], Blind: c.blind[i], Sealed: c.sealed[i]}))
		c.codes[k] = code
		if _, err := do(ctx, im, `UPDATE recipient SET bound = ? WHERE id = ?`, code.Short(), id); err != nil {
			return err
		}
	}
	return nil
}

// split leaves in c.fresh the rows that made a recipient, and returns those that
// were passed over. Recipients got their ids in the order of the rows, and no two
// have one key: so a row is fresh where its key is that of the next recipient.
func (im *importer) split(ctx context.Context, c *part, fresh int) (known []int, err error) {
	var keys [][]byte
	if err := find(ctx, im, &keys, `SELECT person_key FROM recipient WHERE id >= ? ORDER BY id`, im.nextID); err != nil {
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

// exposeFresh gives the recipients that a part made their exposures.
func (im *importer) exposeFresh(ctx context.Context, c *part) error {
	if len(c.fresh) == 0 {
		return nil
	}
	first := c.rows[c.fresh[0]].Exposures
	same := true
	byExposure := map[int64][]int64{}
	for k, i := range c.fresh {
		same = same && slices.Equal(c.rows[i].Exposures, first)
		for _, e := range c.rows[i].Exposures {
			num, id := im.exposures[e], im.nextID+int64(k)
			im.exposed.Add(im.keys.Exposed(id, num, im.list, ""))
			byExposure[num] = append(byExposure[num], id)
		}
	}
	if !same {
		return im.expose(ctx, byExposure)
	}
	for _, e := range first {
		if _, err := do(ctx, im, `
			INSERT INTO recipient_exposure (recipient, exposure, list) SELECT id, ?, ? FROM recipient WHERE id BETWEEN ? AND ?`,
			im.exposures[e], im.list, im.nextID, im.nextID+int64(len(c.fresh))-1); err != nil {
			return err
		}
	}
	return nil
}

func (im *importer) expose(ctx context.Context, recipients map[int64][]int64) error {
	for _, exposure := range slices.Sorted(maps.Keys(recipients)) {
		cond, arg := im.db.eng.In("id", recipients[exposure])
		if _, err := do(ctx, im, `
			INSERT INTO recipient_exposure (recipient, exposure, list) SELECT id, ?, ? FROM recipient WHERE `+cond+` ON CONFLICT DO NOTHING`,
			exposure, im.list, arg); err != nil {
			return err
		}
	}
	return nil
}

// values is n times a row of VALUES.
func values(row string, n int) string {
	return strings.Repeat(","+row, n)[1:]
}

// knownRow is a recipient that a row of the part names.
type knownRow struct {
	id        int64
	sealed    []byte
	code      seal.Code
	person    mailer.Person
	exposures map[int64]bool
}

// add takes in rows whose person the ledger has.
func (im *importer) add(ctx context.Context, c *part, rows []int) error {
	known, err := im.find(ctx, c, rows)
	if err != nil {
		return err
	}
	added := map[int64][]int64{}
	var mentioned, changes, otherwise []int64
	var was [][]byte // of changes, as they were sealed
	for _, i := range rows {
		row := &c.rows[i]
		k := known[string(c.person[i])]
		if k == nil {
			return fmt.Errorf("row %d: neither new nor known: %w", row.Number, errCorrupt)
		}
		changed, reads := false, false
		if k.id >= im.firstID || !im.seen.add(k.id) { // an earlier row of this list
			if differentPeople(&k.person, &row.Person) {
				c.reject(i, "customer_id", mailer.Invalid("row.two-people"))
				continue
			}
		} else {
			merged, differs := merge(k.person, row.Person)
			if !differs {
				mentioned = append(mentioned, k.id)
			} else {
				changes, was = append(changes, k.id), append(was, k.sealed)
				if err := im.update(ctx, k, merged, c.person[i]); err != nil {
					return err
				}
				reads = changesNotice(&k.person, &merged)
				k.person, changed = merged, true
			}
		}
		for _, e := range row.Exposures {
			if num := im.exposures[e]; !k.exposures[num] {
				k.exposures[num], changed, reads = true, true, true
				im.exposed.Add(im.keys.Exposed(k.id, num, im.list, ""))
				added[num] = append(added[num], k.id)
			}
		}
		if changed {
			im.res.Updated++
		} else {
			im.res.Duplicates++
		}
		if reads && k.id < im.firstID {
			otherwise = append(otherwise, k.id)
		}
	}
	held, err := im.holdChanged(ctx, im.standing, otherwise)
	if err != nil {
		return err
	}
	im.res.Held += held
	if err := im.mention(ctx, mentioned); err != nil {
		return err
	}
	if err := im.mentionChanged(ctx, changes, was); err != nil {
		return err
	}
	return im.expose(ctx, added)
}

// mention notes recipients of earlier lists whom this one names too.
func (im *importer) mention(ctx context.Context, recipients []int64) error {
	if len(recipients) == 0 {
		return nil
	}
	for _, id := range recipients {
		im.named.Add(im.keys.Named(im.list, id, nil))
	}
	cond, arg := im.db.eng.In("id", recipients)
	_, err := do(ctx, im, `INSERT INTO mention (list, recipient) SELECT ?, id FROM recipient WHERE `+cond+` ON CONFLICT DO NOTHING`, im.list, arg)
	return err
}

// mentionChanged notes those of whom it says something else, with what was said before.
func (im *importer) mentionChanged(ctx context.Context, recipients []int64, was [][]byte) error {
	for len(recipients) > 0 {
		n := min(len(recipients), importInsert)
		args := make([]any, 0, 3*n)
		for i := range n {
			im.named.Add(im.keys.Named(im.list, recipients[i], was[i]))
			args = append(args, im.list, recipients[i], was[i])
		}
		if _, err := do(ctx, im, `INSERT INTO mention (list, recipient, was) VALUES `+values(`(?,?,?)`, n), args...); err != nil {
			return err
		}
		recipients, was = recipients[n:], was[n:]
	}
	return nil
}

// find reads the recipients that rows of the part name, by person key.
func (im *importer) find(ctx context.Context, c *part, of []int) (map[string]*knownRow, error) {
	args := make([]any, len(of))
	for k, i := range of {
		args[k] = c.person[i]
	}
	rows, err := im.QueryContext(ctx, im.Rebind(`
		SELECT `+recipientColumns+`
		FROM recipient r WHERE r.person_key IN (`+values(`?`, len(of))+`)`), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[string]*knownRow{}
	for rows.Next() {
		var r recipientRow // of its own memory: knownRow keeps it
		if err := rows.Scan(&r.ID, &r.PersonKey, &r.EmailKey, &r.PhoneKey, &r.KanaKey, &r.SimilarKey, &r.Bound, &r.Sealed, &r.Exposures); err != nil {
			return nil, err
		}
		k := &knownRow{id: r.ID, sealed: r.Sealed, code: im.keys.Bind(r.row(r.ID)), exposures: map[int64]bool{}}
		if k.person, err = r.open(im.keys, im.incident, im.merchant); err != nil {
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

func (im *importer) update(ctx context.Context, k *knownRow, p mailer.Person, personKey []byte) error {
	r := engine.Recipient{PersonKey: personKey, Blind: blindKeys(im.sealer, &p)}
	var err error
	if r.Sealed, err = im.sealer.Seal(&p, personKey); err != nil {
		return err
	}
	code := im.keys.Bind(boundRow(k.id, &r))
	im.people.Take(k.code)
	im.people.Add(code)
	k.code = code
	return im.rewrite(ctx, k.id, &r, code)
}

// rewrite has a recipient be another: it is the same person, of whom something else is
// said.
func (c *change) rewrite(ctx context.Context, id int64, r *engine.Recipient, code seal.Code) error {
	b := &r.Blind
	_, err := do(ctx, c, `UPDATE recipient SET sealed = ?, email_key = ?, phone_key = ?, kana_key = ?, similar_key = ?, bound = ? WHERE id = ?`,
		r.Sealed, orNull(b.Email), orNull(b.Phone), orNull(b.Kana), orNull(b.Similar), code.Short(), id)
	return err
}

// differentPeople reports whether two rows of one list with one number are two
// people: the names differ, and so do the addresses, or there are none to tell.
func differentPeople(a, b *mailer.Person) bool {
	differ := func(x, y string) bool { return x != "" && y != "" && seal.Fold(x) != seal.Fold(y) }
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
