package campaign

import (
	"context"

	"oshirase/mailer"
	"oshirase/mailer/authority"
)

// Facts takes over what is known of incidents and merchants, and ends an incident.
type Facts struct {
	Ledger Incidents
}

// Apply takes facts over: all, or none where one has an error. A change voids what
// was checked or approved with the facts before.
func (f *Facts) Apply(ctx context.Context, by mailer.Actor, incidents []mailer.Incident, merchants []mailer.Merchant) (mailer.ApplyResult, error) {
	by, err := authority.May(ctx, f.Ledger, by, mailer.ActApply, "")
	if err != nil {
		return mailer.ApplyResult{}, err
	}
	return f.Ledger.Apply(ctx, by, incidents, merchants)
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
