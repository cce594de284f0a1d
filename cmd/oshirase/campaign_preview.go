package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
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
			p, err := a.preview(cmd, mailer.ActPreview, args[0], ref)
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

// preview composes the message of one recipient of a campaign.
func (a *app) preview(cmd *cobra.Command, act mailer.Action, id, ref string) (*campaign.Preview, error) {
	db, err := a.store(cmd.Context())
	if err != nil {
		return nil, err
	}
	if ref != "" {
		if ref, err = mailer.ParseRef(ref); err != nil {
			return nil, usageError{err: err}
		}
	}
	r, err := db.FindRecipient(cmd.Context(), a.actor(), act, id, ref)
	if err != nil {
		if errors.Is(err, mailer.ErrNotFound) {
			return nil, withHint(err, "import a list for the campaign's incident and merchant, or look at --ref")
		}
		return nil, err
	}
	notices, err := a.notices()
	if err != nil {
		return nil, err
	}
	pv := campaign.Previewer{Store: db, Notices: notices, Composer: a.composer, Now: a.now}
	token := make([]byte, 16)
	if _, err := io.ReadFull(a.random, token); err != nil {
		return nil, fmt.Errorf("make token: %w", err)
	}
	return pv.Preview(cmd.Context(), id, &r, hex.EncodeToString(token))
}

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
			p, err := a.preview(cmd, mailer.ActTest, args[0], ref)
			if err != nil {
				return err
			}
			if err := p.Readdress(addr); err != nil {
				return err
			}
			runner, err := a.runner(cmd.Context())
			if err != nil {
				return err
			}
			out, err := runner.SendOne(cmd.Context(), &p.Message)
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(map[string]any{
					"state": out.State, "code": out.Code, "enhanced": out.Enhanced, "text": out.Text, "relay": out.Relay,
					"message_id": p.Header.MessageID, "ref": p.Recipient.Ref,
				})
			} else {
				a.printf("%s: %d %s %s（%s）\n", out.State.Japanese(), out.Code, out.Enhanced, out.Text, out.Relay)
			}
			if err == nil && out.State != mailer.StateAccepted {
				err = fmt.Errorf("the relay %s did not accept the test message: %d %s", out.Relay, out.Code, out.Text)
			}
			return err
		},
	}
	c.Flags().StringVar(&ref, "ref", "", "reference `NUMBER` of the recipient whose notice it is (default: the first)")
	c.Flags().StringVar(&to, "to", "", "the `ADDRESS` that gets it")
	required(c, "to")
	return c
}
