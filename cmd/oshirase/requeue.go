package main

import (
	"github.com/spf13/cobra"

	"oshirase/mailer"
)

// requeueable are the states that requeue takes, with what they are in the ledger:
// what is held is queued there.
var requeueable = map[string]mailer.State{
	"rejected": mailer.StateRejected, "expired": mailer.StateExpired, "held": mailer.StateQueued,
	"拒否": mailer.StateRejected, "期限切れ": mailer.StateExpired, "保留": mailer.StateQueued,
}

func newRequeueCommand(a *app) *cobra.Command {
	var id, state, ref string
	c := &cobra.Command{
		Use:   "requeue --campaign ID --state rejected|expired|held [--ref REF]",
		Short: "Have deliveries sent again that were refused, expired or held",
		Long: `requeue puts deliveries back into the queue: those that were rejected, where the
relay was at fault and not the person; those that expired; or those that are held,
since a relay refused us over them or they could not be composed. Without --ref all of
the campaign in that state.

What was approved is what is sent, by the same approval. The deadline begins anew. A
campaign that was finished is running again; one that is paused waits for campaign
resume.`,
		Example: `  oshirase deliveries --campaign c-20261201-7f3a --state rejected
  oshirase requeue --campaign c-20261201-7f3a --state rejected --by 鈴木`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, ok := requeueable[state]
			if !ok {
				return usagef("--state %q: use rejected, expired or held", state)
			}
			if err := checkRef(ref); err != nil {
				return err
			}
			s, err := a.steering(cmd.Context())
			if err != nil {
				return err
			}
			n, err := s.Requeue(cmd.Context(), a.actor(), id, from, ref)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"requeued": n})
			}
			a.printf("%s件を送信待ちに戻しました。\n", number(n))
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&id, "campaign", "", "`ID` of the campaign")
	f.StringVar(&state, "state", "", "rejected, expired or held")
	f.StringVar(&ref, "ref", "", "reference `NUMBER` of one recipient (default: all)")
	required(c, "campaign", "state")
	return c
}
