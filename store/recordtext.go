package store

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// appendMember begins the next member of a JSON object that has a number as key.
func appendMember(b []byte, key int64) []byte {
	if len(b) == 0 {
		b = append(b, '{', '"')
	} else {
		b = append(b, ',', '"')
	}
	b = strconv.AppendInt(b, key, 10)
	return append(b, '"', ':')
}

func appendMillis(b []byte, ms int64) []byte { return strconv.AppendInt(b, ms, 10) }

// appendJSONText appends valid UTF-8 as the inside of a JSON string.
func appendJSONText(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, ' ') // line ends of replies; JSON and people want none
		default:
			b = append(b, c)
		}
	}
	return b
}

// maxText is how much of a relay's text is kept, in bytes.
const maxText = 500

// cut makes a relay's text fit to be stored.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
