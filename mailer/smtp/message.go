package smtp

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"oshirase/mailer"
)

// shape is what sending a message has to know of its bytes.
type shape struct {
	eightBit bool // some octet is beyond ASCII
	dots     bool // some line begins with a dot
}

// inspect refuses a message that would not arrive as it is: a bare CR or LF is
// read in two ways by two servers, and then one message may become two.
func inspect(m *mailer.Message) (shape, error) {
	var sh shape
	if m.Sender != "" {
		if err := checkMailbox("envelope sender", m.Sender); err != nil {
			return sh, err
		}
	}
	if err := checkMailbox("envelope recipient", m.Recipient); err != nil {
		return sh, err
	}
	d := m.Data
	if len(d) < 2 || d[len(d)-1] != '\n' {
		return sh, mailer.Invalid("smtp.message-end")
	}
	lines, dots, err := walk(d, true)
	if err == nil && lines != bytes.Count(d, []byte{'\n'}) { // some were passed over
		lines, dots, err = walk(d, false)
	}
	if err != nil {
		return sh, err
	}
	// Each line ends in CRLF: any further CR stands alone.
	if bytes.Count(d, []byte{'\r'}) != lines {
		return sh, errLineEnd
	}
	sh.dots = dots
	sh.eightBit = !ascii(m.Data)
	return sh, nil
}

// walk goes from line to line and refuses those that end otherwise than by CRLF or are too
// long. Most lines are as long as the one before: guessing looks for the end there first,
// and may pass over ends before it.
func walk(d []byte, guess bool) (lines int, dots bool, err error) {
	lf := 0
	for ; len(d) > 0; lines++ {
		if !guess || lf >= len(d) || d[lf] != '\n' {
			lf = bytes.IndexByte(d, '\n')
		}
		if lf < 1 || d[lf-1] != '\r' {
			return lines, dots, errLineEnd
		}
		if lf-1 > maxLine {
			return lines, dots, mailer.Invalid("smtp.message-line", "octets", lf-1, "most", maxLine)
		}
		dots = dots || d[0] == '.'
		d = d[lf+1:]
	}
	return lines, dots, nil
}

var errLineEnd = mailer.Invalid("smtp.message-crlf")

const highBits = 0x8080808080808080

// ascii looks at 32 octets at a time: it sees every message whole.
func ascii(b []byte) bool {
	for len(b) >= 32 {
		if (binary.NativeEndian.Uint64(b)|binary.NativeEndian.Uint64(b[8:])|
			binary.NativeEndian.Uint64(b[16:])|binary.NativeEndian.Uint64(b[24:]))&highBits != 0 {
			return false
		}
		b = b[32:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// validUTF8 is utf8.ValidString, at a third of the time for Japanese: it looks at
// a run of ASCII, or at two characters of three octets, at once.
func validUTF8(s string) bool {
	i := 0
	for i+8 <= len(s) {
		b := s[i : i+8]
		v := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		switch {
		case v&0xc0c0f0c0c0f0 == 0x8080e08080e0 && !narrow(v) && !narrow(v>>24):
			i += 6
		case v&0x80 == 0:
			i += bits.TrailingZeros64(v&highBits) / 8 // 8 where none is set
		case v&0xc0c0f0 == 0x8080e0 && !narrow(v):
			i += 3
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				return false
			}
			i += n
		}
	}
	return utf8.ValidString(s[i:])
}

// narrow: behind E0 and ED not every second octet is valid.
func narrow(v uint64) bool { return 1<<(v&0xf)&(1<<0x0|1<<0xd) != 0 }

// appendStuffed appends a message with its dots stuffed (RFC 5321 section 4.5.2).
func appendStuffed(dst, data []byte, sh shape) []byte {
	if !sh.dots {
		return append(dst, data...)
	}
	for len(data) > 0 {
		i := bytes.IndexByte(data, '\n') + 1
		if i == 0 {
			i = len(data)
		}
		if data[0] == '.' {
			dst = append(dst, '.')
		}
		dst = append(dst, data[:i]...)
		data = data[i:]
	}
	return dst
}
