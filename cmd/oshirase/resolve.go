package main

import (
	"github.com/spf13/cobra"

	"oshirase/mailer"
)

func newResolveCommand(a *app) *cobra.Command {
	var id, as, ref string
	var all, held bool
	c := &cobra.Command{
		Use:   "resolve --campaign ID [--held] --as accepted|queued|cancelled (--ref REF | --all) --by NAME",
		Short: "Decide what became of unknown deliveries, or becomes of held ones",
		Long: `resolve settles deliveries whose outcome is unknown: the relay may or may not have
taken the message. Look into the relay's log for the Message-ID, then say accepted (it
has it), or queued (it does not: the notice is sent again, with the same Message-ID).

With --held it decides deliveries that are held since their people, and so their notices,
are not those that were approved: cancelled (another campaign tells them what is right
now), or queued (sent if the notice is the approved one after all, else held again).`,
		Example: `  oshirase deliveries --campaign c-20261201-7f3a --state unknown
  oshirase resolve --campaign c-20261201-7f3a --as accepted --ref 3F7KQ-9XTW4 --by 鈴木
  oshirase resolve --campaign c-20261201-7f3a --held --as cancelled --all --by 鈴木`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state := mailer.State(as)
			if held && state != mailer.StateCancelled && state != mailer.StateQueued {
				return usagef("--as %q: with --held, use queued or cancelled", as)
			}
			if !held && state != mailer.StateAccepted && state != mailer.StateQueued {
				return usagef("--as %q: use accepted or queued", as)
			}
			if err := checkRef(ref); err != nil {
				return err
			}
			s, err := a.steering(cmd.Context())
			if err != nil {
				return err
			}
			decide := s.Resolve
			if held {
				decide = s.DecideHeld
			}
			n, err := decide(cmd.Context(), a.actor(), id, state, ref)
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
	f.StringVar(&as, "as", "", "accepted or queued; with --held, queued or cancelled")
	f.BoolVar(&held, "held", false, "held deliveries instead of unknown ones")
	f.StringVar(&ref, "ref", "", "reference `NUMBER` of one recipient")
	f.BoolVar(&all, "all", false, "all unknown (or held) deliveries of the campaign")
	required(c, "campaign", "as")
	c.MarkFlagsMutuallyExclusive("ref", "all")
	c.MarkFlagsOneRequired("ref", "all")
	return c
}
