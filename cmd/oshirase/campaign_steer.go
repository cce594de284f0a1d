package main

import (
	"context"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

// steer is a command that moves a campaign to another phase.
func (a *app) steer(use, short, long string, move func(context.Context, *campaign.Steering, string) (mailer.Campaign, error)) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Long: long,
		Example: "  oshirase campaign " + use + " c-20261201-7f3a",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.steering(cmd.Context())
			if err != nil {
				return err
			}
			c, err := move(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"id": c.ID, "phase": c.Phase})
			}
			a.printf("%s %s\n", c.ID, c.Phase.Japanese())
			return nil
		},
	}
}
