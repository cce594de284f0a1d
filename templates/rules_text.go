package templates

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

// textRules judge what a whole notice says.
var textRules = []Rule{
	{
		Name: "rule10", Severity: mailer.SeverityError, notice: rule10,
		Doc: "a formal notice lacks one of the five matters of Rule 10: outline, items, cause, secondary harm, other useful matters",
	},
	{
		Name: "empty-part", Severity: mailer.SeverityError, notice: emptyPart,
		Doc: "a part without which the notice is pointless says nothing: additions of a follow-up, corrections of a correction",
	},
	{
		Name: "certainty", Severity: mailer.SeverityError, notice: certainty, facts: certaintyFacts,
		Doc: "a leak that is only possible is told as certain (or of everyone), or a confirmed one as only possible",
	},
	{
		Name: "statement-start", Severity: mailer.SeverityError, notice: statementStart,
		Doc: "card statements are to be checked since another day than the start of the reader's own earliest card exposure, or since none",
	},
	{
		Name: "passphrase", Severity: mailer.SeverityError, notice: passphraseNotice, facts: passphraseFacts,
		Doc: "what to tell the card company is spelled in another way than passphrase (with and without の, with blanks)",
	},
	{
		Name: "password-advice", Severity: mailer.SeverityError, notice: passwordAdvice,
		Doc: "a password leaked, and the notice does not say to change it wherever it was reused",
	},
	{
		Name: "card-advice", Severity: mailer.SeverityError, notice: cardAdvice,
		Doc: "advice about cards to a reader of whom no card data leaked",
	},
	{
		Name: "relative-date", Severity: mailer.SeverityWarning, notice: func(s *sheet) []string { return relativeDates(s.sentences) }, facts: relativeFacts,
		Doc: "昨年, 先月, 昨日 and the like are wrong when read later",
	},
	{
		Name: "date-style", Severity: mailer.SeverityWarning, notice: dateStyle,
		Doc: "a date is written in another style than the sender's",
	},
	{
		Name: "unit-mixed", Severity: mailer.SeverityWarning, notice: func(s *sheet) []string { return unitsMixed(s.flat) }, facts: unitFacts,
		Doc: "one number is given as 件 (records) and as 名 (people)",
	},
	{
		Name: "phone-spelling", Severity: mailer.SeverityWarning, notice: func(s *sheet) []string { return phoneSpelling(s.body) }, facts: phoneFacts,
		Doc: "a phone number is not hyphenated as 0120-000-000, or written in two ways",
	},
	{
		Name: "reader-spelling", Severity: mailer.SeverityWarning, notice: readerSpelling,
		Doc: "お客様 and お客さま (or 皆様 and 皆さま) side by side, names of desks and services apart",
	},
	{
		Name: "subject", Severity: mailer.SeverityWarning, notice: subjectRule,
		Doc: "the subject is empty, wider than 30 full-width characters, or does not name the sender",
	},
	{
		Name: "url", Severity: mailer.SeverityWarning, notice: urlRule,
		Doc: "an address on the web is http:, or of neither the sender's nor the operator's domain",
	},
}

func rule10(s *sheet) []string {
	if s.b.Stage != mailer.StageFormal && s.b.Kind != mailer.CorrectionAdded {
		return nil
	}
	var out []string
	lacks := func(missing bool, matter string) {
		if missing {
			out = append(out, "the notice lacks "+matter)
		}
	}
	said := func(part string) bool { return strings.TrimSpace(s.parts[part]) != "" }
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s.flat, w) })
	}
	lacks(!said("outline") || !has("概要", "発生", "経緯"), "the outline (概要)")
	lacks(!said("exposures") && !said("concerns"), "the leaked items (項目)")
	for _, e := range s.b.Exposures {
		for _, item := range strings.Split(e.Items, "、") {
			lacks(item != "" && !has(item), fmt.Sprintf("the leaked item %s of exposure %s (項目)", item, e.ID))
		}
	}
	lacks(!said("cause") || !has("原因"), "the cause (原因)")
	lacks(!said("harm") || !has("二次被害", "不正に利用", "不正利用", "おそれ", "悪用"), "secondary harm or its risk (二次被害)")
	lacks(!said("request") || !said("desk"), "other useful matters (その他): what to do, and whom to ask")
	return out
}

func emptyPart(s *sheet) []string {
	var out []string
	need := func(part string) {
		if strings.TrimSpace(s.parts[part]) == "" {
			out = append(out, fmt.Sprintf("part %q says nothing to this reader", part))
		}
	}
	need("apology")
	need("closing")
	need("desk")
	need("reference")
	switch s.b.Stage {
	case mailer.StageFollowUp:
		need("additions")
	case mailer.StageCorrection:
		need("corrections")
	}
	return out
}

var (
	asserted = regexp.MustCompile(`(漏えい|漏洩|流出)(し|いたし|され)ました|(漏えい|漏洩|流出)した(こと|事実)(を|が)(確認|特定|判明|認め)|(漏えい|漏洩|流出)(を|が)(確認|判明)`)
	hedged   = regexp.MustCompile(`可能性|おそれ|恐れ|懸念|疑い|ではございません|ではありません|ません|最大`)
	everyone = regexp.MustCompile(`(全員|すべての(お客|方|利用者|ご利用)|全件|全ての)[^。]{0,24}(被害|漏えい|漏洩|流出)`)
	affirmed = regexp.MustCompile(`(漏えい|漏洩|流出)(したこと)?(を|が)確認`)
	only     = regexp.MustCompile(`可能性|おそれ|懸念`)
)

func certainty(s *sheet) []string {
	var out []string
	b := s.b
	if b.Kind == mailer.CorrectionRemoved || b.Kind == mailer.CorrectionMisdirected || b.ToMerchants {
		return nil
	}
	if len(b.Possible) > 0 {
		if !only.MatchString(s.flat) {
			out = append(out, "a leak that is only possible is not told as such (可能性)")
		}
		for _, x := range s.sentences {
			if everyone.MatchString(x) && !hedged.MatchString(x) {
				out = append(out, fmt.Sprintf("says that all are affected where it is only possible: %q", tail(x, 24)))
			}
		}
	}
	if len(b.Confirmed) > 0 {
		if !slices.ContainsFunc(s.sentences, func(x string) bool {
			return affirmed.MatchString(x) && !strings.Contains(x, "ものではございません")
		}) {
			out = append(out, "a confirmed leak is not told as such (漏えいしたことを確認)")
		}
		return out
	}
	// The facts may say of others what is not certain of this reader.
	others := slices.ContainsFunc(b.Incident.Exposures, func(e mailer.Exposure) bool { return e.Certainty == mailer.CertaintyConfirmed })
	var facts string
	if others {
		for _, f := range factTexts(b.Incident) {
			facts += b.Prose(f.text)
		}
	}
	for _, x := range s.sentences {
		if asserted.MatchString(x) && !hedged.MatchString(x) && !strings.Contains(facts, strings.TrimSpace(x)) {
			out = append(out, fmt.Sprintf("says as certain what is only possible for this reader: %q", tail(x, 24)))
		}
	}
	return out
}

func certaintyFacts(t *Template) []string {
	var out []string
	for _, f := range factTexts(&t.snap.Incident) {
		for _, x := range sentences(f.text) {
			if everyone.MatchString(x) && !hedged.MatchString(x) && slices.ContainsFunc(t.selected(), func(e mailer.Exposure) bool { return e.Certainty == mailer.CertaintyPossible }) {
				out = append(out, fmt.Sprintf("%s says that all are affected where it is only possible", f.key))
			}
		}
	}
	return out
}

func statementStart(s *sheet) []string {
	b := s.b
	if !b.Card || b.Kind == mailer.CorrectionRemoved || b.Kind == mailer.CorrectionMisdirected || b.cardSince.IsZero() {
		return nil
	}
	var out []string
	found := false
	for _, x := range s.sentences {
		if !strings.Contains(x, "明細") {
			continue
		}
		for _, d := range japanese.FindDates(x) {
			if mailer.Date(d.Day) == b.cardSince {
				found = true
			} else {
				out = append(out, fmt.Sprintf("statements since %s, but this reader's card data is concerned since %s", d.Text, b.CardSince))
			}
		}
	}
	if !found && len(out) == 0 {
		out = append(out, fmt.Sprintf("does not say that statements are to be checked since %s", b.CardSince))
	}
	return out
}

// similar strips what spellings of one pass-phrase differ in.
func similar(r rune) bool {
	return r == 'の' || unicode.IsSpace(r) || strings.ContainsRune("「」・、", r)
}

// misspelt finds occurrences of a pass-phrase that are spelled in another way.
func misspelt(text, phrase string) []string {
	var key []rune
	for _, r := range phrase {
		if !similar(r) {
			key = append(key, r)
		}
	}
	if len(key) < 4 {
		return nil
	}
	var kept []rune
	var at []int // byte offset of each kept rune
	for i, r := range text {
		if !similar(r) {
			kept, at = append(kept, r), append(at, i)
		}
	}
	var out []string
	for i := 0; i+len(key) <= len(kept); i++ {
		if !slices.Equal(kept[i:i+len(key)], key) {
			continue
		}
		last := at[i+len(key)-1]
		raw := text[at[i] : last+len(string(kept[i+len(key)-1]))]
		if raw != strings.Trim(phrase, "「」") {
			out = append(out, fmt.Sprintf("says 「%s」 for 「%s」", raw, phrase))
		}
	}
	return out
}

func passphraseNotice(s *sheet) []string {
	out := misspelt(s.flat, s.b.Incident.Passphrase)
	if p := s.b.Incident.Passphrase; p != "" && s.b.Card && s.b.Kind != mailer.CorrectionRemoved && s.b.Kind != mailer.CorrectionMisdirected && !strings.Contains(s.flat, p) {
		out = append(out, fmt.Sprintf("does not give the pass-phrase 「%s」", p))
	}
	return out
}

func passphraseFacts(t *Template) []string {
	var out []string
	for _, f := range factTexts(&t.snap.Incident) {
		for _, m := range misspelt(f.text, t.snap.Incident.Passphrase) {
			out = append(out, f.key+" "+m)
		}
	}
	return out
}

func passwordAdvice(s *sheet) []string {
	if !s.b.Password || s.b.Kind == mailer.CorrectionRemoved || s.b.Kind == mailer.CorrectionMisdirected {
		return nil
	}
	for _, x := range s.sentences {
		if strings.Contains(x, "パスワード") && strings.Contains(x, "変更") &&
			slices.ContainsFunc([]string{"ほかの", "他の", "別の", "使い回", "ほかにも", "他にも"}, func(w string) bool { return strings.Contains(x, w) }) {
			return nil
		}
	}
	return []string{"a password leaked: say that it must be changed wherever else it was used"}
}

var advice = regexp.MustCompile(`明細|再発行|差し替え|カードの?裏面|カード会社(さま|様)?(へ|に)(ご連絡|お申し出|お問い?合わせ|お問合せ|ご相談)`)

func cardAdvice(s *sheet) []string {
	if s.b.Card && s.b.Kind != mailer.CorrectionRemoved && s.b.Kind != mailer.CorrectionMisdirected {
		return nil
	}
	if m := advice.FindString(s.flat); m != "" {
		return []string{fmt.Sprintf("speaks of %s, but no card data of this reader leaked", m)}
	}
	return nil
}

var relative = regexp.MustCompile(`一昨年|昨年|去年|今年|本年|来年|先々月|先月|今月|来月|先週|今週|来週|一昨日|昨日|昨晩|本日|今日|明日|先日|先般`)

func relativeDates(sentences []string) []string {
	var out []string
	for _, x := range sentences {
		for _, at := range relative.FindAllStringIndex(x, -1) {
			if strings.HasSuffix(x[:at[0]], "日") && x[at[0]:at[1]] == "本年" { // 日本年金
				continue
			}
			out = append(out, fmt.Sprintf("says %s: give the date", x[at[0]:at[1]]))
		}
	}
	return out
}

func relativeFacts(t *Template) []string {
	var out []string
	for _, f := range factTexts(&t.snap.Incident) {
		for _, m := range relativeDates([]string{f.text}) {
			out = append(out, f.key+" "+m)
		}
	}
	return out
}

func dateStyle(s *sheet) []string {
	style := s.b.dateStyle()
	var out []string
	for _, d := range japanese.FindDates(s.flat) {
		if d.Style != style && (d.Day.Day != 0 || style == japanese.DateEra) {
			out = append(out, fmt.Sprintf("writes %s, but the sender's dates are %s", d.Text, or(string(s.b.Merchant.DateStyle), string(mailer.Western))))
		}
	}
	return out
}

var counted = regexp.MustCompile(`([0-9][0-9,]*)(件|名)`)

func unitsMixed(text string) []string {
	units := make(map[string]string)
	var out []string
	for _, m := range counted.FindAllStringSubmatch(text, -1) {
		n := strings.ReplaceAll(m[1], ",", "")
		if u := units[n]; u != "" && u != m[2] {
			out = append(out, fmt.Sprintf("%s is given as 件 and as 名", m[1]))
		}
		units[n] = m[2]
	}
	return out
}

func unitFacts(t *Template) []string {
	var all strings.Builder
	for _, f := range factTexts(&t.snap.Incident) {
		all.WriteString(f.text + "\n")
	}
	return unitsMixed(all.String())
}

func phoneSpelling(text string) []string {
	forms := make(map[string]string)
	var out []string
	for _, phone := range japanese.FindPhones(text) {
		digits := japanese.PhoneDigits(phone)
		if f := forms[digits]; f != "" && f != phone {
			out = append(out, fmt.Sprintf("one phone number stands as %s and as %s", f, phone))
		} else if !japanese.Hyphenated(phone) {
			out = append(out, fmt.Sprintf("phone number %s: hyphenate it as 0120-000-000", phone))
		}
		forms[digits] = phone
	}
	return out
}

func phoneFacts(t *Template) []string {
	var out []string
	for _, d := range append([]mailer.Desk{t.snap.Merchant.Desk}, t.snap.Incident.Desks...) {
		if d.Phone != "" && !japanese.Hyphenated(d.Phone) {
			out = append(out, fmt.Sprintf("desk %s: phone number %s: hyphenate it as 0120-000-000", d.Name, d.Phone))
		}
	}
	return out
}

func readerSpelling(s *sheet) []string {
	text := s.flat
	names := []string{s.b.Service, s.b.Sender, s.b.Operator}
	for _, d := range append([]mailer.Desk{s.b.Merchant.Desk}, s.b.Incident.Desks...) {
		names = append(names, d.Name)
	}
	for _, n := range names {
		if n != "" {
			text = strings.ReplaceAll(text, n, "")
		}
	}
	var out []string
	for _, pair := range [][2]string{{"お客様", "お客さま"}, {"皆様", "皆さま"}, {"加盟店様", "加盟店さま"}} {
		if strings.Contains(text, pair[0]) && strings.Contains(text, pair[1]) {
			out = append(out, fmt.Sprintf("writes both %s and %s", pair[0], pair[1]))
		}
	}
	return out
}

func subjectRule(s *sheet) []string {
	var out []string
	switch w := japanese.Width(s.subject); {
	case w == 0:
		out = append(out, "the subject is empty")
	case w > 60:
		out = append(out, fmt.Sprintf("the subject is %d full-width characters wide, beyond 30: fill in short of the merchant", (w+1)/2))
	}
	if !strings.Contains(s.subject, s.b.Short) && !strings.Contains(s.subject, s.b.Sender) {
		out = append(out, "the subject does not name the sender")
	}
	return out
}

var urls = regexp.MustCompile(`https?://[0-9A-Za-z._~:/?#@!$&'()*+,;=%\[\]-]+`)

func urlRule(s *sheet) []string {
	own := []string{mailSite(s.b.Merchant.From), urlSite(s.b.Incident.Publication.URL)}
	var out []string
	for _, u := range urls.FindAllString(s.body, -1) {
		if strings.HasPrefix(u, "http:") {
			out = append(out, fmt.Sprintf("%s is not https:", u))
		}
		if !slices.Contains(own, urlSite(u)) {
			out = append(out, fmt.Sprintf("%s is of neither the sender's nor the operator's domain", u))
		}
	}
	return out
}
