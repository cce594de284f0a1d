package campaign

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/check"
	"oshirase/mailer/envelope"
)

// Previewer shows single notices as their readers see them. It touches no delivery.
type Previewer struct {
	Ledger    Previews
	Templates mailer.Templates
	// Composer returns what composes the messages of a merchant.
	Composer func(*mailer.Merchant) (mailer.Composer, error)
	Sender   Sender // of tests; nil where none are sent
	Now      func() time.Time
	Random   io.Reader
}

// Preview is one notice with all that would be sent around it.
type Preview struct {
	Recipient mailer.Recipient
	Header    *mailer.Header
	Notice    mailer.Notice
	Message   mailer.Message // without Data where the recipient has no e-mail address

	composer mailer.Composer
}

// Preview renders the notice of one recipient: the one with the reference number,
// in any form in which it is read out, or with an empty one the first of the
// campaign.
func (p *Previewer) Preview(ctx context.Context, by mailer.Actor, id, ref string) (*Preview, error) {
	return p.preview(ctx, by, mailer.RecipientQuery{Campaign: id, Ref: ref, For: mailer.ActPreview})
}

func (p *Previewer) preview(ctx context.Context, by mailer.Actor, q mailer.RecipientQuery) (_ *Preview, err error) {
	if q.Ref != "" {
		if q.Ref, err = mailer.ParseRef(q.Ref); err != nil {
			return nil, err
		}
	}
	if by, _, err = mayWith(ctx, p.Ledger, by, q.For, q.Campaign); err != nil {
		return nil, err
	}
	v := &Preview{}
	v.Recipient, err = p.Ledger.FindRecipient(ctx, by, q)
	if errors.Is(err, mailer.ErrNotFound) {
		return nil, mailer.NotFound("campaign.no-recipient", "cause", err)
	}
	if err != nil {
		return nil, err
	}
	snap, err := p.snapshot(ctx, q.Campaign)
	if err != nil {
		return nil, err
	}
	return v, p.render(v, &snap)
}

// snapshot is what a campaign was checked with, or else what it would be checked
// with now.
func (p *Previewer) snapshot(ctx context.Context, id string) (mailer.Snapshot, error) {
	snap, err := p.Ledger.Snapshot(ctx, id)
	if !errors.Is(err, mailer.ErrConflict) {
		return snap, err
	}
	c, err := p.Ledger.Campaign(ctx, id)
	if err != nil {
		return mailer.Snapshot{}, err
	}
	return check.Snapshot(ctx, p.Ledger, p.Templates, c, p.Now())
}

// render fills in all but the recipient.
func (p *Previewer) render(v *Preview, snap *mailer.Snapshot) error {
	env, err := envelope.New(&snap.Merchant)
	if err != nil {
		return err
	}
	tmpl, err := p.Templates.Compile(snap)
	if err != nil {
		return err
	}
	if v.Notice, err = tmpl.Render(&v.Recipient); err != nil {
		return err
	}
	if v.composer, err = p.Composer(&snap.Merchant); err != nil {
		return err
	}
	token, err := p.token()
	if err != nil {
		return err
	}
	name, err := p.token()
	if err != nil {
		return err
	}
	v.Header = env.Header(mailer.Address{}, &v.Notice, name, p.Now())
	v.Header.To = ""
	v.Message = mailer.Message{Sender: env.Sender(token)}
	if v.Recipient.Email == "" {
		return nil // nothing to compose: a letter is needed
	}
	to, err := mailer.ParseAddress(v.Recipient.Email)
	if err != nil {
		return err
	}
	return v.readdress(to)
}

// readdress composes the message anew, for another address.
func (v *Preview) readdress(to mailer.Address) error {
	v.Header.To, v.Message.Recipient = to.Mailbox(), to.Mailbox()
	var err error
	v.Message.Data, err = v.composer.Compose(nil, v.Header, &v.Notice)
	return err
}

// token takes the place of one of the delivery's own names.
func (p *Previewer) token() (string, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(p.Random, b); err != nil {
		return "", fmt.Errorf("make token: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// Tested is a notice that was sent to an address of the operator's.
type Tested struct {
	Preview *Preview
	Outcome mailer.Outcome
}

// Err says that the relay did not accept it; nil: it did.
func (t *Tested) Err() error {
	if o := &t.Outcome; o.State != mailer.StateAccepted {
		return mailer.NewError(nil, "campaign.test-refused", "relay", o.Relay, "code", o.Code, "text", o.Text)
	}
	return nil
}

// Test sends the notice of one recipient, as it would be sent, to another address.
// What is recorded names the domain of the address alone.
func (p *Previewer) Test(ctx context.Context, by mailer.Actor, id, ref string, to mailer.Address) (*Tested, error) {
	v, err := p.preview(ctx, by, mailer.RecipientQuery{Campaign: id, Ref: ref, For: mailer.ActTest, Domain: to.Domain})
	if err != nil {
		return nil, err
	}
	if err := v.readdress(to); err != nil {
		return nil, err
	}
	out, err := p.Sender.SendOne(ctx, &v.Message)
	if err != nil {
		return nil, err
	}
	return &Tested{Preview: v, Outcome: out}, nil
}
