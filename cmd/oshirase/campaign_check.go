package main

import (
	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newCampaignCheckCommand(a *app) *cobra.Command {
	var repeat bool
	c := &cobra.Command{
		Use:   "check ID",
		Short: "Freeze the recipients, render and lint every notice",
		Long: `check freezes the recipients of a campaign, renders the notice of every one of
them, lints it and stores its hash: what differs from it later is not sent. Any
approval given before is void. Exit code 3 means that errors were found; they
forbid approval.

People who already got a notice of this stage that said the same are suppressed,
unless --allow-repeat is given: then the approvers are told so, and approve it. Where
another campaign is still to tell some of them, they are taken; whichever campaign
starts first tells them. A follow-up or correction goes to nobody whom no first
warning or formal notice has reached.`,
		Example: "  oshirase campaign check c-20261201-7f3a",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.preparation(cmd.Context())
			if err != nil {
				return err
			}
			bar := a.newProgress("checking", "notices", 0)
			result, err := p.Check(cmd.Context(), a.actor(), args[0], campaign.CheckOptions{
				AllowRepeat: repeat, Progress: func(done int64) { bar.set(done, 0) },
			})
			bar.end()
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(result)
			} else {
				a.printCheck(&result)
			}
			if err != nil {
				return err
			}
			if n := result.Errors(); n > 0 {
				return checkError{errors: n, hint: "mend the facts, the list or the merchant's parts, then check again"}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&repeat, "allow-repeat", false, "also take people who already got a notice of this stage that said the same")
	return c
}

// printCheck prints what a check came to, for people.
func (a *app) printCheck(r *mailer.CheckReport) {
	t := newTable("項目", "件数").alignRight(1)
	t.add("対象者", number(r.Recipients))
	t.add("送信対象", number(r.Sendable))
	for _, reason := range sortedKeys(r.Suppressed) {
		t.add("対象外（"+reason.Japanese()+"）", number(r.Suppressed[reason]))
	}
	declared := "申告なし"
	if r.Declared != nil {
		declared = number(*r.Declared)
	}
	t.add("申告件数", declared)
	if r.AllowRepeat {
		t.add("再通知", "あり")
	}
	a.printTable(t)
	a.printf("照合値 %s\n", r.Digest)
	a.printf("所要時間 %.1f秒（毎秒%s件）\n", r.Seconds, number(int64(r.PerSecond)))
	a.printFindings(r.Findings)
}
