package templates

import (
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

var funcs = template.FuncMap{
	// addressed puts 様 behind a name that has no form of address yet.
	"addressed": addressed,
	// lines splits a text at its line breaks.
	"lines": func(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") },
	// number counts from 1: {{range $i, $x := …}}（{{number $i}}）.
	"number": func(i int) int { return i + 1 },
	"join":   func(sep string, s ...string) (string, error) { return within(join(sep, s...)) },
	// print is that of text/template, with a bound.
	"print": printed,
}

// addresses end a name that is addressed already.
var addresses = []string{"様", "さま", "殿", "御中", "先生", "各位"}

func addressed(name string) string {
	name = strings.TrimSpace(name)
	if isAddressed(name) {
		return name
	}
	return name + "様"
}

func isAddressed(name string) bool {
	for _, a := range addresses {
		if strings.HasSuffix(name, a) {
			return true
		}
	}
	return false
}

func join(sep string, s ...string) string {
	var kept []string
	for _, x := range s {
		if x != "" {
			kept = append(kept, x)
		}
	}
	return strings.Join(kept, sep)
}

// Date writes a day in the sender's style.
func (b *base) Date(d mailer.Date) string {
	if d.IsZero() {
		return ""
	}
	return japanese.Day(d).Format(b.dateStyle())
}

// dateStyle is western where the sender has none, or one that nobody knows.
func (b *base) dateStyle() japanese.DateStyle {
	switch b.Merchant.DateStyle {
	case mailer.Era:
		return japanese.DateEra
	case mailer.Slash:
		return japanese.DateSlash
	}
	return japanese.DateWestern
}

// datePattern finds days and months in sentences: 2021年10月14日, 2021年10月,
// 2021-10-14.
var datePattern = regexp.MustCompile(`\b([0-9]{4})(?:年([0-9]{1,2})月(?:([0-9]{1,2})日)?|-([0-9]{2})-([0-9]{2})\b)`)

// Prose puts a sentence of the incident into the sender's mouth: dates in its
// style, and the operator called by the self-name where the sender is the
// operator. What stands in 「」 is quoted and stays.
func (b *base) Prose(s string) string {
	if len(s) > maxOutput { // no sentence: a part that calls it over and over
		return s
	}
	s = strings.TrimSpace(s)
	if b.Direct {
		s = outsideQuotes(s, func(s string) string {
			s = strings.ReplaceAll(s, b.Incident.Operator.Name, b.Self)
			if short := b.Incident.Operator.Short; short != "" {
				s = strings.ReplaceAll(s, short, b.Self)
			}
			return s
		})
	}
	return datePattern.ReplaceAllStringFunc(s, b.restyle)
}

func (b *base) restyle(s string) string {
	m := datePattern.FindStringSubmatch(s)
	atoi := func(s string) int { n, _ := strconv.Atoi(s); return n } // digits only, by the pattern
	if m[4] != "" {
		m[2], m[3] = m[4], m[5]
	}
	d := mailer.Date{Year: atoi(m[1]), Month: time.Month(atoi(m[2])), Day: max(atoi(m[3]), 1)}
	out := b.Date(d)
	if m[3] != "" {
		return out
	}
	if b.Merchant.DateStyle == mailer.Slash {
		return s
	}
	return strings.TrimSuffix(out, "1日")
}

// outsideQuotes applies f to what stands outside 「」.
func outsideQuotes(s string, f func(string) string) string {
	var b strings.Builder
	for s != "" {
		open := strings.Index(s, "「")
		if open < 0 {
			b.WriteString(f(s))
			break
		}
		b.WriteString(f(s[:open]))
		end := strings.Index(s[open:], "」")
		if end < 0 {
			b.WriteString(s[open:])
			break
		}
		b.WriteString(s[open : open+end])
		s = s[open+end:]
	}
	return b.String()
}

// Harm is the secondary harm as far as it concerns the reader: sentences about
// cards and their misuse are for those whose card data leaked.
func (b *base) Harm() string {
	text := b.Prose(b.Incident.Harm.Text)
	if b.Card || b.ToMerchants {
		return text
	}
	var out []string
	left := false // a sentence before this one was left out
	for _, s := range sentences(text) {
		if strings.Contains(s, "カード") {
			left = true
			continue
		}
		if left {
			s = strings.TrimSpace(s)
			for _, link := range []string{"そのほか", "その他", "このほか", "これ以外", "上記以外"} {
				if strings.HasPrefix(s, link) {
					return text // 「no other harm」 would be untrue without what came before
				}
			}
			for _, link := range []string{"また、", "なお、"} {
				s = strings.TrimPrefix(s, link)
			}
			left = false
		}
		out = append(out, s)
	}
	return strings.TrimSpace(strings.Join(out, ""))
}

// ReissueFee speaks of the reader by the sender's word.
func (b *base) ReissueFee() string {
	return strings.NewReplacer("お客さま", b.Reader, "お客様", b.Reader).Replace(b.Prose(b.Incident.ReissueFee))
}

// sentences splits behind 。 outside of quotes.
func sentences(s string) []string {
	var out []string
	depth, start := 0, 0
	for i, r := range s {
		switch r {
		case '「', '（':
			depth++
		case '」', '）':
			depth--
		case '。', '\n':
			if depth <= 0 {
				end := i + len(string(r))
				out = append(out, s[start:end])
				start, depth = end, 0
			}
		}
	}
	if start < len(s) {
		out = append(out, s[start:])
	}
	return out
}

// Leaked says with が what happened to the reader's data, as far as it is known:
// the object of 判明いたしました or 確認いたしました is part of it.
func (b *base) Leaked() string {
	switch {
	case len(b.Confirmed) == 0:
		return "が漏えいした可能性があることが判明いたしました"
	case len(b.Possible) == 0:
		return "が漏えいしたことを確認いたしました"
	}
	return "の一部が漏えいしたことを確認し、そのほかの情報にも漏えいした可能性があることが判明いたしました"
}

// Leak is the adjective of the reader's data: 漏えいした可能性のある or 漏えいした.
func (b *base) Leak() string {
	switch {
	case len(b.Confirmed) == 0:
		return "漏えいした可能性のある"
	case len(b.Possible) == 0:
		return "漏えいした"
	}
	return "漏えいした、または漏えいした可能性のある"
}

// Channels are the ways in which a fraud may reach the reader.
func (b *base) Channels() string {
	var c []string
	if b.Email {
		c = append(c, "メール")
	}
	if b.Phone {
		c = append(c, "電話", "ショートメッセージ")
	}
	if b.Address {
		c = append(c, "郵便物")
	}
	return strings.Join(c, "、")
}

// Right is what a correction says is right, to stand behind （正）.
func (b *base) Right(s string) string { return strings.TrimPrefix(b.Prose(s), "正しくは、") }

// describe puts an exposure in words.
func (b *base) describe(e *mailer.Exposure) exposure {
	x := exposure{
		ID: e.ID, Data: b.Prose(e.Data), Used: e.Used, Confirmed: e.Certainty == mailer.CertaintyConfirmed,
		Items: items(e.Items), MaybeAlso: items(e.MaybeAlso),
	}
	if !e.From.IsZero() {
		x.Period = b.Date(e.From) + "から" + b.Date(e.To) + "まで"
	}
	most := ""
	if !x.Confirmed {
		most = "最大"
	}
	own, declared := b.Merchant.Declared[e.ID]
	switch {
	case e.Count == 0:
	case b.Direct && !e.Merchants():
		x.Count = most + thousands(e.Count) + "件"
	case declared && own > 0 && own != e.Count:
		x.Count = "全体で" + most + thousands(e.Count) + "件（うち" + b.Self + "分は" + most + thousands(own) + "件）"
	case declared && own > 0:
		x.Count = most + thousands(e.Count) + "件"
	default:
		x.Count = "全体で" + most + thousands(e.Count) + "件"
	}
	return x
}

func items(list []mailer.Item) string {
	words := make([]string, len(list))
	for i, item := range list {
		words[i] = item.Japanese()
	}
	return strings.Join(words, "、")
}

// thousands writes 460395 as 460,395.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func deskWords(d *mailer.Desk) desk {
	w := desk{Name: d.Name, Phone: d.Phone, Email: d.Email, Answers: strings.Join(d.Answers, "、")}
	if d.FreeCall {
		w.Toll = "（通話料無料）"
	}
	hours := strings.NewReplacer("-", "～", "〜", "～").Replace(strings.ReplaceAll(d.Hours, " ", ""))
	switch {
	case hours == "":
	case d.Days == mailer.DaysWeekdays:
		w.Hours = "平日" + hours + "（土日祝日を除く）"
	default:
		w.Hours = hours + "（土日祝日も受付）"
	}
	return w
}
