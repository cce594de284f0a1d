package main

import (
	"context"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newCampaignStartCommand(a *app) *cobra.Command {
	var now bool
	c := a.steer("start", "Start an approved campaign",
		`start lets run and serve send an approved campaign. One with a time of its own keeps
to it, unless --now is given; one whose time has passed starts at once.`,
		func(ctx context.Context, s *campaign.Steering, id string) (mailer.Campaign, error) {
			return s.Start(ctx, a.actor(), id, now)
		})
	c.Flags().BoolVar(&now, "now", false, "start at once, before the campaign's time")
	return c
}
