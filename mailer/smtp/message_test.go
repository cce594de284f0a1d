package smtp

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"

	"oshirase/mailer"
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

// TestInspectLineEnds: every line end that is not CRLF is seen, wherever it stands.
func TestInspectLineEnds(t *testing.T) {
	good := strings.Repeat("some text of a line\r\n", 8) + "\r\n.dot\r\n"
	check := func(data string) error {
		_, err := inspect(&mailer.Message{Recipient: "a@x.example", Data: []byte(data)})
		return err
	}
	if err := check(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if good[i] == '\r' || good[i] == '\n' {
			if check(good[:i]+good[i+1:]) == nil {
				t.Errorf("%q missing at %d is not seen", good[i], i)
			}
		}
		for _, bare := range []string{"\r", "\n"} {
			data := good[:i] + bare + good[i:]
			if check(data) == nil {
				t.Errorf("bare %q at %d is not seen", bare, i)
			}
		}
	}
	line := strings.Repeat("a", maxLine)
	if err := check(line + "\r\n"); err != nil {
		t.Error(err)
	}
	if check(line+"a\r\n") == nil {
		t.Error("a line that is too long is not seen")
	}
}

// TestInspectDots: a dot at the head of a line is seen, also where the line before was as
// long as several.
func TestInspectDots(t *testing.T) {
	for data, want := range map[string]bool{
		"1234567890\r\nab\r\n.cde\r\n\r\n": true, // the third line ends where the first would
		"1234567890\r\nab\r\ncd.e\r\n\r\n": false,
		"1234567890\r\n.234567890\r\n":     true,
		"1234567890\r\nabcdefg.\r\nh\r\n":  false,
		".\r\n":                            true,
	} {
		sh, err := inspect(&mailer.Message{Recipient: "a@x.example", Data: []byte(data)})
		if err != nil || sh.dots != want {
			t.Errorf("%q: dots %t, %v", data, sh.dots, err)
		}
	}
}

// FuzzValidUTF8 holds validUTF8 against the standard library.
func FuzzValidUTF8(f *testing.F) {
	for _, s := range []string{
		"お知らせの本文です。2021年10月14日\n", "ﾔﾏﾀﾞ é𠮷 髙橋", strings.Repeat("漢", 9), "あ\xe0\x80\x80あああ", "あ\xed\xa0\x80あああ",
		"ああ\xed\x9f\xbfああ", "ああ\xe0\xa0\x80ああ", "ああ\xe3\x81", "\xe3\x81\x82\xe3\x81\x41abc", "abcdefg\xff", "\x80bcdefgh",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// At every place of the window that is looked at.
		for i := range 8 {
			padded := strings.Repeat("a", i) + s + "あ12345678"
			if got, want := validUTF8(padded), utf8.ValidString(padded); got != want {
				t.Errorf("validUTF8(%q) = %t", padded, got)
			}
		}
	})
}

// FuzzBase64Lines: the standard library reads what was written, in lines of 76.
func FuzzBase64Lines(f *testing.F) {
	for n := range 2*base64Line + 2 {
		f.Add(bytes.Repeat([]byte{0xfb}, n))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := appendBase64Lines([]byte("x"), data)
		var want strings.Builder
		want.WriteByte('x')
		for text := base64.StdEncoding.EncodeToString(data); text != ""; {
			n := min(76, len(text))
			want.WriteString(text[:n] + "\r\n")
			text = text[n:]
		}
		if string(got) != want.String() {
			t.Errorf("%x becomes\n%s\nwant\n%s", data, got, want.String())
		}
		if base64Size(len(data)) != len(got)-1 {
			t.Errorf("base64Size(%d) = %d", len(data), base64Size(len(data)))
		}
	})
}
