package main

import (
	"github.com/spf13/cobra"
)

func newCampaignApproveCommand(a *app) *cobra.Command {
	var n count
	c := &cobra.Command{
		Use:   "approve ID --by NAME --count N",
		Short: "Approve what was checked, typing how many notices will be sent",
		Long: `approve records one person's consent to exactly what the last check rendered. As
many different people as the config says must approve, each typing the number of
notices that will be sent. Any change of list, facts, template or campaign voids all
approvals.`,
		Example: "  oshirase campaign approve c-20261201-7f3a --by 佐藤 --count 5283",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.steering(cmd.Context())
			if err != nil {
				return err
			}
			res, err := s.Approve(cmd.Context(), a.actor(), args[0], int64(n))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(res)
			}
			if res.Approved {
				a.printf("承認が揃いました（%d名）。\n", res.Approvals)
			} else {
				a.printf("承認 %d名、あと%d名の承認が必要です。\n", res.Approvals, res.Missing)
			}
			return nil
		},
	}
	c.Flags().Var(&n, "count", "how many notices will be sent")
	required(c, "count")
	return c
}
