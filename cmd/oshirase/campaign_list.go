package main

import (
	"github.com/spf13/cobra"
)

func newCampaignListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List all campaigns",
		Long:    "list shows all campaigns, oldest first, and where each of them stands.",
		Example: "  oshirase campaign list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.register(cmd.Context())
			if err != nil {
				return err
			}
			all, err := r.List(cmd.Context(), a.actor())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"campaigns": all})
			}
			t := newTable("配信", "名称", "事案", "加盟店", "段階", "状況", "開始時刻", "理由")
			for _, c := range all {
				t.add(c.ID, c.Name, c.Incident, c.Merchant, c.Stage.Japanese(), c.Phase.Japanese(), jst(c.At), c.Reason)
			}
			a.printTable(t)
			return nil
		},
	}
}
