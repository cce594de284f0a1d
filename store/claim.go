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

	"oshirase/mailer"
	"oshirase/store/internal/engine"
	"oshirase/store/seal"
)

// Claim leases up to n due deliveries of a running campaign (queued, or deferred
// with its time come) until the given time. It returns nil where nothing is due,
// ErrNotRunning where the campaign is not running. Deliveries of the domain
// groups to skip stay. The batch is in order of the deliveries' IDs; of deferred ones
// that are due, those due longest come first. The cost depends on n and on the number
// of groups, not on the size of the campaign.
func (db *DB) Claim(ctx context.Context, campaign string, now, until time.Time, n int, skip []string) (l *mailer.Lease, err error) {
	defer db.explain(&err, "claim deliveries of %s", campaign)
	if n <= 0 {
		return nil, nil
	}
	owner, err := db.eng.Owner()
	if err != nil {
		return nil, err
	}
	k, err := db.campaignKey(ctx, db.pool(), campaign)
	if err != nil {
		return nil, err
	}
	// Looked at without the writer: where nothing is due, there is nothing to write.
	due, err := db.due(ctx, k.num, now, skip)
	if err != nil || due == (dueKinds{}) {
		return nil, err
	}
	if err := db.mayClaim(ctx, campaign, k); err != nil {
		return nil, err
	}
	if err := db.becomeWorker(ctx, owner); err != nil {
		return nil, err
	}
	keys, err := db.incidentKeys(ctx, db.pool(), k.incident)
	if err != nil {
		return nil, err
	}
	l = &mailer.Lease{Campaign: campaign, Owner: owner, Until: until}
	var ids []int64
	err = db.write(ctx, func(c *change) (err error) {
		ids, err = c.claim(ctx, campaign, k, l, due, now, n, skip)
		return err
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	if l.Deliveries, err = db.openBatch(ctx, campaign, k, keys, l.Epoch, ids); err != nil {
		// Given back at once, so that nobody waits for the lease to lapse.
		if rerr := db.Release(context.WithoutCancel(ctx), l.Epoch); rerr != nil {
			db.log.Error("release after failed claim", "campaign", campaign, "epoch", l.Epoch, "error", rerr)
		}
		return nil, err
	}
	return l, nil
}

// mustRun refuses a campaign that is not running.
func mustRun(phase mailer.Phase) error {
	if phase != mailer.PhaseRunning {
		return fmt.Errorf("%w: it is %s", mailer.ErrNotRunning, phase)
	}
	return nil
}

// dueKinds says what of a campaign is due.
type dueKinds struct{ Queued, Again bool }

func (db *DB) due(ctx context.Context, campaign int64, now time.Time, skip []string) (dueKinds, error) {
	cond, arg := db.eng.InText("grp", skip)
	var row struct {
		Phase mailer.Phase
		dueKinds
	}
	if err := get(ctx, db.pool(), &row, `
		SELECT phase,
		       EXISTS (SELECT 1 FROM chunk WHERE campaign = k.num AND lease IS NULL AND NOT (`+cond+`)) AS queued,
		       EXISTS (SELECT 1 FROM delivery WHERE campaign = k.num AND state = 'deferred' AND next_at <= ? AND NOT (`+cond+`)) AS again
		FROM campaign k WHERE num = ?`, arg, now.UnixMilli(), arg, campaign); err != nil {
		return dueKinds{}, err
	}
	return row.dueKinds, mustRun(row.Phase)
}

// dueAgain finds up to n deferred deliveries whose time has come.
func (db *DB) dueAgain(ctx context.Context, h handle, campaign int64, now time.Time, n int, skip []string) ([]queuedRow, error) {
	cond, arg := db.eng.InText("grp", skip)
	var rows []struct {
		ID  int64
		Grp string
	}
	if err := find(ctx, h, &rows, `
		SELECT id, grp FROM delivery WHERE campaign = ? AND state = 'deferred' AND next_at <= ? AND NOT (`+cond+`)
		ORDER BY next_at, id LIMIT ?`, campaign, now.UnixMilli(), arg, n); err != nil {
		return nil, err
	}
	out := make([]queuedRow, len(rows))
	for i, r := range rows {
		out[i] = queuedRow{Row: engine.Row{ID: r.ID}, Group: r.Grp}
	}
	return out, nil
}

// claim makes the lease: what is due again first, then free chunks as they are. Only
// where even the first holds more than n allows, it is cut.
func (c *change) claim(ctx context.Context, campaign string, k campaignKey, l *mailer.Lease, due dueKinds, now time.Time, n int, skip []string) (ids []int64, err error) {
	var phase mailer.Phase
	if err := get(ctx, c, &phase, `SELECT phase FROM campaign WHERE num = ?`, k.num); err != nil {
		return nil, err
	}
	if err := mustRun(phase); err != nil {
		return nil, err
	}
	var again []queuedRow
	if due.Again {
		if again, err = c.db.dueAgain(ctx, c, k.num, now, n, skip); err != nil {
			return nil, err
		}
	}
	var chunks []engine.Chunk
	if n > len(again) {
		if chunks, err = c.db.eng.FreeChunks(ctx, c, k.num, n-len(again), skip); err != nil {
			return nil, err
		}
	}
	if len(again)+len(chunks) == 0 {
		return nil, nil
	}
	if err := get(ctx, c, &l.Epoch, `INSERT INTO lease (campaign, owner, until) VALUES (?, ?, ?) RETURNING id`, k.num, l.Owner, l.Until.UnixMilli()); err != nil {
		return nil, err
	}
	if ids, err = c.claimAgain(ctx, campaign, k, l.Epoch, again); err != nil {
		return nil, err
	}
	whole := make([]int64, 0, len(chunks))
	for i := range chunks {
		part, err := parseIDs(chunks[i].Deliveries)
		if err != nil {
			return nil, err
		}
		switch {
		case len(ids)+len(part) <= n:
			whole = append(whole, chunks[i].ID)
		case len(ids) > 0:
			continue // for the next lease
		default:
			part = part[:n]
			if err := c.cutChunk(ctx, &chunks[i], k.num, n, l.Epoch); err != nil {
				return nil, err
			}
		}
		ids = append(ids, part...)
	}
	if len(whole) > 0 {
		cond, arg := c.db.eng.In("id", whole)
		if _, err := do(ctx, c, `UPDATE chunk SET lease = ? WHERE `+cond, l.Epoch, arg); err != nil {
			return nil, err
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// claimAgain queues deferred deliveries whose time has come, in chunks of the lease.
func (c *change) claimAgain(ctx context.Context, campaign string, k campaignKey, lease int64, again []queuedRow) (ids []int64, err error) {
	err = c.moveRows(ctx, move{campaign: campaign, Step: engine.Step{
		Campaign: k.num, Phase: mailer.PhaseRunning, From: mailer.StateDeferred, To: mailer.StateQueued,
	}}, again)
	if err != nil || len(again) == 0 {
		return nil, err
	}
	for _, r := range again {
		ids = append(ids, r.ID)
	}
	cond, arg := c.db.eng.In("id", ids)
	_, err = do(ctx, c, `UPDATE chunk SET lease = ? WHERE id IN (SELECT chunk FROM delivery WHERE `+cond+`)`, lease, arg)
	return ids, err
}

// cutChunk takes the first n deliveries of a chunk into one of their own, which is
// leased.
func (c *change) cutChunk(ctx context.Context, chunk *engine.Chunk, campaign int64, n int, lease int64) error {
	ids, err := parseIDs(chunk.Deliveries)
	if err != nil {
		return err
	}
	part, err := c.insertChunk(ctx, campaign, chunk.Group, ids[:n], lease)
	if err != nil {
		return err
	}
	cond, arg := c.db.eng.In("id", ids[:n])
	if _, err := do(ctx, c, `UPDATE delivery SET chunk = ? WHERE `+cond, part, arg); err != nil {
		return err
	}
	_, err = do(ctx, c, `UPDATE chunk SET n = ?, deliveries = ? WHERE id = ?`, len(ids)-n, idList(ids[n:]), chunk.ID)
	return err
}

// openBatch reads what sending the claimed deliveries needs, beside the writer.
func (db *DB) openBatch(ctx context.Context, campaign string, k campaignKey, keys *seal.Keys, epoch int64, ids []int64) ([]mailer.Delivery, error) {
	exposures, err := exposuresOf(ctx, db.pool(), k.incident)
	if err != nil {
		return nil, err
	}
	cond, arg := db.eng.In("d.id", ids)
	rows, err := db.pool().QueryContext(ctx, db.pool().Rebind(`
		SELECT d.id, d.attempts, d.first_at, d.hash, d.told, d.grp, `+recipientColumns+`
		FROM delivery d JOIN recipient r ON r.id = d.recipient
		WHERE `+cond+` AND d.state = 'queued' ORDER BY d.id`), arg)
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
	// What a row is read into is the same for all: whatever is kept of it is copied.
	var rec recipientRow
	var firstAt sql.NullInt64
	var hash, told, personKey, sealed sql.RawBytes
	var d mailer.Delivery
	for rows.Next() {
		d = mailer.Delivery{Campaign: campaign, Epoch: epoch}
		if err := rows.Scan(&d.ID, &d.Attempts, &firstAt, &hash, &told, &d.Group, &rec.ID,
			&personKey, &rec.EmailKey, &rec.PhoneKey, &rec.KanaKey, &rec.SimilarKey, &rec.Bound, &sealed, &rec.Exposures); err != nil {
			return nil, err
		}
		rec.PersonKey, rec.Sealed = personKey, sealed
		d.FirstAt = fromMS(firstAt)
		d.Token, d.MessageName = db.names.Token(d.ID), db.names.MessageName(d.ID)
		copy(d.Hash[:], hash)
		if d.Recipient, err = db.openRecipient(k, keys, exposures, &rec); errors.Is(err, mailer.ErrDamaged) {
			d.Damaged, d.Recipient = true, mailer.Recipient{ID: rec.ID, Ref: db.names.Ref(rec.ID)}
		} else if err != nil {
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
func (db *DB) Renew(ctx context.Context, epochs []int64, until time.Time) (err error) {
	defer db.explain(&err, "renew leases")
	if len(epochs) == 0 {
		return nil
	}
	owner, err := db.eng.Owner()
	if err != nil {
		return err
	}
	lost := int64(0)
	err = db.write(ctx, func(c *change) error {
		cond, arg := db.eng.In("id", epochs)
		n, err := do(ctx, c, `UPDATE lease SET until = ? WHERE owner = ? AND `+cond, until.UnixMilli(), owner, arg)
		lost = int64(len(epochs)) - n
		return err
	})
	if err == nil && lost > 0 {
		return fmt.Errorf("%w: %d of %d", mailer.ErrLeaseLost, lost, len(epochs))
	}
	return err
}

// Release gives back what was not begun under leases and ends them, in one
// transaction. With a delivery in sending a lease stays until its time, so that
// Recover finds the delivery.
func (db *DB) Release(ctx context.Context, epochs ...int64) (err error) {
	defer db.explain(&err, "release leases %d", epochs)
	return db.write(ctx, func(c *change) error {
		for _, epoch := range epochs {
			if err := c.release(ctx, epoch); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *change) release(ctx context.Context, epoch int64) error {
	var campaign int64
	if err := get(ctx, c, &campaign, `SELECT campaign FROM lease WHERE id = ?`, epoch); errors.Is(err, sql.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	chunks, err := c.leasedChunks(ctx, epoch)
	if err != nil {
		return err
	}
	sending := 0
	for i := range chunks {
		sending += len(chunks[i].sending)
		if err := c.free(ctx, &chunks[i], campaign, chunks[i].sending); err != nil {
			return err
		}
	}
	if sending > 0 {
		return nil
	}
	_, err = do(ctx, c, `DELETE FROM lease WHERE id = ?`, epoch)
	return err
}

// NextDue is the earliest time at which a delivery of the campaign is due; false
// where none is queued or deferred. With one queued that nobody has claimed it is the
// Unix epoch: now, by any clock.
func (r *Reader) NextDue(ctx context.Context, campaign string) (at time.Time, ok bool, err error) {
	defer r.explain(&err, "find next due delivery of %s", campaign)
	k, err := r.campaignKey(ctx, r.pool(), campaign)
	if err != nil {
		return time.Time{}, false, err
	}
	var due sql.NullInt64
	err = get(ctx, r.pool(), &due, `
		SELECT CASE WHEN EXISTS (SELECT 1 FROM chunk WHERE campaign = ? AND lease IS NULL) THEN 0
		ELSE (SELECT min(next_at) FROM delivery WHERE campaign = ? AND state = 'deferred') END`, k.num, k.num)
	return fromMS(due), due.Valid, err
}
