package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"oshirase/mailer"
)

// Set changes the pace, the window or the time of a campaign; nil leaves as it
// is. None of them voids the approval: they say when, not what. Pace and window
// may change while the campaign runs; the time may not. A zero time takes it away.
func (db *DB) Set(ctx context.Context, by mailer.Actor, campaign string, perHour *int, window *mailer.WindowSpec, at *time.Time) error {
	if perHour != nil && !mailer.ValidPerHour(*perHour) {
		return mailer.Invalid("campaign.per-hour", "per_hour", *perHour, "most", mailer.MaxPerHour)
	}
	if window != nil {
		if _, err := mailer.ParseWindow(*window); err != nil {
			return err
		}
	}
	return db.change(ctx, "set", campaign, func(c *change, row *campaignRow) error {
		if row.Phase == mailer.PhaseFinished || row.Phase == mailer.PhaseCancelled {
			return standsAt(row, "set")
		}
		if err := c.touch(ctx, "campaign", `num = ?`, row.Num); err != nil {
			return err
		}
		if perHour != nil {
			if _, err := do(ctx, c, `UPDATE campaign SET per_hour = ? WHERE num = ?`, *perHour, row.Num); err != nil {
				return err
			}
			if err := c.act(ctx, by, mailer.ActSet, row.ID, fmt.Sprintf("per_hour %d -> %d", row.PerHour, *perHour)); err != nil {
				return err
			}
		}
		if window != nil {
			if _, err := do(ctx, c, `UPDATE campaign SET hours = ?, days = ? WHERE num = ?`, window.Hours, window.Days, row.Num); err != nil {
				return err
			}
			detail := fmt.Sprintf("window %q %q -> %q %q", row.Hours, row.Days, window.Hours, window.Days)
			if err := c.act(ctx, by, mailer.ActSet, row.ID, detail); err != nil {
				return err
			}
		}
		if at != nil {
			return c.setTime(ctx, by, row, *at)
		}
		return nil
	})
}

func (c *change) setTime(ctx context.Context, by mailer.Actor, row *campaignRow, at time.Time) error {
	if row.Phase == mailer.PhaseRunning || row.Phase == mailer.PhasePaused {
		return mailer.Conflict("set.started", "campaign", row.ID)
	}
	if _, err := do(ctx, c, `UPDATE campaign SET at = ? WHERE num = ?`, ms(at), row.Num); err != nil {
		return err
	}
	row.At = sql.NullInt64{Int64: at.UnixMilli(), Valid: !at.IsZero()}
	switch row.Phase {
	case mailer.PhaseApproved, mailer.PhaseScheduled, mailer.PhaseOverdue:
		if to := readyPhase(row.At); to != row.Phase {
			if err := c.setPhase(ctx, row, to, ""); err != nil {
				return err
			}
		}
	}
	return c.act(ctx, by, mailer.ActSet, row.ID, "at "+at.In(mailer.JST).Format(time.RFC3339))
}
