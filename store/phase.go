package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

// phases is the whole of what may happen to a campaign; docs/states.md says who
// does it.
var phases = map[mailer.Phase][]mailer.Phase{
	mailer.PhaseDraft:     {mailer.PhaseChecked, mailer.PhaseCancelled},
	mailer.PhaseChecked:   {mailer.PhaseDraft, mailer.PhaseApproved, mailer.PhaseScheduled, mailer.PhaseCancelled},
	mailer.PhaseApproved:  {mailer.PhaseDraft, mailer.PhaseScheduled, mailer.PhaseRunning, mailer.PhaseCancelled},
	mailer.PhaseScheduled: {mailer.PhaseDraft, mailer.PhaseApproved, mailer.PhaseOverdue, mailer.PhaseRunning, mailer.PhaseCancelled},
	mailer.PhaseOverdue:   {mailer.PhaseDraft, mailer.PhaseApproved, mailer.PhaseScheduled, mailer.PhaseRunning, mailer.PhaseCancelled},
	mailer.PhaseRunning:   {mailer.PhaseDraft, mailer.PhasePaused, mailer.PhaseFinished, mailer.PhaseCancelled},
	mailer.PhasePaused:    {mailer.PhaseDraft, mailer.PhaseRunning, mailer.PhaseCancelled},
	mailer.PhaseFinished:  {mailer.PhaseRunning},
}

// standsAt refuses what a campaign's phase does not allow; the codes differ in what
// has to be done first.
func standsAt(row *campaignRow, what string) error {
	switch row.Phase {
	case mailer.PhaseDraft:
		return mailer.Conflict("campaign.draft", "what", what, "campaign", row.ID, "phase", row.Phase)
	case mailer.PhaseChecked:
		return mailer.Conflict("campaign.checked", "what", what, "campaign", row.ID, "phase", row.Phase)
	case mailer.PhaseApproved, mailer.PhaseOverdue:
		return mailer.Conflict("campaign.approved", "what", what, "campaign", row.ID, "phase", row.Phase)
	case mailer.PhaseRunning:
		return mailer.Conflict("campaign.running", "what", what, "campaign", row.ID, "phase", row.Phase)
	case mailer.PhasePaused:
		return mailer.Conflict("campaign.paused", "what", what, "campaign", row.ID, "phase", row.Phase)
	}
	return mailer.Conflict("campaign.phase", "what", what, "campaign", row.ID, "phase", row.Phase)
}

// setPhase moves a campaign along the table above.
func (c *change) setPhase(ctx context.Context, row *campaignRow, to mailer.Phase, reason string) error {
	if !slices.Contains(phases[row.Phase], to) {
		return mailer.Conflict("campaign.becomes", "campaign", row.ID, "phase", row.Phase, "to", to)
	}
	if err := c.touch(ctx, "campaign", `num = ?`, row.Num); err != nil && (to != mailer.PhasePaused || !errors.Is(err, mailer.ErrDamaged)) {
		return err // whatever somebody did to it, it can be stopped; that does not make it good
	}
	set := `phase = ?, reason = ?, halt = ''`
	args := []any{string(to), reason}
	now := c.db.now().UnixMilli()
	switch to {
	case mailer.PhaseRunning:
		set += `, started_at = coalesce(started_at, ?), ended_at = NULL`
		args = append(args, now)
	case mailer.PhaseFinished, mailer.PhaseCancelled:
		set += `, ended_at = ?`
		args = append(args, now)
	case mailer.PhaseChecked:
		// A new name for each check: what was signed for an earlier one is none for this.
		id, err := c.randomID()
		if err != nil {
			return err
		}
		set += `, check_id = ?`
		args = append(args, id)
	case mailer.PhaseDraft:
		set += `, revision = revision + 1, digest = '', result = NULL, sendable = 0, check_id = ''`
	}
	if _, err := do(ctx, c, `UPDATE campaign SET `+set+` WHERE num = ?`, append(args, row.Num)...); err != nil {
		return err
	}
	row.Phase, row.Reason = to, reason
	return c.holdRepeats(ctx, row)
}

// toDraft voids a campaign: what was checked and approved no longer stands. The
// snapshot stays until the next check, since deliveries that were tried were
// rendered from it.
func (c *change) toDraft(ctx context.Context, by mailer.Actor, row *campaignRow, reason string) error {
	if err := c.setPhase(ctx, row, mailer.PhaseDraft, reason); err != nil {
		return err
	}
	if err := c.voidApprovals(ctx, row.Num); err != nil {
		return err
	}
	return c.act(ctx, by, mailer.ActVoid, row.ID, reason)
}

// voidWhere voids every campaign that was checked and is not at its end. where is a
// condition on the campaign, which is called c.
func (c *change) voidWhere(ctx context.Context, by mailer.Actor, reason, where string, args ...any) error {
	return c.voidIf(ctx, by, reason, func(*campaignRow) (bool, error) { return true, nil }, where, args...)
}

// voidIf does so for those of them that is finds concerned.
func (c *change) voidIf(ctx context.Context, by mailer.Actor, reason string, is func(*campaignRow) (bool, error), where string, args ...any) error {
	var rows []campaignRow
	if err := find(ctx, c, &rows, selectCampaign+`
		WHERE c.phase IN ('checked', 'approved', 'scheduled', 'overdue', 'running', 'paused') AND `+where, args...); err != nil {
		return err
	}
	for i := range rows {
		if ok, err := is(&rows[i]); err != nil || !ok {
			if err != nil {
				return err
			}
			continue
		}
		if err := c.toDraft(ctx, by, &rows[i], reason); err != nil {
			return err
		}
		c.db.log.Warn("campaign voided", "campaign", rows[i].ID, "reason", reason)
	}
	return nil
}

// change runs fn with the campaign inside a write transaction.
func (db *DB) change(ctx context.Context, op, campaign string, fn func(c *change, row *campaignRow) error) (err error) {
	defer db.explain(&err, "%s %s", op, campaign)
	return db.write(ctx, func(c *change) error {
		row, err := findCampaign(ctx, c, campaign)
		if err != nil {
			return err
		}
		return fn(c, row)
	})
}

// Void takes a campaign back to draft and its approvals away, with the reason.
// A draft stays as it is; ErrConflict where it is finished or cancelled.
func (db *DB) Void(ctx context.Context, by mailer.Actor, campaign, reason string) error {
	return db.change(ctx, "void", campaign, func(c *change, row *campaignRow) error {
		if row.Phase == mailer.PhaseDraft {
			return nil
		}
		return c.toDraft(ctx, by, row, reason)
	})
}

// Pause moves a running campaign to paused, with a reason for people. From then
// on no intent of any process is committed.
func (db *DB) Pause(ctx context.Context, by mailer.Actor, campaign, reason string) error {
	return db.change(ctx, "pause", campaign, func(c *change, row *campaignRow) error {
		if row.Phase != mailer.PhaseRunning {
			return standsAt(row, "pause")
		}
		if err := c.setPhase(ctx, row, mailer.PhasePaused, reason); err != nil {
			return err
		}
		return c.act(ctx, by, mailer.ActPause, row.ID, reason)
	})
}

// Resume moves a paused campaign back to running. What was held over its relay or its
// composing is sent again.
func (db *DB) Resume(ctx context.Context, by mailer.Actor, campaign string) error {
	return db.change(ctx, "resume", campaign, func(c *change, row *campaignRow) error {
		if row.Phase != mailer.PhasePaused {
			return standsAt(row, "resume")
		}
		if err := db.approvalsStand(ctx, c, row); err != nil {
			return err
		}
		if err := c.setPhase(ctx, row, mailer.PhaseRunning, ""); err != nil {
			return err
		}
		if _, err := c.putBack(ctx, by, row, ""); err != nil {
			return err
		}
		if err := c.holdRepeats(ctx, row); err != nil {
			return err
		}
		return c.act(ctx, by, mailer.ActResume, row.ID, "")
	})
}

// Start moves an approved or overdue campaign to running. A scheduled one keeps
// to its time and starts by itself, unless that has come or now is true.
func (db *DB) Start(ctx context.Context, by mailer.Actor, campaign string, now bool) error {
	return db.change(ctx, "start", campaign, func(c *change, row *campaignRow) error {
		switch row.Phase {
		case mailer.PhaseApproved, mailer.PhaseOverdue:
		case mailer.PhaseScheduled:
			if !now && db.now().Before(fromMS(row.At)) {
				return nil
			}
		default:
			return standsAt(row, "start")
		}
		if err := db.approvalsStand(ctx, c, row); err != nil {
			return err
		}
		if err := c.setPhase(ctx, row, mailer.PhaseRunning, ""); err != nil {
			return err
		}
		return c.act(ctx, by, mailer.ActStart, row.ID, "")
	})
}

// Cancel ends a campaign for good. What was not sent is cancelled; deliveries in
// sending or unknown stay until their outcome is known.
func (db *DB) Cancel(ctx context.Context, by mailer.Actor, campaign string) error {
	return db.change(ctx, "cancel", campaign, func(c *change, row *campaignRow) error {
		if row.Phase == mailer.PhaseFinished || row.Phase == mailer.PhaseCancelled {
			return standsAt(row, "cancel")
		}
		if err := c.setPhase(ctx, row, mailer.PhaseCancelled, ""); err != nil {
			return err
		}
		if err := c.cancelRest(ctx, row); err != nil {
			return err
		}
		return c.act(ctx, by, mailer.ActCancel, row.ID, "")
	})
}

// cancelRest cancels what a cancelled campaign would never send. It is called
// again whenever an outcome or a decision gives such a campaign a delivery back.
func (c *change) cancelRest(ctx context.Context, row *campaignRow) error {
	for _, from := range []mailer.State{mailer.StateQueued, mailer.StateDeferred} {
		m := move{Step: engine.Step{From: from, To: mailer.StateCancelled, Kind: mailer.EventCancel, At: millis(c.db.now())}}
		if _, err := c.moveAll(ctx, row, m, ""); err != nil {
			return err
		}
	}
	if _, err := do(ctx, c, `UPDATE delivery SET held = '' WHERE campaign = ? AND held <> ''`, row.Num); err != nil {
		return err
	}
	// What a worker holds is empty now, and goes when the worker gives it back.
	_, err := do(ctx, c, `DELETE FROM chunk WHERE campaign = ? AND lease IS NULL`, row.Num)
	return err
}

// Wake moves scheduled campaigns whose time has come to running, and those
// whose time passed more than grace ago to overdue.
func (db *DB) Wake(ctx context.Context, now time.Time, grace time.Duration) (err error) {
	defer db.explain(&err, "wake campaigns")
	var n int
	// Looked at without the writer: almost always there is nothing to do.
	if err := get(ctx, db.pool(), &n, `SELECT count(*) FROM campaign WHERE phase = 'scheduled' AND at <= ?`, now.UnixMilli()); err != nil || n == 0 {
		return err
	}
	return db.write(ctx, func(c *change) error {
		var rows []campaignRow
		if err := find(ctx, c, &rows, selectCampaign+`WHERE c.phase = 'scheduled' AND c.at <= ? ORDER BY c.num`, now.UnixMilli()); err != nil {
			return err
		}
		for i := range rows {
			row := &rows[i]
			to, reason := mailer.PhaseRunning, ""
			if late := now.Sub(fromMS(row.At)); late > grace {
				to = mailer.PhaseOverdue
				reason = fmt.Sprintf("its time %s had passed by %s when the program looked", fromMS(row.At).In(mailer.JST).Format(time.RFC3339), late.Round(time.Second))
			}
			if err := c.setPhase(ctx, row, to, reason); err != nil {
				return err
			}
			if err := c.act(ctx, mailer.Program, mailer.ActWake, row.ID, string(to)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Settle moves a running campaign without open deliveries to finished; any other
// stays as it is.
func (db *DB) Settle(ctx context.Context, campaign string) error {
	return db.change(ctx, "settle", campaign, func(c *change, row *campaignRow) error {
		if row.Phase != mailer.PhaseRunning {
			return nil
		}
		n, err := counts(ctx, c, row.Num)
		if err != nil || n.Open() > 0 {
			return err
		}
		if err := c.setPhase(ctx, row, mailer.PhaseFinished, ""); err != nil {
			return err
		}
		return c.act(ctx, mailer.Program, mailer.ActFinish, row.ID, "")
	})
}

// FireOnce reports whether this call is the first for the schedule at that time:
// of several processes with one cron entry, one fires.
func (db *DB) FireOnce(ctx context.Context, schedule string, at time.Time) (first bool, err error) {
	defer db.explain(&err, "fire schedule %s", schedule)
	err = db.write(ctx, func(c *change) error {
		n, err := do(ctx, c, `INSERT INTO schedule_fire (schedule, at) VALUES (?, ?) ON CONFLICT (schedule, at) DO NOTHING`, schedule, at.UnixMilli())
		first = n == 1
		return err
	})
	return first && err == nil, err
}
