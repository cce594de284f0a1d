package store

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// Overlaps counts, for every other campaign of the same stage to the same people
// that was checked and has not ended, how many of this campaign's queued
// recipients are open there too: they would get both. The order is that of the
// campaigns' making.
func (r *Reader) Overlaps(ctx context.Context, campaign string) (ids []string, people []int64, err error) {
	defer r.explain(&err, "find overlaps of %s", campaign)
	err = r.read(ctx, func(tx *sqlx.Tx) error {
		row, err := findCampaign(ctx, tx, campaign)
		if err != nil {
			return err
		}
		var others []struct {
			Num int64
			ID  string
		}
		if err := find(ctx, tx, &others, `
			SELECT num, id FROM campaign WHERE incident = ? AND merchant = ? AND stage = ? AND num <> ?
			AND phase IN ('checked', 'approved', 'scheduled', 'overdue', 'running', 'paused') ORDER BY num`,
			row.IncidentNum, row.MerchantNum, row.Stage, row.Num); err != nil {
			return err
		}
		for _, o := range others {
			var n int64
			if err := get(ctx, tx, &n, `
				SELECT count(*) FROM delivery d JOIN delivery o ON o.recipient = d.recipient AND o.campaign = ?
				WHERE d.campaign = ? AND d.state = 'queued' AND o.state IN ('queued', 'sending', 'deferred', 'unknown')`,
				o.Num, row.Num); err != nil {
				return err
			}
			if n > 0 {
				ids, people = append(ids, o.ID), append(people, n)
			}
		}
		return nil
	})
	return ids, people, err
}
