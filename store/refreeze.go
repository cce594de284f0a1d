package store

import (
	"context"
	"encoding/json"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

// Deliveries that have a history stay when their campaign is checked anew, since events
// are of a delivery for ever. Those of them over which nobody but us was refused are
// frozen anew where they are: with the notice as it is now, for it may be what was
// mended. Meanwhile they are held.

// holdRefreeze marks them while the check is under way.
const holdRefreeze mailer.Held = "refreeze"

// unfreeze marks what is to be frozen anew and has a history.
func (c *change) unfreeze(ctx context.Context, row *campaignRow) error {
	_, err := do(ctx, c, `UPDATE delivery SET held = ?, chunk = NULL
		WHERE campaign = ? AND state = 'queued' AND lease > 0`+neverTried+notClaimed, string(holdRefreeze), row.Num)
	return err
}

// refreeze freezes those of the rows that were marked, and returns the others.
func (c *change) refreeze(ctx context.Context, row *campaignRow, rows []mailer.Frozen) ([]mailer.Frozen, error) {
	var any bool
	if err := get(ctx, c, &any, `SELECT EXISTS (SELECT 1 FROM delivery WHERE campaign = ? AND held <> '' AND held = ?)`,
		row.Num, string(holdRefreeze)); err != nil || !any {
		return rows, err
	}
	ids := make([]int64, len(rows))
	at := make(map[int64]*mailer.Frozen, len(rows))
	for i := range rows {
		ids[i] = rows[i].Recipient
		at[ids[i]] = &rows[i]
	}
	cond, arg := c.db.eng.In("recipient", ids)
	var marked []struct{ ID, Recipient int64 }
	if err := find(ctx, c, &marked, `SELECT id, recipient FROM delivery WHERE `+cond+` AND campaign = ? AND held = ? ORDER BY id`,
		arg, row.Num, string(holdRefreeze)); err != nil {
		return nil, err
	}
	var queued []queuedRow
	for _, m := range marked {
		f := at[m.Recipient]
		if err := c.freezeAgain(ctx, row, m.ID, f); err != nil {
			return nil, err
		}
		if f.Suppressed == "" {
			queued = append(queued, queuedRow{Row: engine.Row{ID: m.ID}, Group: f.Group})
		}
		delete(at, m.Recipient)
	}
	rest := make([]mailer.Frozen, 0, len(at))
	for i := range rows {
		if _, left := at[rows[i].Recipient]; left {
			rest = append(rest, rows[i])
		}
	}
	return rest, c.rechunk(ctx, row.Num, queued)
}

// freezeAgain writes one of them; its chunk follows.
func (c *change) freezeAgain(ctx context.Context, row *campaignRow, id int64, f *mailer.Frozen) error {
	var told any
	if len(f.Told) > 0 {
		b, err := json.Marshal(f.Told)
		if err != nil {
			return err
		}
		told = string(b)
	}
	if f.Suppressed != "" {
		if _, err := do(ctx, c, `UPDATE delivery SET state = 'suppressed', suppressed = ?, held = '', hash = NULL, round = ?, told = ?, exposures = ? WHERE id = ?`,
			string(f.Suppressed), row.Round, told, stringArray(f.Exposures), id); err != nil {
			return err
		}
		if err := c.count(ctx, row.Num, mailer.StateQueued, -1); err != nil {
			return err
		}
		return c.count(ctx, row.Num, mailer.StateSuppressed, 1)
	}
	_, err := do(ctx, c, `UPDATE delivery SET held = '', chunk = 0, hash = ?, round = ?, told = ?, exposures = ?, grp = ? WHERE id = ?`,
		f.Hash[:], row.Round, told, stringArray(f.Exposures), f.Group, id)
	return err
}

// dropUnfrozen cancels what was marked and is not of the campaign any more.
func (c *change) dropUnfrozen(ctx context.Context, row *campaignRow) error {
	m := move{Step: engine.Step{From: mailer.StateQueued, To: mailer.StateCancelled, Kind: mailer.EventCancel, At: millis(c.db.now())}}
	if _, err := c.moveAll(ctx, row, m, ` AND held = ?`, string(holdRefreeze)); err != nil {
		return err
	}
	_, err := do(ctx, c, `UPDATE delivery SET held = '' WHERE campaign = ? AND held <> '' AND held = ?`, row.Num, string(holdRefreeze))
	return err
}
