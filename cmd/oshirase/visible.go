package main

import (
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"oshirase/mailer"
)

// visibleWriter shows text to people: names, replies and headers of lists come from
// elsewhere, and must not move a cursor, set a title or turn a line round. Whoever
// writes gives whole characters.
type visibleWriter struct{ w io.Writer }

func (v visibleWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(v.w, mailer.Visible(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// jsonWriter escapes in JSON what nobody sees. That stands in strings alone, and a
// program reads the same as without.
type jsonWriter struct{ w io.Writer }

func (j jsonWriter) Write(p []byte) (int, error) {
	var out []byte // nil: p itself so far
	from := 0      // of what is not in out yet
	for i, n := 0, 0; i < len(p); i += n {
		r := rune(p[i])
		if n = 1; r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(p[i:])
		}
		if r < 0x7F || !mailer.Hidden(r) { // the encoder has escaped those below ' '
			continue
		}
		out = append(out, p[from:i]...)
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
		from = i + n
	}
	if from == 0 {
		return j.w.Write(p)
	}
	if _, err := j.w.Write(append(out, p[from:]...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// out and err are the streams for people; the bare ones are for bytes and for bars.
func (a *app) out() io.Writer { return visibleWriter{a.stdout} }
func (a *app) err() io.Writer { return visibleWriter{a.stderr} }
