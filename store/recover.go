package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
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
}

const selectLease = `
	SELECT l.id, l.campaign, c.id AS campaign_id, c.phase, l.owner, l.until
	FROM lease l JOIN campaign c ON c.num = l.campaign `

// Recover takes back what dead workers hold. A lease is dead when it lapsed at
// now or when its owner is gone: what was not begun may be claimed again, deliveries in
// sending become unknown, or queued where resend is true; each of these leaves an event.
func (db *DB) Recover(ctx context.Context, now time.Time, resend bool) (rec mailer.Recovered, err error) {
	defer db.explain(&err, "recover")
	// Looked at without the writer: almost always every lease is alive.
	var leases []leaseRow
	if err := find(ctx, db.pool(), &leases, selectLease+`ORDER BY l.id`); err != nil {
		return rec, err
	}
	alive := map[string]bool{}
	dead := func(l *leaseRow) bool {
		live, asked := alive[l.Owner]
		if !asked {
			live = db.eng.Alive(l.Owner)
			alive[l.Owner] = live
		}
		return !live || l.Until <= now.UnixMilli()
	}
	var ids []int64
	for i := range leases {
		if dead(&leases[i]) {
			ids = append(ids, leases[i].ID)
		}
	}
	if len(ids) == 0 {
		return rec, nil
	}
	err = db.write(ctx, func(c *change) error {
		// Read again: one may have been renewed or released meanwhile.
		cond, arg := db.eng.In("l.id", ids)
		var leases []leaseRow
		if err := find(ctx, c, &leases, selectLease+`WHERE `+cond+` ORDER BY l.id`, arg); err != nil {
			return err
		}
		for i := range leases {
			if !dead(&leases[i]) {
				continue
			}
			if err := c.takeBack(ctx, &leases[i], resend, &rec); err != nil {
				return fmt.Errorf("lease %d: %w", leases[i].ID, err)
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
func (c *change) takeBack(ctx context.Context, l *leaseRow, resend bool, rec *mailer.Recovered) error {
	chunks, err := c.leasedChunks(ctx, l.ID)
	if err != nil {
		return err
	}
	at := millis(c.db.now())
	for i := range chunks {
		chunk := &chunks[i]
		rec.Requeued += int64(len(chunk.queued))
		if err := c.free(ctx, chunk, l.Campaign, nil); err != nil {
			return err
		}
		rows := make([]queuedRow, len(chunk.sending))
		for i, id := range chunk.sending {
			rows[i] = queuedRow{Row: engine.Row{ID: id, At: at}, Group: chunk.Group}
		}
		// sending: an attempt was made, and what came of it was not recorded.
		lapse := move{campaign: l.CampaignID, Step: engine.Step{
			Campaign: l.Campaign, Phase: l.Phase, Lease: l.ID, From: mailer.StateSending, To: mailer.StateUnknown, Kind: mailer.EventLapse, Tried: true, At: at,
		}}
		if err := c.moveRows(ctx, lapse, rows); err != nil {
			return err
		}
		if !resend {
			rec.Unknown += int64(len(rows))
			continue
		}
		again := move{campaign: l.CampaignID, Step: engine.Step{
			Campaign: l.Campaign, Phase: l.Phase, From: mailer.StateUnknown, To: mailer.StateQueued, Kind: mailer.EventResolve, At: at,
		}}
		if err := c.moveRows(ctx, again, rows); err != nil {
			return err
		}
		rec.Requeued += int64(len(rows))
	}
	if l.Phase == mailer.PhaseCancelled {
		if err := c.cancelRest(ctx, &campaignRow{Num: l.Campaign, ID: l.CampaignID, Phase: l.Phase}); err != nil {
			return err
		}
	}
	_, err = do(ctx, c, `DELETE FROM lease WHERE id = ?`, l.ID)
	return err
}

// Resolve decides unknown deliveries of a campaign: accepted, where a person
// knows that the relay has it, or queued, to send it again. ref names one
// recipient; empty decides all. It returns how many were decided.
func (db *DB) Resolve(ctx context.Context, by mailer.Actor, campaign string, as mailer.State, ref string) (n int64, err error) {
	defer db.explain(&err, "resolve %s", campaign)
	if as != mailer.StateAccepted && as != mailer.StateQueued {
		return 0, mailer.Invalid("resolve.as", "as", as)
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
		at := millis(db.now())
		m := move{Step: engine.Step{
			From: mailer.StateUnknown, To: as, Kind: mailer.EventResolve, At: at,
			Rows: []engine.Row{{Text: "by " + cut(by.Name)}},
		}}
		if n, err = c.moveAll(ctx, row, m, only, args...); err != nil {
			return err
		}
		if n == 0 && ref != "" {
			return mailer.NotFound("resolve.none", "campaign", row.ID, "ref", ref)
		}
		if row.Phase == mailer.PhaseCancelled && as == mailer.StateQueued {
			if err := c.cancelRest(ctx, row); err != nil {
				return err
			}
		}
		return c.act(ctx, by, mailer.ActResolve, row.ID, fmt.Sprintf("%d as %s, ref %q", n, as, ref))
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
