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
	mailer.Draft:     {mailer.Checked, mailer.Cancelled},
	mailer.Checked:   {mailer.Draft, mailer.Approved, mailer.Scheduled, mailer.Cancelled},
	mailer.Approved:  {mailer.Draft, mailer.Scheduled, mailer.Running, mailer.Cancelled},
	mailer.Scheduled: {mailer.Draft, mailer.Approved, mailer.Overdue, mailer.Running, mailer.Cancelled},
	mailer.Overdue:   {mailer.Draft, mailer.Approved, mailer.Scheduled, mailer.Running, mailer.Cancelled},
	mailer.Running:   {mailer.Draft, mailer.Paused, mailer.Finished, mailer.Cancelled},
	mailer.Paused:    {mailer.Draft, mailer.Running, mailer.Cancelled},
}

// hint says what to do about a campaign that stands in the way.
func hint(p mailer.Phase) string {
	switch p {
	case mailer.Draft:
		return ": run `campaign check` first"
	case mailer.Checked:
		return ": run `campaign approve` first"
	case mailer.Approved, mailer.Overdue:
		return ": run `campaign start`"
	case mailer.Running:
		return ": run `campaign pause` first"
	case mailer.Paused:
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
	set := `phase = ?, reason = ?, waiting = ''`
	args := []any{string(to), reason}
	now := db.now().UnixMilli()
	switch to {
	case mailer.Running:
		set += `, started_at = ifnull(started_at, ?)`
		args = append(args, now)
	case mailer.Finished, mailer.Cancelled:
		set += `, ended_at = ?`
		args = append(args, now)
	case mailer.Draft:
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
func (db *DB) toDraft(ctx context.Context, tx *sqlx.Tx, row *campaignRow, reason string) error {
	if err := db.setPhase(ctx, tx, row, mailer.Draft, reason); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM approval WHERE campaign = ?`, row.Num); err != nil {
		return err
	}
	return db.audit(ctx, tx, "", "void", row.ID, reason)
}

// voidWhere voids every campaign that was checked and is not at its end.
func (db *DB) voidWhere(ctx context.Context, tx *sqlx.Tx, reason, where string, args ...any) error {
	var rows []campaignRow
	if err := tx.SelectContext(ctx, &rows, selectCampaign+`
		WHERE c.phase IN ('checked', 'approved', 'scheduled', 'overdue', 'running', 'paused') AND c.`+where, args...); err != nil {
		return err
	}
	for i := range rows {
		if err := db.toDraft(ctx, tx, &rows[i], reason); err != nil {
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
func (db *DB) Void(ctx context.Context, campaign, reason string) error {
	return db.change(ctx, "void", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase == mailer.Draft {
			return nil
		}
		return db.toDraft(ctx, tx, row, reason)
	})
}

// Pause moves a running campaign to paused, with a reason for people. From then
// on no intent of any process is committed.
func (db *DB) Pause(ctx context.Context, campaign, reason string) error {
	return db.change(ctx, "pause", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase != mailer.Running {
			return conflict("cannot pause: campaign %s is %s", row.ID, row.Phase)
		}
		if err := db.setPhase(ctx, tx, row, mailer.Paused, reason); err != nil {
			return err
		}
		return db.audit(ctx, tx, "", "pause", row.ID, reason)
	})
}

// Resume moves a paused campaign back to running.
func (db *DB) Resume(ctx context.Context, campaign string) error {
	return db.change(ctx, "resume", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase != mailer.Paused {
			return conflict("cannot resume: campaign %s is %s, not paused%s", row.ID, row.Phase, hintUnless(row.Phase, mailer.Running))
		}
		if err := db.setPhase(ctx, tx, row, mailer.Running, ""); err != nil {
			return err
		}
		return db.audit(ctx, tx, "", "resume", row.ID, "")
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
func (db *DB) Start(ctx context.Context, campaign string, now bool) error {
	return db.change(ctx, "start", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		switch row.Phase {
		case mailer.Approved, mailer.Overdue:
		case mailer.Scheduled:
			if !now && db.now().Before(fromMS(row.At)) {
				return nil
			}
		default:
			return standsAt(row, "start")
		}
		if err := db.setPhase(ctx, tx, row, mailer.Running, ""); err != nil {
			return err
		}
		return db.audit(ctx, tx, "", "start", row.ID, "")
	})
}

// Cancel ends a campaign for good. What was not sent is cancelled; deliveries in
// sending or unknown stay until their outcome is known.
func (db *DB) Cancel(ctx context.Context, campaign, by string) error {
	return db.change(ctx, "cancel", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase == mailer.Finished || row.Phase == mailer.Cancelled {
			return conflict("cannot cancel: campaign %s is %s already", row.ID, row.Phase)
		}
		if err := db.setPhase(ctx, tx, row, mailer.Cancelled, ""); err != nil {
			return err
		}
		if err := db.cancelRest(ctx, tx, row.Num); err != nil {
			return err
		}
		return db.audit(ctx, tx, by, "cancel", row.ID, "")
	})
}

// cancelRest cancels what a cancelled campaign would never send. It is called
// again whenever an outcome or a decision gives such a campaign a delivery back.
func (db *DB) cancelRest(ctx context.Context, tx *sqlx.Tx, campaign int64) error {
	for _, from := range []mailer.State{mailer.Claimed, mailer.Queued, mailer.Deferred} {
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
		if err := count(ctx, tx, campaign, from, mailer.Canceled, n); err != nil {
			return err
		}
	}
	return nil
}

// Approve records one person's consent. count is what the person typed, people
// how many different ones are needed; with enough of them the campaign becomes
// approved, or scheduled where it has a time.
func (db *DB) Approve(ctx context.Context, campaign, by string, count int64, people int) (approvals int, approved bool, err error) {
	who := fold(by)
	if who == "" {
		return 0, false, wrap("approve "+campaign, invalid("who approves? give a name"))
	}
	err = db.change(ctx, "approve", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase != mailer.Checked {
			return standsAt(row, "approve")
		}
		if count != row.Sendable {
			// The right number is not said: who approves has to have looked.
			return invalid("%d is not the number of notices that the check of campaign %s counted: look at the check again", count, row.ID)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO approval (campaign, who, name, count, digest, at) VALUES (?, ?, ?, ?, ?, ?)`,
			row.Num, who, by, count, row.Digest, db.now().UnixMilli())
		if unique(err) {
			return conflict("%s has approved campaign %s already: another person must", by, row.ID)
		} else if err != nil {
			return err
		}
		if err := db.audit(ctx, tx, by, "approve", row.ID, fmt.Sprintf("count %d, digest %s", count, row.Digest)); err != nil {
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
		return mailer.Scheduled
	}
	return mailer.Approved
}

// Set changes the pace, the window or the time of a campaign; nil leaves as it
// is. None of them voids the approval: they say when, not what. Pace and window
// may change while the campaign runs; the time may not. A zero time takes it away.
func (db *DB) Set(ctx context.Context, campaign string, perHour *int, window *mailer.WindowSpec, at *time.Time) error {
	if perHour != nil && *perHour < 0 {
		return wrap("set "+campaign, invalid("%d messages an hour: use 0 for no limit", *perHour))
	}
	if window != nil {
		if _, err := mailer.ParseWindow(*window); err != nil {
			return wrap("set "+campaign, err)
		}
	}
	return db.change(ctx, "set", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase == mailer.Finished || row.Phase == mailer.Cancelled {
			return conflict("campaign %s is %s: nothing more is sent", row.ID, row.Phase)
		}
		if perHour != nil {
			if _, err := tx.ExecContext(ctx, `UPDATE campaign SET per_hour = ? WHERE num = ?`, *perHour, row.Num); err != nil {
				return err
			}
			if err := db.audit(ctx, tx, "", "set", row.ID, fmt.Sprintf("per_hour %d -> %d", row.PerHour, *perHour)); err != nil {
				return err
			}
		}
		if window != nil {
			if _, err := tx.ExecContext(ctx, `UPDATE campaign SET hours = ?, days = ? WHERE num = ?`, window.Hours, window.Days, row.Num); err != nil {
				return err
			}
			detail := fmt.Sprintf("window %q %q -> %q %q", row.Hours, row.Days, window.Hours, window.Days)
			if err := db.audit(ctx, tx, "", "set", row.ID, detail); err != nil {
				return err
			}
		}
		if at != nil {
			return db.setTime(ctx, tx, row, *at)
		}
		return nil
	})
}

func (db *DB) setTime(ctx context.Context, tx *sqlx.Tx, row *campaignRow, at time.Time) error {
	if row.Phase == mailer.Running || row.Phase == mailer.Paused {
		return conflict("campaign %s has started: its time cannot change", row.ID)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE campaign SET at = ? WHERE num = ?`, ms(at), row.Num); err != nil {
		return err
	}
	row.At = sql.NullInt64{Int64: at.UnixMilli(), Valid: !at.IsZero()}
	switch row.Phase {
	case mailer.Approved, mailer.Scheduled, mailer.Overdue:
		if to := readyPhase(row.At); to != row.Phase {
			if err := db.setPhase(ctx, tx, row, to, ""); err != nil {
				return err
			}
		}
	}
	return db.audit(ctx, tx, "", "set", row.ID, "at "+at.In(mailer.JST).Format(time.RFC3339))
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
			to, reason := mailer.Running, ""
			if late := now.Sub(fromMS(row.At)); late > grace {
				to = mailer.Overdue
				reason = fmt.Sprintf("its time %s had passed by %s when the program looked", fromMS(row.At).In(mailer.JST).Format(time.RFC3339), late.Round(time.Second))
			}
			if err := db.setPhase(ctx, tx, row, to, reason); err != nil {
				return err
			}
			if err := db.audit(ctx, tx, "", "wake", row.ID, string(to)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Wait notes why nothing of a running campaign is sent now, for people to see;
// empty: it is being sent. A campaign that is not running stays as it is.
func (db *DB) Wait(ctx context.Context, campaign, why string) error {
	op := "note wait of " + campaign
	var same bool
	err := db.r.GetContext(ctx, &same, `SELECT waiting = ? OR phase <> 'running' FROM campaign WHERE id = ?`, why, campaign)
	if err != nil || same {
		return wrap(op, missing(err, "campaign", campaign))
	}
	return db.write(ctx, op, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE campaign SET waiting = ? WHERE id = ? AND phase = 'running'`, why, campaign)
		return err
	})
}

// Settle moves a running campaign without open deliveries to finished; any other
// stays as it is.
func (db *DB) Settle(ctx context.Context, campaign string) error {
	return db.change(ctx, "settle", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase != mailer.Running {
			return nil
		}
		c, err := counts(ctx, tx, row.Num)
		if err != nil || c.Open() > 0 {
			return err
		}
		if err := db.setPhase(ctx, tx, row, mailer.Finished, ""); err != nil {
			return err
		}
		return db.audit(ctx, tx, "", "finish", row.ID, "")
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
