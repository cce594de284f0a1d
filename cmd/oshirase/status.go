package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/words"
	"oshirase/store"
)

// campaignStatus is one campaign in the JSON of `status`.
type campaignStatus struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Incident  string        `json:"incident"`
	Merchant  string        `json:"merchant"`
	Stage     mailer.Stage  `json:"stage"`
	Phase     mailer.Phase  `json:"phase"`
	Counts    mailer.Counts `json:"counts"` // every state, zero included
	Total     int64         `json:"total"`
	Remaining int64         `json:"remaining"`
	// PerMinute is how many messages were accepted in the last full minute.
	PerMinute     int64     `json:"per_minute"`
	FirstAccepted time.Time `json:"first_accepted,omitzero"`
	LastAccepted  time.Time `json:"last_accepted,omitzero"`
	NextDue       time.Time `json:"next_due,omitzero"`
	// Ends is when the rest will be sent at the present rate or pace, windows
	// counted in; absent where that cannot be told.
	Ends    time.Time `json:"ends,omitzero"`
	Waiting string    `json:"waiting,omitempty"` // why nothing is sent now
	wait    mailer.Wait
	Reason  string `json:"reason,omitempty"`
	// Groups are the domain groups that are not sent to now, while the campaign is
	// running and something waits for them.
	Groups []groupStatus `json:"groups,omitempty"`
}

func newStatusCommand(a *app) *cobra.Command {
	var id string
	var watch bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say how far the campaigns are, and why they wait",
		Long: `status counts the deliveries of each campaign by state, with the rate of the last
minute, an estimate of the end, and why nothing is sent where that is so. Domain groups
that are not sent to now, and relays that are set aside, follow with the reason, as the
working processes see it: a group of a campaign is counted up to 100,000.

受付済み (accepted) means that a relay took custody of the message. It does not mean that
the message arrived.`,
		Example: "  oshirase status\n  oshirase status --campaign c-20261201-7f3a --watch",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			db, err := a.store(ctx)
			if err != nil {
				return err
			}
			if !watch {
				st, err := a.status(ctx, db, id)
				if err != nil {
					return err
				}
				return a.printStatus(st)
			}
			return a.watchStatus(ctx, db, id)
		},
	}
	c.Flags().StringVar(&id, "campaign", "", "only this campaign (`ID`)")
	c.Flags().BoolVar(&watch, "watch", false, "show it again every second, until stopped")
	return c
}

// watchStatus repeats: on a terminal in place, elsewhere one after the other.
func (a *app) watchStatus(ctx context.Context, db *store.DB, id string) error {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		st, err := a.status(ctx, db, id)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if terminal(a.stdout) && !a.json {
			a.printf("\x1b[H\x1b[2J")
		}
		if err := a.printStatus(st); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// status is the JSON of `status`.
type status struct {
	Campaigns []campaignStatus `json:"campaigns"`
	// Relays are those that are set aside now.
	Relays []relayStatus `json:"relays,omitempty"`
}

func (a *app) status(ctx context.Context, db *store.DB, id string) (*status, error) {
	rows, err := db.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	relays, err := db.RelayWaits(ctx)
	if err != nil {
		return nil, err
	}
	st := &status{Campaigns: make([]campaignStatus, len(rows)), Relays: relayStatuses(relays)}
	for i, s := range rows {
		st.Campaigns[i] = campaignStatus{
			ID: s.ID, Name: s.Name, Incident: s.Incident, Merchant: s.Merchant, Stage: s.Stage, Phase: s.Phase,
			Counts: s.Counts, Total: s.Total, Remaining: s.Counts.Pending(), PerMinute: s.PerMinute,
			FirstAccepted: s.FirstAccepted, LastAccepted: s.LastAccepted, NextDue: s.NextDue,
			Ends: s.Ends(a.now()), Waiting: words.Wait(s.Wait(a.now()), words.English), wait: s.Wait(a.now()), Reason: s.Reason,
			Groups: groupStatuses(s.Groups),
		}
	}
	return st, nil
}

func (a *app) printStatus(st *status) error {
	if a.json {
		return a.printJSON(st)
	}
	t := newTable("配信", "加盟店", "段階", "状況", "対象", "受付済み", "待機", "再試行待ち", "拒否", "結果不明", "その他", "毎分", "終了見込み", "待機の理由")
	t.alignRight(4, 5, 6, 7, 8, 9, 10, 11)
	for _, c := range st.Campaigns {
		n := c.Counts
		queued := n[mailer.StateQueued] + n[mailer.StateClaimed] + n[mailer.StateSending]
		known := n[mailer.StateAccepted] + queued + n[mailer.StateDeferred] + n[mailer.StateRejected] + n[mailer.StateUnknown]
		why := words.Wait(c.wait, words.Japanese)
		if why == "" {
			why = c.Reason
		}
		t.add(c.ID, c.Merchant, c.Stage.Japanese(), c.Phase.Japanese(), number(c.Total), number(n[mailer.StateAccepted]), number(queued),
			number(n[mailer.StateDeferred]), number(n[mailer.StateRejected]), number(n[mailer.StateUnknown]), number(c.Total-known),
			number(c.PerMinute), jst(c.Ends), why)
	}
	a.printTable(t)
	a.printGroups(st.Campaigns)
	a.printRelays(st.Relays)
	return nil
}

// pending is how many deliveries of running campaigns are still to be sent.
func pending(ctx context.Context, db *store.DB) (n int64, err error) {
	rows, err := db.Status(ctx, "")
	for _, s := range rows {
		if s.Phase == mailer.PhaseRunning {
			n += s.Counts.Pending()
		}
	}
	return n, err
}
