package store

import (
	"context"
	"database/sql"
	"fmt"

	"oshirase/mailer"
	"oshirase/store/seal"
)

// pageRows is how many recipients Recipients reads at a time.
const pageRows = 1000

// Recipients streams the recipients that the campaign selects and that have no
// delivery in it, in order of their IDs, in pages; yield is called on one
// goroutine and may keep the page.
func (r *Reader) Recipients(ctx context.Context, campaign string, yield func([]mailer.Recipient) error) (err error) {
	defer r.explain(&err, "read recipients of %s", campaign)
	sel, err := r.selection(ctx, campaign)
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		page, last, err := sel.page(ctx, after, pageRows)
		if err != nil {
			return err
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
	r         *Reader
	row       *campaignRow
	keys      *seal.Keys
	exposures map[int64]exposureRow // of the incident, by number
	wanted    []int64               // numbers of exposures; nil: all
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

func exposuresOf(ctx context.Context, h handle, incident int64) (map[int64]exposureRow, error) {
	var rows []exposureRow
	if err := find(ctx, h, &rows, `SELECT num, id, ord, certainty FROM exposure WHERE incident = ?`, incident); err != nil {
		return nil, err
	}
	m := make(map[int64]exposureRow, len(rows))
	for _, r := range rows {
		m[r.Num] = r
	}
	return m, nil
}

func (r *Reader) selection(ctx context.Context, campaign string) (*selection, error) {
	row, err := findCampaign(ctx, r.pool(), campaign)
	if err != nil {
		return nil, err
	}
	s := &selection{r: r, row: row}
	if s.keys, err = r.incidentKeys(ctx, r.pool(), row.IncidentNum); err != nil {
		return nil, err
	}
	if s.exposures, err = exposuresOf(ctx, r.pool(), row.IncidentNum); err != nil {
		return nil, err
	}
	ids, err := parseStrings(row.Exposures)
	if err != nil {
		return nil, err
	}
	if len(ids) > 0 {
		for _, id := range ids {
			found := false
			for _, e := range s.exposures {
				if e.ID == id {
					s.wanted = append(s.wanted, e.Num)
					found = true
				}
			}
			if !found {
				return nil, mailer.Invalid("campaign.exposure", "incident", row.Incident, "exposure", id)
			}
		}
	}
	err = get(ctx, r.pool(), &s.told, `
		SELECT EXISTS (SELECT 1 FROM campaign c JOIN campaign_count n ON n.campaign = c.num
		WHERE c.incident = ? AND c.merchant = ? AND c.num <> ? AND n.state IN ('accepted', 'delivered') AND n.n > 0)`,
		row.IncidentNum, row.MerchantNum, row.Num)
	if err != nil {
		return nil, err
	}
	return s, find(ctx, r.pool(), &s.ids, `
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
	err = find(ctx, s.r.pool(), &rows, q+` AND r.id BETWEEN ? AND ? ORDER BY r.id LIMIT ?`,
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
		       ` + exposuresColumn + `
		FROM recipient r WHERE r.incident = ? AND r.merchant = ?
		AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.recipient = r.id AND d.campaign = ? AND d.held <> ?)`
	args := []any{s.row.IncidentNum, s.row.MerchantNum, s.row.Num, string(holdRefreeze)}
	if s.wanted != nil {
		cond, arg := s.r.eng.In("x.exposure", s.wanted)
		q += ` AND EXISTS (SELECT 1 FROM recipient_exposure x WHERE x.recipient = r.id AND ` + cond + `)`
		args = append(args, arg)
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
		if out[i], err = s.r.openRecipient(s.row.key(), s.keys, s.exposures, &rows[i]); err != nil {
			return nil, err
		}
	}
	if !s.told {
		return out, nil
	}
	return out, s.addTold(ctx, out)
}

func (r *Reader) openRecipient(c campaignKey, keys *seal.Keys, exposures map[int64]exposureRow, row *recipientRow) (mailer.Recipient, error) {
	rec := mailer.Recipient{ID: row.ID, Incident: c.incidentID, Merchant: c.merchantID, Ref: r.names.Ref(row.ID)}
	var err error
	if rec.Person, err = keys.OpenPerson(row.Sealed, c.incident, c.merchant, row.PersonKey); err != nil {
		return rec, fmt.Errorf("recipient %s: %w", rec.Ref, err)
	}
	rec.Exposures, err = exposureIDs(exposures, row.Exposures.String)
	return rec, err
}

// addTold fills in what earlier campaigns told these recipients.
func (s *selection) addTold(ctx context.Context, rs []mailer.Recipient) error {
	ids := make([]int64, len(rs))
	at := make(map[int64]*mailer.Recipient, len(rs))
	for i := range rs {
		ids[i] = rs[i].ID
		at[rs[i].ID] = &rs[i]
	}
	cond, arg := s.r.eng.In("d.recipient", ids)
	var rows []struct {
		Recipient int64
		Stage     string
		On        string `db:"notice_on"`
		Exposures string
	}
	if err := find(ctx, s.r.pool(), &rows, `
		SELECT d.recipient, c.stage, c.notice_on, d.exposures
		FROM delivery d JOIN campaign c ON c.num = d.campaign
		WHERE `+cond+` AND d.campaign <> ? AND d.state IN ('accepted', 'delivered')
		ORDER BY d.recipient, c.notice_on, d.id`, arg, s.row.Num); err != nil {
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
