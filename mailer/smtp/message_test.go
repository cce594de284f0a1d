package smtp

import (
	"bytes"
	"testing"
)

func TestASCII(t *testing.T) {
	for n := range 40 {
		b := bytes.Repeat([]byte{0x7f}, n)
		if !ascii(b) {
			t.Errorf("%d octets of ASCII are refused", n)
		}
		for i := range b {
			b[i] = 0x80
			if ascii(b) {
				t.Errorf("octet %d of %d is not seen", i, n)
			}
			b[i] = 0x7f
		}
	}
}

// FuzzStuff: a receiver gets back what was stuffed, and sees no early end.
func FuzzStuff(f *testing.F) {
	f.Add([]byte("a\r\n.\r\n..b\r\n"))
	f.Add([]byte(".\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		data := canonical(nil, string(text))
		if len(data) == 0 {
			return
		}
		stuffed := appendStuffed(nil, data, shape{dots: true})
		if bytes.HasPrefix(stuffed, []byte(".\r\n")) || bytes.Contains(stuffed, []byte("\r\n.\r\n")) {
			t.Errorf("%q ends early", stuffed)
		}
		var back []byte
		for line := range bytes.SplitAfterSeq(stuffed, []byte("\n")) {
			back = append(back, bytes.TrimPrefix(line, []byte("."))...)
		}
		if !bytes.Equal(back, data) {
			t.Errorf("%q comes back as %q", data, back)
		}
	})
}
