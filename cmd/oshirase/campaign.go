package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/words"
	"oshirase/store"
)

func newCampaignCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "campaign",
		Short: "Create, check, approve and steer campaigns",
		Long: `A campaign is one notice to the recipients of one merchant. It is created, checked
(every notice is rendered), approved by enough people, started, and sent by run or serve.`,
		Example: `  oshirase campaign create --incident pay --merchant housing --stage formal
  oshirase campaign check c-20261201-7f3a`,
		Args: cobra.ArbitraryArgs,
		RunE: needsCommand,
	}
	c.AddCommand(
		newCampaignCreateCommand(a), newCampaignCheckCommand(a), newCampaignPreviewCommand(a),
		newCampaignTestCommand(a), newCampaignApproveCommand(a), newCampaignStartCommand(a),
		newCampaignPauseCommand(a), newCampaignResumeCommand(a), newCampaignCancelCommand(a),
		newCampaignSetCommand(a), newCampaignListCommand(a), newCampaignShowCommand(a),
	)
	return c
}

func newCampaignCreateCommand(a *app) *cobra.Command {
	var camp mailer.Campaign
	var stage, certainty, at, window, days string
	perHour := -1
	c := &cobra.Command{
		Use:   "create",
		Short: "Create a campaign; nothing is frozen yet",
		Long: `create makes a campaign: which notice (stage) goes to whom (the merchant's
recipients in the incident, narrowed by exposure and certainty). Who that is, is
frozen by campaign check. Window and pace are the merchant's unless given.

With --certainty confirmed those are selected for whom the leak of some exposure is
established, with --certainty possible those for whom none is.`,
		Example: `  oshirase campaign create --incident pay --merchant housing --stage formal
  oshirase campaign create --incident pay --merchant donation --stage formal --certainty confirmed
  oshirase campaign create --incident shop --merchant shop --stage formal --at 2026-12-01T10:00:00+09:00 --window 09:00-21:00 --per-hour 3840`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			camp.Stage, camp.Certainty = mailer.Stage(stage), mailer.Certainty(certainty)
			if !slices.Contains(mailer.Stages, camp.Stage) {
				return usagef("--stage %q: use first-warning, formal, follow-up or correction", stage)
			}
			if certainty != "" && camp.Certainty != mailer.CertaintyPossible && camp.Certainty != mailer.CertaintyConfirmed {
				return usagef("--certainty %q: use possible or confirmed", certainty)
			}
			if at != "" {
				t, err := parseTime(at)
				if err != nil {
					return usageError{err: err}
				}
				camp.At = t
			}
			db, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			m, err := db.Merchant(cmd.Context(), camp.Merchant)
			if err != nil {
				return withHint(err, "load the merchant with `oshirase apply`")
			}
			if camp.Name == "" {
				camp.Name = m.ShortName() + " " + camp.Stage.Japanese()
			}
			camp.Window, camp.PerHour = m.Window, m.PerHour
			if window != "" {
				camp.Window.Hours = window
				if window == "always" {
					camp.Window.Days = ""
				}
			}
			if days != "" {
				camp.Window.Days = mailer.Days(days)
			}
			if perHour >= 0 {
				camp.PerHour = perHour
			}
			if _, err := mailer.ParseWindow(camp.Window); err != nil {
				return usageError{err: err}
			}
			id, err := db.CreateCampaign(cmd.Context(), a.actor(), camp)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"id": id})
			}
			a.printf("%s\n", id)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&camp.Incident, "incident", "", "`ID` of the incident")
	f.StringVar(&camp.Merchant, "merchant", "", "`ID` of the merchant")
	f.StringVar(&stage, "stage", "", "first-warning, formal, follow-up or correction")
	f.StringSliceVar(&camp.Exposures, "exposure", nil, "only people with this `EXPOSURE`; may be repeated (default: all)")
	f.StringVar(&certainty, "certainty", "", "only possible, or only confirmed (default: both)")
	f.StringVar(&camp.Name, "name", "", "name for people (default: made from merchant and stage)")
	f.StringVar(&at, "at", "", "start by itself at this `TIME` (RFC 3339), once approved")
	f.StringVar(&window, "window", "", "always, or HH:MM-HH:MM in Asia/Tokyo (default: the merchant's)")
	f.StringVar(&days, "days", "", "every-day, or weekdays without Japanese holidays (default: the merchant's)")
	f.IntVar(&perHour, "per-hour", -1, "messages an hour, 0 is no limit (default: the merchant's)")
	required(c, "incident", "merchant", "stage")
	return c
}

// required marks flags that must be given.
func required(c *cobra.Command, names ...string) {
	for _, n := range names {
		if err := c.MarkFlagRequired(n); err != nil {
			panic(err) // a flag that does not exist: a mistake in the command itself
		}
	}
}

// parseTime reads an RFC 3339 time; without an offset Asia/Tokyo is meant.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, mailer.JST); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write it as 2026-12-01T10:00:00+09:00 (RFC 3339)", s)
}

func newCampaignListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List all campaigns",
		Long:    "list shows all campaigns, oldest first, and where each of them stands.",
		Example: "  oshirase campaign list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			db, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			all, err := db.Campaigns(cmd.Context())
			if err != nil {
				return err
			}
			if a.json {
				if all == nil {
					all = []mailer.Campaign{}
				}
				return a.printJSON(map[string]any{"campaigns": all})
			}
			t := newTable("配信", "名称", "事案", "加盟店", "段階", "状況", "開始時刻", "理由")
			for _, c := range all {
				t.add(c.ID, c.Name, c.Incident, c.Merchant, c.Stage.Japanese(), c.Phase.Japanese(), jst(c.At), c.Reason)
			}
			a.printTable(t)
			return nil
		},
	}
}

// jst writes a time for people; no time is "".
func jst(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(mailer.JST).Format("2006-01-02 15:04:05")
}

// campaignView is the JSON of `campaign show`.
type campaignView struct {
	mailer.Campaign
	Approvals []mailer.Approval      `json:"approvals"`
	Counts    map[mailer.State]int64 `json:"counts"`
	Total     int64                  `json:"total"`
	wait      mailer.Wait
	Waiting   string           `json:"waiting,omitempty"`
	Findings  []mailer.Finding `json:"findings"`
}

func newCampaignShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show one campaign with approvals, findings and counts",
		Long:    "show prints everything that is known of a campaign but its recipients: settings,\napprovals, what the last check found, and how many deliveries are in which state.",
		Example: "  oshirase campaign show c-20261201-7f3a",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			v, err := viewCampaign(cmd.Context(), db, args[0], a.now())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(v)
			}
			window, err := mailer.ParseWindow(v.Window)
			if err != nil {
				return err
			}
			t := newTable("項目", "内容")
			t.add("配信", v.ID)
			t.add("名称", v.Name)
			t.add("事案", v.Incident)
			t.add("加盟店", v.Merchant)
			t.add("段階", v.Stage.Japanese())
			t.add("漏えい区分", cmp.Or(strings.Join(v.Exposures, "、"), "すべて"))
			t.add("確度", certaintyJapanese(v.Certainty))
			t.add("状況", v.Phase.Japanese())
			t.addKnown("状況の理由", v.Reason)
			t.addKnown("待機の理由", words.Wait(v.wait, words.Japanese))
			t.add("開始時刻", cmp.Or(jst(v.At), "手動で開始"))
			t.add("送信時間帯", windowJapanese(window))
			t.add("1時間あたり", paceJapanese(v.PerHour))
			t.addKnown("照合値", v.Digest)
			for _, ap := range v.Approvals {
				t.add("承認", fmt.Sprintf("%s（%s件、%s）", ap.By, number(ap.Count), jst(ap.At)))
			}
			for _, s := range mailer.States {
				if n := v.Counts[s]; n > 0 {
					t.add(s.Japanese(), number(n))
				}
			}
			a.printTable(t)
			a.printFindings(v.Findings)
			return nil
		},
	}
}

func certaintyJapanese(c mailer.Certainty) string {
	switch c {
	case mailer.CertaintyPossible:
		return "漏えいの可能性がある方のみ"
	case mailer.CertaintyConfirmed:
		return "漏えいが確認された方のみ"
	}
	return "すべて"
}

func windowJapanese(w mailer.Window) string {
	return strings.NewReplacer("always", "終日", " weekdays", "（平日のみ）", "-", "～").Replace(w.String())
}

func paceJapanese(perHour int) string {
	if perHour == 0 {
		return "上限なし"
	}
	return number(int64(perHour)) + "通"
}

func viewCampaign(ctx context.Context, db *store.DB, id string, now time.Time) (campaignView, error) {
	v := campaignView{Approvals: []mailer.Approval{}, Findings: []mailer.Finding{}}
	st, err := db.Status(ctx, id)
	if err != nil {
		return v, err
	}
	v.Campaign, v.wait = st[0].Campaign, st[0].Wait(now)
	v.Waiting = words.Wait(v.wait, words.English)
	v.Counts, v.Total = st[0].Counts, st[0].Counts.Total()
	approvals, err := db.Approvals(ctx, id)
	if err != nil {
		return v, err
	}
	v.Approvals = append(v.Approvals, approvals...)
	findings, err := db.Findings(ctx, id)
	if err != nil {
		return v, err
	}
	v.Findings = append(v.Findings, findings...)
	return v, nil
}

// printFindings lists what a check has to say.
func (a *app) printFindings(findings []mailer.Finding) {
	if len(findings) == 0 {
		return
	}
	severity := map[mailer.Severity]string{mailer.SeverityError: "誤り", mailer.SeverityWarning: "注意", mailer.SeverityInfo: "参考"}
	a.printf("\n")
	t := newTable("程度", "規則", "お問い合わせ番号", "内容")
	for _, f := range findings {
		t.add(severity[f.Severity], f.Rule, f.Ref, f.Message)
	}
	a.printTable(t)
}
