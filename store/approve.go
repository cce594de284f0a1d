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
		_, err := do(ctx, c, `INSERT INTO approval (campaign, who, name, proof, count, digest, at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			row.Num, who, by.Name, string(by.Proof), count, row.Digest, db.now().UnixMilli())
		if db.eng.Unique(err) {
			return mailer.Conflict("approve.again", "by", by.Name, "campaign", row.ID)
		} else if err != nil {
			return err
		}
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
