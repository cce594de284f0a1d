package store

import (
	"context"
	"database/sql"
	"fmt"

	"oshirase/mailer"
	"oshirase/store/seal"
)

// Approve records one person's consent. count is what the person typed, people
// how many different ones are needed; with enough of them the campaign becomes
// approved, or scheduled where it has a time.
func (db *DB) Approve(ctx context.Context, by mailer.Actor, campaign string, count int64, people int) (approvals int, approved bool, err error) {
	who := seal.Fold(by.Name)
	if who == "" {
		return 0, false, mailer.Invalid("actor.missing")
	}
	err = db.change(ctx, "approve", campaign, func(c *change, row *campaignRow) error {
		if row.Phase != mailer.PhaseChecked {
			return standsAt(row, "approve")
		}
		if count != row.Sendable {
			// The right number is not said: who approves has to have looked.
			return mailer.Invalid("approve.count", "count", count, "campaign", row.ID)
		}
		var num int64
		err := get(ctx, c, &num, `INSERT INTO approval (campaign, who, name, proof, count, digest, at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING num`,
			row.Num, who, by.Name, string(by.Proof), count, row.Digest, db.now().UnixMilli())
		if db.eng.Unique(err) {
			return mailer.Conflict("approve.again", "by", by.Name, "campaign", row.ID)
		} else if err != nil {
			return err
		}
		c.made("approval", `num = ?`, num)
		if err := c.act(ctx, by, mailer.ActApprove, row.ID, fmt.Sprintf("count %d, digest %s", count, row.Digest)); err != nil {
			return err
		}
		if err := get(ctx, c, &approvals, `SELECT count(*) FROM approval WHERE campaign = ? AND voided_at IS NULL`, row.Num); err != nil {
			return err
		}
		if approved = approvals >= people; !approved {
			return nil
		}
		return c.setPhase(ctx, row, readyPhase(row.At), "")
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

// approvalsStand refuses a campaign whose approvals are not as they were given, or do
// not bind what it says now.
func (r *Reader) approvalsStand(ctx context.Context, h handle, campaign int64) error {
	var row struct{ ID, Digest string }
	if err := get(ctx, h, &row, `SELECT id, digest FROM campaign WHERE num = ?`, campaign); err != nil {
		return err
	}
	var rows []struct {
		Num    int64
		Digest string
	}
	if err := find(ctx, h, &rows, `SELECT num, digest FROM approval WHERE campaign = ? AND voided_at IS NULL`, campaign); err != nil {
		return err
	}
	if len(rows) == 0 {
		return mailer.NewError(mailer.ErrDamaged, "campaign.unapproved", "campaign", row.ID)
	}
	for _, a := range rows {
		if _, err := r.proved(ctx, h, controlRow{"approval", `num = ?`, []any{a.Num}}); err != nil {
			return err
		}
		if a.Digest != row.Digest {
			return mailer.NewError(mailer.ErrDamaged, "campaign.unapproved", "campaign", row.ID)
		}
	}
	return nil
}
