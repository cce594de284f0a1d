package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"slices"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/approval"
)

// randomID is 128 random bits in hex.
func (c *change) randomID() (string, error) {
	b := make([]byte, 16)
	_, err := io.ReadFull(c.db.random, b)
	return hex.EncodeToString(b), err
}

// sheetRow is a text that is signed, as the database has it.
type sheetRow struct {
	Num  int64
	Text string
}

// findSheets reads texts, oldest first: whoever reads the table does it here. where is a
// condition on the sheet.
func findSheets(ctx context.Context, h handle, where string, args ...any) (out []sheetRow, err error) {
	err = find(ctx, h, &out, `SELECT num, text FROM sheet WHERE `+where+` ORDER BY num`, args...)
	return out, err
}

// sheets are the texts that are about a campaign as it is checked, oldest first.
func sheets(ctx context.Context, h handle, row *campaignRow) ([]sheetRow, error) {
	return findSheets(ctx, h, `num IN (SELECT sheet FROM sheet_campaign WHERE campaign = ? AND check_id = ?)`, row.Num, row.CheckID)
}

// sheetParts are the campaigns of a text, by number.
func sheetParts(ctx context.Context, h handle, sheet int64) (campaigns []int64, err error) {
	err = find(ctx, h, &campaigns, `SELECT campaign FROM sheet_campaign WHERE sheet = ? ORDER BY campaign`, sheet)
	return campaigns, err
}

// Part is what of a campaign stands on a sheet, but for the sample. ErrConflict where it
// is not checked.
func (r *Reader) Part(ctx context.Context, campaign string) (p approval.Part, err error) {
	defer r.explain(&err, "read check of %s", campaign)
	err = r.read(ctx, func(tx *sqlx.Tx) error {
		row, err := findCampaign(ctx, tx, campaign)
		if err != nil {
			return err
		}
		if row.CheckID == "" {
			return standsAt(row, "make a sheet")
		}
		if p.Campaign, err = row.campaign(); err != nil {
			return err
		}
		p.CheckID = row.CheckID
		var stored struct{ Snapshot, Result string }
		if err := get(ctx, tx, &stored, `SELECT snapshot, result FROM campaign WHERE num = ?`, row.Num); err != nil {
			return err
		}
		if err := unmarshal(stored.Snapshot, &p.Snapshot); err != nil {
			return err
		}
		if err := unmarshal(stored.Result, &p.Result); err != nil {
			return err
		}
		p.Result.Findings, err = findings(ctx, tx, row.Num)
		return err
	})
	return p, err
}

// Sheet is the text that exactly these campaigns have, as they are checked: the one that
// is kept, or what text makes, which is kept then. The text gets the policy in force and
// the members, and names the checks of the campaigns that parts have.
func (db *DB) Sheet(ctx context.Context, by mailer.Actor, parts []approval.Part, text func(mailer.Policy, []mailer.Member) string) (s string, err error) {
	defer db.explain(&err, "make sheet")
	err = db.write(ctx, func(c *change) error {
		rows := make([]*campaignRow, len(parts))
		for i := range parts {
			var err error
			if rows[i], err = findCampaign(ctx, c, parts[i].Campaign.ID); err != nil {
				return err
			}
			if rows[i].CheckID != parts[i].CheckID {
				return mailer.Conflict("check.changed", "campaign", rows[i].ID)
			}
		}
		kept, found, err := keptSheet(ctx, c, rows)
		if err != nil || found {
			s = kept.Text
			return err
		}
		p, err := c.db.policy(ctx, c)
		if err != nil {
			return err
		}
		all, err := c.db.members(ctx, c)
		if err != nil {
			return err
		}
		s = text(p, all)
		return c.addSheet(ctx, by, rows, s)
	})
	return s, err
}

// keptSheet finds the text of exactly these campaigns, as they are checked.
func keptSheet(ctx context.Context, h handle, rows []*campaignRow) (sheetRow, bool, error) {
	var want []int64
	for _, r := range rows {
		want = append(want, r.Num)
	}
	slices.Sort(want)
	candidates, err := sheets(ctx, h, rows[0])
	if err != nil {
		return sheetRow{}, false, err
	}
next:
	for _, s := range candidates {
		have, err := sheetParts(ctx, h, s.Num)
		if err != nil {
			return sheetRow{}, false, err
		}
		if !slices.Equal(have, want) {
			continue
		}
		for _, r := range rows {
			if !approval.Covers(s.Text, r.ID, r.CheckID, r.Digest, r.Sendable) {
				continue next
			}
		}
		return s, true, nil
	}
	return sheetRow{}, false, nil
}

// addSheet writes a text, as the only one who does.
func (c *change) addSheet(ctx context.Context, by mailer.Actor, rows []*campaignRow, text string) error {
	var num int64
	if err := get(ctx, c, &num, `INSERT INTO sheet (text, at) VALUES (?, ?) RETURNING num`, text, c.db.now().UnixMilli()); err != nil {
		return err
	}
	c.made("sheet", `num = ?`, num)
	for _, r := range rows {
		if _, err := do(ctx, c, `INSERT INTO sheet_campaign (sheet, campaign, check_id) VALUES (?, ?, ?)`, num, r.Num, r.CheckID); err != nil {
			return err
		}
		c.made("sheet_campaign", `sheet = ? AND campaign = ?`, num, r.Num)
		if err := c.act(ctx, by, mailer.ActSheet, r.ID, "check "+r.CheckID); err != nil {
			return err
		}
	}
	return nil
}

// newSeal is what makes a text of a change the only one of its kind.
func newSeal() string { return rand.Text() }
