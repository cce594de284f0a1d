// Package campaign holds the use cases: what people do to campaigns, from the
// first draft to the last decision. Each takes the Actor behind it. It knows the
// ledger only through small interfaces; cmd and web call it and decide nothing.
package campaign

import (
	"context"
	"errors"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/check"
	"oshirase/mailer/envelope"
)

// Previewer renders single notices without touching any delivery.
type Previewer struct {
	Store interface {
		check.Freezer
		// Snapshot returns what a campaign was checked with, ErrConflict before.
		Snapshot(ctx context.Context, campaign string) (mailer.Snapshot, error)
	}
	Notices  mailer.Templates
	Composer func(*mailer.Merchant) (mailer.Composer, error)
	Now      func() time.Time
}

// Preview is one notice with all that would be sent around it.
type Preview struct {
	Recipient *mailer.Recipient
	Header    *mailer.Header
	Notice    mailer.Notice
	Message   mailer.Message

	composer mailer.Composer
}

// Preview renders the notice of r: from the snapshot of the check where there is
// one, else from the facts as they are now. The token takes the place of the
// delivery's own.
func (p *Previewer) Preview(ctx context.Context, id string, r *mailer.Recipient, token string) (*Preview, error) {
	snap, err := p.Store.Snapshot(ctx, id)
	if errors.Is(err, mailer.ErrConflict) { // not checked yet
		var c mailer.Campaign
		if c, err = p.Store.Campaign(ctx, id); err == nil {
			snap, err = (&check.Check{Store: p.Store, Notices: p.Notices, Now: p.Now}).Snapshot(ctx, c)
		}
	}
	if err != nil {
		return nil, err
	}
	env, err := envelope.New(&snap.Merchant)
	if err != nil {
		return nil, err
	}
	tmpl, err := p.Notices.Compile(&snap)
	if err != nil {
		return nil, err
	}
	v := &Preview{Recipient: r}
	if v.Notice, err = tmpl.Render(r); err != nil {
		return nil, err
	}
	if v.composer, err = p.Composer(&snap.Merchant); err != nil {
		return nil, err
	}
	v.Header = env.Header(mailer.Address{}, &v.Notice, token, p.Now())
	v.Header.To = ""
	v.Message = mailer.Message{Sender: env.Sender(token)}
	if r.Email == "" {
		return v, nil // nothing to compose: a letter is needed
	}
	to, err := mailer.ParseAddress(r.Email)
	if err != nil {
		return nil, err
	}
	return v, v.Readdress(to)
}

// Readdress composes the message anew, for another address.
func (v *Preview) Readdress(to mailer.Address) error {
	v.Header.To, v.Message.Recipient = to.Mailbox(), to.Mailbox()
	var err error
	v.Message.Data, err = v.composer.Compose(nil, v.Header, &v.Notice)
	return err
}
