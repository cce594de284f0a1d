package main

import (
	"errors"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/mailer/words"
)

func newRunCommand(a *app) *cobra.Command {
	var id string
	c := &cobra.Command{
		Use:   "run",
		Short: "Send what is due, then return",
		Long: `run sends the started campaigns, and retries what is due again, until nothing is
due now: everything is sent, the window closed, or the next attempts are later. A
campaign with a pace is sent at that pace, however long it takes. Two runs at once, or
a run beside serve, are safe. SIGTERM, SIGINT or SIGHUP finishes what is on the wire,
records it and returns; a second one does not wait for the relay any more.

remaining counts all that is open in the campaigns that were started: to be sent,
deferred, unknown (oshirase resolve) or held (oshirase requeue), also where a campaign is
paused or its approval void. Exit code 4 says that nothing but a person brings some of
it on, 5 that a signal came first; 0 that all is done, or waits as planned: for its
window, its next attempt, its pace.`,
		Example: `  oshirase run
  oshirase run --campaign c-20261201-7f3a --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			reg, err := a.register(ctx)
			if err != nil {
				return err
			}
			total, err := reg.Pending(ctx, a.actor(), id)
			if err != nil {
				return err
			}
			if err := a.policyAgrees(ctx); err != nil {
				return err
			}
			runner, err := a.runner(ctx)
			if err != nil {
				return err
			}
			bar := a.newProgress("sending", "notices", total)
			runner.Options.Progress = func(done int64) { bar.set(done, 0) }
			sum, err := runner.Run(ctx, id)
			bar.end()
			if err == nil {
				err = outcomeOf(&sum)
			}
			if a.json {
				return errors.Join(a.printJSON(newRunResult(sum)), err)
			}
			t := newTable("結果", "件数").alignRight(1)
			t.add(mailer.StateAccepted.Japanese(), number(sum.Accepted))
			t.add(mailer.StateDeferred.Japanese(), number(sum.Deferred))
			t.add(mailer.StateRejected.Japanese(), number(sum.Rejected))
			t.add(mailer.StateUnknown.Japanese(), number(sum.Unknown))
			t.add("残り", number(sum.Remaining))
			if n := sum.Held.Total(); n > 0 {
				t.add("うち保留", number(n))
			}
			a.printTable(t)
			for _, id := range sortedKeys(sum.Waits) {
				a.printf("%s: %s\n", id, words.Wait(sum.Waits[id], words.Japanese))
			}
			return err
		},
	}
	c.Flags().StringVar(&id, "campaign", "", "send only this campaign (`ID`)")
	return c
}

// runResult is the JSON of `run`.
type runResult struct {
	send.Summary
	// Waiting says for each campaign with remaining deliveries why they wait.
	Waiting map[string]string `json:"waiting,omitempty"`
}

func newRunResult(sum send.Summary) runResult {
	r := runResult{Summary: sum, Waiting: map[string]string{}}
	for id, w := range sum.Waits {
		r.Waiting[id] = words.Wait(w, words.English)
	}
	return r
}
