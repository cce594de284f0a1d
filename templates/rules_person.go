package templates

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

// personRules judge also the lines that are the reader's own.
var personRules = []Rule{
	{
		Name: "salutation", Severity: mailer.SeverityError, personal: salutation, needs: needSigns,
		Doc: "the notice does not address its reader: no line with the name and 様 (or, without a name, the sender's word for its people)",
	},
	{
		Name: "reader-name", Severity: mailer.SeverityWarning, personal: readerName, needs: needName,
		Doc: "what the list has for the reader's name is a message of its own (an address on the web, a number, a sentence): the notice addresses a reader without a name",
	},
	{
		Name: "reader-data", Severity: mailer.SeverityError, personal: readerData, needs: needSigns,
		Doc: "a customer number or another column that stands in the notice is a message of its own: an address on the web, markup, a sentence",
	},
	{
		Name: "placeholder", Severity: mailer.SeverityError, personal: placeholder, needs: needSigns,
		Doc: "something was not filled in: <no value>, {{ }}, an empty 「」, ○○, XX, %s, 様 without a name, a label without a value",
	},
	{
		Name: "foreign-data", Severity: mailer.SeverityError, personal: foreignData, needs: needSigns,
		Doc: "an e-mail address, a reference number or a 〇〇様 line that is neither the reader's nor the sender's",
	},
	{
		Name: "card-digits", Severity: mailer.SeverityError, personal: cardDigits, needs: needSigns,
		Doc: "digits that may be a card number (13 to 19, Luhn), also with separators or full-width",
	},
	{
		Name: "line-octets", Severity: mailer.SeverityError, personal: lineOctets, needs: needSigns,
		Doc: "a line beyond the 998 octets of RFC 5322",
	},
	{
		Name: "line-width", Severity: mailer.SeverityWarning, personal: lineWidth, needs: needSigns,
		Doc: "a line wider than 36 full-width characters, unless by an address on the web or the reader's own name",
	},
	{
		Name: "charset", Severity: mailer.SeverityWarning, personal: charset, needs: needName,
		Doc: "a character that ISO-2022-JP would lose: this message falls back to UTF-8",
	},
	{
		Name: "broken-text", Severity: mailer.SeverityError, personal: brokenText, needs: needSigns,
		Doc: "U+FFFD, a character that nobody sees or bytes that are not UTF-8: a character was lost on the way here",
	},
	{
		Name: "honorifics", Severity: mailer.SeverityWarning, personal: honorifics, needs: needSigns,
		Doc: "doubled honorifics: お客さま様, 各位様, ご利用される",
	},
}

func salutation(s *sheet) []string {
	name := nameOf(s.r)
	head := s.lines[:min(len(s.lines), 12)]
	for i, line := range head {
		line = strings.TrimSpace(line)
		if name == "" {
			if slices.ContainsFunc([]string{s.b.Reader, "お客", "各位", "皆さま", "皆様"}, func(w string) bool { return strings.HasPrefix(line, w) || strings.HasSuffix(line, w) }) {
				return nil
			}
			continue
		}
		if rest, ok := strings.CutPrefix(line, name); ok {
			rest = strings.TrimSpace(rest)
			if slices.Contains(addresses, rest) || addressed(name) == name && rest == "" {
				return nil
			}
			if rest == "" && i+1 < len(head) && strings.HasSuffix(strings.TrimSpace(head[i+1]), "様") {
				return nil // a merchant, and its ご担当者様 below
			}
		}
	}
	if name == "" {
		return []string{"no salutation: no name is held, and no line addresses the reader"}
	}
	return []string{"no salutation: no line has the reader's name with 様"}
}

func readerName(s *sheet) []string {
	if why := noName(strings.TrimSpace(s.r.Name)); why != "" {
		return []string{"what the list has for the name is none: " + why}
	}
	return nil
}

func readerData(s *sheet) []string {
	var out []string
	said := ""
	look := func(column, value string) {
		why := speaks(value)
		if value = squeeze(value); value == "" || why == "" {
			return
		}
		if said == "" {
			said = squeeze(s.subject + s.body)
		}
		if strings.Contains(said, value) {
			out = append(out, fmt.Sprintf("column %s is a message of its own: %s", column, why))
		}
	}
	look("customer_id", s.r.CustomerID)
	for _, column := range slices.Sorted(maps.Keys(s.r.Attributes)) {
		look(column, s.r.Attributes[column])
	}
	return out
}

// squeeze takes out blanks and line breaks, which the layout puts in.
func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

var placeholders = []struct {
	pattern *regexp.Regexp
	what    string
}{
	{regexp.MustCompile(`<no value>|<nil>|%!`), "a variable without a value"},
	{regexp.MustCompile(`\{\{|\}\}|\$\{`), "a template expression"},
	{regexp.MustCompile(`%[sdv]`), "a format verb"},
	{regexp.MustCompile(`「[ 　]*」|（[ 　]*）|【[ 　]*】|〈[ 　]*〉`), "empty brackets"},
	{regexp.MustCompile(`[○〇●]{2,}|[×✕]{2,}|＊{2,}|ＸＸ`), "a placeholder"},
	{regexp.MustCompile(`(?:^|[^0-9A-Za-z-])(?:XX+|xx+|TODO|TBD)(?:[^0-9A-Za-z-]|$)`), "a placeholder"},
	{regexp.MustCompile(`(?m)^[ 　]*(様|さま|殿|御中)[ 　]*$`), "a form of address without a name"},
	{regexp.MustCompile(`(?m)^・[^：\n]{1,20}：[ 　]*$`), "a label without a value"},
}

func placeholder(s *sheet) []string {
	text := s.subject + "\n" + s.body
	if s.r.Ref != "" {
		text = strings.ReplaceAll(text, s.r.Ref, probeRef)
	}
	var out []string
	for _, p := range placeholders {
		if p.pattern.MatchString(text) {
			out = append(out, p.what+" is left in the text")
		}
	}
	return out
}

var (
	mails      = regexp.MustCompile(`[0-9A-Za-z.!#$%&'*+/=?^_{|}~-]+@[0-9A-Za-z.-]+[0-9A-Za-z]`)
	references = regexp.MustCompile(`[0-9A-Z]{5}-[0-9A-Z]{5}`)
	namedLine  = regexp.MustCompile(`(?m)^[ 　]*(\S[^\n。、：]{0,60}?)[ 　]*(?:様|殿)[ 　]*$`)
	nobody     = []string{"お客", "皆", "ご担当者", "加盟店", "各位", "関係者"}
)

func foreignData(s *sheet) []string {
	var out []string
	if strings.ContainsRune(s.body, '@') {
		own := []string{s.r.Email, s.b.Merchant.From, s.b.Merchant.ReplyTo, s.b.Merchant.Desk.Email}
		for _, d := range s.b.Incident.Desks {
			own = append(own, d.Email)
		}
		for _, a := range mails.FindAllString(s.body, -1) {
			if !slices.ContainsFunc(own, func(o string) bool { return strings.EqualFold(o, a) }) {
				out = append(out, "an e-mail address that is neither the reader's nor the sender's")
			}
		}
	}
	for _, ref := range references.FindAllString(s.body, -1) {
		if ref != s.r.Ref && ref != probeRef {
			if _, err := mailer.ParseRef(ref); err == nil {
				out = append(out, "a reference number that is not the reader's")
			}
		}
	}
	name := nameOf(s.r)
	for _, m := range namedLine.FindAllStringSubmatch(s.body, -1) {
		who := strings.TrimSpace(m[1])
		if who == name || who == strings.TrimRight(name, "様殿") || slices.ContainsFunc(nobody, func(n string) bool { return strings.HasSuffix(who, n) || strings.HasPrefix(who, n) }) {
			continue
		}
		out = append(out, "a line addresses somebody else with 様")
	}
	return out
}

func cardDigits(s *sheet) []string {
	if japanese.HoldsCard(s.subject) || japanese.HoldsCard(s.body) {
		return []string{"digits that may be a card number"}
	}
	return nil
}

func lineOctets(s *sheet) []string {
	for i, line := range s.lines {
		if len(line) > 998 {
			return []string{fmt.Sprintf("line %d has %d octets", i+1, len(line))}
		}
	}
	return nil
}

func lineWidth(s *sheet) []string {
	name := nameOf(s.r)
	var out []string
	for i, line := range s.lines {
		if w := japanese.Width(line); w > columns && !strings.Contains(line, "://") && (name == "" || !strings.Contains(line, name)) {
			out = append(out, fmt.Sprintf("line %d is %d columns wide, beyond %d", i+1, w, columns))
		}
	}
	return out
}

func charset(s *sheet) []string {
	if s.b.Merchant.Charset != mailer.CharsetISO2022JP {
		return nil
	}
	if lost := japanese.OutsideJIS(s.subject + s.body); len(lost) > 0 {
		return []string{fmt.Sprintf("ISO-2022-JP has no %s: this message goes out in UTF-8", string(lost))}
	}
	return nil
}

func brokenText(s *sheet) []string {
	text := s.subject + s.body
	if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
		return []string{"a character was lost (U+FFFD)"}
	}
	for _, r := range text {
		if r != '\n' && mailer.Hidden(r) {
			return []string{fmt.Sprintf("a character that nobody sees (U+%04X)", r)}
		}
	}
	return nil
}

var doubled = regexp.MustCompile(`(様様|さま様|様さま|各位様|さま各位|様各位|皆さま方|御中様|殿様|御中各位|先生様)|(ご[^ご、。\s]{1,6}(される|された|されて))|(お[^お、。\s]{1,6}になられ)|(おっしゃられ|ご覧になられ|お見えになられ|拝見させていただ|お伺いさせていただ)`)

func honorifics(s *sheet) []string {
	var out []string
	for _, m := range doubled.FindAllString(s.body, -1) {
		out = append(out, fmt.Sprintf("doubled honorific: %s", m))
	}
	return out
}
