package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oshirase/mailer"
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
	At                 int64
}

const selectList = `
	SELECT l.num, l.id, l.incident, l.merchant, i.id AS incident_id, m.id AS merchant_id, l.name, l.rows, l.imported, l.first_id, l.at
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
	if _, err := r.incidentKeys(ctx, h, l.Incident); errors.Is(err, mailer.ErrKeyDestroyed) {
		return err, nil
	} else if err != nil {
		return nil, err
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

// RemoveList takes a list back, in one transaction: the people whom it brought are
// gone, and of those whom it named stands again what earlier lists said. Campaigns that
// select such people are void. ErrConflict where something of it was sent, or where a
// later list builds upon it. Afterwards it can be imported as if it had never been.
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
		if kept, err := c.db.kept(ctx, c, &l); err != nil || kept != nil {
			if err == nil {
				err = kept
			}
			return err
		}
		res, err = c.removeList(ctx, by, &l)
		return err
	})
	if err != nil {
		return mailer.ListRemoved{}, err
	}
	return res, nil
}

func (c *change) removeList(ctx context.Context, by mailer.Actor, l *listRow) (res mailer.ListRemoved, err error) {
	res = mailer.ListRemoved{List: l.ID, People: l.Imported}
	var exposures []int64
	if err := find(ctx, c, &exposures, `
		SELECT exposure FROM recipient_exposure WHERE recipient BETWEEN ? AND ? GROUP BY exposure
		UNION SELECT x.exposure FROM mention o JOIN recipient_exposure x ON x.recipient = o.recipient WHERE o.list = ? AND (o.was IS NOT NULL OR x.list = o.list)`,
		l.FirstID, l.last(), l.Num); err != nil {
		return res, err
	}
	if res.Voids, err = c.voidSelecting(ctx, by, "list "+l.ID+" was taken back since the check", l.Incident, l.Merchant, exposures); err != nil {
		return res, err
	}
	if res.Voids == nil {
		res.Voids = []mailer.Voided{}
	}
	if err := c.thawDrafts(ctx, l); err != nil {
		return res, err
	}
	if res.Restored, err = c.restore(ctx, l); err != nil {
		return res, err
	}
	for _, statement := range []string{
		`DELETE FROM recipient_exposure WHERE list = ? AND recipient IN (SELECT recipient FROM mention o WHERE o.list = recipient_exposure.list)`,
		`DELETE FROM mention WHERE list = ?`,
	} {
		if _, err := do(ctx, c, statement, l.Num); err != nil {
			return res, err
		}
	}
	if err := c.blank(ctx, l.FirstID, l.last()); err != nil {
		return res, err
	}
	if _, err := do(ctx, c, `DELETE FROM list WHERE num = ?`, l.Num); err != nil {
		return res, err
	}
	if _, err := do(ctx, c, `UPDATE population SET revision = revision + 1, recipients = recipients - ? WHERE incident = ? AND merchant = ?`,
		l.Imported, l.Incident, l.Merchant); err != nil {
		return res, err
	}
	detail := fmt.Sprintf("incident %s, merchant %s, %d people gone, %d restored", l.IncidentID, l.MerchantID, res.People, res.Restored)
	return res, c.act(ctx, by, mailer.ActTakeBack, l.ID, detail)
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

// restoreRows is how many people are read at a time.
const restoreRows = 500

// restore puts back what earlier lists said of people whom the list changed, and counts
// all of whom it said something new.
func (c *change) restore(ctx context.Context, l *listRow) (n int64, err error) {
	if err := get(ctx, c, &n, `
		SELECT count(*) FROM mention o WHERE o.list = ? AND (o.was IS NOT NULL
			OR EXISTS (SELECT 1 FROM recipient_exposure x WHERE x.recipient = o.recipient AND x.list = o.list))`, l.Num); err != nil || n == 0 {
		return n, err
	}
	keys, err := c.db.incidentKeys(ctx, c, l.Incident)
	if err != nil {
		return 0, err
	}
	sealer := seal.NewSealer(keys, l.Incident, l.Merchant, c.db.random)
	for after := int64(0); ; {
		var rows []struct {
			Recipient int64
			PersonKey []byte `db:"person_key"`
			Was       []byte
		}
		if err := find(ctx, c, &rows, `
			SELECT o.recipient, r.person_key, o.was FROM mention o JOIN recipient r ON r.id = o.recipient
			WHERE o.list = ? AND o.recipient > ? AND o.was IS NOT NULL ORDER BY o.recipient LIMIT ?`, l.Num, after, restoreRows); err != nil {
			return 0, err
		}
		for _, row := range rows {
			p, err := keys.OpenPerson(row.Was, l.Incident, l.Merchant, row.PersonKey)
			if err != nil {
				return 0, err
			}
			b := blindKeys(sealer, &p)
			if _, err := do(ctx, c, `UPDATE recipient SET sealed = ?, email_key = ?, phone_key = ?, kana_key = ?, similar_key = ? WHERE id = ?`,
				row.Was, orNull(b.Email), orNull(b.Phone), orNull(b.Kana), orNull(b.Similar), row.Recipient); err != nil {
				return 0, err
			}
			after = row.Recipient
		}
		if len(rows) < restoreRows {
			return n, nil
		}
	}
}

// blankRows is how many people one statement blanks.
const blankRows = 10_000

// blank leaves of recipients their numbers, which nobody is ever given again. Of many
// the indexes are dropped meanwhile and built anew, as in a large import.
func (c *change) blank(ctx context.Context, first, last int64) error {
	many := last-first >= c.db.bulkRows
	if many {
		if err := c.db.eng.BeginBulk(ctx, c.Tx); err != nil {
			return err
		}
	}
	for from := first; from <= last; from += blankRows {
		to := min(last, from+blankRows-1)
		if _, err := do(ctx, c, `DELETE FROM recipient_exposure WHERE recipient BETWEEN ? AND ?`, from, to); err != nil {
			return err
		}
		if _, err := do(ctx, c, `
			UPDATE recipient SET person_key = NULL, email_key = NULL, phone_key = NULL, kana_key = NULL, similar_key = NULL, sealed = ?
			WHERE id BETWEEN ? AND ?`, []byte{}, from, to); err != nil {
			return err
		}
	}
	if !many {
		return nil
	}
	if err := c.db.eng.EndBulk(ctx, c.Tx); err != nil {
		return err
	}
	_, err := do(ctx, c, `DROP TABLE import_waiting`)
	return err
}
