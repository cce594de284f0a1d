package main

import (
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newCampaignCheckCommand(a *app) *cobra.Command {
	var repeat bool
	var reason string
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
warning or formal notice has reached.

Lists that miss a declared count by more than the tolerance of the config are an error:
it may be the wrong list, or half of it. --accept-count, with the reason, accepts the
difference as it is now; the reason and the name of the person stay with the campaign
and stand on the sheet that approvers read, and with any other number there is an error
again.`,
		Example: "  oshirase campaign check c-20261201-7f3a",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason = strings.TrimSpace(reason); cmd.Flags().Changed("accept-count") && reason == "" {
				return usagef("--accept-count: say why the count may be missed")
			}
			p, err := a.preparation(cmd.Context())
			if err != nil {
				return err
			}
			bar := a.newProgress("checking", "notices", 0)
			result, err := p.Check(cmd.Context(), a.actor(), args[0], campaign.CheckOptions{
				AllowRepeat: repeat, AcceptCount: reason, Progress: func(done int64) { bar.set(done, 0) },
			})
			bar.end()
			if mailer.CodeOf(err) == "campaign.reason" {
				return usageError{err: err, command: cmd.CommandPath()}
			}
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
				return checkError{errors: n, hint: checkHint(&result)}
			}
			return nil
		},
	}
	c.Flags().StringVar(&reason, "accept-count", "", "accept that declared counts are missed as they are, for this `REASON`")
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

// checkHint is what to do about what a check found.
func checkHint(r *mailer.CheckReport) string {
	for _, f := range r.Findings {
		if f.Rule == "declared-count" && f.Severity == mailer.SeverityError {
			return "is it the right list (`oshirase lists`)? Mend list or declared count, or accept the difference: --accept-count REASON"
		}
	}
	return "mend the facts, the list or the merchant's parts, then check again"
}
