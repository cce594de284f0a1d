package main

import (
	"context"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newCampaignCancelCommand(a *app) *cobra.Command {
	return a.steer("cancel", "End a campaign for good",
		`cancel ends a campaign: what was not sent never will be. Deliveries in flight are
finished and recorded, unknown ones stay to be resolved.`,
		func(ctx context.Context, s *campaign.Steering, id string) (mailer.Campaign, error) {
			return s.Cancel(ctx, a.actor(), id)
		})
}
