package campaign

import (
	"context"
	"errors"
	"slices"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/authority"
	"oshirase/mailer/envelope"
)

// Register reads what the ledger holds. It changes nothing but the audit, which
// gains a line wherever personal data is shown.
type Register struct {
	Ledger Records
	Now    func() time.Time
}

// List has all campaigns, oldest first; never nil.
func (r *Register) List(ctx context.Context, by mailer.Actor) ([]mailer.Campaign, error) {
	who, err := authority.Any(ctx, r.Ledger, by, mailer.ActView)
	if err != nil {
		return nil, err
	}
	all, err := r.Ledger.Campaigns(ctx)
	all = slices.DeleteFunc(all, func(c mailer.Campaign) bool { return !who.Sees(c.Merchant) })
	if all == nil {
		all = []mailer.Campaign{}
	}
	return all, err
}

// Show is everything that is known of a campaign but its recipients.
func (r *Register) Show(ctx context.Context, by mailer.Actor, id string) (mailer.CampaignDetail, error) {
	if _, _, err := mayWith(ctx, r.Ledger, by, mailer.ActView, id); err != nil {
		return mailer.CampaignDetail{}, err
	}
	st, err := r.Ledger.Status(ctx, id)
	if err != nil {
		return mailer.CampaignDetail{}, err
	}
	s := &st[0]
	d := mailer.CampaignDetail{
		Campaign: s.Campaign, Approvals: []mailer.Approval{}, Findings: []mailer.Finding{},
		Counts: s.Counts, Total: s.Counts.Total(), Held: s.Held, Wait: s.Wait(r.Now()),
	}
	if d.Late, err = r.Ledger.Late(ctx, id); err != nil {
		return mailer.CampaignDetail{}, err
	}
	if snap, err := r.Ledger.Snapshot(ctx, id); err == nil {
		d.AllowRepeat = snap.AllowRepeat
	} else if !errors.Is(err, mailer.ErrConflict) { // not checked yet
		return mailer.CampaignDetail{}, err
	}
	approvals, err := r.Ledger.Approvals(ctx, id)
	if err != nil {
		return mailer.CampaignDetail{}, err
	}
	d.Approvals = append(d.Approvals, approvals...)
	findings, err := r.Ledger.Findings(ctx, id)
	if err != nil {
		return mailer.CampaignDetail{}, err
	}
	d.Findings = append(d.Findings, findings...)
	if d.AcceptedCounts, err = r.Ledger.CountAcceptances(ctx, id); err != nil {
		return mailer.CampaignDetail{}, err
	}
	return d, nil
}

// Status says how far one campaign is, or all with an empty ID, why they wait, and
// which relays are set aside.
func (r *Register) Status(ctx context.Context, by mailer.Actor, id string) (mailer.Status, error) {
	who, err := authority.Any(ctx, r.Ledger, by, mailer.ActView)
	if err != nil {
		return mailer.Status{}, err
	}
	rows, err := r.Ledger.Status(ctx, id)
	if err != nil {
		return mailer.Status{}, err
	}
	rows = slices.DeleteFunc(rows, func(s mailer.CampaignStatus) bool { return !who.Sees(s.Merchant) })
	relays, err := r.Ledger.RelayWaits(ctx)
	if err != nil {
		return mailer.Status{}, err
	}
	return mailer.NewStatus(rows, relays, r.Now()), nil
}

// Pending is how many deliveries are still to be sent: of one campaign in any
// phase, or with an empty ID of all that are running.
func (r *Register) Pending(ctx context.Context, _ mailer.Actor, id string) (n int64, err error) {
	if id != "" {
		counts, err := r.Ledger.Counts(ctx, id)
		return counts.Pending(), err
	}
	rows, err := r.Ledger.Status(ctx, "")
	for i := range rows {
		if rows[i].Phase == mailer.PhaseRunning {
			n += rows[i].Counts.Pending()
		}
	}
	return n, err
}

// Deliveries calls fn with each delivery that the filter admits, with its
// Message-ID, in order of their IDs. It streams, and each is as it is when it is
// read; while much is being sent it leaves the machine to the sending. The act is
// committed before fn is called.
func (r *Register) Deliveries(ctx context.Context, by mailer.Actor, of mailer.DeliveryFilter, fn func(*mailer.DeliveryView) error) error {
	by, _, err := mayWith(ctx, r.Ledger, by, mailer.ActDeliveries, of.Campaign)
	if err != nil {
		return err
	}
	sender, err := r.sender(ctx, of.Campaign)
	if err != nil {
		return err
	}
	way := newThrottle(r.Ledger.Rate)
	return r.Ledger.EachDelivery(ctx, by, of, func(d mailer.DeliveryView) error {
		var err error
		if d.MessageID, err = envelope.MessageID(sender, d.MessageName); err != nil {
			return err
		}
		if err := fn(&d); err != nil {
			return err
		}
		return way.step(ctx)
	})
}

// sender is the merchant as the campaign was checked with it, or as it is.
func (r *Register) sender(ctx context.Context, id string) (*mailer.Merchant, error) {
	snap, err := r.Ledger.Snapshot(ctx, id)
	if err == nil {
		return &snap.Merchant, nil
	}
	if !errors.Is(err, mailer.ErrConflict) { // not checked yet
		return nil, err
	}
	c, err := r.Ledger.Campaign(ctx, id)
	if err != nil {
		return nil, err
	}
	m, err := r.Ledger.Merchant(ctx, c.Merchant)
	return &m, err
}

// Audit calls fn with every act, oldest first.
func (r *Register) Audit(ctx context.Context, by mailer.Actor, fn func(mailer.Act) error) error {
	if _, err := authority.May(ctx, r.Ledger, by, mailer.ActAudit, ""); err != nil {
		return err
	}
	return r.Ledger.EachAct(ctx, fn)
}
