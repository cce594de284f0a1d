package store

import (
	"context"
	"fmt"

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
