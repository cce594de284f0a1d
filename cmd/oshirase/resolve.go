package main

import (
	"github.com/spf13/cobra"

	"oshirase/mailer"
)

func newResolveCommand(a *app) *cobra.Command {
	var id, as, ref string
	var all bool
	c := &cobra.Command{
		Use:   "resolve --campaign ID --as accepted|queued (--ref REF | --all) --by NAME",
		Short: "Decide what became of unknown deliveries",
		Long: `resolve settles deliveries whose outcome is unknown: the relay may or may not have
taken the message. Look into the relay's log for the Message-ID, then say accepted (it
has it), or queued (it does not: the notice is sent again, with the same Message-ID).`,
		Example: `  oshirase deliveries --campaign c-20261201-7f3a --state unknown
  oshirase resolve --campaign c-20261201-7f3a --as accepted --ref 3F7KQ-9XTW4 --by 鈴木`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state := mailer.State(as)
			if state != mailer.StateAccepted && state != mailer.StateQueued {
				return usagef("--as %q: use accepted or queued", as)
			}
			if err := checkRef(ref); err != nil {
				return err
			}
			s, err := a.steering(cmd.Context())
			if err != nil {
				return err
			}
			n, err := s.Resolve(cmd.Context(), a.actor(), id, state, ref)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"resolved": n})
			}
			a.printf("%s件を「%s」としました。\n", number(n), state.Japanese())
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&id, "campaign", "", "`ID` of the campaign")
	f.StringVar(&as, "as", "", "accepted or queued")
	f.StringVar(&ref, "ref", "", "reference `NUMBER` of one recipient")
	f.BoolVar(&all, "all", false, "all unknown deliveries of the campaign")
	required(c, "campaign", "as")
	c.MarkFlagsMutuallyExclusive("ref", "all")
	c.MarkFlagsOneRequired("ref", "all")
	return c
}
