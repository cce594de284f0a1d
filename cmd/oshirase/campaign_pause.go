package main

import (
	"context"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newCampaignPauseCommand(a *app) *cobra.Command {
	return a.steer("pause", "Pause a running campaign, within a second",
		`pause lets nothing new be handed to a relay, in any process, from the moment that
this command returns. What a relay has already been given is finished and recorded.`,
		func(ctx context.Context, s *campaign.Steering, id string) (mailer.Campaign, error) {
			return s.Pause(ctx, a.actor(), id)
		})
}
