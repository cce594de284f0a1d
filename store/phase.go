package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
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
}

// hint says what to do about a campaign that stands in the way.
func hint(p mailer.Phase) string {
	switch p {
	case mailer.PhaseDraft:
		return ": run `campaign check` first"
	case mailer.PhaseChecked:
		return ": run `campaign approve` first"
	case mailer.PhaseApproved, mailer.PhaseOverdue:
		return ": run `campaign start`"
	case mailer.PhaseRunning:
		return ": run `campaign pause` first"
	case mailer.PhasePaused:
		return ": run `campaign resume`"
	}
	return ""
}

func standsAt(row *campaignRow, what string) error {
	return conflict("cannot %s: campaign %s is %s%s", what, row.ID, row.Phase, hint(row.Phase))
}

// setPhase moves a campaign along the table above.
func (db *DB) setPhase(ctx context.Context, tx *sqlx.Tx, row *campaignRow, to mailer.Phase, reason string) error {
	if !slices.Contains(phases[row.Phase], to) {
		return conflict("campaign %s is %s and cannot become %s", row.ID, row.Phase, to)
	}
	set := `phase = ?, reason = ?`
	args := []any{string(to), reason}
	now := db.now().UnixMilli()
	switch to {
	case mailer.PhaseRunning:
		set += `, started_at = ifnull(started_at, ?)`
		args = append(args, now)
	case mailer.PhaseFinished, mailer.PhaseCancelled:
		set += `, ended_at = ?`
		args = append(args, now)
	case mailer.PhaseDraft:
		set += `, revision = revision + 1, digest = '', result = NULL, sendable = 0`
	}
	if _, err := tx.ExecContext(ctx, `UPDATE campaign SET `+set+` WHERE num = ?`, append(args, row.Num)...); err != nil {
		return err
	}
	row.Phase, row.Reason = to, reason
	return nil
}

// toDraft voids a campaign: what was checked and approved no longer stands. The
// snapshot stays until the next check, since deliveries that were tried were
// rendered from it.
func (db *DB) toDraft(ctx context.Context, tx *sqlx.Tx, by mailer.Actor, row *campaignRow, reason string) error {
	if err := db.setPhase(ctx, tx, row, mailer.PhaseDraft, reason); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM approval WHERE campaign = ?`, row.Num); err != nil {
		return err
	}
	return db.act(ctx, tx, by, mailer.ActVoid, row.ID, reason)
}

// voidWhere voids every campaign that was checked and is not at its end.
func (db *DB) voidWhere(ctx context.Context, tx *sqlx.Tx, by mailer.Actor, reason, where string, args ...any) error {
	var rows []campaignRow
	if err := tx.SelectContext(ctx, &rows, selectCampaign+`
		WHERE c.phase IN ('checked', 'approved', 'scheduled', 'overdue', 'running', 'paused') AND c.`+where, args...); err != nil {
		return err
	}
	for i := range rows {
		if err := db.toDraft(ctx, tx, by, &rows[i], reason); err != nil {
			return err
		}
		db.log.Warn("campaign voided", "campaign", rows[i].ID, "reason", reason)
	}
	return nil
}

// change runs fn with the campaign inside a write transaction.
func (db *DB) change(ctx context.Context, op, campaign string, fn func(tx *sqlx.Tx, row *campaignRow) error) error {
	return db.write(ctx, op+" "+campaign, func(tx *sqlx.Tx) error {
		row, err := findCampaign(ctx, tx, campaign)
		if err != nil {
			return err
		}
		return fn(tx, row)
	})
}

// Void takes a campaign back to draft and its approvals away, with the reason.
// A draft stays as it is; ErrConflict where it is finished or cancelled.
func (db *DB) Void(ctx context.Context, by mailer.Actor, campaign, reason string) error {
	return db.change(ctx, "void", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase == mailer.PhaseDraft {
			return nil
		}
		return db.toDraft(ctx, tx, by, row, reason)
	})
}

// Pause moves a running campaign to paused, with a reason for people. From then
// on no intent of any process is committed.
func (db *DB) Pause(ctx context.Context, by mailer.Actor, campaign, reason string) error {
	return db.change(ctx, "pause", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase != mailer.PhaseRunning {
			return conflict("cannot pause: campaign %s is %s", row.ID, row.Phase)
		}
		if err := db.setPhase(ctx, tx, row, mailer.PhasePaused, reason); err != nil {
			return err
		}
		return db.act(ctx, tx, by, mailer.ActPause, row.ID, reason)
	})
}

// Resume moves a paused campaign back to running.
func (db *DB) Resume(ctx context.Context, by mailer.Actor, campaign string) error {
	return db.change(ctx, "resume", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase != mailer.PhasePaused {
			return conflict("cannot resume: campaign %s is %s, not paused%s", row.ID, row.Phase, hintUnless(row.Phase, mailer.PhaseRunning))
		}
		if err := db.setPhase(ctx, tx, row, mailer.PhaseRunning, ""); err != nil {
			return err
		}
		return db.act(ctx, tx, by, mailer.ActResume, row.ID, "")
	})
}

func hintUnless(p, not mailer.Phase) string {
	if p == not {
		return ""
	}
	return hint(p)
}

// Start moves an approved or overdue campaign to running. A scheduled one keeps
// to its time and starts by itself, unless that has come or now is true.
func (db *DB) Start(ctx context.Context, by mailer.Actor, campaign string, now bool) error {
	return db.change(ctx, "start", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		switch row.Phase {
		case mailer.PhaseApproved, mailer.PhaseOverdue:
		case mailer.PhaseScheduled:
			if !now && db.now().Before(fromMS(row.At)) {
				return nil
			}
		default:
			return standsAt(row, "start")
		}
		if err := db.setPhase(ctx, tx, row, mailer.PhaseRunning, ""); err != nil {
			return err
		}
		return db.act(ctx, tx, by, mailer.ActStart, row.ID, "")
	})
}

// Cancel ends a campaign for good. What was not sent is cancelled; deliveries in
// sending or unknown stay until their outcome is known.
func (db *DB) Cancel(ctx context.Context, by mailer.Actor, campaign string) error {
	return db.change(ctx, "cancel", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase == mailer.PhaseFinished || row.Phase == mailer.PhaseCancelled {
			return conflict("cannot cancel: campaign %s is %s already", row.ID, row.Phase)
		}
		if err := db.setPhase(ctx, tx, row, mailer.PhaseCancelled, ""); err != nil {
			return err
		}
		if err := db.cancelRest(ctx, tx, row.Num); err != nil {
			return err
		}
		return db.act(ctx, tx, by, mailer.ActCancel, row.ID, "")
	})
}

// cancelRest cancels what a cancelled campaign would never send. It is called
// again whenever an outcome or a decision gives such a campaign a delivery back.
func (db *DB) cancelRest(ctx context.Context, tx *sqlx.Tx, campaign int64) error {
	for _, from := range []mailer.State{mailer.StateClaimed, mailer.StateQueued, mailer.StateDeferred} {
		cond := ` campaign = ? AND state = '` + string(from) + `'`
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO event (delivery, n, merchant, at, kind, state, attempt)
			SELECT id, (SELECT ifnull(max(n), 0) + 1 FROM event e WHERE e.delivery = d.id), merchant, ?, 'cancel', 'cancelled', attempts
			FROM delivery d WHERE`+cond, db.now().UnixMilli(), campaign); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE delivery SET state = 'cancelled', next_at = NULL, lease = 0 WHERE`+cond, campaign)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return err
		}
		if err := count(ctx, tx, campaign, from, mailer.StateCancelled, n); err != nil {
			return err
		}
	}
	return nil
}

// Approve records one person's consent. count is what the person typed, people
// how many different ones are needed; with enough of them the campaign becomes
// approved, or scheduled where it has a time.
func (db *DB) Approve(ctx context.Context, by mailer.Actor, campaign string, count int64, people int) (approvals int, approved bool, err error) {
	who := fold(by.Name)
	if who == "" {
		return 0, false, wrap("approve "+campaign, invalid("who approves? give a name"))
	}
	err = db.change(ctx, "approve", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase != mailer.PhaseChecked {
			return standsAt(row, "approve")
		}
		if count != row.Sendable {
			// The right number is not said: who approves has to have looked.
			return invalid("%d is not the number of notices that the check of campaign %s counted: look at the check again", count, row.ID)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO approval (campaign, who, name, proof, count, digest, at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			row.Num, who, by.Name, string(by.Proof), count, row.Digest, db.now().UnixMilli())
		if unique(err) {
			return conflict("%s has approved campaign %s already: another person must", by.Name, row.ID)
		} else if err != nil {
			return err
		}
		if err := db.act(ctx, tx, by, mailer.ActApprove, row.ID, fmt.Sprintf("count %d, digest %s", count, row.Digest)); err != nil {
			return err
		}
		if err := tx.GetContext(ctx, &approvals, `SELECT count(*) FROM approval WHERE campaign = ?`, row.Num); err != nil {
			return err
		}
		if approved = approvals >= people; !approved {
			return nil
		}
		return db.setPhase(ctx, tx, row, readyPhase(row.At), "")
	})
	if err != nil {
		return 0, false, err
	}
	return approvals, approved, nil
}

// readyPhase is where an approved campaign waits.
func readyPhase(at sql.NullInt64) mailer.Phase {
	if at.Valid {
		return mailer.PhaseScheduled
	}
	return mailer.PhaseApproved
}

// Set changes the pace, the window or the time of a campaign; nil leaves as it
// is. None of them voids the approval: they say when, not what. Pace and window
// may change while the campaign runs; the time may not. A zero time takes it away.
func (db *DB) Set(ctx context.Context, by mailer.Actor, campaign string, perHour *int, window *mailer.WindowSpec, at *time.Time) error {
	if perHour != nil && *perHour < 0 {
		return wrap("set "+campaign, invalid("%d messages an hour: use 0 for no limit", *perHour))
	}
	if window != nil {
		if _, err := mailer.ParseWindow(*window); err != nil {
			return wrap("set "+campaign, err)
		}
	}
	return db.change(ctx, "set", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase == mailer.PhaseFinished || row.Phase == mailer.PhaseCancelled {
			return conflict("campaign %s is %s: nothing more is sent", row.ID, row.Phase)
		}
		if perHour != nil {
			if _, err := tx.ExecContext(ctx, `UPDATE campaign SET per_hour = ? WHERE num = ?`, *perHour, row.Num); err != nil {
				return err
			}
			if err := db.act(ctx, tx, by, mailer.ActSet, row.ID, fmt.Sprintf("per_hour %d -> %d", row.PerHour, *perHour)); err != nil {
				return err
			}
		}
		if window != nil {
			if _, err := tx.ExecContext(ctx, `UPDATE campaign SET hours = ?, days = ? WHERE num = ?`, window.Hours, window.Days, row.Num); err != nil {
				return err
			}
			detail := fmt.Sprintf("window %q %q -> %q %q", row.Hours, row.Days, window.Hours, window.Days)
			if err := db.act(ctx, tx, by, mailer.ActSet, row.ID, detail); err != nil {
				return err
			}
		}
		if at != nil {
			return db.setTime(ctx, tx, by, row, *at)
		}
		return nil
	})
}

func (db *DB) setTime(ctx context.Context, tx *sqlx.Tx, by mailer.Actor, row *campaignRow, at time.Time) error {
	if row.Phase == mailer.PhaseRunning || row.Phase == mailer.PhasePaused {
		return conflict("campaign %s has started: its time cannot change", row.ID)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE campaign SET at = ? WHERE num = ?`, ms(at), row.Num); err != nil {
		return err
	}
	row.At = sql.NullInt64{Int64: at.UnixMilli(), Valid: !at.IsZero()}
	switch row.Phase {
	case mailer.PhaseApproved, mailer.PhaseScheduled, mailer.PhaseOverdue:
		if to := readyPhase(row.At); to != row.Phase {
			if err := db.setPhase(ctx, tx, row, to, ""); err != nil {
				return err
			}
		}
	}
	return db.act(ctx, tx, by, mailer.ActSet, row.ID, "at "+at.In(mailer.JST).Format(time.RFC3339))
}

// Wake moves scheduled campaigns whose time has come to running, and those
// whose time passed more than grace ago to overdue.
func (db *DB) Wake(ctx context.Context, now time.Time, grace time.Duration) error {
	var n int
	// Looked at without the writer: almost always there is nothing to do.
	if err := db.r.GetContext(ctx, &n, `SELECT count(*) FROM campaign WHERE phase = 'scheduled' AND at <= ?`, now.UnixMilli()); err != nil || n == 0 {
		return wrap("wake campaigns", err)
	}
	return db.write(ctx, "wake campaigns", func(tx *sqlx.Tx) error {
		var rows []campaignRow
		if err := tx.SelectContext(ctx, &rows, selectCampaign+`WHERE c.phase = 'scheduled' AND c.at <= ? ORDER BY c.num`, now.UnixMilli()); err != nil {
			return err
		}
		for i := range rows {
			row := &rows[i]
			to, reason := mailer.PhaseRunning, ""
			if late := now.Sub(fromMS(row.At)); late > grace {
				to = mailer.PhaseOverdue
				reason = fmt.Sprintf("its time %s had passed by %s when the program looked", fromMS(row.At).In(mailer.JST).Format(time.RFC3339), late.Round(time.Second))
			}
			if err := db.setPhase(ctx, tx, row, to, reason); err != nil {
				return err
			}
			if err := db.act(ctx, tx, mailer.Program, mailer.ActWake, row.ID, string(to)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Settle moves a running campaign without open deliveries to finished; any other
// stays as it is.
func (db *DB) Settle(ctx context.Context, campaign string) error {
	return db.change(ctx, "settle", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase != mailer.PhaseRunning {
			return nil
		}
		c, err := counts(ctx, tx, row.Num)
		if err != nil || c.Open() > 0 {
			return err
		}
		if err := db.setPhase(ctx, tx, row, mailer.PhaseFinished, ""); err != nil {
			return err
		}
		return db.act(ctx, tx, mailer.Program, mailer.ActFinish, row.ID, "")
	})
}

// FireOnce reports whether this call is the first for the schedule at that time:
// of several processes with one cron entry, one fires.
func (db *DB) FireOnce(ctx context.Context, schedule string, at time.Time) (bool, error) {
	first := false
	err := db.write(ctx, "fire schedule "+schedule, func(tx *sqlx.Tx) error {
		r, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO schedule_fire (schedule, at) VALUES (?, ?)`, schedule, at.UnixMilli())
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		first = n == 1
		return err
	})
	return first && err == nil, err
}
