package campaign

import (
	"context"
	"encoding/json"

	"oshirase/mailer"
	"oshirase/mailer/authority"
	"oshirase/mailer/check"
)

// Facts takes over what is known of incidents and merchants, and ends an incident.
type Facts struct {
	Ledger    Incidents
	Templates mailer.Templates

	verdicts map[[2]string]bool // of same, by campaign and facts: they are told twice
}

// Plan says what Apply would change and void, and changes nothing.
func (f *Facts) Plan(ctx context.Context, by mailer.Actor, incidents []mailer.Incident, merchants []mailer.Merchant) (mailer.ApplyResult, error) {
	if _, err := authority.May(ctx, f.Ledger, by, mailer.ActApply, ""); err != nil {
		return mailer.ApplyResult{}, err
	}
	return f.Ledger.PlanApply(ctx, incidents, merchants, f.same)
}

// Apply takes facts over: all, or none where one has an error. Campaigns whose notices
// would not be the same with them are void. shown is what Plan said, where somebody
// agreed to it: where it is no longer so, nothing is done, with ErrConflict.
func (f *Facts) Apply(ctx context.Context, by mailer.Actor, incidents []mailer.Incident, merchants []mailer.Merchant, shown *mailer.ApplyResult) (mailer.ApplyResult, error) {
	by, err := authority.May(ctx, f.Ledger, by, mailer.ActApply, "")
	if err != nil {
		return mailer.ApplyResult{}, err
	}
	return f.Ledger.ApplyPlanned(ctx, by, incidents, merchants, f.same, shown)
}

// same renders for every kind of reader, which takes its time, and other processes
// wait while facts are taken over: so what was found for the plan is kept.
func (f *Facts) same(c *mailer.Campaign, then, now *mailer.Snapshot) (bool, error) {
	both, err := json.Marshal([]*mailer.Snapshot{then, now})
	if err != nil {
		return false, err
	}
	key := [2]string{c.ID, string(both)}
	if same, known := f.verdicts[key]; known {
		return same, nil
	}
	same, err := check.Same(f.Templates, then, now)
	if f.verdicts == nil {
		f.verdicts = map[[2]string]bool{}
	}
	f.verdicts[key] = same
	return same, err
}

// Destroy makes the personal data of an incident unreadable, for good. The incident
// is named twice, so that nobody destroys the wrong one by a slip.
func (f *Facts) Destroy(ctx context.Context, by mailer.Actor, d mailer.Destroy, confirm string) (mailer.Destroyed, error) {
	if d.Incident != confirm {
		return mailer.Destroyed{}, mailer.Invalid(NotConfirmed, "incident", d.Incident, "confirm", confirm)
	}
	by, err := authority.May(ctx, f.Ledger, by, mailer.ActDestroyKey, "")
	if err != nil {
		return mailer.Destroyed{}, err
	}
	return f.Ledger.DestroyKey(ctx, by, d)
}

// NotConfirmed is the code of an incident that was named in two ways.
const NotConfirmed mailer.Code = "campaign.not-confirmed"
