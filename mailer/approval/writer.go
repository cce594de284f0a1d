package approval

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"oshirase/mailer/japanese"
)

// writer makes a text in which labels begin a line and what somebody wrote never does:
// facts are indented, line by line, and what a reader would not see is spelled out. A
// backslash is doubled, so that what is spelled out cannot have been written.
type writer struct{ strings.Builder }

// line writes a line of ours.
func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w, format, args...)
	w.WriteByte('\n')
}

// field writes a label, and what somebody wrote below it.
func (w *writer) field(label string, values ...string) {
	w.line("%s", label)
	if len(values) == 0 {
		w.line("  （なし）")
	}
	for _, v := range values {
		w.line("  ・%s", plain(v))
	}
}

// quote writes a text of several lines.
func (w *writer) quote(label, text string) {
	w.line("%s", label)
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		w.line("  │%s", plain(l))
	}
}

// plain is one line in which everything can be seen.
func plain(s string) string {
	var b strings.Builder
	end := len(strings.TrimRight(s, " 　"))
	for i, r := range s {
		switch _, hidden := japanese.Unreadable(string(r)); {
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n':
			b.WriteString(`\n`)
		case hidden, i >= end, r != ' ' && r != '　' && unicode.IsSpace(r):
			b.WriteString(`\u{` + strconv.FormatInt(int64(r), 16) + `}`)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// number writes an integer as people read it: 460,395.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
