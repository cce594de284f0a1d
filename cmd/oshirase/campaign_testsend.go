package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"oshirase/mailer"
)

// newCampaignTestCommand is in no file of the command's name: that would be a test.
func newCampaignTestCommand(a *app) *cobra.Command {
	var ref, to string
	c := &cobra.Command{
		Use:   "test ID --to ADDRESS",
		Short: "Send one real notice to an address of your own",
		Long: `test sends the notice of one recipient, as it would be sent, to another address: to
your own, to look at it in a mail program. No delivery is touched. Remember that the
notice holds that recipient's personal data.`,
		Example: "  oshirase campaign test c-20261201-7f3a --to reviewer@minato-jutaku.example",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := mailer.ParseAddress(to)
			if err != nil {
				return usageError{err: fmt.Errorf("--to: %w", err)}
			}
			if err := checkRef(ref); err != nil {
				return err
			}
			pv, err := a.previewer(cmd.Context())
			if err != nil {
				return err
			}
			if pv.Sender, err = a.runner(cmd.Context()); err != nil {
				return err
			}
			sent, err := pv.Test(cmd.Context(), a.actor(), args[0], ref, addr)
			if err != nil {
				return err
			}
			out := &sent.Outcome
			if a.json {
				err = a.printJSON(map[string]any{
					"state": out.State, "code": out.Code, "enhanced": out.Enhanced, "text": out.Text, "relay": out.Relay,
					"message_id": sent.Preview.Header.MessageID, "ref": sent.Preview.Recipient.Ref,
				})
			} else {
				a.printf("%s: %d %s %s（%s）\n", out.State.Japanese(), out.Code, out.Enhanced, out.Text, out.Relay)
			}
			if err != nil {
				return err
			}
			return sent.Err()
		},
	}
	c.Flags().StringVar(&ref, "ref", "", "reference `NUMBER` of the recipient whose notice it is (default: the first)")
	c.Flags().StringVar(&to, "to", "", "the `ADDRESS` that gets it")
	required(c, "to")
	return c
}
