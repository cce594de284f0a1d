package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// Claim leases up to n due deliveries of a running campaign (queued, or deferred
// with its time come) until the given time. It returns nil where nothing is due,
// ErrNotRunning where the campaign is not running. Deliveries of the domain
// groups to skip stay. The batch is in order of the deliveries' IDs; of more due
// deferred ones than n, those due longest come first. The cost depends on n and
// on the number of groups, not on the size of the campaign.
func (db *DB) Claim(ctx context.Context, campaign string, now, until time.Time, n int, skip []string) (*mailer.Lease, error) {
	op := "claim deliveries of " + campaign
	if n <= 0 {
		return nil, nil
	}
	owner, err := db.ownerName()
	if err != nil {
		return nil, wrap(op, err)
	}
	row, err := findRunning(ctx, db.r, campaign)
	if err != nil {
		return nil, wrap(op, err)
	}
	keys, err := db.incidentKeys(ctx, db.r, row.IncidentNum)
	if err != nil {
		return nil, wrap(op, err)
	}
	// What is due is looked for beside the writer. Where another worker was quicker,
	// it is looked for again with the lock in hand.
	due, err := findDue(ctx, db.r, row.Num, now, n, skip)
	if err != nil || due.empty() {
		return nil, wrap(op, err)
	}
	l := &mailer.Lease{Campaign: campaign, Owner: owner, Until: until}
	err = db.writeAlone(op, func(q sqlx.ExtContext) error { return due.claim(ctx, q, row.Num, l, now) })
	if errors.Is(err, errMiscounted) {
		err = db.write(ctx, op, func(tx *sqlx.Tx) error {
			if row, err = findRunning(ctx, tx, campaign); err != nil {
				return err
			}
			if due, err = findDue(ctx, tx, row.Num, now, n, skip); err != nil || due.empty() {
				return err
			}
			return due.claim(ctx, tx, row.Num, l, now)
		})
	}
	if err != nil || due.empty() {
		return nil, err
	}
	ids := due.all()
	if l.Epoch, err = epochOf(context.WithoutCancel(ctx), db.r, owner, ids); err != nil {
		return nil, wrap(op, err) // the lease lapses
	}
	if l.Deliveries, err = db.openBatch(ctx, row, keys, l.Epoch, ids); err != nil {
		// Given back at once, so that nobody waits for the lease to lapse.
		if rerr := db.Release(context.WithoutCancel(ctx), l.Epoch); rerr != nil {
			db.log.Error("release after failed claim", "campaign", campaign, "epoch", l.Epoch, "error", rerr)
		}
		return nil, wrap(op, err)
	}
	return l, nil
}

// findRunning finds a campaign, which must be running.
func findRunning(ctx context.Context, q sqlx.QueryerContext, id string) (*campaignRow, error) {
	row, err := findCampaign(ctx, q, id)
	if err == nil && row.Phase != mailer.PhaseRunning {
		err = fmt.Errorf("%w: it is %s", mailer.ErrNotRunning, row.Phase)
	}
	return row, err
}

// due are deliveries that may be claimed, each kind in order of the IDs.
type due struct{ queued, deferred []int64 }

func (d *due) empty() bool { return len(d.queued)+len(d.deferred) == 0 }

// all are the IDs in order.
func (d *due) all() []int64 {
	ids := slices.Concat(d.queued, d.deferred)
	slices.Sort(ids)
	return ids
}

// findDue finds up to n deliveries.
func findDue(ctx context.Context, q sqlx.QueryerContext, campaign int64, now time.Time, n int, skip []string) (d due, err error) {
	// One row for each kind, whatever n is: the rows do not cross into Go one by
	// one. The groups that have queued deliveries are found by skipping through
	// the index.
	var lists struct{ Queued, Deferred string }
	if err := sqlx.GetContext(ctx, q, &lists, `
		WITH RECURSIVE g (grp) AS (
			SELECT (SELECT min(grp) FROM delivery WHERE campaign = ?1 AND state = 'queued')
			UNION ALL
			SELECT (SELECT min(grp) FROM delivery WHERE campaign = ?1 AND state = 'queued' AND grp > g.grp) FROM g WHERE g.grp IS NOT NULL
		)
		SELECT (SELECT json_group_array(json(ids)) FROM (
		            SELECT (SELECT json_group_array(id) FROM (SELECT id FROM delivery d WHERE d.campaign = ?1 AND d.state = 'queued' AND d.grp = g.grp
		                                                      ORDER BY id LIMIT ?2)) AS ids
		            FROM g WHERE grp IS NOT NULL AND grp NOT IN (SELECT value FROM json_each(?4)))) AS queued,
		       (SELECT json_group_array(id) FROM (SELECT id FROM delivery WHERE campaign = ?1 AND state = 'deferred' AND next_at <= ?3
		                                          AND grp NOT IN (SELECT value FROM json_each(?4)) ORDER BY next_at, id LIMIT ?2)) AS deferred`,
		campaign, n, now.UnixMilli(), stringArray(skip)); err != nil {
		return d, err
	}
	var groups [][]int64
	if err := json.Unmarshal([]byte(lists.Queued), &groups); err != nil {
		return d, err
	}
	if err := json.Unmarshal([]byte(lists.Deferred), &d.deferred); err != nil {
		return d, err
	}
	d.queued = slices.Concat(groups...)
	// Of both together those with the lowest IDs.
	if ids := d.all(); len(ids) > n {
		last := ids[n-1]
		above := func(id int64) bool { return id > last }
		d.queued = slices.DeleteFunc(d.queued, above)
		d.deferred = slices.DeleteFunc(d.deferred, above)
	}
	slices.Sort(d.queued)
	slices.Sort(d.deferred)
	return d, nil
}

// claimSchema is of the writer (writer.go): a row that is inserted into claim is a
// lease.
const claimSchema = `
CREATE TEMP VIEW claim (campaign, owner, until, now, deliveries, queued, queued_n, deferred, deferred_n)
AS SELECT 0, '', 0, 0, '', '', 0, '', 0;

CREATE TEMP TRIGGER claimed INSTEAD OF INSERT ON claim BEGIN
  SELECT raise(ABORT, 'not running') WHERE (SELECT phase FROM campaign WHERE num = NEW.campaign) IS NOT 'running';
  INSERT INTO lease (campaign, owner, until, deliveries) VALUES (NEW.campaign, NEW.owner, NEW.until, NEW.deliveries);
  UPDATE delivery SET state = 'claimed', lease = last_insert_rowid()
  WHERE id IN (SELECT value FROM json_each(NEW.queued)) AND +campaign = NEW.campaign AND +state = 'queued';
  SELECT raise(ABORT, 'miscounted') WHERE changes() <> NEW.queued_n;
  UPDATE delivery SET state = 'claimed', lease = last_insert_rowid()
  WHERE id IN (SELECT value FROM json_each(NEW.deferred)) AND +campaign = NEW.campaign AND +state = 'deferred' AND +next_at <= NEW.now;
  SELECT raise(ABORT, 'miscounted') WHERE changes() <> NEW.deferred_n;
  UPDATE campaign_count
  SET n = n + CASE state WHEN 'queued' THEN -NEW.queued_n WHEN 'deferred' THEN -NEW.deferred_n ELSE NEW.queued_n + NEW.deferred_n END
  WHERE campaign = NEW.campaign AND state IN ('queued', 'deferred', 'claimed');
END;
`

// claim writes the lease; errMiscounted where not all are due any more.
func (d *due) claim(ctx context.Context, q sqlx.ExecerContext, campaign int64, l *mailer.Lease, now time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO temp.claim VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		campaign, l.Owner, l.Until.UnixMilli(), now.UnixMilli(), idArray(d.all()),
		idArray(d.queued), len(d.queued), idArray(d.deferred), len(d.deferred))
	return miscounted(err)
}

// epochOf is the lease of these deliveries: no others of this owner has them.
func epochOf(ctx context.Context, q sqlx.QueryerContext, owner string, deliveries []int64) (epoch int64, err error) {
	err = sqlx.GetContext(ctx, q, &epoch, `SELECT max(id) FROM lease WHERE owner = ? AND deliveries = ?`, owner, idArray(deliveries))
	return epoch, err
}

// openBatch reads what sending the claimed deliveries needs, beside the writer.
func (db *DB) openBatch(ctx context.Context, c *campaignRow, keys *incidentKeys, epoch int64, ids []int64) ([]mailer.Delivery, error) {
	exposures, err := exposuresOf(ctx, db.r, c.IncidentNum)
	if err != nil {
		return nil, err
	}
	rows, err := db.r.QueryContext(ctx, `
		SELECT d.id, d.attempts, d.first_at, d.hash, d.told, d.grp, r.id, r.person_key, r.sealed,
		       (SELECT group_concat(x.exposure) FROM recipient_exposure x WHERE x.recipient = r.id)
		FROM delivery d JOIN recipient r ON r.id = d.recipient
		WHERE d.id IN (SELECT value FROM json_each(?)) ORDER BY d.id`, idArray(ids))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make([]mailer.Delivery, 0, len(ids))
	// Most people of a campaign were told the same before: it is read once.
	var last struct {
		text []byte
		told []mailer.Told
	}
	for rows.Next() {
		var rec recipientRow
		var firstAt sql.NullInt64
		var hash, told sql.RawBytes
		d := mailer.Delivery{Campaign: c.ID, Epoch: epoch}
		if err := rows.Scan(&d.ID, &d.Attempts, &firstAt, &hash, &told, &d.Group, &rec.ID, &rec.PersonKey, &rec.Sealed, &rec.Exposures); err != nil {
			return nil, err
		}
		d.FirstAt = fromMS(firstAt)
		d.Token = db.names.Token(d.ID)
		copy(d.Hash[:], hash)
		if d.Recipient, err = db.openRecipient(c, keys, exposures, &rec); err != nil {
			return nil, err
		}
		if told != nil && !bytes.Equal(told, last.text) {
			last.told = nil
			if err := json.Unmarshal(told, &last.told); err != nil {
				return nil, err
			}
			last.text = append(last.text[:0], told...)
		}
		if told != nil {
			d.Recipient.Told = last.told
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Renew extends this handle's leases. ErrLeaseLost where some were no longer
// held; the others are extended.
func (db *DB) Renew(ctx context.Context, epochs []int64, until time.Time) error {
	if len(epochs) == 0 {
		return nil
	}
	owner, err := db.ownerName()
	if err != nil {
		return wrap("renew leases", err)
	}
	lost := int64(0)
	err = db.write(ctx, "renew leases", func(tx *sqlx.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE lease SET until = ? WHERE owner = ? AND id IN (SELECT value FROM json_each(?))`,
			until.UnixMilli(), owner, idArray(epochs))
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		lost = int64(len(epochs)) - n
		return err
	})
	if err == nil && lost > 0 {
		return wrap("renew leases", fmt.Errorf("%w: %d of %d", mailer.ErrLeaseLost, lost, len(epochs)))
	}
	return err
}

// Release puts what is still claimed under leases back to queued (deferred
// where it had been tried before) and ends the leases. With a delivery in sending
// a lease stays until its time, so that Recover finds the delivery.
func (db *DB) Release(ctx context.Context, epochs ...int64) error {
	return db.write(ctx, fmt.Sprintf("release leases %d", epochs), func(tx *sqlx.Tx) error {
		for _, epoch := range epochs {
			if err := db.release(ctx, tx, epoch); err != nil {
				return err
			}
		}
		return nil
	})
}

func (db *DB) release(ctx context.Context, tx *sqlx.Tx, epoch int64) error {
	var l leaseRow
	err := tx.GetContext(ctx, &l, selectLease+`WHERE l.id = ?`, epoch)
	if err == sql.ErrNoRows {
		return nil
	} else if err != nil {
		return err
	}
	if _, err := db.giveBack(ctx, tx, &l, ""); err != nil {
		return err
	}
	var sending int
	if err := tx.GetContext(ctx, &sending, `
		SELECT count(*) FROM delivery WHERE id IN (SELECT value FROM json_each(?)) AND lease = ? AND state = 'sending'`, l.Deliveries, l.ID); err != nil {
		return err
	}
	if sending > 0 {
		return nil
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM lease WHERE id = ?`, l.ID)
	return err
}

// NextDue is the earliest time at which a delivery of the campaign is due; false
// where none is queued or deferred. With one queued it is the Unix epoch: now,
// by any clock.
func (db *DB) NextDue(ctx context.Context, campaign string) (time.Time, bool, error) {
	op := "find next due delivery of " + campaign
	k, err := db.campaignKey(ctx, db.r, campaign)
	if err != nil {
		return time.Time{}, false, wrap(op, err)
	}
	var due sql.NullInt64
	err = db.r.GetContext(ctx, &due, `
		SELECT CASE WHEN EXISTS (SELECT 1 FROM delivery WHERE campaign = ?1 AND state = 'queued') THEN 0
		ELSE (SELECT min(next_at) FROM delivery WHERE campaign = ?1 AND state = 'deferred') END`, k.num)
	return fromMS(due), due.Valid, wrap(op, err)
}
