package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/approval"
	"oshirase/mailer/japanese"
)

// Approve records one person's consent to campaigns as they are checked: to all of them,
// or none. count is what the person typed: how many notices they send together. The
// policy is that of the config, which has to be the one in force (see KeepPolicy). With
// enough approvals a campaign becomes approved, or scheduled where it has a time.
//
// Where there is a signature it is verified before it is kept: it has to be over a text
// that the ledger keeps for the campaigns' checks, by the person's registered key.
func (db *DB) Approve(ctx context.Context, by mailer.Actor, campaigns []string, count int64, wished mailer.Policy, signed mailer.Signed) (out []mailer.Approved, err error) {
	defer db.explain(&err, "approve %v", campaigns)
	g := approval.Given{
		Who: japanese.FoldName(by.Name), Name: by.Name, Person: by.ID, Proof: by.Proof, Sheet: signed.Text, Signature: signed.Signature, Key: signed.Key,
	}
	if g.Who == "" {
		return nil, mailer.Invalid("actor.missing")
	}
	err = db.write(ctx, func(c *change) error {
		if err := c.keepPolicy(ctx, by, wished); err != nil {
			return err
		}
		rows, err := approvable(ctx, c, campaigns, count)
		if err != nil {
			return err
		}
		g.At = c.db.now().UTC().Truncate(time.Millisecond)
		out = make([]mailer.Approved, len(rows))
		for i, row := range rows {
			if out[i], err = c.approve(ctx, by, row, g); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// approvable are the campaigns, where they may be approved and send that many notices.
func approvable(ctx context.Context, h handle, campaigns []string, count int64) ([]*campaignRow, error) {
	var rows []*campaignRow
	var sendable int64
	for _, id := range campaigns {
		row, err := findCampaign(ctx, h, id)
		if err != nil {
			return nil, err
		}
		if row.Phase != mailer.PhaseChecked {
			return nil, standsAt(row, "approve")
		}
		if slices.ContainsFunc(rows, func(r *campaignRow) bool { return r.Num == row.Num }) {
			return nil, mailer.Invalid("approve.named-twice", "campaign", id)
		}
		rows = append(rows, row)
		sendable += row.Sendable
	}
	if len(rows) == 0 || count != sendable {
		// The right number is not said: who approves has to have looked.
		return nil, mailer.Invalid("approve.count", "count", count, "campaign", campaigns)
	}
	return rows, nil
}

func (c *change) approve(ctx context.Context, by mailer.Actor, row *campaignRow, g approval.Given) (mailer.Approved, error) {
	g.Count, g.Digest, g.CheckID = row.Sendable, row.Digest, row.CheckID
	s, err := c.db.standing(ctx, c, row)
	if err != nil {
		return mailer.Approved{}, err
	}
	if slices.ContainsFunc(s.Given, func(other approval.Given) bool { return other.Who == g.Who }) {
		return mailer.Approved{}, mailer.Conflict("approve.again", "by", by.Name, "campaign", row.ID)
	}
	sheet, err := c.sheetOf(ctx, row, &g)
	if err != nil {
		return mailer.Approved{}, err
	}
	s.Given = append(s.Given, g)
	if err := s.CheckEach(); err != nil {
		return mailer.Approved{}, err
	}
	if err := c.addApproval(ctx, row.Num, &g, sheet); err != nil {
		return mailer.Approved{}, err
	}
	detail := fmt.Sprintf("count %d, digest %s, check %s", g.Count, g.Digest, g.CheckID)
	if err := c.act(ctx, by, mailer.ActApprove, row.ID, detail); err != nil {
		return mailer.Approved{}, err
	}
	out := mailer.Approved{
		Campaign: row.ID, Approvals: len(s.Given), Missing: max(s.Policy.People-len(s.Given), 0), Digest: g.Digest, Proof: g.Proof,
	}
	if out.Approved = out.Missing == 0; out.Approved {
		return out, c.setPhase(ctx, row, readyPhase(row.At), "")
	}
	return out, nil
}

// sheetOf is the text that was signed, or read; NULL: there is none.
func (c *change) sheetOf(ctx context.Context, row *campaignRow, g *approval.Given) (num sql.NullInt64, err error) {
	if g.Sheet == "" {
		return num, nil
	}
	kept, err := sheets(ctx, c, row)
	if err != nil {
		return num, err
	}
	for _, s := range kept {
		if s.Text == g.Sheet {
			return sql.NullInt64{Int64: s.Num, Valid: true}, nil
		}
	}
	return num, mailer.Conflict("approve.stale", "campaign", row.ID)
}

// addApproval writes an approval, as the only one who does.
func (c *change) addApproval(ctx context.Context, campaign int64, g *approval.Given, sheet sql.NullInt64) error {
	var num int64
	err := get(ctx, c, &num, `INSERT INTO approval (campaign, who, name, person, proof, count, digest, check_id, at, sheet, ssh_key, signature)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING num`,
		campaign, g.Who, g.Name, g.Person, string(g.Proof), g.Count, g.Digest, g.CheckID, g.At.UnixMilli(), sheet, g.Key, g.Signature)
	c.made("approval", `num = ?`, num)
	return err
}

// voidApprovals ends the approvals of a campaign, as the only one who changes any.
func (c *change) voidApprovals(ctx context.Context, campaign int64) error {
	var standing []int64
	if err := find(ctx, c, &standing, `SELECT num FROM approval WHERE campaign = ? AND voided_at IS NULL`, campaign); err != nil {
		return err
	}
	for _, num := range standing {
		if err := c.touch(ctx, "approval", `num = ?`, num); err != nil {
			return err
		}
		if _, err := do(ctx, c, `UPDATE approval SET voided_at = ? WHERE num = ?`, c.db.now().UnixMilli(), num); err != nil {
			return err
		}
	}
	return nil
}

// approvals reads those of a campaign that were not voided, oldest first. Whoever reads
// the table does it here.
func approvals(ctx context.Context, h handle, campaign int64) ([]approval.Given, error) {
	var rows []struct {
		Who, Name, Person string
		Proof             mailer.Proof
		Count             int64
		Digest            string
		CheckID           string `db:"check_id"`
		At                int64
		Sheet             sql.NullInt64
		Key               string `db:"ssh_key"`
		Signature         string
	}
	if err := find(ctx, h, &rows, `
		SELECT who, name, person, proof, count, digest, check_id, at, sheet, ssh_key, signature
		FROM approval WHERE campaign = ? AND voided_at IS NULL ORDER BY at, num`, campaign); err != nil {
		return nil, err
	}
	kept, err := findSheets(ctx, h, `num IN (SELECT sheet FROM approval WHERE campaign = ? AND voided_at IS NULL)`, campaign)
	if err != nil {
		return nil, err
	}
	text := map[int64]string{}
	for _, s := range kept {
		text[s.Num] = s.Text
	}
	out := make([]approval.Given, len(rows))
	for i, r := range rows {
		out[i] = approval.Given{
			Who: r.Who, Name: r.Name, Person: r.Person, Key: r.Key, Proof: r.Proof, Count: r.Count, Digest: r.Digest, CheckID: r.CheckID,
			At: time.UnixMilli(r.At).UTC(), Sheet: text[r.Sheet.Int64], Signature: r.Signature,
		}
	}
	return out, nil
}

// standing is all on which it depends whether a campaign is approved. It must be as the
// program wrote it.
func (r *Reader) standing(ctx context.Context, h handle, row *campaignRow) (*approval.Standing, error) {
	for _, of := range []struct{ table, where string }{
		{"campaign", `num = ?`},
		{"approval", `campaign = ?`},
		{"sheet_campaign", `campaign = ?`},
		{"sheet", `num IN (SELECT sheet FROM sheet_campaign WHERE campaign = ?)`},
	} {
		if err := r.provedAll(ctx, h, of.table, of.where, row.Num); err != nil {
			return nil, err
		}
	}
	s := &approval.Standing{Campaign: row.ID, CheckID: row.CheckID, Digest: row.Digest, Count: row.Sendable}
	var err error
	if s.Policy, err = r.policy(ctx, h); err != nil {
		return nil, err
	}
	if s.Given, err = approvals(ctx, h, row.Num); err != nil {
		return nil, err
	}
	if s.Members, err = r.members(ctx, h); err != nil {
		return nil, err
	}
	var made []struct {
		Who string
		At  int64
	}
	if err := find(ctx, h, &made, `SELECT who, at FROM act WHERE subject = ? AND action IN (?, ?, ?) ORDER BY id`,
		row.ID, string(mailer.ActCreate), string(mailer.ActCheck), string(mailer.ActSet)); err != nil {
		return nil, err
	}
	for _, m := range made {
		s.Made = append(s.Made, approval.Act{By: m.Who, At: time.UnixMilli(m.At).UTC()})
	}
	return s, nil
}

// ApprovalsStand is nil where a campaign is approved by what the ledger holds now: by
// enough different people under the policy in force, each for the check that stands,
// its digest and its count, and each signature by the key that was the person's then,
// over the text that is kept. It is ErrConflict otherwise.
func (r *Reader) ApprovalsStand(ctx context.Context, campaign string) (err error) {
	defer r.explain(&err, "verify approvals of %s", campaign)
	return r.read(ctx, func(tx *sqlx.Tx) error {
		row, err := findCampaign(ctx, tx, campaign)
		if err != nil {
			return err
		}
		return r.approvalsStand(ctx, tx, row)
	})
}

func (r *Reader) approvalsStand(ctx context.Context, h handle, row *campaignRow) error {
	s, err := r.standing(ctx, h, row)
	if err != nil {
		return err
	}
	return s.Check()
}

// Approvals lists who approved what was checked, oldest first.
func (r *Reader) Approvals(ctx context.Context, campaign string) (out []mailer.Approval, err error) {
	defer r.explain(&err, "find approvals of %s", campaign)
	given, err := r.Given(ctx, campaign)
	out = make([]mailer.Approval, len(given))
	for i := range given {
		g := &given[i]
		out[i] = mailer.Approval{
			By: g.Name, ID: g.Person, Proof: g.Proof, Count: g.Count, Digest: g.Digest, At: g.At, Key: mailer.Fingerprint(g.Key),
		}
	}
	return out, err
}

// Given are the approvals of a campaign with what was signed, oldest first.
func (r *Reader) Given(ctx context.Context, campaign string) ([]approval.Given, error) {
	k, err := r.campaignKey(ctx, r.pool(), campaign)
	if err != nil {
		return nil, err
	}
	return approvals(ctx, r.pool(), k.num)
}

// SheetTexts are the texts that are kept of a campaign as it is checked, newest first.
func (r *Reader) SheetTexts(ctx context.Context, campaign string) (out []string, err error) {
	defer r.explain(&err, "find sheets of %s", campaign)
	row, err := findCampaign(ctx, r.pool(), campaign)
	if err != nil {
		return nil, err
	}
	kept, err := sheets(ctx, r.pool(), row)
	for _, s := range slices.Backward(kept) {
		out = append(out, s.Text)
	}
	return out, err
}

// readyPhase is where an approved campaign waits.
func readyPhase(at sql.NullInt64) mailer.Phase {
	if at.Valid {
		return mailer.PhaseScheduled
	}
	return mailer.PhaseApproved
}
