package main

import "github.com/spf13/cobra"

func newRestoreCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "restore",
		Short: "Decide about a ledger that was put back from a backup",
		Long: `A ledger that is older than what is known of it is not sent from until a person has
decided. Nothing else stops: it can be read, and its campaigns paused and cancelled.`,
		Example: "  oshirase restore accept --by 佐藤 --reason '障害により 11/24 9:00 のバックアップから復旧'",
		Args:    cobra.ArbitraryArgs,
		RunE:    needsCommand,
	}
	var reason string
	accept := &cobra.Command{
		Use:   "accept --by NAME --reason TEXT",
		Short: "Send from an older ledger, knowingly",
		Long: `A ledger that is older than the checkpoint beside it, or that has none, is not sent
from: whoever was told after it was copied would be told again. accept takes it for the
right one; what was sent in between is not in it. Look into the relay's log first, and
resolve or cancel what it shows as sent.`,
		Example: "  oshirase restore accept --by 佐藤 --reason '障害により 11/24 9:00 のバックアップから復旧'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			u, err := a.keeping(cmd.Context())
			if err != nil {
				return err
			}
			by := a.actor()
			if err := u.AcceptRestore(cmd.Context(), by, reason); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"accepted_by": by.Name, "reason": reason})
			}
			a.printf("この台帳からの送信を認めました。控えを取った後に送信された分は、この台帳に記録がありません。\n")
			return nil
		},
	}
	accept.Flags().StringVar(&reason, "reason", "", "why, for the record")
	required(accept, "reason")
	c.AddCommand(accept)
	return c
}
