package main

import (
	"context"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newCampaignResumeCommand(a *app) *cobra.Command {
	return a.steer("resume", "Let a paused campaign go on", "resume lets a paused campaign be sent again.",
		func(ctx context.Context, s *campaign.Steering, id string) (mailer.Campaign, error) {
			return s.Resume(ctx, a.actor(), id)
		})
}
