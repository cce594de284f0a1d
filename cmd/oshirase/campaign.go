package main

import (
	"github.com/spf13/cobra"
)

func newCampaignCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "campaign",
		Short: "Create, check, approve and steer campaigns",
		Long: `A campaign is one notice to the recipients of one merchant. It is created, checked
(every notice is rendered), approved by enough people, started, and sent by run or serve.`,
		Example: `  oshirase campaign create --incident pay --merchant housing --stage formal
  oshirase campaign check c-20261201-7f3a`,
		Args: cobra.ArbitraryArgs,
		RunE: needsCommand,
	}
	c.AddCommand(
		newCampaignCreateCommand(a), newCampaignCheckCommand(a), newCampaignPreviewCommand(a),
		newCampaignTestCommand(a), newCampaignSheetCommand(a), newCampaignApproveCommand(a), newCampaignApprovalsCommand(a), newCampaignStartCommand(a),
		newCampaignPauseCommand(a), newCampaignResumeCommand(a), newCampaignCancelCommand(a),
		newCampaignSetCommand(a), newCampaignListCommand(a), newCampaignShowCommand(a),
	)
	return c
}
