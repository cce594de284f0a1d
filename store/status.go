package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// Status returns one campaign, or all with an empty id, oldest first.
func (r *Reader) Status(ctx context.Context, campaign string) (out []mailer.CampaignStatus, err error) {
	defer r.explain(&err, "status")
	err = r.read(ctx, func(tx *sqlx.Tx) error {
		var rows []campaignRow
		q, args := selectCampaign+`ORDER BY c.num`, []any(nil)
		if campaign != "" {
			q, args = selectCampaign+`WHERE c.id = ?`, []any{campaign}
		}
		if err := find(ctx, tx, &rows, q, args...); err != nil {
			return err
		}
		if campaign != "" && len(rows) == 0 {
			return missing(sql.ErrNoRows, "campaign", campaign)
		}
		groups, err := r.waits(ctx, tx, mailer.WaitGroup)
		if err != nil {
			return err
		}
		waits, err := r.waits(ctx, tx, mailer.WaitCampaign)
		if err != nil {
			return err
		}
		out = make([]mailer.CampaignStatus, len(rows))
		for i := range rows {
			s := &out[i]
			if err := r.status(ctx, tx, &rows[i], s); err != nil {
				return err
			}
			if s.Phase != mailer.PhaseRunning {
				continue
			}
			for _, w := range waits {
				if w.Name == s.ID {
					s.Waits = append(s.Waits, w)
				}
			}
			if s.Groups, err = r.groups(ctx, tx, &rows[i], s.Counts, groups); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Rate is how many messages a second relays accepted of all running campaigns in
// the last ten to twenty seconds.
func (r *Reader) Rate(ctx context.Context) (rate float64, err error) {
	defer r.explain(&err, "find the rate")
	now := r.now()
	slot := now.Unix()/slotSeconds - 1
	var n int64
	err = get(ctx, r.pool(), &n, `
		SELECT coalesce(sum(t.accepted), 0) FROM campaign c JOIN campaign_tick t ON t.campaign = c.num AND t.slot >= ?
		WHERE c.phase = 'running'`, slot)
	return float64(n) / now.Sub(time.Unix(slot*slotSeconds, 0)).Seconds(), err
}

// slotSeconds is the width of campaign_tick.slot.
const slotSeconds = 10

func (r *Reader) status(ctx context.Context, h handle, row *campaignRow, s *mailer.CampaignStatus) (err error) {
	if s.Campaign, err = row.campaign(); err != nil {
		return err
	}
	if s.Counts, err = r.counts(ctx, h, row.Num); err != nil {
		return err
	}
	s.Total, s.Sendable = s.Counts.Total(), row.Sendable
	if s.Held, err = heldCounts(ctx, h, row.Num); err != nil {
		return err
	}
	now := r.now().Unix() / slotSeconds
	var n struct {
		First, Last, Next, Started, Ended sql.NullInt64
		Rate                              int64
		Approvals, Leases                 int
	}
	if err := get(ctx, h, &n, `
		SELECT (SELECT first_at FROM campaign_tick WHERE campaign = k.num ORDER BY slot LIMIT 1) AS first,
		       (SELECT last_at FROM campaign_tick WHERE campaign = k.num ORDER BY slot DESC LIMIT 1) AS last,
		       (SELECT min(next_at) FROM delivery WHERE campaign = k.num AND state = 'deferred') AS next,
		       k.started_at AS started, k.ended_at AS ended,
		       (SELECT coalesce(sum(accepted), 0) FROM campaign_tick WHERE campaign = k.num AND slot BETWEEN ? AND ?) AS rate,
		       (SELECT count(*) FROM approval WHERE campaign = k.num AND voided_at IS NULL) AS approvals,
		       (SELECT count(*) FROM lease WHERE campaign = k.num) AS leases
		FROM campaign k WHERE k.num = ?`,
		now-60/slotSeconds, now-1, row.Num); err != nil {
		return err
	}
	s.FirstAccepted, s.LastAccepted, s.NextDue = fromMS(n.First), fromMS(n.Last), fromMS(n.Next)
	s.StartedAt, s.EndedAt = fromMS(n.Started), fromMS(n.Ended)
	s.PerMinute, s.Approvals, s.Leases = n.Rate, n.Approvals, n.Leases
	return nil
}
