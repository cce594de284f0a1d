package smtp

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

const (
	maxLine = 998 // octets of a line without its CRLF (RFC 5322 section 2.1.1)
	// foldAt is where go-mail folds a header field: its writeHeader counts down
	// from 76 with two octets to spare.
	foldAt = 76
	// maxWord is the longest encoded word that we write. RFC 2047 allows 75; with
	// 72 two lengths of base64 quanta fit and a folded line stays below 76.
	maxWord = 72
)

// checkText refuses what must never be in a header value: control characters
// (CR and LF would begin a field of an attacker's own), and broken UTF-8.
func checkText(field, s string) error {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return mailer.Invalid("smtp.header-control", "field", field, "char", fmt.Sprintf("%#02x", s[i]))
		}
	}
	if !utf8.ValidString(s) {
		return mailer.Invalid("smtp.header-utf8", "field", field)
	}
	for _, r := range s {
		if r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return mailer.Invalid("smtp.header-control", "field", field, "char", fmt.Sprintf("%U", r))
		}
	}
	return nil
}

// checkMailbox takes an address only in the form in which it goes on the wire
// (RFC 5321 Mailbox, ASCII): nothing that could be read as a second address, a
// parameter or a command.
func checkMailbox(field, s string) error {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 {
		return mailer.Invalid("smtp.header-no-address", "field", field)
	}
	if at > 64 || len(s) > 254 {
		return mailer.Invalid("smtp.header-too-long", "field", field)
	}
	if !localPart(s[:at]) {
		return mailer.Invalid("smtp.header-local-part", "field", field)
	}
	for label, rest, more := strings.Cut(s[at+1:], "."); ; label, rest, more = strings.Cut(rest, ".") {
		if !hostLabel(label) {
			return mailer.Invalid("smtp.header-domain", "field", field)
		}
		if !more {
			return nil
		}
	}
}

func localPart(s string) bool {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		for i := 1; i < len(s)-1; i++ {
			switch c := s[i]; {
			case c == '\\':
				if i++; i == len(s)-1 || s[i] < 0x20 || s[i] > 0x7e {
					return false
				}
			case c == '"' || c < 0x20 || c > 0x7e:
				return false
			}
		}
		return true
	}
	dot := true // an empty atom before this place
	for i := 0; i < len(s); i++ {
		if s[i] == '.' {
			if dot {
				return false
			}
			dot = true
			continue
		}
		if !atext(s[i]) {
			return false
		}
		dot = false
	}
	return !dot
}

// atext is the characters of an atom (RFC 5322 section 3.2.3).
func atext(c byte) bool { return isAtext[c] }

var isAtext = func() (is [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~") {
		is[c] = true
	}
	return is
}()

func hostLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func checkMessageID(s string) error {
	if len(s) > 250 || strings.Count(s, "@") != 1 || s[0] == '@' || s[len(s)-1] == '@' {
		return mailer.Invalid("smtp.header-message-id", "field", "Message-ID")
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '.' && s[i] != '@' && !atext(s[i]) {
			return mailer.Invalid("smtp.header-char", "field", "Message-ID", "char", fmt.Sprintf("%#02x", s[i]))
		}
	}
	return nil
}

// plain reports whether text may stand in a header as it is: printable ASCII,
// single blanks between words short enough to fold at, nothing that a reader
// would take for an encoded word.
func plain(s string) bool {
	word := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ':
			if word == 0 {
				return false
			}
			word = 0
		case c < 0x20 || c > 0x7e:
			return false
		default:
			if word++; word > 60 {
				return false
			}
		}
	}
	return word > 0 && !strings.Contains(s, "=?")
}

// encodeText writes text as a header value: as it is where it is plain, else as
// encoded words (RFC 2047) separated by blanks, at which the field is folded.
// name is the field's, for the first word shares its line.
func encodeText(name, s string, cs charset) (string, error) {
	if s == "" || plain(s) {
		return s, nil
	}
	return encodeWords(name, s, cs)
}

// encodePhrase writes a display name.
func encodePhrase(name, s string, cs charset) (string, error) {
	if !plain(s) {
		return encodeWords(name, s, cs)
	}
	for i := 0; i < len(s); i++ {
		if s[i] != ' ' && !atext(s[i]) {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`, nil
		}
	}
	return s, nil
}

// encodeWords splits at characters only; in ISO-2022-JP each word begins and
// ends in ASCII, as RFC 2047 section 3 asks.
func encodeWords(name, s string, cs charset) (string, error) {
	prefix, suffix := "=?"+cs.label+"?B?", "?="
	// room is the number of octets whose base64 fits into a word of n octets.
	room := func(n int) int { return (n - len(prefix) - len(suffix)) / 4 * 3 }
	limit := room(min(maxWord, foldAt-2-len(name)-2-2))
	var out strings.Builder
	write := func(word []byte) {
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(prefix)
		out.WriteString(base64.StdEncoding.EncodeToString(word))
		out.WriteString(suffix)
		limit = room(maxWord)
	}
	if cs.jis {
		s, ok := japanese.NormalizeJIS(s)
		if !ok {
			return "", japanese.ErrNotInJIS
		}
		for rest := s; rest != ""; {
			word, n, err := japanese.AppendJIS(nil, rest, limit)
			if err != nil {
				return "", err
			}
			write(word)
			rest = rest[n:]
		}
		return out.String(), nil
	}
	for len(s) > limit {
		n := limit
		for !utf8.RuneStart(s[n]) {
			n--
		}
		write([]byte(s[:n]))
		s = s[n:]
	}
	write([]byte(s))
	return out.String(), nil
}
