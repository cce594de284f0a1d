package smtp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

// TestHeaderTemplateIsGoMail: a message put together from a ready-made header and a body
// is, octet for octet, the message that go-mail composes.
func TestHeaderTemplateIsGoMail(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	common := []rune("あいう漢字〜―ー、。（）ABC xyz0189'\"-_.,:;?=@<>ﾔﾏﾀﾞ\\")
	rare := append([]rune("髙𠮷é"), common...)
	alphabet := common
	words := func(n int) string {
		var b strings.Builder
		for range random.IntN(n + 1) {
			b.WriteRune(alphabet[random.IntN(len(alphabet))])
		}
		return b.String()
	}
	ascii := func(n int) string {
		var b strings.Builder
		for range 1 + random.IntN(n) {
			b.WriteByte("abcdefghijklmnopqrstuvwxyz0123456789"[random.IntN(36)])
		}
		return b.String()
	}
	c, err := NewComposer(ComposerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	jis := 0
	for i := range 5000 {
		alphabet = common
		if i%7 == 0 {
			alphabet = rare
		}
		h := &mailer.Header{
			From: ascii(20) + "@" + ascii(30) + ".example", FromName: words(60), To: ascii(64) + "@" + ascii(60) + "." + ascii(60) + ".example",
			MessageID: ascii(90) + "@" + ascii(60) + ".example", Date: time.Unix(random.Int64N(1<<32), 0),
			Charset: []mailer.Charset{mailer.CharsetUTF8, mailer.CharsetISO2022JP}[i%2],
		}
		if i%3 == 0 {
			h.ReplyTo = ascii(60) + "@" + ascii(60) + ".example"
		}
		n := &mailer.Notice{Subject: words(80), Body: words(300) + "\n" + words(100)}
		if i%5 == 0 {
			n.Subject = strings.TrimSpace(strings.Repeat(ascii(40)+" ", random.IntN(6)))
		}
		got, err := c.Compose(nil, h, n)
		if err != nil {
			t.Fatal(err)
		}
		cs := utf8Base64
		if bytes.Contains(got, []byte("charset="+jis7bit.label)) {
			cs = jis7bit
			jis++
		}
		subject, err := encodeText("Subject", n.Subject, cs)
		if err != nil {
			t.Fatal(err)
		}
		body := n.Body
		if cs.jis {
			body, _ = japanese.NormalizeJIS(body)
		}
		values := [slots]string{slotDate: date(h.Date), slotMessageID: "<" + h.MessageID + ">", slotSubject: subject, slotTo: "<" + h.To + ">"}
		var want bytes.Buffer
		if err := writeWithMail(&want, h, &values, body, cs); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("spliced:\n%s\ngo-mail:\n%s", got, want.Bytes())
		}
	}
	if jis < 1000 {
		t.Errorf("only %d messages were ISO-2022-JP", jis)
	}
	if n := len(c.templates); n > 64 {
		t.Errorf("%d templates are kept", n)
	}
}

func BenchmarkGoMail(b *testing.B) {
	h := &mailer.Header{From: "info@shop.example", FromName: "みなと商店", To: "a@people.example", MessageID: "a@shop.example", Date: time.Unix(0, 0)}
	values := [slots]string{slotDate: date(h.Date), slotMessageID: "<a@shop.example>", slotSubject: "test", slotTo: "<a@people.example>"}
	body := strings.Repeat("お知らせの本文です。あいうえおかきくけこ\n", 100)
	b.ReportAllocs()
	for b.Loop() {
		var buf bytes.Buffer
		if err := writeWithMail(&buf, h, &values, body, utf8Base64); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(buf.Len()))
	}
}

func TestCheckMailbox(t *testing.T) {
	for _, good := range []string{
		"a@x.example", "a.b+c@x.example", `"a..b"@x.example`, `".a"@x.example`, `"a."@x.example`, `"a\"b"@x.example`, `"a@b"@x.example`,
		"a@x-y.example", "A'B/C=D@X.EXAMPLE", strings.Repeat("a", 64) + "@x.example", "a@localhost",
	} {
		if err := checkMailbox("To", good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "@", "a", "a@", "@x.example", "a..b@x.example", ".a@x.example", "a.@x.example", "a b@x.example", `"a"b@x.example`,
		`"a"@x.example>`, `"a\"@x.example`, "a@x..example", "a@-x.example", "a@x.example.", "a@[127.0.0.1]", "a@x_y.example", "<a@x.example>",
		"a@x.example b@x.example", "a,b@x.example", "あ@x.example", "a@例.example", "a@x.example\r\n", "a\x00@x.example", "\"a\r\nb\"@x.example",
		strings.Repeat("a", 65) + "@x.example", "a@" + strings.Repeat("a", 64) + ".example", fmt.Sprintf("a@%s.example", strings.Repeat("aaaaaaaaa.", 30)),
	} {
		if checkMailbox("To", bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
