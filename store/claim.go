package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
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
	var row *campaignRow
	var keys *incidentKeys
	var epoch int64
	var ids []int64
	err = db.write(ctx, op, func(tx *sqlx.Tx) error {
		if row, err = findCampaign(ctx, tx, campaign); err != nil {
			return err
		}
		if row.Phase != mailer.Running {
			return fmt.Errorf("%w: it is %s", mailer.ErrNotRunning, row.Phase)
		}
		if keys, err = db.incidentKeys(ctx, tx, row.IncidentNum); err != nil {
			return err
		}
		epoch, ids, err = lease(ctx, tx, row, owner, now, until, n, skip)
		return err
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	l := &mailer.Lease{Epoch: epoch, Campaign: campaign, Owner: owner, Until: until}
	if l.Deliveries, err = db.openBatch(ctx, row, keys, epoch, idArray(ids)); err != nil {
		// Given back at once, so that nobody waits for the lease to lapse.
		if rerr := db.Release(context.WithoutCancel(ctx), epoch); rerr != nil {
			db.log.Error("release after failed claim", "campaign", campaign, "epoch", epoch, "error", rerr)
		}
		return nil, wrap(op, err)
	}
	return l, nil
}

// lease marks the batch; it returns no ids where nothing is due.
func lease(ctx context.Context, tx *sqlx.Tx, row *campaignRow, owner string, now, until time.Time, n int, skip []string) (epoch int64, ids []int64, err error) {
	// One row for each kind, whatever n is: the rows do not cross into Go one by
	// one. The groups that have queued deliveries are found by skipping through
	// the index.
	var due struct{ Queued, Deferred string }
	if err := tx.GetContext(ctx, &due, `
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
		row.Num, n, now.UnixMilli(), stringArray(skip)); err != nil {
		return 0, nil, err
	}
	var groups [][]int64
	var deferred []int64
	if err := json.Unmarshal([]byte(due.Queued), &groups); err != nil {
		return 0, nil, err
	}
	if err := json.Unmarshal([]byte(due.Deferred), &deferred); err != nil {
		return 0, nil, err
	}
	queued := slices.Concat(groups...)
	ids = append(append(ids, queued...), deferred...)
	if len(ids) == 0 {
		return 0, nil, nil
	}
	slices.Sort(ids)
	ids = ids[:min(n, len(ids))]
	list := idArray(ids)
	r, err := tx.ExecContext(ctx, `INSERT INTO lease (campaign, owner, until, deliveries) VALUES (?, ?, ?, ?)`,
		row.Num, owner, until.UnixMilli(), list)
	if err != nil {
		return 0, nil, err
	}
	if epoch, err = r.LastInsertId(); err != nil {
		return 0, nil, err
	}
	if r, err = tx.ExecContext(ctx, `UPDATE delivery SET state = 'claimed', lease = ? WHERE id IN (SELECT value FROM json_each(?))`, epoch, list); err != nil {
		return 0, nil, err
	}
	if k, err := r.RowsAffected(); err != nil || k != int64(len(ids)) {
		return 0, nil, fmt.Errorf("%d of %d deliveries claimed: %w", k, len(ids), errOr(err, errCorrupt))
	}
	nDeferred := int64(0)
	slices.Sort(deferred)
	for _, id := range ids {
		if _, ok := slices.BinarySearch(deferred, id); ok {
			nDeferred++
		}
	}
	if err := count(ctx, tx, row.Num, mailer.Deferred, mailer.Claimed, nDeferred); err != nil {
		return 0, nil, err
	}
	return epoch, ids, count(ctx, tx, row.Num, mailer.Queued, mailer.Claimed, int64(len(ids))-nDeferred)
}

// openBatch reads what sending the claimed deliveries needs, beside the writer.
func (db *DB) openBatch(ctx context.Context, c *campaignRow, keys *incidentKeys, epoch int64, ids string) ([]mailer.Delivery, error) {
	exposures, err := exposuresOf(ctx, db.r, c.IncidentNum)
	if err != nil {
		return nil, err
	}
	rows, err := db.r.QueryContext(ctx, `
		SELECT d.id, d.attempts, d.first_at, d.hash, d.told, d.grp, r.id, r.person_key, r.sealed,
		       (SELECT group_concat(x.exposure) FROM recipient_exposure x WHERE x.recipient = r.id)
		FROM delivery d JOIN recipient r ON r.id = d.recipient
		WHERE d.id IN (SELECT value FROM json_each(?)) ORDER BY d.id`, ids)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []mailer.Delivery
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

// Release puts what is still claimed under a lease back to queued (deferred
// where it had been tried before) and ends the lease. With a delivery in sending
// the lease stays until its time, so that Recover finds the delivery.
func (db *DB) Release(ctx context.Context, epoch int64) error {
	return db.write(ctx, fmt.Sprintf("release lease %d", epoch), func(tx *sqlx.Tx) error {
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
	})
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
