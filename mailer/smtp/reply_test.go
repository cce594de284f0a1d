package smtp

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReadReply(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want reply
		err  error
	}{
		{in: "250 ok\r\n", want: reply{250, "", "ok", ""}},
		{in: "250 2.1.0 ok\r\n", want: reply{250, "2.1.0", "ok", ""}},
		{in: "250\r\n", want: reply{250, "", "", ""}},
		{in: "250 \r\n", want: reply{250, "", "", ""}},
		{in: "250 ok\n", want: reply{250, "", "ok", ""}},
		{in: "550-5.1.1 no\r\n550 5.1.1 such user\r\n", want: reply{550, "5.1.1", "no such user", ""}},
		{in: "550-5.1.1 no\r\n550 such user\r\n", want: reply{550, "5.1.1", "no such user", ""}},
		{in: "550-5.1.1 no\r\n550 5.2.2 full\r\n", want: reply{550, "5.1.1", "no 5.2.2 full", ""}},
		{in: "250-\r\n250 ok\r\n", want: reply{250, "", "ok", ""}},
		{in: "550 4.1.1 odd\r\n", want: reply{550, "", "4.1.1 odd", ""}},
		{in: "550 5.1 odd\r\n", want: reply{550, "", "5.1 odd", ""}},
		{in: "550 5.1.1000 odd\r\n", want: reply{550, "", "5.1.1000 odd", ""}},
		{in: "550 5.1.x odd\r\n", want: reply{550, "", "5.1.x odd", ""}},
		{in: "550 5.7.1\r\n", want: reply{550, "5.7.1", "", ""}},
		{in: "354 3.0.0 go\r\n", want: reply{354, "", "3.0.0 go", ""}},
		{in: "571 5.7.1 no\r\n", want: reply{571, "5.7.1", "no", ""}},
		{in: "550 \x1b[31mred\x07\r\n", want: reply{550, "", "?[31mred?", "\x1b[31mred\x07"}},
		{in: "550 \xff\xfe\r\n", want: reply{550, "", "??", "\xff\xfe"}},
		{in: "550 宛先不明\r\n", want: reply{550, "", "宛先不明", ""}},

		{in: "", err: io.EOF},
		{in: "250 o", err: io.ErrUnexpectedEOF},
		{in: "250-ok\r\n", err: io.ErrUnexpectedEOF},
		{in: "250-ok\r\n251 ok\r\n", err: errSyntax},
		{in: "250-ok\r\n\r\n250 ok\r\n", err: errSyntax},
		{in: "\r\n", err: errSyntax},
		{in: "25\r\n", err: errSyntax},
		{in: "2500 ok\r\n", err: errSyntax},
		{in: "250ok\r\n", err: errSyntax},
		{in: "250\tok\r\n", err: errSyntax},
		{in: " 250 ok\r\n", err: errSyntax},
		{in: "150 ok\r\n", err: errSyntax},
		{in: "650 ok\r\n", err: errSyntax},
		{in: "+OK\r\n", err: errSyntax},
		{in: "250 " + strings.Repeat("x", 5000) + "\r\n", err: errSyntax},
		{in: strings.Repeat("250-x\r\n", 200), err: errSyntax},
	} {
		got, err := readReply(bufio.NewReader(strings.NewReader(tc.in)))
		if !errors.Is(err, tc.err) || got != tc.want {
			t.Errorf("%.40q: %+v, %v; want %+v, %v", tc.in, got, err, tc.want, tc.err)
		}
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "550-5.1.1 a\r\n550 5.1.1 b\r\n", "250\n", "25", "421 4.7.0 \xff\r\nrest"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReader(strings.NewReader(string(in)))
		rep, err := readReply(r)
		if err != nil {
			if rep != (reply{}) {
				t.Errorf("%v with %+v", err, rep)
			}
			return
		}
		if rep.code < 200 || rep.code > 599 {
			t.Errorf("code %d", rep.code)
		}
		if len(rep.text) > 3*maxReplyText || !utf8.ValidString(rep.text) || strings.ContainsAny(rep.text, "\r\n\x00\x1b") {
			t.Errorf("text %q", rep.text)
		}
		if rep.enhanced != "" && int(rep.enhanced[0]-'0') != rep.code/100 {
			t.Errorf("%d %s", rep.code, rep.enhanced)
		}
		// What was read is what the reply ends at: a line end, no further.
		rest, _ := io.ReadAll(r)
		if taken := in[:len(in)-len(rest)]; taken[len(taken)-1] != '\n' {
			t.Errorf("took %q of %q", taken, in)
		}
	})
}

func TestPrintableIsShort(t *testing.T) {
	got := printable(strings.Repeat("宛", 1000))
	if len(got) > maxReplyText || !utf8.ValidString(got) || strings.ContainsRune(got, utf8.RuneError) || len(got) < maxReplyText-3 {
		t.Errorf("%d octets, ends in %q", len(got), got[len(got)-6:])
	}
}
