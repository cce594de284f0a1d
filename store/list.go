package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
	"oshirase/store/seal"
)

// listRow is a list as the database has it.
type listRow struct {
	Num                int64
	ID                 string
	Incident, Merchant int64
	IncidentID         string `db:"incident_id"`
	MerchantID         string `db:"merchant_id"`
	Name               string
	Rows, Imported     int64
	FirstID            int64 `db:"first_id"`
	Named              []byte
	Destroyed          bool // the key of the incident is
	At                 int64
}

const selectList = `
	SELECT l.num, l.id, l.incident, l.merchant, i.id AS incident_id, m.id AS merchant_id, l.name, l.rows, l.imported, l.first_id, l.named, i.key_destroyed_at IS NOT NULL AS destroyed, l.at
	FROM list l JOIN incident i ON i.num = l.incident JOIN merchant m ON m.num = l.merchant `

// last is the last of the recipients that the list brought.
func (l *listRow) last() int64 { return l.FirstID + l.Imported - 1 }

// Lists are the lists that were taken in, oldest first; never nil.
func (r *Reader) Lists(ctx context.Context, of mailer.ListFilter) (all []mailer.ListView, err error) {
	defer r.explain(&err, "find lists")
	for table, id := range map[string]string{"incident": of.Incident, "merchant": of.Merchant} {
		var num int64
		if id == "" {
			continue
		}
		if err := get(ctx, r.pool(), &num, `SELECT num FROM `+table+` WHERE id = ?`, id); err != nil {
			return nil, missing(err, table, id)
		}
	}
	var rows []listRow
	if err := find(ctx, r.pool(), &rows, selectList+`
		WHERE (i.id = ? OR ? = '') AND (m.id = ? OR ? = '') ORDER BY l.num`, of.Incident, of.Incident, of.Merchant, of.Merchant); err != nil {
		return nil, err
	}
	all = make([]mailer.ListView, len(rows))
	for i := range rows {
		l := &rows[i]
		kept, err := r.kept(ctx, r.pool(), l)
		if err != nil {
			return nil, err
		}
		all[i] = mailer.ListView{
			ID: l.ID, Incident: l.IncidentID, Merchant: l.MerchantID, Name: l.Name, Rows: l.Rows, Imported: l.Imported,
			At: time.UnixMilli(l.At).UTC(), Removable: kept == nil, Kept: kept,
		}
	}
	return all, nil
}

// kept says why a list cannot be taken back; nil: it can.
func (r *Reader) kept(ctx context.Context, h handle, l *listRow) (kept, err error) {
	if l.Destroyed {
		return mailer.NewError(mailer.ErrKeyDestroyed, "incident.key-destroyed", "incident", l.IncidentID), nil
	}
	sent, err := l.sent(ctx, h)
	if err != nil {
		return nil, err
	}
	if sent {
		return mailer.Conflict("list.sent", "list", l.ID), nil
	}
	var later []string
	if err := find(ctx, h, &later, `
		SELECT n.id FROM list n WHERE n.incident = ? AND n.merchant = ? AND n.num > ? AND (
			EXISTS (SELECT 1 FROM mention t WHERE t.list = n.num AND t.recipient BETWEEN ? AND ?)
			OR EXISTS (SELECT 1 FROM mention o JOIN mention t ON t.list = n.num AND t.recipient = o.recipient WHERE o.list = ? AND (o.was IS NOT NULL
				OR EXISTS (SELECT 1 FROM recipient_exposure x WHERE x.recipient = o.recipient AND x.list = o.list))))
		ORDER BY n.num LIMIT 1`, l.Incident, l.Merchant, l.Num, l.FirstID, l.last(), l.Num); err != nil {
		return nil, err
	}
	if len(later) > 0 {
		return mailer.Conflict("list.named-later", "list", l.ID, "later", later[0]), nil
	}
	return nil, nil
}

// sent reports whether a notice began to be handed over to somebody whom the list
// brought, or, since it came, to somebody of whom it said something new.
func (l *listRow) sent(ctx context.Context, h handle) (sent bool, err error) {
	// Most lists are taken back before anything was started, and then nobody has to be
	// looked at.
	var started bool
	if err := get(ctx, h, &started, `
		SELECT EXISTS (SELECT 1 FROM campaign WHERE incident = ? AND merchant = ? AND started_at IS NOT NULL)`, l.Incident, l.Merchant); err != nil || !started {
		return false, err
	}
	err = get(ctx, h, &sent, `
		SELECT EXISTS (SELECT 1 FROM delivery d WHERE d.recipient BETWEEN ? AND ? AND d.first_at IS NOT NULL)
		OR EXISTS (SELECT 1 FROM mention o JOIN delivery d ON d.recipient = o.recipient WHERE o.list = ? AND d.first_at >= ? AND (o.was IS NOT NULL
			OR EXISTS (SELECT 1 FROM recipient_exposure x WHERE x.recipient = o.recipient AND x.list = o.list)))`,
		l.FirstID, l.last(), l.Num, l.At)
	return sent, err
}

// ListMerchant is the merchant whose list it is.
func (r *Reader) ListMerchant(ctx context.Context, id string) (merchant string, err error) {
	defer r.explain(&err, "find list %s", id)
	err = get(ctx, r.pool(), &merchant, `SELECT m.id FROM list l JOIN merchant m ON m.num = l.merchant WHERE l.id = ?`, id)
	return merchant, missing(err, "list", id)
}

// RemoveList takes a list back, in one transaction: the people whom it brought are
// gone, and of those whom it named stands again what earlier lists said. Campaigns that
// are to tell people who are gone are void; of those who are as before, what is still to
// be sent is held, as after a list that changed them. ErrConflict where something of it
// was sent, or where a later list builds upon it; ErrDamaged where what it left is not as
// the program wrote it. Afterwards it can be imported as if it had never been.
func (db *DB) RemoveList(ctx context.Context, by mailer.Actor, id string) (res mailer.ListRemoved, err error) {
	defer db.explain(&err, "remove list %s", id)
	settle, err := db.eng.Settle(ctx)
	if err != nil {
		return res, err
	}
	defer settle()
	err = db.write(ctx, func(c *change) error {
		var l listRow
		if err := get(ctx, c, &l, selectList+`WHERE l.id = ?`, id); err != nil {
			return missing(err, "list", id)
		}
		if err := c.touch(ctx, "list", `num = ?`, l.Num); err != nil {
			return err
		}
		if kept, err := c.db.kept(ctx, c, &l); err != nil || kept != nil {
			return errors.Join(err, kept)
		}
		res, err = c.removeList(ctx, by, &l)
		return err
	})
	if err != nil {
		return mailer.ListRemoved{}, err
	}
	return res, nil
}

// removal is one list on its way out.
type removal struct {
	*change
	l    *listRow
	keys *seal.Keys
	// people and exposed are the sums of the population, named is the list's own.
	people, exposed, named seal.Sum
	standing               []campaignRow // campaigns of the population that were not voided
	res                    mailer.ListRemoved
}

func (c *change) removeList(ctx context.Context, by mailer.Actor, l *listRow) (mailer.ListRemoved, error) {
	rm := &removal{change: c, l: l, res: mailer.ListRemoved{List: l.ID, People: l.Imported}}
	at := []any{l.Incident, l.Merchant}
	if err := c.touch(ctx, "population", `incident = ? AND merchant = ?`, at...); err != nil {
		return rm.res, err
	}
	var err error
	if rm.people, rm.exposed, err = sums(ctx, c, l.Incident, l.Merchant); err != nil {
		return rm.res, err
	}
	if rm.keys, err = c.db.incidentKeys(ctx, c, l.Incident); err != nil {
		return rm.res, err
	}
	if rm.res.Voids, err = c.voidTelling(ctx, by, "list "+l.ID+" was taken back since the check", l); err != nil {
		return rm.res, err
	}
	if err := c.thawDrafts(ctx, l); err != nil {
		return rm.res, err
	}
	if rm.standing, err = standing(ctx, c, l.Incident, l.Merchant); err != nil {
		return rm.res, err
	}
	if err := rm.restore(ctx); err != nil {
		return rm.res, err
	}
	if err := rm.blank(ctx); err != nil {
		return rm.res, err
	}
	for _, statement := range []string{`DELETE FROM mention WHERE list = ?`, `DELETE FROM list WHERE num = ?`} {
		if _, err := do(ctx, c, statement, l.Num); err != nil {
			return rm.res, err
		}
	}
	if _, err := do(ctx, c, `
		UPDATE population SET revision = revision + 1, recipients = recipients - ?, people = ?, exposed = ? WHERE incident = ? AND merchant = ?`,
		append([]any{l.Imported, rm.people[:], rm.exposed[:]}, at...)...); err != nil {
		return rm.res, err
	}
	detail := fmt.Sprintf("incident %s, merchant %s, %d people gone, %d restored", l.IncidentID, l.MerchantID, rm.res.People, rm.res.Restored)
	if rm.res.Held > 0 {
		detail += fmt.Sprintf(", %d held", rm.res.Held)
	}
	return rm.res, c.act(ctx, by, mailer.ActTakeBack, l.ID, detail)
}

// voidTelling voids the campaigns that were to tell people whom the list brought, and
// says which; never nil.
func (c *change) voidTelling(ctx context.Context, by mailer.Actor, reason string, l *listRow) ([]mailer.Voided, error) {
	voids := []mailer.Voided{}
	err := c.voidIf(ctx, by, reason, func(row *campaignRow) (bool, error) {
		voids = append(voids, mailer.Voided{Campaign: row.ID, Phase: row.Phase, Sendable: row.Sendable})
		return true, nil
	}, `c.incident = ? AND c.merchant = ? AND EXISTS (SELECT 1 FROM delivery d WHERE d.campaign = c.num AND d.recipient BETWEEN ? AND ?)
		ORDER BY c.num`, l.Incident, l.Merchant, l.FirstID, l.last())
	return voids, err
}

// thawDrafts drops what drafts of the population have frozen: some of it is of people
// who are gone.
func (c *change) thawDrafts(ctx context.Context, l *listRow) error {
	var rows []campaignRow
	if err := find(ctx, c, &rows, selectCampaign+`WHERE c.incident = ? AND c.merchant = ? AND c.phase = 'draft'`, l.Incident, l.Merchant); err != nil {
		return err
	}
	for i := range rows {
		if err := c.thaw(ctx, &rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// namedRow is a person whom the list named, and an earlier one had brought.
type namedRow struct {
	ID int64
	sealedRow
	Was []byte
}

// restoreRows is how many people are read at a time.
const restoreRows = 500

// restore puts back what earlier lists said of people of whom the list said something
// new. These are all whom it named so: else somebody else changed that since.
func (rm *removal) restore(ctx context.Context) error {
	sealer := seal.NewSealer(rm.keys, rm.l.Incident, rm.l.Merchant, rm.db.random)
	for after := int64(0); ; {
		var rows []namedRow
		if err := find(ctx, rm, &rows, `
			SELECT r.id, `+sealedColumns+`, o.was FROM mention o JOIN recipient r ON r.id = o.recipient
			WHERE o.list = ? AND o.recipient > ? ORDER BY o.recipient LIMIT ?`, rm.l.Num, after, restoreRows); err != nil {
			return err
		}
		if len(rows) > 0 {
			after = rows[len(rows)-1].ID
			if err := rm.restorePage(ctx, sealer, rows); err != nil {
				return err
			}
		}
		if len(rows) < restoreRows {
			break
		}
	}
	if string(rm.named[:]) != string(rm.l.Named) {
		return altered("mention", rm.l.ID)
	}
	return nil
}

func (rm *removal) restorePage(ctx context.Context, sealer *seal.Sealer, rows []namedRow) error {
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
		rm.named.Add(rm.keys.Named(rm.l.Num, rows[i].ID, rows[i].Was))
	}
	of, arg := rm.db.eng.In("recipient", ids)
	changed, err := rm.unexpose(ctx, of+` AND list = ?`, arg, rm.l.Num)
	if err != nil {
		return err
	}
	var otherwise []int64
	for i := range rows {
		r := &rows[i]
		reads := changed[r.ID]
		if r.Was != nil {
			differs, err := rm.rewriteAsWas(ctx, sealer, r)
			if err != nil {
				return err
			}
			reads = reads || differs
		}
		if r.Was != nil || changed[r.ID] {
			rm.res.Restored++
		}
		if reads {
			otherwise = append(otherwise, r.ID)
		}
	}
	held, err := rm.holdChanged(ctx, rm.standing, otherwise)
	rm.res.Held += held
	return err
}

// rewriteAsWas has a person be as before the list, and reports whether a notice may read
// otherwise for it.
func (rm *removal) rewriteAsWas(ctx context.Context, sealer *seal.Sealer, r *namedRow) (differs bool, err error) {
	now, err := rm.keys.OpenRow(r.row(r.ID), r.Bound, rm.l.Incident, rm.l.Merchant)
	if err != nil {
		return false, err
	}
	was, err := rm.keys.OpenPerson(r.Was, rm.l.Incident, rm.l.Merchant, r.PersonKey)
	if err != nil {
		return false, err
	}
	to := engine.Recipient{PersonKey: r.PersonKey, Blind: blindKeys(sealer, &was), Sealed: r.Was}
	code := rm.keys.Bind(boundRow(r.ID, &to))
	rm.people.Take(rm.keys.Bind(r.row(r.ID)))
	rm.people.Add(code)
	return changesNotice(&now, &was), rm.rewrite(ctx, r.ID, &to, code)
}

// unexpose takes exposures away, and says of whom.
func (rm *removal) unexpose(ctx context.Context, where string, args ...any) (of map[int64]bool, err error) {
	var rows []struct {
		Recipient, Exposure, List int64
		Said                      string
	}
	if err := find(ctx, rm, &rows, `
		SELECT recipient, exposure, list, coalesce(certainty, '') || coalesce(items, '') AS said FROM recipient_exposure WHERE `+where, args...); err != nil || len(rows) == 0 {
		return nil, err
	}
	of = make(map[int64]bool, len(rows))
	for i := range rows {
		x := &rows[i]
		of[x.Recipient] = true
		rm.exposed.Take(rm.keys.Exposed(x.Recipient, x.Exposure, x.List, x.Said))
	}
	_, err = do(ctx, rm, `DELETE FROM recipient_exposure WHERE `+where, args...)
	return of, err
}

// blankRows is how many people one statement blanks.
const blankRows = 10_000

// blank leaves of the people whom the list brought their numbers, which nobody is ever
// given again. Of many the indexes are dropped meanwhile and built anew, as in a large
// import.
func (rm *removal) blank(ctx context.Context) error {
	first, last := rm.l.FirstID, rm.l.last()
	many := last-first >= rm.db.bulkRows
	if many {
		if err := rm.db.eng.BeginBulk(ctx, rm.Tx); err != nil {
			return err
		}
	}
	for from := first; from <= last; from += blankRows {
		to := min(last, from+blankRows-1)
		if err := rm.takePeople(ctx, from, to); err != nil {
			return err
		}
		if _, err := rm.unexpose(ctx, `recipient BETWEEN ? AND ?`, from, to); err != nil {
			return err
		}
		if _, err := do(ctx, rm, `
			UPDATE recipient SET person_key = NULL, email_key = NULL, phone_key = NULL, kana_key = NULL, similar_key = NULL, bound = 0, sealed = ?
			WHERE id BETWEEN ? AND ?`, []byte{}, from, to); err != nil {
			return err
		}
	}
	if !many {
		return nil
	}
	if err := rm.db.eng.EndBulk(ctx, rm.Tx); err != nil {
		return err
	}
	_, err := do(ctx, rm, `DROP TABLE import_waiting`)
	return err
}

// takePeople takes people out of the sum of the population. Each must be as the program
// wrote it: else taking it away would make good what somebody else did to it.
func (rm *removal) takePeople(ctx context.Context, from, to int64) error {
	rows, err := rm.QueryxContext(ctx, rm.Rebind(`SELECT r.id, `+sealedColumns+` FROM recipient r WHERE r.id BETWEEN ? AND ?`), from, to)
	if err != nil {
		return err
	}
	defer rows.Close()
	n := from
	for ; rows.Next(); n++ {
		var r struct {
			ID int64
			sealedRow
		}
		if err := rows.StructScan(&r); err != nil {
			return err
		}
		code := rm.keys.Bind(r.row(r.ID))
		if code.Short() != r.Bound {
			return altered("recipient", rm.db.names.Ref(r.ID))
		}
		rm.people.Take(code)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if n != to+1 {
		return altered("recipient", rm.l.ID)
	}
	return nil
}
