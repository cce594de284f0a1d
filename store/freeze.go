package store

import (
	"context"
	"encoding/json"
	"slices"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

// Freeze adds deliveries in one transaction, and puts those that are to be sent into
// chunks. ErrConflict where a recipient has one in this campaign already, or where the
// campaign is not a draft.
func (db *DB) Freeze(ctx context.Context, campaign string, rows []mailer.Frozen) error {
	if len(rows) == 0 {
		return nil
	}
	return db.change(ctx, "freeze deliveries of", campaign, func(c *change, row *campaignRow) error {
		if row.Phase != mailer.PhaseDraft {
			return standsAt(row, "freeze")
		}
		rows, err := c.refreeze(ctx, row, rows)
		if err != nil {
			return err
		}
		queued := make(map[string][]*mailer.Frozen) // by domain group, in the order of the rows
		var groups []string
		var suppressed []*mailer.Frozen
		for i := range rows {
			f := &rows[i]
			if f.Suppressed != "" {
				suppressed = append(suppressed, f)
				continue
			}
			if queued[f.Group] == nil {
				groups = append(groups, f.Group)
			}
			queued[f.Group] = append(queued[f.Group], f)
		}
		err = c.freezeSuppressed(ctx, row, suppressed)
		for _, g := range groups {
			if err == nil {
				err = c.freezeQueued(ctx, row, g, queued[g])
			}
		}
		if db.eng.Unique(err) {
			return mailer.Conflict("check.another", "campaign", row.ID)
		}
		return err
	})
}

func (c *change) freezeSuppressed(ctx context.Context, row *campaignRow, rows []*mailer.Frozen) error {
	if _, err := c.insertFrozen(ctx, row, mailer.StateSuppressed, 0, rows); err != nil {
		return err
	}
	return c.count(ctx, row.Num, mailer.StateSuppressed, int64(len(rows)))
}

// freezeQueued freezes deliveries of one domain group, in chunks.
func (c *change) freezeQueued(ctx context.Context, row *campaignRow, group string, rows []*mailer.Frozen) error {
	if err := c.count(ctx, row.Num, mailer.StateQueued, int64(len(rows))); err != nil {
		return err
	}
	for _, part := range even(rows, chunkSize) {
		// The chunk comes first, since its deliveries name it; then it hears which they are.
		chunk, err := c.insertChunk(ctx, row.Num, group, make([]int64, len(part)), 0)
		if err != nil {
			return err
		}
		ids, err := c.insertFrozen(ctx, row, mailer.StateQueued, chunk, part)
		if err != nil {
			return err
		}
		if _, err := do(ctx, c, `UPDATE chunk SET deliveries = ? WHERE id = ?`, idList(ids), chunk); err != nil {
			return err
		}
	}
	return nil
}

// even cuts rows into as few parts of at most n as will do, all of about one size.
func even[T any](rows []T, n int) [][]T {
	parts := (len(rows) + n - 1) / n
	if parts == 0 {
		return nil
	}
	return slices.Collect(slices.Chunk(rows, (len(rows)+parts-1)/parts))
}

// insertFrozen adds deliveries in a state and returns their IDs, ascending.
func (c *change) insertFrozen(ctx context.Context, row *campaignRow, state mailer.State, chunk int64, rows []*mailer.Frozen) ([]int64, error) {
	out := make([]engine.Delivery, len(rows))
	for i, f := range rows {
		d := &out[i]
		*d = engine.Delivery{Recipient: f.Recipient, Exposures: stringArray(f.Exposures), Suppressed: f.Suppressed, Group: f.Group}
		if state == mailer.StateQueued {
			d.Hash = f.Hash[:]
		}
		if len(f.Told) == 0 {
			continue
		}
		var err error
		if d.Told, err = json.Marshal(f.Told); err != nil {
			return nil, err
		}
	}
	of := engine.Frozen{Campaign: row.Num, Merchant: row.MerchantNum, Round: row.Round, State: state, Chunk: chunk}
	return c.db.eng.AddDeliveries(ctx, c.Tx, of, out)
}
