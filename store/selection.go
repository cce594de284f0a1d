package store

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	same      []int64               // other campaigns of the stage and cause
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
	s, err := r.selectionRows(ctx, campaign)
	if err != nil {
		return nil, err
	}
	s.keys, err = r.incidentKeys(ctx, r.pool(), s.row.IncidentNum)
	return s, err
}

// selectionRows is the selection without what opens its people.
func (r *Reader) selectionRows(ctx context.Context, campaign string) (*selection, error) {
	row, err := findCampaign(ctx, r.pool(), campaign)
	if err != nil {
		return nil, err
	}
	s := &selection{r: r, row: row}
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
	states := `'accepted', 'delivered'`
	if mailer.Stage(row.Stage).Repeats() { // what is still open counts too: see Recipient.Undecided
		states += `, 'queued', 'sending', 'deferred', 'unknown'`
	}
	err = get(ctx, r.pool(), &s.told, `
		SELECT EXISTS (SELECT 1 FROM campaign c JOIN campaign_count n ON n.campaign = c.num
		WHERE c.incident = ? AND c.merchant = ? AND c.num <> ? AND n.state IN (`+states+`) AND n.n > 0)`,
		row.IncidentNum, row.MerchantNum, row.Num)
	if err != nil {
		return nil, err
	}
	if s.same, err = siblings(ctx, r.pool(), row); err != nil {
		return nil, err
	}
	return s, find(ctx, r.pool(), &s.ids, `
		SELECT first_id AS first, first_id + imported - 1 AS last FROM list
		WHERE incident = ? AND merchant = ? AND imported > 0 ORDER BY first_id`, row.IncidentNum, row.MerchantNum)
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
	q, args := s.query(recipientColumns)
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
func (s *selection) query(columns string) (string, []any) {
	q := `
		SELECT ` + columns + `
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
	if rec.Person, err = row.open(keys, c.incident, c.merchant); err != nil {
		return rec, fmt.Errorf("recipient %s: %w", rec.Ref, err)
	}
	rec.Salt = keys.Salt(c.num, row.ID)
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
	cond, arg := s.r.eng.In("o.recipient", ids)
	var rows []struct {
		Recipient int64
		Stage     mailer.Stage
		State     mailer.State
		Campaign  int64
		At        int64 `db:"told_at"`
		Exposures string
	}
	if err := find(ctx, s.r.pool(), &rows, toldColumns+`
		WHERE `+cond+` AND o.campaign <> ? AND k.channel = ? AND `+tells+`
		ORDER BY o.recipient, told_at, o.id`, arg, s.row.Num, s.row.Channel); err != nil {
		return err
	}
	lists := parsedLists{}
	for _, row := range rows {
		r := at[row.Recipient]
		if row.State != mailer.StateAccepted && row.State != mailer.StateDelivered {
			r.Undecided = r.Undecided || !row.Stage.Repeats()
			continue
		}
		t := mailer.Told{Stage: row.Stage, Same: slices.Contains(s.same, row.Campaign), On: mailer.DateOf(time.UnixMilli(row.At))}
		var err error
		if t.Exposures, err = lists.parse(row.Exposures); err != nil {
			return err
		}
		r.Told = append(r.Told, t)
	}
	return nil
}

// toldColumns reads what deliveries o have told, with when: a relay took the message, or,
// where a person decided that it has, it was first tried. 0: not yet.
const toldColumns = `
	SELECT o.recipient, o.campaign, k.stage, o.state,
	       coalesce((SELECT min(e.at) FROM event e WHERE e.delivery = o.id AND e.kind = 'attempt' AND e.state = 'accepted'), o.first_at, 0) AS told_at,
	       o.exposures
	FROM delivery o JOIN campaign k ON k.num = o.campaign`
