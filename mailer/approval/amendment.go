package approval

import (
	"strings"
	"time"

	"oshirase/mailer"
)

// AmendmentText is what approvers read and sign where persons or the policy change: what
// is now, and what shall be. seal is random, so that no signature is one for another
// change.
func AmendmentText(a *mailer.Amendment, seal string, now *mailer.Member, policy mailer.Policy, approvers []mailer.Member) string {
	var w writer
	w.line("お知らせの配信　担当者・承認条件の変更票")
	w.line("")
	w.line("この文面の全体に署名します。登録した承認者%d名の署名がそろうと、変更が有効になります。", mailer.Consents)
	w.line("")
	w.line("変更番号　%s", a.ID)
	w.line("固有値　%s", seal)
	w.line("起案　%s", moment(a.At))
	w.field("起案者", a.By+"（"+a.Proof.Japanese()+"）")
	w.WriteString(fromTo(a, now, policy))
	w.field("鍵を登録した承認者（起案の時点）", approverTexts(approvers)...)
	w.line("")
	w.line("（以上）")
	return w.String()
}

// fromTo is what is, and what shall be.
func fromTo(a *mailer.Amendment, now *mailer.Member, policy mailer.Policy) string {
	var w writer
	w.line("変更　%s", amendmentJapanese(a.Kind))
	if a.Kind == mailer.AmendPolicy {
		w.line("承認の条件　現在: %s", policyText(policy))
		w.line("承認の条件　変更後: %s", policyText(*a.Policy))
		return w.String()
	}
	shall := a.Member
	if a.Kind == mailer.AmendEnd {
		shall = nil
	}
	w.field("現在", memberTexts(now)...)
	w.field("変更後", memberTexts(shall)...)
	return w.String()
}

// Says reports whether a text is about a change, from what is now.
func Says(text string, a *mailer.Amendment, now *mailer.Member, policy mailer.Policy) bool {
	return strings.Contains(text, "\n"+fromTo(a, now, policy))
}

func amendmentJapanese(k mailer.AmendmentKind) string {
	switch k {
	case mailer.AmendAdd:
		return "担当者の追加"
	case mailer.AmendReplace:
		return "担当者の登録内容の変更"
	case mailer.AmendEnd:
		return "担当者の終了"
	case mailer.AmendPolicy:
		return "承認の条件の変更"
	}
	return string(k)
}

func memberTexts(m *mailer.Member) []string {
	if m == nil {
		return nil
	}
	roles := make([]string, len(m.Roles))
	for i, r := range m.Roles {
		roles[i] = r.Japanese()
	}
	out := []string{"ID " + m.ID, "氏名 " + m.Name, "役割 " + strings.Join(roles, "・")}
	if len(m.Merchants) > 0 {
		out = append(out, "加盟店 "+strings.Join(m.Merchants, "・"))
	}
	if m.Key != "" {
		out = append(out, "SSH鍵 "+m.Fingerprint())
	}
	if m.OSUser != "" {
		out = append(out, "OSユーザー "+m.OSUser)
	}
	return out
}

// Signers is the file of allowed signers (ssh-keygen(1)) of all approvers who ever had
// a key, each for the time in which it was theirs.
func Signers(members []mailer.Member) string {
	var b strings.Builder
	for i := range members {
		m := &members[i]
		if !m.Signs() {
			continue
		}
		b.WriteString(m.ID + ` namespaces="` + mailer.NamespaceApproval + `",valid-after="` + second(m.From) + `"`)
		if !m.Until.IsZero() {
			// From the next second on: who signed in the last one did so in time.
			b.WriteString(`,valid-before="` + second(m.Until.Add(time.Second)) + `"`)
		}
		b.WriteString(" " + m.Key + "\n")
	}
	return b.String()
}

// second is a time as OpenSSH reads it, in UTC.
func second(t time.Time) string { return t.UTC().Format("20060102150405Z") }
