package store

import (
	"context"
	"encoding/json"
	"fmt"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

// Halt pauses a running campaign for what the program found, with the same in words
// for people; one that is not running any more stays as it is.
func (db *DB) Halt(ctx context.Context, campaign string, why mailer.Halt, reason string) error {
	body, err := json.Marshal(&why)
	if err != nil {
		return err
	}
	return db.change(ctx, "halt", campaign, func(c *change, row *campaignRow) error {
		if row.Phase != mailer.PhaseRunning {
			return nil
		}
		if err := c.setPhase(ctx, row, mailer.PhasePaused, reason); err != nil {
			return err
		}
		if _, err := do(ctx, c, `UPDATE campaign SET halt = ? WHERE num = ?`, string(body), row.Num); err != nil {
			return err
		}
		return c.act(ctx, mailer.Program, mailer.ActPause, row.ID, reason)
	})
}

// releasable are the holds that a person lifts by having the deliveries sent again:
// what was approved is sent, as it was.
const releasable = ` AND state = 'queued' AND held IN ('compose', 'refused')`

// putBack puts back into the queue what is held and may be sent as it is; only picks, as
// in moveAll. It returns how many.
func (c *change) putBack(ctx context.Context, by mailer.Actor, row *campaignRow, only string, args ...any) (n int64, err error) {
	at := millis(c.db.now())
	for {
		var ids []struct {
			ID  int64
			Grp string
		}
		if err := find(ctx, c, &ids, `SELECT id, grp FROM delivery WHERE campaign = ? AND held <> ''`+releasable+only+` ORDER BY id LIMIT ?`,
			append(append([]any{row.Num}, args...), movePage)...); err != nil {
			return n, err
		}
		if len(ids) == 0 {
			return n, nil
		}
		rows := make([]queuedRow, len(ids))
		nums := make([]int64, len(ids))
		for i, r := range ids {
			rows[i] = queuedRow{Row: engine.Row{ID: r.ID, At: at, Text: "by " + cut(by.Name)}, Group: r.Grp}
			nums[i] = r.ID
		}
		// Not held, and in no chunk yet: 0 is none.
		cond, arg := c.db.eng.In("id", nums)
		if _, err := do(ctx, c, `UPDATE delivery SET held = '', chunk = 0 WHERE `+cond, arg); err != nil {
			return n, err
		}
		m := move{campaign: row.ID, Step: engine.Step{
			Campaign: row.Num, Phase: row.Phase, From: mailer.StateQueued, To: mailer.StateQueued, Kind: mailer.EventRequeue, At: at,
		}}
		if err := c.moveRows(ctx, m, rows); err != nil {
			return n, err
		}
		n += int64(len(ids))
	}
}

// onlyRef is a further condition on deliveries: of one reference number, or with an
// empty one of all.
func (r *Reader) onlyRef(ref string) (condition string, args []any, err error) {
	if ref == "" {
		return "", nil, nil
	}
	recipient, err := r.names.ParseRef(ref)
	return ` AND recipient = ?`, []any{recipient}, err
}

// Requeue has deliveries sent again that were rejected, have expired, or (from queued)
// are held: that of one reference number, or all with an empty one. Their deadline
// begins anew, what was approved is what is sent, and a campaign that was finished is
// running again. ErrConflict where the campaign is neither running, paused nor finished.
func (db *DB) Requeue(ctx context.Context, by mailer.Actor, campaign string, from mailer.State, ref string) (n int64, err error) {
	defer db.explain(&err, "requeue %s", campaign)
	if from != mailer.StateRejected && from != mailer.StateExpired && from != mailer.StateQueued {
		return 0, mailer.Invalid("requeue.state", "state", from)
	}
	only, args, err := db.onlyRef(ref)
	if err != nil {
		return 0, err
	}
	err = db.write(ctx, func(c *change) error {
		row, err := findCampaign(ctx, c, campaign)
		if err != nil {
			return err
		}
		switch row.Phase {
		case mailer.PhaseRunning, mailer.PhasePaused, mailer.PhaseFinished:
		default:
			return standsAt(row, "requeue")
		}
		if _, err := db.incidentKeys(ctx, c, row.IncidentNum); err != nil {
			return err // nothing could be sent
		}
		if n, err = c.requeue(ctx, by, row, from, only, args...); err != nil {
			return err
		}
		switch {
		case n == 0 && ref != "":
			return mailer.NotFound("requeue.none", "campaign", row.ID, "ref", ref)
		case n > 0 && row.Phase == mailer.PhaseFinished:
			if err := c.setPhase(ctx, row, mailer.PhaseRunning, ""); err != nil {
				return err
			}
		}
		// Meanwhile another campaign may have told them.
		if err := c.holdRepeats(ctx, row); err != nil {
			return err
		}
		return c.act(ctx, by, mailer.ActRequeue, row.ID, fmt.Sprintf("%d that were %s, ref %q", n, from, ref))
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (c *change) requeue(ctx context.Context, by mailer.Actor, row *campaignRow, from mailer.State, only string, args ...any) (int64, error) {
	if from == mailer.StateQueued {
		return c.putBack(ctx, by, row, only, args...)
	}
	return c.moveAll(ctx, row, move{Step: engine.Step{
		From: from, To: mailer.StateQueued, Kind: mailer.EventRequeue, At: millis(c.db.now()),
		Rows: []engine.Row{{Text: "by " + cut(by.Name)}},
	}}, only, args...)
}
