package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// CountAcceptances are the differences from declared counts that somebody has accepted
// for a campaign, oldest first; never nil.
func (r *Reader) CountAcceptances(ctx context.Context, campaign string) (all []mailer.CountAcceptance, err error) {
	defer r.explain(&err, "find accepted counts of %s", campaign)
	k, err := r.campaignKey(ctx, r.pool(), campaign)
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Exposure        string
		Declared, Found int64
		Who             string
		Proof           mailer.Proof
		Reason          string
		At              int64
	}
	err = r.read(ctx, func(tx *sqlx.Tx) error {
		if err := r.provedAll(ctx, tx, "count_acceptance", `campaign = ?`, k.num); err != nil {
			return err
		}
		return find(ctx, tx, &rows, `
			SELECT exposure, declared, found, who, proof, reason, at FROM count_acceptance WHERE campaign = ? ORDER BY num`, k.num)
	})
	if err != nil {
		return nil, err
	}
	all = make([]mailer.CountAcceptance, len(rows))
	for i, row := range rows {
		all[i] = mailer.CountAcceptance{
			Exposure: row.Exposure, Declared: row.Declared, Found: row.Found, By: row.Who, Proof: row.Proof, Reason: row.Reason,
			At: time.UnixMilli(row.At).UTC(),
		}
	}
	return all, nil
}

// AcceptCounts records that somebody accepts these differences, for a reason.
func (db *DB) AcceptCounts(ctx context.Context, by mailer.Actor, campaign, reason string, of []mailer.CountAcceptance) error {
	return db.change(ctx, "accept counts of", campaign, func(c *change, row *campaignRow) error {
		for _, a := range of {
			var num int64
			if err := get(ctx, c, &num, `
				INSERT INTO count_acceptance (campaign, exposure, declared, found, who, proof, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING num`,
				row.Num, a.Exposure, a.Declared, a.Found, by.Name, string(by.Proof), reason, c.db.now().UnixMilli()); err != nil {
				return err
			}
			c.made("count_acceptance", `num = ?`, num)
			detail := fmt.Sprintf("exposure %s: declared %d, found %d: %s", a.Exposure, a.Declared, a.Found, reason)
			if err := c.act(ctx, by, mailer.ActCount, row.ID, detail); err != nil {
				return err
			}
		}
		return nil
	})
}
