package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// revision is one number that moves whenever anything a check depends on does:
// each of the parts only ever grows, so equal sums mean that none moved.
func revision(ctx context.Context, tx *sqlx.Tx, row *campaignRow) (rev int64, err error) {
	err = tx.GetContext(ctx, &rev, `
		SELECT c.revision + i.revision + m.revision + ifnull(p.revision, 0)
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
	err = db.change(ctx, "begin check of", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		switch row.Phase {
		case mailer.PhaseRunning, mailer.PhaseFinished, mailer.PhaseCancelled:
			return conflict("cannot check: campaign %s is %s%s", row.ID, row.Phase, hint(row.Phase))
		case mailer.PhaseDraft:
			// Another check may be under way: the revision ends it.
			if _, err := tx.ExecContext(ctx, `UPDATE campaign SET revision = revision + 1 WHERE num = ?`, row.Num); err != nil {
				return err
			}
		default:
			if err := db.toDraft(ctx, tx, by, row, "it is being checked again"); err != nil {
				return err
			}
		}
		for _, state := range []mailer.State{mailer.StateQueued, mailer.StateSuppressed} {
			r, err := tx.ExecContext(ctx, `DELETE FROM delivery WHERE campaign = ? AND state = '`+string(state)+`' AND first_at IS NULL`, row.Num)
			if err != nil {
				return err
			}
			n, err := r.RowsAffected()
			if err != nil {
				return err
			}
			if err := count(ctx, tx, row.Num, state, "", n); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM finding WHERE campaign = ?`, row.Num); err != nil {
			return err
		}
		if rev, err = revision(ctx, tx, row); err != nil {
			return err
		}
		return db.act(ctx, tx, by, mailer.ActCheck, row.ID, "")
	})
	return rev, err
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
		return wrap("end check of "+campaign, err)
	}
	summary, err := json.Marshal(result)
	if err != nil {
		return wrap("end check of "+campaign, err)
	}
	return db.change(ctx, "end check of", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		now, err := revision(ctx, tx, row)
		if err != nil {
			return err
		}
		if now != rev || row.Phase != mailer.PhaseDraft {
			return conflict("list, facts or campaign %s changed during the check: run it again", row.ID)
		}
		if !failed {
			var frozen int64
			if err := tx.GetContext(ctx, &frozen, `SELECT count(*) FROM delivery WHERE campaign = ? AND state = 'queued' AND first_at IS NULL`, row.Num); err != nil {
				return err
			}
			if frozen != result.Sendable {
				return conflict("the check of campaign %s counted %d notices, and %d are frozen: run it again", row.ID, result.Sendable, frozen)
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM finding WHERE campaign = ?`, row.Num); err != nil {
			return err
		}
		for i, f := range findings {
			if _, err := tx.ExecContext(ctx, `INSERT INTO finding (campaign, n, severity, rule, message, ref) VALUES (?, ?, ?, ?, ?, ?)`,
				row.Num, i+1, string(f.Severity), f.Rule, f.Message, f.Ref); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE campaign SET snapshot = ?, result = ?, notice_on = ?, digest = ?, sendable = ? WHERE num = ?`,
			string(snapshot), string(summary), snap.NoticeOn.String(), result.Digest, result.Sendable, row.Num); err != nil {
			return err
		}
		if failed {
			_, err := tx.ExecContext(ctx, `UPDATE campaign SET reason = 'the check found errors' WHERE num = ?`, row.Num)
			return err
		}
		return db.setPhase(ctx, tx, row, mailer.PhaseChecked, "")
	})
}

// freezeRows is how many deliveries one INSERT takes.
const freezeRows = 64

// Freeze adds deliveries in one transaction. ErrConflict where a recipient has
// one in this campaign already, or where the campaign is not a draft.
func (db *DB) Freeze(ctx context.Context, campaign string, rows []mailer.Frozen) error {
	if len(rows) == 0 {
		return nil
	}
	return db.change(ctx, "freeze deliveries of", campaign, func(tx *sqlx.Tx, row *campaignRow) error {
		if row.Phase != mailer.PhaseDraft {
			return conflict("cannot freeze: campaign %s is %s", row.ID, row.Phase)
		}
		queued := int64(0)
		for part := rows; len(part) > 0; {
			n := min(len(part), freezeRows)
			q, err := insertFrozen(ctx, tx, row, part[:n])
			if unique(err) {
				return conflict("another check of campaign %s is under way: run it again", row.ID)
			} else if err != nil {
				return err
			}
			queued += q
			part = part[n:]
		}
		if err := count(ctx, tx, row.Num, "", mailer.StateQueued, queued); err != nil {
			return err
		}
		return count(ctx, tx, row.Num, "", mailer.StateSuppressed, int64(len(rows))-queued)
	})
}

func insertFrozen(ctx context.Context, tx *sqlx.Tx, row *campaignRow, rows []mailer.Frozen) (queued int64, err error) {
	const value = `,(?1,?2,?,?,?,?,?,?,?)`
	args := make([]any, 2, 2+7*len(rows))
	args[0], args[1] = row.Num, row.MerchantNum
	for i := range rows {
		f := &rows[i]
		var hash, told any
		state := mailer.StateSuppressed
		if f.Suppressed == "" {
			state = mailer.StateQueued
			hash = f.Hash[:]
			queued++
		}
		if len(f.Told) > 0 {
			b, err := json.Marshal(f.Told)
			if err != nil {
				return 0, err
			}
			told = string(b)
		}
		args = append(args, f.Recipient, string(state), hash, told, stringArray(f.Exposures), f.Suppressed, f.Group)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO delivery (campaign, merchant, recipient, state, hash, told, exposures, suppressed, grp) VALUES `+
		strings.Repeat(value, len(rows))[1:], args...)
	return queued, err
}

// pageRows is how many recipients Recipients reads at a time.
const pageRows = 1000

// Recipients streams the recipients that the campaign selects and that have no
// delivery in it, in order of their IDs, in pages; yield is called on one
// goroutine and may keep the page.
func (db *DB) Recipients(ctx context.Context, campaign string, yield func([]mailer.Recipient) error) error {
	op := "read recipients of " + campaign
	sel, err := db.selection(ctx, campaign)
	if err != nil {
		return wrap(op, err)
	}
	for after := int64(0); ; {
		page, last, err := sel.page(ctx, after, pageRows)
		if err != nil {
			return wrap(op, err)
		}
		if len(page) > 0 {
			if err := yield(page); err != nil {
				return err
			}
		}
		if last == 0 {
			return nil
		}
		after = last
	}
}

// selection is the recipients that one campaign is for.
type selection struct {
	db        *DB
	row       *campaignRow
	keys      *incidentKeys
	exposures map[int64]exposureRow // of the incident, by number
	wanted    string                // JSON array of exposure numbers; empty: all
	told      bool                  // some earlier campaign may have told somebody
	ids       []idRange             // of the population's recipients, ascending
}

// idRange is the recipients that one list brought.
type idRange struct{ First, Last int64 }

type exposureRow struct {
	Num       int64
	ID        string
	Ord       int
	Certainty mailer.Certainty
}

func exposuresOf(ctx context.Context, q sqlx.QueryerContext, incident int64) (map[int64]exposureRow, error) {
	var rows []exposureRow
	if err := sqlx.SelectContext(ctx, q, &rows, `SELECT num, id, ord, certainty FROM exposure WHERE incident = ?`, incident); err != nil {
		return nil, err
	}
	m := make(map[int64]exposureRow, len(rows))
	for _, r := range rows {
		m[r.Num] = r
	}
	return m, nil
}

func (db *DB) selection(ctx context.Context, campaign string) (*selection, error) {
	row, err := findCampaign(ctx, db.r, campaign)
	if err != nil {
		return nil, err
	}
	s := &selection{db: db, row: row}
	if s.keys, err = db.incidentKeys(ctx, db.r, row.IncidentNum); err != nil {
		return nil, err
	}
	if s.exposures, err = exposuresOf(ctx, db.r, row.IncidentNum); err != nil {
		return nil, err
	}
	ids, err := parseStrings(row.Exposures)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 {
		var nums []int64
		for _, id := range ids {
			found := false
			for _, e := range s.exposures {
				if e.ID == id {
					nums = append(nums, e.Num)
					found = true
				}
			}
			if !found {
				return nil, invalid("incident %s has no exposure %q", row.Incident, id)
			}
		}
		s.wanted = idArray(nums)
	}
	err = db.r.GetContext(ctx, &s.told, `
		SELECT EXISTS (SELECT 1 FROM campaign c JOIN campaign_count n ON n.campaign = c.num
		WHERE c.incident = ? AND c.merchant = ? AND c.num <> ? AND n.state IN ('accepted', 'delivered') AND n.n > 0)`,
		row.IncidentNum, row.MerchantNum, row.Num)
	if err != nil {
		return nil, err
	}
	return s, db.r.SelectContext(ctx, &s.ids, `
		SELECT first_id AS first, first_id + imported - 1 AS last FROM list
		WHERE incident = ? AND merchant = ? AND imported > 0 ORDER BY first_id`, row.IncidentNum, row.MerchantNum)
}

// recipientRow is a recipient with the numbers of its exposures, joined by commas.
type recipientRow struct {
	ID        int64
	PersonKey []byte `db:"person_key"`
	Sealed    []byte
	Exposures sql.NullString
}

// page reads the next recipients after an ID; last is 0 at the end. A page may
// be empty before the end.
func (s *selection) page(ctx context.Context, after int64, n int) (page []mailer.Recipient, last int64, err error) {
	ids := s.ids
	for len(ids) > 0 && ids[0].Last <= after {
		ids = ids[1:]
	}
	if len(ids) == 0 {
		return nil, 0, nil
	}
	q, args := s.query()
	var rows []recipientRow
	err = s.db.r.SelectContext(ctx, &rows, q+` AND r.id BETWEEN ? AND ? ORDER BY r.id LIMIT ?`,
		append(args, max(after+1, ids[0].First), ids[0].Last, n)...)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case len(rows) == n:
		last = rows[n-1].ID
	case len(ids) > 1:
		last = ids[0].Last
	}
	page, err = s.open(ctx, rows)
	return page, last, err
}

// query wants an id, or a range of ids: there is no index by population.
func (s *selection) query() (string, []any) {
	q := `
		SELECT r.id, r.person_key, r.sealed,
		       (SELECT group_concat(x.exposure) FROM recipient_exposure x WHERE x.recipient = r.id) AS exposures
		FROM recipient r NOT INDEXED WHERE r.incident = ? AND r.merchant = ?
		AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.recipient = r.id AND d.campaign = ?)`
	args := []any{s.row.IncidentNum, s.row.MerchantNum, s.row.Num}
	if s.wanted != "" {
		q += ` AND EXISTS (SELECT 1 FROM recipient_exposure x WHERE x.recipient = r.id AND x.exposure IN (SELECT value FROM json_each(?)))`
		args = append(args, s.wanted)
	}
	if s.row.Certainty != "" {
		not := ""
		if s.row.Certainty == string(mailer.CertaintyPossible) {
			not = "NOT "
		}
		q += ` AND ` + not + `EXISTS (SELECT 1 FROM recipient_exposure x JOIN exposure e ON e.num = x.exposure
			WHERE x.recipient = r.id AND e.certainty = 'confirmed')`
	}
	return q, args
}

func (s *selection) open(ctx context.Context, rows []recipientRow) ([]mailer.Recipient, error) {
	out := make([]mailer.Recipient, len(rows))
	for i := range rows {
		var err error
		if out[i], err = s.db.openRecipient(s.row, s.keys, s.exposures, &rows[i]); err != nil {
			return nil, err
		}
	}
	if !s.told {
		return out, nil
	}
	return out, s.addTold(ctx, out)
}

func (db *DB) openRecipient(c *campaignRow, keys *incidentKeys, exposures map[int64]exposureRow, row *recipientRow) (mailer.Recipient, error) {
	r := mailer.Recipient{ID: row.ID, Incident: c.Incident, Merchant: c.Merchant, Ref: db.names.Ref(row.ID)}
	var err error
	if r.Person, err = keys.openPerson(row.Sealed, c.IncidentNum, c.MerchantNum, row.PersonKey); err != nil {
		return r, fmt.Errorf("recipient %s: %w", r.Ref, err)
	}
	r.Exposures, err = exposureIDs(exposures, row.Exposures.String)
	return r, err
}

// addTold fills in what earlier campaigns told these recipients.
func (s *selection) addTold(ctx context.Context, rs []mailer.Recipient) error {
	ids := make([]int64, len(rs))
	at := make(map[int64]*mailer.Recipient, len(rs))
	for i := range rs {
		ids[i] = rs[i].ID
		at[rs[i].ID] = &rs[i]
	}
	var rows []struct {
		Recipient int64
		Stage     string
		On        string `db:"notice_on"`
		Exposures string
	}
	if err := s.db.r.SelectContext(ctx, &rows, `
		SELECT d.recipient, c.stage, c.notice_on, d.exposures
		FROM delivery d JOIN campaign c ON c.num = d.campaign
		WHERE d.recipient IN (SELECT value FROM json_each(?)) AND d.campaign <> ? AND d.state IN ('accepted', 'delivered')
		ORDER BY d.recipient, c.notice_on, d.id`, idArray(ids), s.row.Num); err != nil {
		return err
	}
	for _, row := range rows {
		t := mailer.Told{Stage: mailer.Stage(row.Stage)}
		if err := t.On.UnmarshalText([]byte(row.On)); err != nil {
			return err
		}
		var err error
		if t.Exposures, err = parseStrings(row.Exposures); err != nil {
			return err
		}
		r := at[row.Recipient]
		r.Told = append(r.Told, t)
	}
	return nil
}
