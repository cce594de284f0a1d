package approval

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"oshirase/mailer"
)

// Part is one campaign on a sheet, as its check left it.
type Part struct {
	Campaign mailer.Campaign
	CheckID  string
	Snapshot mailer.Snapshot
	Result   mailer.CheckResult
	// Remarks are what else the check took on, in words: a count that a person accepted.
	Remarks []string
	// Sample is a notice as somebody invented would get it; SampleErr says why there is
	// none.
	Sample    mailer.Notice
	SampleErr error
}

// Sheet is the text that approvers read and sign. Facts stand as they were checked;
// when it is sent may change afterwards, and is said to.
func Sheet(at time.Time, policy mailer.Policy, approvers []mailer.Member, parts []Part) string {
	var w writer
	w.line("お知らせの配信　承認票")
	w.line("")
	w.line("この文面の全体に署名します。一字でも違えば、署名は確かめられません。")
	w.line("字下げした行は事実と文面の引用で、見えない文字は \\u{…} と書きます。")
	w.line("")
	w.line("作成　%s", moment(at))
	w.line("承認の条件　%s", policyText(policy))
	w.field("鍵を登録した承認者（作成の時点）", approverTexts(approvers)...)
	w.line("配信の数　%d", len(parts))
	w.line("送信件数の合計　%s", number(Total(parts)))
	for i := range parts {
		w.line("")
		w.part(&parts[i])
	}
	w.line("")
	w.line("（以上）")
	return w.String()
}

// Total is how many notices the campaigns of a sheet send.
func Total(parts []Part) (n int64) {
	for i := range parts {
		n += parts[i].Result.Sendable
	}
	return n
}

// head binds a part to the campaign and its check.
func head(campaign, checkID, digest string, count int64) string {
	return fmt.Sprintf("■ 配信　%s\n検査番号　%s\n照合値　%s\n送信件数　%s\n", campaign, checkID, digest, number(count))
}

// Covers reports whether a sheet is about a campaign as it was checked.
func Covers(sheet, campaign, checkID, digest string, count int64) bool {
	return strings.Contains(sheet, "\n"+head(campaign, checkID, digest, count))
}

func (w *writer) part(p *Part) {
	c, m, in, r := &p.Campaign, &p.Snapshot.Merchant, &p.Snapshot.Incident, &p.Result
	w.WriteString(head(c.ID, p.CheckID, r.Digest, r.Sendable))
	declared := "申告なし"
	if r.Declared != nil {
		declared = fmt.Sprintf("%s（差 %+d）", number(*r.Declared), r.Recipients-*r.Declared)
	}
	w.line("対象者　%s", number(r.Recipients))
	w.line("申告件数　%s", declared)
	for _, reason := range slices.Sorted(maps.Keys(r.Suppressed)) {
		w.line("送らない件数（%s）　%s", reason.Japanese(), number(r.Suppressed[reason]))
	}
	w.field("配信の名称", c.Name)
	w.field("事案", in.Title+"（"+in.ID+"）", in.Operator.Name)
	w.field("加盟店", m.Name+"（"+m.ID+"）")
	w.field("差出人", cmp.Or(m.FromName, m.Name)+" <"+m.From+">")
	if m.ReplyTo != "" {
		w.field("返信先", m.ReplyTo)
	}
	w.line("段階　%s", c.Stage.Japanese())
	w.line("経路　電子メール")
	w.field("漏えい区分", exposures(c, in)...)
	w.line("確度　%s", certainty(c.Certainty))
	w.field("問い合わせ窓口", desks(m, in)...)
	w.line("通知の日付　%s", p.Snapshot.NoticeOn)
	w.line("送信の予定（承認の後も変更できます）　%s", plan(c))
	w.field("検査の指摘", findings(r.Findings)...)
	if len(p.Remarks) > 0 {
		w.field("検査で了承したこと", p.Remarks...)
	}
	if p.SampleErr != nil {
		w.field("文面の見本は作れません", p.SampleErr.Error())
		return
	}
	w.field("件名", p.Sample.Subject)
	w.quote("文面の見本（架空の方に宛てたもの）", p.Sample.Body)
}

func exposures(c *mailer.Campaign, in *mailer.Incident) (out []string) {
	if len(c.Exposures) == 0 {
		return []string{"すべて"}
	}
	for _, id := range c.Exposures {
		out = append(out, id)
		for _, e := range in.Exposures {
			if e.ID == id {
				out[len(out)-1] = id + "：" + e.Data
			}
		}
	}
	return out
}

func certainty(c mailer.Certainty) string {
	switch c {
	case mailer.CertaintyPossible:
		return "漏えいの可能性がある方のみ"
	case mailer.CertaintyConfirmed:
		return "漏えいが確認された方のみ"
	}
	return "すべて"
}

// desks are what the notice tells people to call, each value on a line of its own.
func desks(m *mailer.Merchant, in *mailer.Incident) (out []string) {
	for _, d := range append([]mailer.Desk{m.Desk}, in.Desks...) {
		if d.Phone == "" && d.Email == "" {
			continue
		}
		for _, v := range [][2]string{{"名称", d.Name}, {"電話", d.Phone}, {"メール", d.Email}, {"受付", d.Hours}} {
			if v[1] != "" {
				out = append(out, v[0]+" "+v[1])
			}
		}
	}
	return out
}

func plan(c *mailer.Campaign) string {
	start, pace := "手動で開始", "上限なし"
	if !c.At.IsZero() {
		start = moment(c.At) + " に開始"
	}
	if c.PerHour > 0 {
		pace = "1時間あたり" + number(int64(c.PerHour)) + "通"
	}
	hours := cmp.Or(c.Window.Hours, "既定")
	if hours == "always" {
		hours = "終日"
	}
	return strings.Join([]string{start, "時間帯 " + plain(hours), "曜日 " + plain(cmp.Or(string(c.Window.Days), "毎日")), pace}, "、")
}

func findings(all []mailer.Finding) (out []string) {
	for _, f := range all {
		text := f.Severity.Japanese() + " " + f.Rule + ": " + f.Message
		if f.Ref != "" {
			text += "（" + f.Ref + "）"
		}
		out = append(out, text)
	}
	return out
}

func policyText(p mailer.Policy) string {
	proof, maker := "登録した鍵による署名", "作成・検査した者は承認できない"
	if p.Proof == mailer.PolicyName {
		proof = "氏名のみ（署名を求めない）"
	}
	if p.MakerMayApprove {
		maker = "作成・検査した者も承認できる"
	}
	return fmt.Sprintf("%d名、%s、%s", p.People, proof, maker)
}

func approverTexts(members []mailer.Member) (out []string) {
	for i := range members {
		if m := &members[i]; m.Signs() && m.Until.IsZero() {
			out = append(out, m.ID+" "+m.Name+" "+m.Fingerprint())
		}
	}
	return out
}

// moment is a time as it stands on sheets.
func moment(t time.Time) string { return t.In(mailer.JST).Format("2006-01-02 15:04:05 -0700") }
