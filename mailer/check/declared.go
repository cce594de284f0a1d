package check

import (
	"context"
	"fmt"
	"slices"

	"oshirase/mailer"
)

// declared holds the recipients against the declared counts, exposure by exposure:
// groups overlap, so their sum says little about people. The wrong list, or half of
// one, shows here or nowhere: what misses its count by more than the tolerance is an
// error until somebody accepts that very difference.
func (c *Check) declared(ctx context.Context, by mailer.Actor, id string, snap *mailer.Snapshot, t *tally) error {
	missed := t.missed(snap)
	if len(missed) == 0 || t.recipients == 0 { // that it is nobody is said already
		return nil
	}
	accepted, err := c.Store.CountAcceptances(ctx, id)
	if err != nil {
		return err
	}
	find := func(m *mailer.CountAcceptance) int {
		return slices.IndexFunc(accepted, func(a mailer.CountAcceptance) bool { return a.Covers(m.Exposure, m.Declared, m.Found) })
	}
	var open []mailer.CountAcceptance
	for i := range missed {
		if !c.tolerable(&missed[i]) && find(&missed[i]) < 0 {
			open = append(open, missed[i])
		}
	}
	if c.AcceptCount != "" && len(open) > 0 {
		if err := c.Store.AcceptCounts(ctx, by, id, c.AcceptCount, open); err != nil {
			return err
		}
		if accepted, err = c.Store.CountAcceptances(ctx, id); err != nil {
			return err
		}
	}
	for i := range missed {
		m := &missed[i]
		side := "people may be left out"
		if m.Found > m.Declared {
			side = "people who are not affected may be told"
		}
		f := mailer.Finding{
			Severity: mailer.SeverityError, Rule: "declared-count",
			Message: fmt.Sprintf("exposure %s: the lists hold %d people, declared are %d: %s", m.Exposure, m.Found, m.Declared, side),
		}
		switch at := find(m); {
		case at >= 0:
			f.Severity = mailer.SeverityWarning
			t.accepted = append(t.accepted, accepted[at])
			f.Message += fmt.Sprintf("; accepted by %s: %s", accepted[at].By, accepted[at].Reason)
		case c.tolerable(m):
			f.Severity = mailer.SeverityWarning
		}
		t.find(f)
	}
	return nil
}

// tolerable reports whether a count is missed by no more than the tolerance.
func (c *Check) tolerable(m *mailer.CountAcceptance) bool {
	return float64(max(m.Found-m.Declared, m.Declared-m.Found)) <= c.CountTolerance*float64(m.Declared)
}

// missed are the declared counts that the lists miss, and sets the sum of those of the
// selected exposures, where all are declared.
func (t *tally) missed(snap *mailer.Snapshot) (all []mailer.CountAcceptance) {
	selected := slices.Clone(snap.Exposures)
	if len(selected) == 0 {
		for _, id := range snap.Incident.ExposureIDs() {
			if _, declared := snap.Merchant.Declared[id]; declared || t.exposed[id] > 0 {
				selected = append(selected, id)
			}
		}
	}
	var sum int64
	known := len(selected) > 0
	for _, id := range selected {
		n, declared := snap.Merchant.Declared[id]
		if !declared {
			known = false
			continue
		}
		sum += n
		if listed := t.exposed[id]; listed != n && snap.Certainty == "" { // else only a part of the group is selected
			all = append(all, mailer.CountAcceptance{Exposure: id, Declared: n, Found: listed})
		}
	}
	if known {
		t.declared = &sum
	}
	return all
}
