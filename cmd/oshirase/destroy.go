package main

import (
	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newDestroyCommand(a *app) *cobra.Command {
	var incident, confirm string
	c := &cobra.Command{
		Use:   "destroy --incident ID --confirm ID --by NAME",
		Short: "Destroy the key of an incident, and so its personal data",
		Long: `destroy makes the personal data of an incident unreadable, for good: the key that
seals it is destroyed. Reference numbers, states, counts and the history remain. Copies
of the database that were made before still hold the key: destroy these too.

The incident is named twice, so that nobody destroys the wrong one by a slip.`,
		Example: "  oshirase destroy --incident pay --confirm pay --by 情報管理責任者",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			facts, err := a.facts(cmd.Context())
			if err != nil {
				return err
			}
			by := a.actor()
			err = facts.Destroy(cmd.Context(), by, incident, confirm)
			if mailer.CodeOf(err) == campaign.NotConfirmed {
				return usageError{err: err}
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"incident": incident, "destroyed_by": by.Name})
			}
			a.printf("事案 %s の個人データを読み取れないようにしました。\n", incident)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&incident, "incident", "", "`ID` of the incident")
	f.StringVar(&confirm, "confirm", "", "the same `ID` again")
	required(c, "incident", "confirm")
	return c
}
