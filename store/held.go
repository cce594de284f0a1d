package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

// heldCounts counts what is held of a campaign, up to countedUpTo.
func heldCounts(ctx context.Context, h handle, campaign int64) (mailer.HeldCounts, error) {
	var rows []struct {
		Held mailer.Held
		N    int64
	}
	if err := find(ctx, h, &rows, `
		SELECT held, count(*) AS n FROM (SELECT held FROM delivery WHERE campaign = ? AND held <> '' LIMIT ?) AS d GROUP BY held`,
		campaign, countedUpTo); err != nil || len(rows) == 0 {
		return nil, err
	}
	out := make(mailer.HeldCounts, len(rows))
	for _, r := range rows {
		out[r.Held] = r.N
	}
	return out, nil
}

// Held counts what is held of a campaign, by reason, up to a bound.
func (r *Reader) Held(ctx context.Context, campaign string) (out mailer.HeldCounts, err error) {
	defer r.explain(&err, "count what is held of %s", campaign)
	k, err := r.campaignKey(ctx, r.pool(), campaign)
	if err != nil {
		return nil, err
	}
	return heldCounts(ctx, r.pool(), k.num)
}

// DecideHeld decides deliveries that are held for a person's decision: queued, to go
// where the notice still is the one that was approved (the sender holds it again where it
// is not), or cancelled, so that another campaign may tell what is right now. ref names
// one recipient; empty decides all. It returns how many were decided. What waits for
// other campaigns is not decided by hand.
func (db *DB) DecideHeld(ctx context.Context, by mailer.Actor, campaign string, as mailer.State, ref string) (n int64, err error) {
	if as != mailer.StateQueued && as != mailer.StateCancelled {
		return 0, mailer.Invalid("resolve.held-as", "as", as)
	}
	only, args := ``, []any(nil)
	if ref != "" {
		recipient, err := db.names.ParseRef(ref)
		if err != nil {
			return 0, err
		}
		only, args = ` AND d.recipient = ?`, []any{recipient}
	}
	err = db.change(ctx, "decide what is held of", campaign, func(c *change, row *campaignRow) error {
		for after := int64(0); ; {
			var rows []candidate
			if err := find(ctx, c, &rows, selectCandidate+`
				WHERE d.campaign = ? AND d.held <> '' AND d.id > ? AND d.held IN ('person-changed', 'damaged')`+only+` ORDER BY d.id LIMIT ?`,
				append(append([]any{row.Num, after}, args...), movePage)...); err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			after = rows[len(rows)-1].ID
			n += int64(len(rows))
			if err := c.decideHeld(ctx, by, row, as, rows); err != nil {
				return err
			}
		}
		if n == 0 && ref != "" {
			return mailer.NotFound("resolve.not-held", "campaign", row.ID, "ref", ref)
		}
		// Meanwhile another campaign may have told them.
		if err := c.holdRepeats(ctx, row); err != nil {
			return err
		}
		return c.act(ctx, by, mailer.ActResolve, row.ID, fmt.Sprintf("%d held as %s, ref %q", n, as, ref))
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (c *change) decideHeld(ctx context.Context, by mailer.Actor, row *campaignRow, as mailer.State, rows []candidate) error {
	if as == mailer.StateQueued {
		return c.unhold(ctx, row, rows)
	}
	at := millis(c.db.now())
	m := move{campaign: row.ID, Step: engine.Step{
		Campaign: row.Num, Phase: row.Phase, From: mailer.StateQueued, To: mailer.StateCancelled, Kind: mailer.EventCancel, At: at,
	}}
	of := make([]queuedRow, len(rows))
	ids := make([]int64, len(rows))
	for i, d := range rows {
		of[i] = queuedRow{Row: engine.Row{ID: d.ID, At: at, Text: "by " + cut(by.Name)}}
		ids[i] = d.ID
	}
	if err := c.moveRows(ctx, m, of); err != nil {
		return err
	}
	in, arg := c.db.eng.In("id", ids)
	_, err := do(ctx, c, `UPDATE delivery SET held = '' WHERE `+in, arg)
	return err
}

// hold keeps deliveries back, for a reason. Where a worker has claimed one, its lease
// no longer has it, and its intent is refused.
func (c *change) hold(ctx context.Context, row *campaignRow, rows []candidate, why mailer.Held) error {
	if len(rows) == 0 {
		return nil
	}
	// One that was to be tried again is queued: it goes at once when it is given back.
	var again []queuedRow
	ids := make([]int64, len(rows))
	for i, d := range rows {
		ids[i] = d.ID
		if d.State == mailer.StateDeferred {
			again = append(again, queuedRow{Row: engine.Row{ID: d.ID}, Group: d.Grp})
		}
	}
	in, arg := c.db.eng.In("id", ids)
	if len(again) > 0 {
		m := move{campaign: row.ID, Step: engine.Step{Campaign: row.Num, Phase: row.Phase, From: mailer.StateDeferred, To: mailer.StateQueued}}
		if err := c.moveRows(ctx, m, again); err != nil {
			return err
		}
		rows = nil
		if err := find(ctx, c, &rows, `SELECT d.id, coalesce(d.chunk, 0) AS chunk FROM delivery d WHERE `+in, arg); err != nil {
			return err
		}
	}
	n, err := do(ctx, c, `UPDATE delivery SET held = ?, chunk = NULL WHERE `+in+` AND state = 'queued'`, string(why), arg)
	if err != nil {
		return err
	}
	if n != int64(len(ids)) {
		return errCorrupt
	}
	return c.leaveChunks(ctx, rows)
}

// leaveChunks takes deliveries out of the lists of free chunks. A leased one keeps the
// names that it was leased with.
func (c *change) leaveChunks(ctx context.Context, rows []candidate) error {
	gone := make(map[int64]bool, len(rows))
	var chunks []int64
	for _, d := range rows {
		gone[d.ID] = true
		if d.Chunk != 0 {
			chunks = append(chunks, d.Chunk)
		}
	}
	slices.Sort(chunks)
	chunks = slices.Compact(chunks)
	if len(chunks) == 0 {
		return nil
	}
	in, arg := c.db.eng.In("id", chunks)
	var free []engine.Chunk
	if err := find(ctx, c, &free, `SELECT id, grp, n, deliveries FROM chunk WHERE lease IS NULL AND `+in, arg); err != nil {
		return err
	}
	for _, k := range free {
		ids, err := parseIDs(k.Deliveries)
		if err != nil {
			return err
		}
		ids = slices.DeleteFunc(ids, func(id int64) bool { return gone[id] })
		if len(ids) == 0 {
			_, err = do(ctx, c, `DELETE FROM chunk WHERE id = ?`, k.ID)
		} else {
			_, err = do(ctx, c, `UPDATE chunk SET n = ?, deliveries = ? WHERE id = ?`, len(ids), idList(ids), k.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unhold gives held deliveries back to the queue.
func (c *change) unhold(ctx context.Context, row *campaignRow, rows []candidate) error {
	if len(rows) == 0 {
		return nil
	}
	queued := make([]queuedRow, len(rows))
	ids := make([]int64, len(rows))
	for i, d := range rows {
		ids[i] = d.ID
		queued[i] = queuedRow{Row: engine.Row{ID: d.ID}, Group: d.Grp}
	}
	if err := c.rechunk(ctx, row.Num, queued); err != nil {
		return err
	}
	in, arg := c.db.eng.In("id", ids)
	_, err := do(ctx, c, `UPDATE delivery SET held = '' WHERE `+in, arg)
	return err
}

// Hold keeps a delivery back that a worker has claimed under an epoch, and has not begun.
// ErrLeaseLost where it is no longer so.
func (db *DB) Hold(ctx context.Context, campaign string, delivery, epoch int64, why mailer.Held) error {
	return db.change(ctx, "hold a delivery of", campaign, func(c *change, row *campaignRow) error {
		var d candidate
		err := get(ctx, c, &d, selectCandidate+`
			JOIN chunk k ON k.id = d.chunk WHERE d.id = ? AND d.campaign = ? AND d.state = 'queued' AND k.lease = ?`, delivery, row.Num, epoch)
		if errors.Is(err, sql.ErrNoRows) {
			return mailer.ErrLeaseLost
		} else if err != nil {
			return err
		}
		return c.hold(ctx, row, []candidate{d}, why)
	})
}
