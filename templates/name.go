package templates

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"oshirase/mailer"
)

// A name is what somebody typed into a form once. Where it is a message of its own, an
// official notice must not begin with it: the notice is then for a reader without a name,
// and the checker says so. What is taken for no name may be one after all (価格.com); the
// price is a neutral salutation.

// nameOf is the name by which a notice addresses its reader; empty: by none.
func nameOf(r *mailer.Recipient) string {
	name := strings.TrimSpace(r.Name)
	if noName(name) != "" {
		return ""
	}
	return name
}

// maxName is beyond the longest names, in characters.
const maxName = 100

// noName says why a text is no name; empty: it may be one.
func noName(s string) string {
	if letters(s) {
		return ""
	}
	if utf8.RuneCountInString(s) > maxName {
		return "it is too long"
	}
	if why := speaks(s); why != "" {
		return why
	}
	folded := norm.NFKC.String(s)
	digits, kanji, zeros := 0, 0, 0
	for _, r := range folded {
		switch {
		case unicode.IsDigit(r):
			digits++
		case strings.ContainsRune("一二三四五六七八九", r):
			kanji++
		case r == '〇' || r == '零':
			kanji++
			zeros++
		}
	}
	if digits >= 6 || zeros >= 2 && kanji+digits >= 9 {
		return "it holds a number such as of a phone or an account"
	}
	return ""
}

// letters is true of most names, which nothing below can object to.
func letters(s string) bool {
	if len(s) > 2*maxName { // fewer characters than maxName, whatever they are
		return false
	}
	look, latin, dot := false, false, false
	for _, r := range s {
		latin, dot = latin || r < utf8.RuneSelf && r != ' ', dot || r == '・'
		switch r {
		case '停', '至', '緊', '暗', '口', '振', '下', 'お', 'く', 'こ', 'ク', 'ロ', 'パ', 'ド', 'ど', 'h', 'H', 'x', 'X', 'd', 'D':
			look = true // a word of those below may begin here
		case ' ', '　', '・', 'ー', '々', '\'', '-':
			continue
		}
		switch {
		case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= 0x3041 && r <= 0x3096, r >= 0x30A1 && r <= 0x30FA,
			r >= 0x3400 && r <= 0x9FFF, r >= 0xF900 && r <= 0xFAFF, r >= 0x20000 && r <= 0x323AF:
		default:
			return false
		}
	}
	if latin && dot { // perhaps for a full stop
		return false
	}
	if !look {
		return true
	}
	tight := strings.ToLower(squeeze(s))
	return !slices.ContainsFunc(spoken, func(w string) bool { return strings.Contains(tight, w) })
}

// spoken are words that address somebody, which no name has, and those of which
// addresses on the web are made without a sign beside the letters.
var spoken = append([]string{"http", "hxxp", "xn--", "dotcom", "dotnet", "dotorg", "dotinfo", "dotjp", "ドット", "どっと"}, addressing...)

var addressing = []string{
	"お知らせ", "おしらせ", "お電話", "クリック", "こちら", "停止", "ログイン", "パスワード", "暗証番号", "口座番号", "振込", "振り込", "ください", "下さい",
	"至急", "緊急のご", "緊急連絡",
}

var (
	// domains of which the last label is one that people know, blanks or not.
	knownDomain = regexp.MustCompile(`([\pL\pN]+)[.·•∙⋅・]+(com|net|org|info|biz|jp|cn|ru|io|cc|tk|ly|tv|top|xyz|shop|site|online|app|dev|link|click|club|live|store|tech|cloud|page|web|vip|icu|co|work|buzz|pw|ws|example|test|invalid|local|みんな|コム|ストア|クラウド)(?:[^\pL]|$)`)
	// any other: two words of Latin, Greek or Cyrillic letters around a dot.
	anyDomain = regexp.MustCompile(`([\pL\pN-]{2,})\.(?:[\p{Latin}\p{Greek}\p{Cyrillic}\pN-]{2,}\.)*[\p{Latin}\p{Greek}\p{Cyrillic}-]{2,}`)
	dotted    = regexp.MustCompile(`(?:dot|ドット|どっと)(?:com|net|org|info|jp|コム|ネット)`)
	web       = regexp.MustCompile(`://|https?|hxxps?|www[.\pN]|xn--|[:.]//|//[\pL\pN]`)
	network   = regexp.MustCompile(`(?:^|[^\pN])\pN{1,3}(?:\.\pN{1,3}){3}(?:[^\pN]|$)`)
	entity    = regexp.MustCompile(`&#?[0-9A-Za-z]{2,8};`)
	brackets  = strings.NewReplacer("(", "", ")", "", "[", "", "]", "", "{", "", "}", "", "【", "", "】", "", "「", "", "」", "", "〔", "", "〕", "")
	sure      = map[string]bool{"com": true, "net": true, "org": true, "info": true, "biz": true, "jp": true, "cn": true, "xyz": true, "example": true}
	titles    = map[string]bool{
		"dr": true, "mr": true, "mrs": true, "ms": true, "st": true, "ste": true, "prof": true, "jr": true, "sr": true, "rev": true, "hon": true,
		"messrs": true, "mme": true, "mlle": true, "capt": true, "lt": true, "col": true, "gen": true, "md": true, "ph": true, "fr": true, "mt": true, "co": true, "inc": true, "ltd": true,
	}
)

// speaks says in which way a value is a message of its own; empty: in none. It is read
// as mail programs and people read it: full-width as half-width, any full stop as a dot,
// blanks between letters overlooked.
func speaks(s string) string {
	for _, r := range s {
		if mailer.Hidden(r) {
			return "it holds what nobody sees, or a line break"
		}
	}
	text := strings.NewReplacer("。", ".", "｡", ".", "․", ".", "﹒", ".").Replace(strings.ToLower(norm.NFKC.String(s)))
	tight := brackets.Replace(strings.Join(strings.Fields(text), ""))
	switch {
	case strings.ContainsAny(text, "@＠"):
		return "it holds an e-mail address"
	case strings.ContainsAny(text, "<>") || entity.MatchString(text):
		return "it holds markup"
	case web.MatchString(tight) || dotted.MatchString(tight) || network.MatchString(tight):
		return "it holds an address on the web"
	case domain(tight, knownDomain) || domain(brackets.Replace(text), anyDomain):
		return "it holds an address on the web"
	case slices.ContainsFunc(addressing, func(w string) bool { return strings.Contains(tight, w) }):
		return "it speaks to its reader"
	}
	whole := strings.TrimSpace(norm.NFKC.String(s))
	body := strings.TrimRight(whole, "。!?.")
	if strings.Contains(body, "。") || strings.ContainsAny(body, "!?") && strings.Count(whole, "!")+strings.Count(whole, "?") > 1 {
		return "it is a sentence"
	}
	return ""
}

// domain reports whether a pattern of domains matches elsewhere than behind a title or
// an initial: Dr.Com, J.Link. An initial is none before what no surname is (x.com), or
// where a path follows (t.co/x).
func domain(s string, pattern *regexp.Regexp) bool {
	for _, m := range pattern.FindAllStringSubmatch(s, -1) {
		label := m[1]
		initial := utf8.RuneCountInString(label) == 1
		if !initial && !titles[label] || initial && len(m) > 2 && (sure[m[2]] || strings.HasSuffix(m[0], "/")) {
			return true
		}
	}
	return false
}
