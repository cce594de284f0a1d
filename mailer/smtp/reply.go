package smtp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	maxReplyLines = 128
	maxReplyText  = 1000 // octets that are kept of a reply to be read
	maxReplyRaw   = 4096 // and of what came
)

// errSyntax: what came is no reply. The connection is of no further use, for
// nothing says which command the next line would answer.
var errSyntax = errors.New("relay sent what is no SMTP reply")

// reply is one reply of a relay (RFC 5321 section 4.2).
type reply struct {
	code     int
	enhanced string // RFC 3463; empty where the reply has none, or one that contradicts its code
	text     string // lines joined by a blank, without the enhanced code; printable
	raw      string // the same before it was made printable and cut; empty: text is that
}

func (r reply) String() string {
	s := fmt.Sprint(r.code)
	if r.enhanced != "" {
		s += " " + r.enhanced
	}
	if r.text != "" {
		s += " " + r.text
	}
	return s
}

// readReply reads one reply, all its lines. It takes nothing but a reply: three
// digits from 200 to 599 (RFC 5321 section 4.2.1 knows x0z to x5z, but 571 is
// seen), a blank or hyphen, text; the same code in each line. A line may end in
// LF alone, as some relays have it.
func readReply(r *bufio.Reader) (reply, error) {
	var rep reply
	var text strings.Builder
	for n := 0; ; n++ {
		if n == maxReplyLines {
			return reply{}, fmt.Errorf("%w: more than %d lines", errSyntax, maxReplyLines)
		}
		line, err := r.ReadSlice('\n')
		if err != nil {
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				err = fmt.Errorf("%w: line too long", errSyntax)
			case errors.Is(err, io.EOF) && (len(line) > 0 || n > 0):
				err = io.ErrUnexpectedEOF
			}
			return reply{}, err
		}
		line = line[:len(line)-1]
		if len(line) > 0 && line[len(line)-1] == '\r' {
			line = line[:len(line)-1]
		}
		code, more, rest, ok := replyLine(line)
		if !ok || n > 0 && code != rep.code {
			return reply{}, fmt.Errorf("%w: %.40q", errSyntax, line)
		}
		rep.code = code
		enhanced, words := cutEnhanced(code, rest)
		if n == 0 {
			rep.enhanced = enhanced
		} else if enhanced != rep.enhanced {
			words = rest
		}
		if n == 0 && !more { // as most replies are
			rep.setText(words)
			return rep, nil
		}
		if words != "" && text.Len() < maxReplyRaw {
			if text.Len() > 0 {
				text.WriteByte(' ')
			}
			text.WriteString(words)
		}
		if !more {
			rep.setText(text.String())
			return rep, nil
		}
	}
}

func (r *reply) setText(came string) {
	if r.text = printable(came); r.text != came {
		r.raw = strings.Clone(came[:min(len(came), maxReplyRaw)])
	}
}

func replyLine(line []byte) (code int, more bool, rest string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' {
		return 0, false, "", false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	switch {
	case len(line) == 3: // RFC 5321 section 4.2: text is optional, clients take it
		return code, false, "", true
	case line[3] == ' ' || line[3] == '-':
		return code, line[3] == '-', string(line[4:]), true
	}
	return 0, false, "", false
}

// cutEnhanced takes the enhanced status code (RFC 2034) off a reply's text. Its
// class has to be that of the code.
func cutEnhanced(code int, s string) (enhanced, rest string) {
	word, rest, _ := strings.Cut(s, " ")
	class, detail, ok := strings.Cut(word, ".")
	subject, detail, ok2 := strings.Cut(detail, ".")
	if !ok || !ok2 || len(class) != 1 || int(class[0]-'0') != code/100 || code/100 == 3 || !upTo3Digits(subject) || !upTo3Digits(detail) {
		return "", s
	}
	return word, strings.TrimLeft(rest, " ")
}

func upTo3Digits(s string) bool {
	if len(s) < 1 || len(s) > 3 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// printable makes text from outside fit for a ledger and a terminal.
func printable(s string) string {
	if len(s) > maxReplyText {
		s = s[:maxReplyText]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if r, _ := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && len(s) > 0 {
			s = s[:len(s)-1]
		}
	}
	clean := func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError }
	if strings.IndexFunc(s, clean) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if clean(r) {
			return '?'
		}
		return r
	}, s)
}
