package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
	"oshirase/mailer/words"
)

func newStatusCommand(a *app) *cobra.Command {
	var id string
	var watch bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say how far the campaigns are, and why they wait",
		Long: `status counts the deliveries of each campaign by state, with the rate of the last
minute, an estimate of the end, and why nothing is sent where that is so. Domain groups
that are not sent to now, and relays that are set aside, follow with the reason, as the
working processes see it: those of a group that were refused for now are counted up to
100,000.

受付済み (accepted) means that a relay took custody of the message. It does not mean that
the message arrived.`,
		Example: "  oshirase status\n  oshirase status --campaign c-20261201-7f3a --watch",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			r, err := a.register(ctx)
			if err != nil {
				return err
			}
			if watch {
				return a.watchStatus(ctx, r, id)
			}
			st, err := r.Status(ctx, a.actor(), id)
			if err != nil {
				return err
			}
			return a.printStatus(&st)
		},
	}
	c.Flags().StringVar(&id, "campaign", "", "only this campaign (`ID`)")
	c.Flags().BoolVar(&watch, "watch", false, "show it again every second, until stopped")
	return c
}

// watchStatus repeats: on a terminal in place, elsewhere one after the other.
func (a *app) watchStatus(ctx context.Context, r *campaign.Register, id string) error {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		st, err := r.Status(ctx, a.actor(), id)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if terminal(a.stdout) && !a.json {
			a.printf("\x1b[H\x1b[2J")
		}
		if err := a.printStatus(&st); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

func (a *app) printStatus(st *mailer.Status) error {
	if a.json {
		for i := range st.Campaigns {
			st.Campaigns[i].Waiting = words.Wait(st.Campaigns[i].Wait, words.English)
		}
		return a.printJSON(st)
	}
	t := newTable("配信", "加盟店", "段階", "状況", "対象", "受付済み", "待機", "再試行待ち", "拒否", "結果不明", "その他", "毎分", "終了見込み", "待機の理由")
	t.alignRight(4, 5, 6, 7, 8, 9, 10, 11)
	for _, c := range st.Campaigns {
		n := c.Counts
		why := words.Wait(c.Wait, words.Japanese)
		switch {
		case why == "":
			why = c.Reason
		case c.Wait.Reason == mailer.WaitVoided:
			why = c.Reason + ": " + why
		}
		t.add(c.ID, c.Merchant, c.Stage.Japanese(), c.Phase.Japanese(), number(c.Total), number(n[mailer.StateAccepted]), number(n.Waiting()),
			number(n[mailer.StateDeferred]), number(n[mailer.StateRejected]), number(n[mailer.StateUnknown]), number(n.Rest()),
			number(c.PerMinute), jst(c.Ends), why)
	}
	a.printTable(t)
	a.printGroups(st.Campaigns)
	a.printRelays(st.Relays)
	return nil
}
