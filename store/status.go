package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// Status returns one campaign, or all with an empty id, oldest first.
func (db *DB) Status(ctx context.Context, campaign string) ([]mailer.CampaignStatus, error) {
	var out []mailer.CampaignStatus
	err := db.read(ctx, "status", func(tx *sqlx.Tx) error {
		var rows []campaignRow
		q, args := selectCampaign+`ORDER BY c.num`, []any(nil)
		if campaign != "" {
			q, args = selectCampaign+`WHERE c.id = ?`, []any{campaign}
		}
		if err := tx.SelectContext(ctx, &rows, q, args...); err != nil {
			return err
		}
		if campaign != "" && len(rows) == 0 {
			return missing(sql.ErrNoRows, "campaign", campaign)
		}
		groups, err := db.waits(ctx, tx, mailer.WaitGroup)
		if err != nil {
			return err
		}
		waits, err := db.waits(ctx, tx, mailer.WaitCampaign)
		if err != nil {
			return err
		}
		out = make([]mailer.CampaignStatus, len(rows))
		for i := range rows {
			s := &out[i]
			if err := db.status(ctx, tx, &rows[i], s); err != nil {
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
			if s.Groups, err = db.groups(ctx, tx, &rows[i], s.Counts, groups); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Rate is how many messages a second relays accepted of all running campaigns in
// the last ten to twenty seconds.
func (db *DB) Rate(ctx context.Context) (float64, error) {
	now := db.now()
	slot := now.Unix()/slotSeconds - 1
	var n int64
	err := db.r.GetContext(ctx, &n, `
		SELECT ifnull(sum(t.accepted), 0) FROM campaign c JOIN campaign_tick t ON t.campaign = c.num AND t.slot >= ?
		WHERE c.phase = 'running'`, slot)
	return float64(n) / now.Sub(time.Unix(slot*slotSeconds, 0)).Seconds(), wrap("find the rate", err)
}

// slotSeconds is the width of campaign_tick.slot.
const slotSeconds = 10

func (db *DB) status(ctx context.Context, tx *sqlx.Tx, row *campaignRow, s *mailer.CampaignStatus) (err error) {
	if s.Campaign, err = row.campaign(); err != nil {
		return err
	}
	if s.Counts, err = counts(ctx, tx, row.Num); err != nil {
		return err
	}
	s.Total, s.Sendable = s.Counts.Total(), row.Sendable
	now := db.now().Unix() / slotSeconds
	var n struct {
		First, Last, Next, Started, Ended sql.NullInt64
		Rate                              int64
		Approvals, Leases                 int
	}
	if err := tx.GetContext(ctx, &n, `
		SELECT (SELECT first_at FROM campaign_tick WHERE campaign = ?1 ORDER BY slot LIMIT 1) AS first,
		       (SELECT last_at FROM campaign_tick WHERE campaign = ?1 ORDER BY slot DESC LIMIT 1) AS last,
		       (SELECT min(next_at) FROM delivery WHERE campaign = ?1 AND state = 'deferred') AS next,
		       (SELECT started_at FROM campaign WHERE num = ?1) AS started,
		       (SELECT ended_at FROM campaign WHERE num = ?1) AS ended,
		       (SELECT ifnull(sum(accepted), 0) FROM campaign_tick WHERE campaign = ?1 AND slot BETWEEN ?2 AND ?3) AS rate,
		       (SELECT count(*) FROM approval WHERE campaign = ?1) AS approvals,
		       (SELECT count(*) FROM lease WHERE campaign = ?1) AS leases`,
		row.Num, now-60/slotSeconds, now-1); err != nil {
		return err
	}
	s.FirstAccepted, s.LastAccepted, s.NextDue = fromMS(n.First), fromMS(n.Last), fromMS(n.Next)
	s.StartedAt, s.EndedAt = fromMS(n.Started), fromMS(n.Ended)
	s.PerMinute, s.Approvals, s.Leases = n.Rate, n.Approvals, n.Leases
	return nil
}
