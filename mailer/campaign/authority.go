package campaign

import (
	"context"

	"oshirase/mailer"
	"oshirase/mailer/authority"
)

// mayWith says who does something with a campaign, which it finds, or why they may not.
func mayWith(ctx context.Context, l interface {
	authority.Register
	Campaign(ctx context.Context, id string) (mailer.Campaign, error)
}, by mailer.Actor, a mailer.Action, id string,
) (mailer.Actor, mailer.Campaign, error) {
	who, err := authority.Any(ctx, l, by, a)
	if err != nil {
		return mailer.Actor{}, mailer.Campaign{}, err
	}
	c, err := l.Campaign(ctx, id)
	if err != nil {
		return mailer.Actor{}, mailer.Campaign{}, err
	}
	return who.Actor, c, who.For(c.Merchant)
}
