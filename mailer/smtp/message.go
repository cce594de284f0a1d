package smtp

import (
	"bytes"
	"encoding/binary"
	"fmt"

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
		return sh, fmt.Errorf("%w: message does not end in CRLF", mailer.ErrInvalid)
	}
	for len(d) > 0 {
		cr := bytes.IndexByte(d, '\r')
		lf := bytes.IndexByte(d, '\n')
		if cr < 0 || lf != cr+1 {
			return sh, fmt.Errorf("%w: message has a line that does not end in CRLF", mailer.ErrInvalid)
		}
		if cr > maxLine {
			return sh, fmt.Errorf("%w: message has a line of %d octets, %d are allowed", mailer.ErrInvalid, cr, maxLine)
		}
		if d[0] == '.' {
			sh.dots = true
		}
		d = d[lf+1:]
	}
	sh.eightBit = !ascii(m.Data)
	return sh, nil
}

// ascii looks at eight octets at a time: it sees every message whole.
func ascii(b []byte) bool {
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

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
