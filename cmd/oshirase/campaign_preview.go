package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newCampaignPreviewCommand(a *app) *cobra.Command {
	var ref string
	var raw bool
	c := &cobra.Command{
		Use:   "preview ID",
		Short: "Show one notice as its reader sees it",
		Long: `preview renders the notice of one recipient: the one with the reference number, or
the first of the campaign. --raw prints the bytes of the message as they would be
handed to a relay.`,
		Example: `  oshirase campaign preview c-20261201-7f3a
  oshirase campaign preview c-20261201-7f3a --ref 3F7KQ-9XTW4 --raw > notice.eml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkRef(ref); err != nil {
				return err
			}
			pv, err := a.previewer(cmd.Context())
			if err != nil {
				return err
			}
			p, err := pv.Preview(cmd.Context(), a.actor(), args[0], ref)
			if err != nil {
				return err
			}
			if raw && p.Message.Data == nil {
				return withHint(fmt.Errorf("recipient %s has no e-mail address, so there is no message", p.Recipient.Ref), "leave --raw out to read the notice")
			}
			if raw {
				_, err = a.stdout.Write(p.Message.Data)
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{
					"ref": p.Recipient.Ref, "from": p.Header.From, "from_name": p.Header.FromName, "reply_to": p.Header.ReplyTo,
					"to": p.Header.To, "subject": p.Header.Subject, "body": p.Notice.Body,
				})
			}
			a.printf("差出人: %s <%s>\n", p.Header.FromName, p.Header.From)
			if p.Header.ReplyTo != "" {
				a.printf("返信先: %s\n", p.Header.ReplyTo)
			}
			a.printf("宛先:   %s\n件名:   %s\n\n%s", p.Header.To, p.Notice.Subject, p.Notice.Body)
			return nil
		},
	}
	c.Flags().StringVar(&ref, "ref", "", "reference `NUMBER` of the recipient (default: the first)")
	c.Flags().BoolVar(&raw, "raw", false, "print the message's bytes")
	return c
}
