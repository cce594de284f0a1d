package store

import (
	"context"
	"encoding/json"

	"oshirase/mailer"
)

// revision is one number that moves whenever anything a check depends on does:
// each of the parts only ever grows, so equal sums mean that none moved.
func revision(ctx context.Context, h handle, row *campaignRow) (rev int64, err error) {
	err = get(ctx, h, &rev, `
		SELECT c.revision + i.revision + m.revision + coalesce(p.revision, 0)
		FROM campaign c JOIN incident i ON i.num = c.incident JOIN merchant m ON m.num = c.merchant
		LEFT JOIN population p ON p.incident = c.incident AND p.merchant = c.merchant
		WHERE c.num = ?`, row.Num)
	return rev, err
}

// BeginCheck takes the campaign to draft, drops its approvals, findings and the
// deliveries that were never tried, and returns the revision of everything the
// check depends on. A delivery that was tried, or that a worker holds, stays.
// ErrConflict while the campaign is running, finished or cancelled.
func (db *DB) BeginCheck(ctx context.Context, by mailer.Actor, campaign string) (rev int64, err error) {
	err = db.change(ctx, "begin check of", campaign, func(c *change, row *campaignRow) error {
		if err := c.touch(ctx, "campaign", `num = ?`, row.Num); err != nil {
			return err
		}
		switch row.Phase {
		case mailer.PhaseRunning, mailer.PhaseFinished, mailer.PhaseCancelled:
			return standsAt(row, "check")
		case mailer.PhaseDraft:
			// Another check may be under way: the revision ends it.
			if _, err := do(ctx, c, `UPDATE campaign SET revision = revision + 1 WHERE num = ?`, row.Num); err != nil {
				return err
			}
		default:
			if err := c.toDraft(ctx, by, row, "it is being checked again"); err != nil {
				return err
			}
		}
		if err := c.voidApprovals(ctx, row.Num); err != nil { // a draft has none, unless somebody made it one
			return err
		}
		if err := c.thaw(ctx, row); err != nil {
			return err
		}
		if _, err := do(ctx, c, `DELETE FROM finding WHERE campaign = ?`, row.Num); err != nil {
			return err
		}
		if _, err := do(ctx, c, `UPDATE campaign SET round = round + 1 WHERE num = ?`, row.Num); err != nil {
			return err
		}
		if rev, err = revision(ctx, c, row); err != nil {
			return err
		}
		last, err := lastRecipient(ctx, c, row)
		if err != nil {
			return err
		}
		if _, err := do(ctx, c, `UPDATE campaign SET last_id = ? WHERE num = ?`, last, row.Num); err != nil {
			return err
		}
		return c.act(ctx, by, mailer.ActCheck, row.ID, "")
	})
	return rev, err
}

const (
	// neverTried picks deliveries that were never tried; a refusal of us is no attempt.
	neverTried = ` AND first_at IS NULL AND attempts = 0`
	// withoutEvent picks those to which nothing happened: what did stays told of.
	withoutEvent = ` AND NOT EXISTS (SELECT 1 FROM event e WHERE e.delivery = delivery.id)`
	// notClaimed picks deliveries that no worker holds.
	notClaimed = ` AND NOT EXISTS (SELECT 1 FROM chunk c WHERE c.id = delivery.chunk AND c.lease IS NOT NULL)`
)

// thaw drops the deliveries of a campaign that were never tried and that no worker
// holds. What remains queued is put into chunks anew.
func (c *change) thaw(ctx context.Context, row *campaignRow) error {
	if err := c.unfreeze(ctx, row); err != nil {
		return err
	}
	for _, state := range []mailer.State{mailer.StateQueued, mailer.StateSuppressed} {
		n, err := do(ctx, c, `DELETE FROM delivery WHERE campaign = ? AND state = ?`+neverTried+notClaimed+withoutEvent, row.Num, string(state))
		if err != nil {
			return err
		}
		if err := c.count(ctx, row.Num, state, -n); err != nil {
			return err
		}
	}
	var tried []queuedRow
	if err := find(ctx, c, &tried, `SELECT id, grp AS "group" FROM delivery WHERE campaign = ? AND state = 'queued' AND held <> ?`+notClaimed+` ORDER BY id`,
		row.Num, string(holdRefreeze)); err != nil {
		return err
	}
	if _, err := do(ctx, c, `DELETE FROM chunk WHERE campaign = ? AND lease IS NULL`, row.Num); err != nil {
		return err
	}
	if err := c.rechunk(ctx, row.Num, tried); err != nil {
		return err
	}
	_, err := do(ctx, c, `UPDATE delivery SET held = '' WHERE campaign = ? AND held <> '' AND held <> ?`, row.Num, string(holdRefreeze))
	return err
}

// EndCheck stores what the check came to; without errors among the findings the
// campaign becomes checked, else it stays draft. ErrConflict where anything the
// check depends on changed since BeginCheck, or where what was frozen is not
// what was counted.
func (db *DB) EndCheck(ctx context.Context, campaign string, rev int64, snap mailer.Snapshot, result mailer.CheckResult) error {
	findings := result.Findings
	failed := result.Errors() > 0
	result.Findings = nil
	snapshot, err := json.Marshal(snap)
	if err != nil {
		return err
	}
	summary, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return db.change(ctx, "end check of", campaign, func(c *change, row *campaignRow) error {
		now, err := revision(ctx, c, row)
		if err != nil {
			return err
		}
		if now != rev || row.Phase != mailer.PhaseDraft {
			return mailer.Conflict("check.changed", "campaign", row.ID)
		}
		if err := c.touch(ctx, "campaign", `num = ?`, row.Num); err != nil {
			return err
		}
		if err := c.dropUnfrozen(ctx, row); err != nil {
			return err
		}
		if !failed {
			var frozen int64
			if err := get(ctx, c, &frozen, `SELECT count(*) FROM delivery WHERE campaign = ? AND state = 'queued'`+neverTried+notClaimed, row.Num); err != nil {
				return err
			}
			if frozen != result.Sendable {
				return mailer.Conflict("check.frozen", "campaign", row.ID, "sendable", result.Sendable, "frozen", frozen)
			}
		}
		if _, err := do(ctx, c, `DELETE FROM finding WHERE campaign = ?`, row.Num); err != nil {
			return err
		}
		for i, f := range findings {
			if _, err := do(ctx, c, `INSERT INTO finding (campaign, n, severity, rule, message, ref) VALUES (?, ?, ?, ?, ?, ?)`,
				row.Num, i+1, string(f.Severity), f.Rule, f.Message, f.Ref); err != nil {
				return err
			}
		}
		if _, err := do(ctx, c, `UPDATE campaign SET snapshot = ?, result = ?, notice_on = ?, digest = ?, sendable = ? WHERE num = ?`,
			string(snapshot), string(summary), snap.NoticeOn.String(), result.Digest, result.Sendable, row.Num); err != nil {
			return err
		}
		if failed {
			_, err := do(ctx, c, `UPDATE campaign SET reason = 'the check found errors' WHERE num = ?`, row.Num)
			return err
		}
		return c.setPhase(ctx, row, mailer.PhaseChecked, "")
	})
}
