package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// applyPlan is what taking facts over does: what differs from what the ledger has,
// and which campaigns no longer stand then.
type applyPlan struct {
	mailer.ApplyResult
	incidents map[string]*mailer.Incident // to be taken over, by id
	merchants map[string]*mailer.Merchant
	same      mailer.SameNotices
	r         *Reader
	void      []voiding
}

type voiding struct {
	row    *campaignRow
	reason string
}

// PlanApply says what Apply would come to, and changes nothing.
func (r *Reader) PlanApply(ctx context.Context, incidents []mailer.Incident, merchants []mailer.Merchant, same mailer.SameNotices) (res mailer.ApplyResult, err error) {
	defer r.explain(&err, "plan apply")
	err = r.read(ctx, func(tx *sqlx.Tx) error {
		p, err := r.planApply(ctx, tx, incidents, merchants, same)
		if err == nil {
			res = p.ApplyResult
		}
		return err
	})
	return res, err
}

func (r *Reader) planApply(ctx context.Context, h handle, incidents []mailer.Incident, merchants []mailer.Merchant, same mailer.SameNotices) (*applyPlan, error) {
	p := &applyPlan{
		ApplyResult: mailer.ApplyResult{Incidents: []mailer.Change{}, Merchants: []mailer.Change{}, Diff: []mailer.FactChange{}, Voids: []mailer.Voided{}},
		incidents:   map[string]*mailer.Incident{}, merchants: map[string]*mailer.Merchant{}, same: same, r: r,
	}
	for i := range incidents {
		in := &incidents[i]
		changed, err := p.compare(ctx, h, "incident", in.ID, in, new(mailer.Incident))
		if err != nil {
			return nil, err
		}
		p.incidents[in.ID] = in
		p.Incidents = append(p.Incidents, mailer.Change{ID: in.ID, Changed: changed})
	}
	for i := range merchants {
		m := &merchants[i]
		changed, err := p.compare(ctx, h, "merchant", m.ID, m, new(mailer.Merchant))
		if err != nil {
			return nil, err
		}
		p.merchants[m.ID] = m
		p.Merchants = append(p.Merchants, mailer.Change{ID: m.ID, Changed: changed})
	}
	return p, p.findVoid(ctx, h)
}

// compare holds facts against those that the ledger has, field by field, once these are
// proved to be as they were applied. old is empty, and of the type of facts.
func (p *applyPlan) compare(ctx context.Context, h handle, table, id string, facts, old any) (changed bool, err error) {
	stored, err := p.r.provedFacts(ctx, h, table, id)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if err := unmarshal(stored, old); err != nil { // no facts of ours: all of it differs
		old = struct{}{}
	}
	before, err := json.Marshal(old)
	if err != nil {
		return false, err
	}
	after, err := json.Marshal(facts)
	if err != nil {
		return false, err
	}
	diff, err := mailer.DiffFacts(table, id, before, after)
	p.Diff = append(p.Diff, diff...)
	return len(diff) > 0, err
}

// findVoid finds the campaigns that were checked with other facts than those that
// stand afterwards.
func (p *applyPlan) findVoid(ctx context.Context, h handle) error {
	var rows []campaignRow
	if err := find(ctx, h, &rows, selectCampaign+`
		WHERE c.phase IN ('checked', 'approved', 'scheduled', 'overdue', 'running', 'paused') ORDER BY c.num`); err != nil {
		return err
	}
	for i := range rows {
		row := &rows[i]
		reason, err := p.voids(ctx, h, row)
		if err != nil {
			return err
		}
		if reason != "" {
			p.void = append(p.void, voiding{row, reason})
			p.Voids = append(p.Voids, mailer.Voided{Campaign: row.ID, Phase: row.Phase, Sendable: row.Sendable})
		}
	}
	return nil
}

// voids says why a campaign does not stand; empty: it does. Campaigns are held against
// the facts that they were checked with, which need not be those that the ledger has:
// what changed no notice left them alone.
func (p *applyPlan) voids(ctx context.Context, h handle, row *campaignRow) (reason string, err error) {
	in, m := p.incidents[row.Incident], p.merchants[row.Merchant]
	if in == nil && m == nil {
		return "", nil
	}
	changed := func(all []mailer.Change, id string) bool {
		return slices.Contains(all, mailer.Change{ID: id, Changed: true})
	}
	switch {
	case changed(p.Incidents, row.Incident):
		reason = "facts of incident " + row.Incident + " changed since the check"
	case changed(p.Merchants, row.Merchant):
		reason = "facts of merchant " + row.Merchant + " changed since the check"
	default:
		reason = "it was checked with other facts"
	}
	if p.same == nil {
		if !changed(p.Incidents, row.Incident) && !changed(p.Merchants, row.Merchant) {
			reason = ""
		}
		return reason, nil
	}
	var text string
	if err := get(ctx, h, &text, `SELECT coalesce(snapshot, '') FROM campaign WHERE num = ?`, row.Num); err != nil {
		return "", err
	}
	var then mailer.Snapshot
	if err := unmarshal(text, &then); err != nil {
		return reason, nil // it was checked with nothing that can be read
	}
	now := then
	if in != nil {
		now.Incident = *in
	} else if err := p.facts(ctx, h, &now.Incident, "incident", row.Incident); err != nil {
		return "", err
	}
	if m != nil {
		now.Merchant = *m
	} else if err := p.facts(ctx, h, &now.Merchant, "merchant", row.Merchant); err != nil {
		return "", err
	}
	c, err := row.campaign()
	if err != nil {
		return "", err
	}
	if same, err := p.same(&c, &then, &now); err != nil || same {
		return "", err
	}
	return reason, nil
}

func (p *applyPlan) facts(ctx context.Context, h handle, dst any, table, id string) error {
	s, err := p.r.provedFacts(ctx, h, table, id)
	if err != nil {
		return err
	}
	return unmarshal(s, dst)
}
