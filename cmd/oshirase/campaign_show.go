package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/words"
)

func newCampaignShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show one campaign with approvals, findings and counts",
		Long:    "show prints everything that is known of a campaign but its recipients: settings,\napprovals, what the last check found, and how many deliveries are in which state, are\nheld, and why. People whom a list brought after the check void nothing: they are\ncounted until another campaign of the stage is for them.",
		Example: "  oshirase campaign show c-20261201-7f3a",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.register(cmd.Context())
			if err != nil {
				return err
			}
			v, err := r.Show(cmd.Context(), a.actor(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				v.Waiting = words.Wait(v.Wait, words.English)
				return a.printJSON(v)
			}
			return a.printCampaign(&v)
		},
	}
}

// printCampaign prints what is known of a campaign, for people.
func (a *app) printCampaign(v *mailer.CampaignDetail) error {
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
	t.addKnown("送付の理由", v.Cause)
	t.add("漏えい区分", cmp.Or(strings.Join(v.Exposures, "、"), "すべて"))
	t.add("確度", certaintyJapanese(v.Certainty))
	t.add("状況", v.Phase.Japanese())
	t.addKnown("状況の理由", v.Reason)
	t.addKnown("待機の理由", words.Wait(v.Wait, words.Japanese))
	t.add("開始時刻", cmp.Or(jst(v.At), "手動で開始"))
	t.add("送信時間帯", windowJapanese(window))
	t.add("1時間あたり", paceJapanese(v.PerHour))
	t.addKnown("照合値", v.Digest)
	if v.AllowRepeat {
		t.add("再通知", "通知済みの方にも送ります（--allow-repeat）")
	}
	for i := range v.Approvals {
		t.add("承認", approvalJapanese(&v.Approvals[i]))
	}
	for _, c := range v.AcceptedCounts {
		t.add("件数差の了承", fmt.Sprintf("%s 申告%s名・リスト%s名（%s、%s） %s", c.Exposure, number(c.Declared), number(c.Found), c.By, jst(c.At), c.Reason))
	}
	for _, s := range mailer.States {
		if n := v.Counts[s]; n > 0 {
			t.add(s.Japanese(), number(n))
		}
	}
	for _, why := range mailer.HeldReasons {
		if n := v.Held[why]; n > 0 {
			t.add("うち保留（"+why.Japanese()+"）", number(n))
		}
	}
	if v.Late > 0 {
		t.add("確認後に加わった方（どの配信にも含まれない）", number(v.Late))
	}
	a.printTable(t)
	a.printFindings(v.Findings)
	return nil
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

// printFindings lists what a check has to say.
func (a *app) printFindings(findings []mailer.Finding) {
	if len(findings) == 0 {
		return
	}
	a.printf("\n")
	t := newTable("程度", "規則", "お問い合わせ番号", "内容")
	for _, f := range findings {
		t.add(f.Severity.Japanese(), f.Rule, f.Ref, f.Message)
	}
	a.printTable(t)
}
