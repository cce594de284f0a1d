package japanese

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

var (
	phones     = regexp.MustCompile(`(?:^|[^0-9A-Za-z/._-])(0[0-9]{1,4}-[0-9]{1,4}-[0-9]{3,4}|0[0-9]{1,4}[-（(][0-9]{1,6}[）)]?-?[0-9]{0,4}|0[0-9]{9,10})(?:[^0-9]|$)`)
	hyphenated = regexp.MustCompile(`^0[0-9]{1,4}-[0-9]{1,4}-[0-9]{3,4}$`)
)

// FindPhones finds domestic phone numbers in a text, as they stand there: they begin
// with the trunk prefix 0 and have 9 to 11 digits (総務省 電気通信番号計画).
func FindPhones(text string) []string {
	var out []string
	for {
		at := phones.FindStringSubmatchIndex(text)
		if at == nil {
			return out
		}
		phone := text[at[2]:at[3]]
		if n := len(PhoneDigits(phone)); n >= 9 && n <= 11 {
			out = append(out, phone)
		}
		text = text[at[3]:] // with the character behind, before which another may begin
	}
}

// Hyphenated reports whether a phone number is written as 0120-000-000.
func Hyphenated(phone string) bool { return hyphenated.MatchString(phone) }

// PhoneDigits are the ASCII digits of a phone number: two numbers with the same ones
// are the same, however they are written.
func PhoneDigits(phone string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, phone)
}

// FoldPhone writes full-width characters narrow (NFKC) and all that stands for a
// hyphen as one; the rest stays.
func FoldPhone(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if IsDash(r) {
			return '-'
		}
		return r
	}, norm.NFKC.String(s))
}
