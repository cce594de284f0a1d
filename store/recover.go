package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// errCorrupt: the rows are not what the same transaction just read. It rolls
// everything back; it has no cause but a defect or a damaged file.
var errCorrupt = errors.New("the ledger contradicts itself")

type leaseRow struct {
	ID         int64
	Campaign   int64
	CampaignID string `db:"campaign_id"`
	Phase      mailer.Phase
	Owner      string
	Until      int64
	Deliveries string
}

const selectLease = `
	SELECT l.id, l.campaign, c.id AS campaign_id, c.phase, l.owner, l.until, l.deliveries
	FROM lease l JOIN campaign c ON c.num = l.campaign `

// Recover takes back what dead workers hold. A lease is dead when it lapsed at
// now or when its owner is gone: its claimed deliveries become queued (deferred
// where they had been tried before), those in sending become unknown, or queued
// where resend is true. Each leaves an event.
func (db *DB) Recover(ctx context.Context, now time.Time, resend bool) (mailer.Recovered, error) {
	var rec mailer.Recovered
	// Looked at without the writer: almost always every lease is alive.
	var leases []leaseRow
	if err := db.r.SelectContext(ctx, &leases, selectLease+`ORDER BY l.id`); err != nil {
		return rec, wrap("recover", err)
	}
	alive := map[string]bool{}
	var dead []int64
	for _, l := range leases {
		live, asked := alive[l.Owner]
		if !asked {
			live = db.alive(l.Owner)
			alive[l.Owner] = live
		}
		if !live || l.Until <= now.UnixMilli() {
			dead = append(dead, l.ID)
		}
	}
	if len(dead) == 0 {
		return rec, nil
	}
	err := db.write(ctx, "recover", func(tx *sqlx.Tx) error {
		// Read again: one may have been renewed or released meanwhile.
		var leases []leaseRow
		if err := tx.SelectContext(ctx, &leases, selectLease+`WHERE l.id IN (SELECT value FROM json_each(?)) ORDER BY l.id`, idArray(dead)); err != nil {
			return err
		}
		for i := range leases {
			l := &leases[i]
			if alive[l.Owner] && l.Until > now.UnixMilli() {
				continue
			}
			if err := db.takeBack(ctx, tx, l, resend, &rec); err != nil {
				return fmt.Errorf("lease %d: %w", l.ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return mailer.Recovered{}, err
	}
	if rec.Requeued+rec.Unknown > 0 {
		db.log.Warn("took back deliveries of dead workers", "requeued", rec.Requeued, "unknown", rec.Unknown)
	}
	return rec, nil
}

// takeBack ends one dead lease.
func (db *DB) takeBack(ctx context.Context, tx *sqlx.Tx, l *leaseRow, resend bool, rec *mailer.Recovered) error {
	n, err := db.giveBack(ctx, tx, l, "lapse")
	if err != nil {
		return err
	}
	rec.Requeued += n
	// sending: an attempt was made, and what came of it was not recorded.
	if n, err = db.move(ctx, tx, l, move{from: mailer.StateSending, to: mailer.StateUnknown, event: "lapse", attempt: 1}); err != nil {
		return err
	}
	if resend && n > 0 {
		if n, err = db.move(ctx, tx, l, move{from: mailer.StateUnknown, to: mailer.StateQueued, event: "resolve"}); err != nil {
			return err
		}
		rec.Requeued += n
	} else {
		rec.Unknown += n
	}
	if l.Phase == mailer.PhaseCancelled {
		if err := db.cancelRest(ctx, tx, l.Campaign); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM lease WHERE id = ?`, l.ID)
	return err
}

// giveBack puts the claimed deliveries of a lease back; event "" writes none.
func (db *DB) giveBack(ctx context.Context, tx *sqlx.Tx, l *leaseRow, event string) (int64, error) {
	fresh, err := db.move(ctx, tx, l, move{from: mailer.StateClaimed, to: mailer.StateQueued, event: event, cond: ` AND attempts = 0`})
	if err != nil {
		return 0, err
	}
	tried, err := db.move(ctx, tx, l, move{from: mailer.StateClaimed, to: mailer.StateDeferred, event: event, cond: ` AND attempts > 0`})
	if err == nil && l.Phase == mailer.PhaseCancelled && fresh+tried > 0 {
		err = db.cancelRest(ctx, tx, l.Campaign)
	}
	return fresh + tried, err
}

// move is one step of all deliveries of a lease that are in a state.
type move struct {
	from, to mailer.State
	event    string // kind; empty: none
	cond     string
	attempt  int // added to the attempts
}

func (db *DB) move(ctx context.Context, tx *sqlx.Tx, l *leaseRow, m move) (int64, error) {
	if !m.from.CanBecome(m.to) {
		return 0, fmt.Errorf("%s cannot become %s: %w", m.from, m.to, errCorrupt)
	}
	now := db.now().UnixMilli()
	cond := ` id IN (SELECT value FROM json_each(?)) AND lease = ? AND state = '` + string(m.from) + `'` + m.cond
	if m.event != "" {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO event (delivery, n, merchant, at, kind, state, attempt)
			SELECT id, (SELECT ifnull(max(n), 0) + 1 FROM event e WHERE e.delivery = d.id), merchant, ?, ?, ?, attempts + ?
			FROM delivery d WHERE`+cond, now, m.event, string(m.to), m.attempt, l.Deliveries, l.ID); err != nil {
			return 0, err
		}
	}
	set := `state = ?, attempts = attempts + ?`
	args := []any{string(m.to), m.attempt}
	switch m.to {
	case mailer.StateDeferred:
		set += `, next_at = ifnull(next_at, ?), lease = 0`
		args = append(args, now)
	case mailer.StateQueued:
		set += `, next_at = NULL, lease = 0`
	}
	r, err := tx.ExecContext(ctx, `UPDATE delivery SET `+set+` WHERE`+cond, append(args, l.Deliveries, l.ID)...)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return 0, err
	}
	return n, count(ctx, tx, l.Campaign, m.from, m.to, n)
}

// Resolve decides unknown deliveries of a campaign: accepted, where a person
// knows that the relay has it, or queued, to send it again. ref names one
// recipient; empty decides all. It returns how many were decided.
func (db *DB) Resolve(ctx context.Context, by mailer.Actor, campaign string, as mailer.State, ref string) (int64, error) {
	op := "resolve"
	if as != mailer.StateAccepted && as != mailer.StateQueued {
		return 0, wrap(op, invalid("an unknown delivery is resolved as accepted or queued, not as %q", as))
	}
	var recipient int64
	if ref != "" {
		var err error
		if recipient, err = db.names.ParseRef(ref); err != nil {
			return 0, wrap(op, err)
		}
	}
	var n int64
	err := db.change(ctx, op, campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		cond := ` campaign = ? AND state = 'unknown'`
		args := []any{row.Num}
		if ref != "" {
			cond += ` AND recipient = ?`
			args = append(args, recipient)
			var any bool
			if err := tx.GetContext(ctx, &any, `SELECT EXISTS (SELECT 1 FROM delivery WHERE`+cond+`)`, args...); err != nil {
				return err
			}
			if !any {
				return fmt.Errorf("%w: campaign %s has no unknown delivery with reference number %s", mailer.ErrNotFound, row.ID, ref)
			}
		}
		now := db.now().UnixMilli()
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, text)
			SELECT id, (SELECT ifnull(max(n), 0) + 1 FROM event e WHERE e.delivery = d.id), merchant, ?, 'resolve', ?, attempts, ?
			FROM delivery d WHERE`+cond, append([]any{now, string(as), "by " + cut(by.Name)}, args...)...); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE delivery SET state = ?, next_at = NULL, lease = 0 WHERE`+cond, append([]any{string(as)}, args...)...)
		if err != nil {
			return err
		}
		if n, err = r.RowsAffected(); err != nil {
			return err
		}
		if err := count(ctx, tx, row.Num, mailer.StateUnknown, as, n); err != nil {
			return err
		}
		if row.Phase == mailer.PhaseCancelled && as == mailer.StateQueued {
			if err := db.cancelRest(ctx, tx, row.Num); err != nil {
				return err
			}
		}
		return db.act(ctx, tx, by, mailer.ActResolve, row.ID, fmt.Sprintf("%d as %s, ref %q", n, as, ref))
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
