package smtp_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/japanese"

	"oshirase/mailer"
	"oshirase/mailer/smtp"
)

var sentAt = time.Date(2022, 3, 1, 1, 2, 3, 0, time.UTC)

func header(change ...func(*mailer.Header)) *mailer.Header {
	h := &mailer.Header{
		From: "info@minato.example", FromName: "一般社団法人みなと住宅支援協会", ReplyTo: "desk@minato.example",
		To: "hanako@people.example", Subject: "", MessageID: "n1.abcdef0123456789@minato.example", Date: sentAt,
	}
	for _, c := range change {
		c(h)
	}
	return h
}

func charset(cs string) func(*mailer.Header) {
	return func(h *mailer.Header) { h.Charset = mailer.Charset(cs) }
}

func notice(subject, body string) *mailer.Notice { return &mailer.Notice{Subject: subject, Body: body} }

const subject = "【重要】カード情報が漏えいした可能性に関するお知らせ（みなと住宅支援協会）"

const text = `山田 花子 様

このたびは、ご心配とご迷惑をおかけし、深くおわび申し上げます。

■ 対象となる情報
・カード番号、有効期限（2021年10月14日〜2022年1月25日）
.行頭の点

お問い合わせ番号: 3467A-CDEFG
https://minato.example/notice/2022-03
`

func composer(t testing.TB, dkim *smtp.DKIM) *smtp.Composer {
	t.Helper()
	c, err := smtp.NewComposer(smtp.ComposerOptions{DKIM: dkim})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func compose(t testing.TB, h *mailer.Header, n *mailer.Notice) []byte {
	t.Helper()
	msg, err := composer(t, nil).Compose(nil, h, n)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// reader is how a mail program reads a message.
type read struct {
	From, FromName, To, ToName, ReplyTo, Subject, MessageID, Charset, Body string
	Date                                                                   time.Time
}

func readMessage(t testing.TB, raw []byte) read {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	words := &mime.WordDecoder{CharsetReader: func(cs string, r io.Reader) (io.Reader, error) {
		if !strings.EqualFold(cs, "iso-2022-jp") {
			return nil, errors.New("charset " + cs)
		}
		return japanese.ISO2022JP.NewDecoder().Reader(r), nil
	}}
	address := func(field string) (name, addr string) {
		if m.Header.Get(field) == "" {
			return "", ""
		}
		parser := netmail.AddressParser{WordDecoder: words}
		a, err := parser.Parse(m.Header.Get(field))
		if err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		return a.Name, a.Address
	}
	var got read
	got.FromName, got.From = address("From")
	got.ToName, got.To = address("To")
	_, got.ReplyTo = address("Reply-To")
	if got.Subject, err = words.DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	if got.Date, err = m.Header.Date(); err != nil {
		t.Fatal(err)
	}
	got.MessageID = m.Header.Get("Message-Id")
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "text/plain" {
		t.Fatalf("content type %q: %v", m.Header.Get("Content-Type"), err)
	}
	got.Charset = params["charset"]
	var body io.Reader = m.Body
	switch enc := m.Header.Get("Content-Transfer-Encoding"); enc {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "7bit":
	default:
		t.Fatalf("encoding %q", enc)
	}
	if got.Charset == "ISO-2022-JP" {
		body = japanese.ISO2022JP.NewDecoder().Reader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	got.Body = strings.ReplaceAll(string(b), "\r\n", "\n")
	return got
}

// jis are the characters that a reader of ISO-2022-JP shows for ours.
var jis = strings.NewReplacer("〜", "～")

func TestCompose(t *testing.T) {
	want := read{
		From: "info@minato.example", FromName: "一般社団法人みなと住宅支援協会", ReplyTo: "desk@minato.example",
		To: "hanako@people.example", Subject: subject, MessageID: "<n1.abcdef0123456789@minato.example>",
		Charset: "UTF-8", Body: text, Date: sentAt,
	}
	japanese := want
	japanese.Charset, japanese.Body = "ISO-2022-JP", jis.Replace(text)
	with := func(w read, change func(*read)) read { change(&w); return w }
	for _, tc := range []struct {
		name string
		h    *mailer.Header
		n    *mailer.Notice
		want read
	}{
		{"utf-8", header(), notice(subject, text), want},
		{"iso-2022-jp", header(charset("ISO-2022-JP")), notice(subject, text), japanese},
		{
			"legacy-address", header(func(h *mailer.Header) { h.To = `"a..b."@keitai.example` }), notice(subject, text),
			with(want, func(r *read) { r.To = `a..b.@keitai.example` }),
		},
		{
			"no-reply-to", header(func(h *mailer.Header) { h.ReplyTo, h.FromName = "", "" }), notice(subject, text),
			with(want, func(r *read) { r.ReplyTo, r.FromName = "", "" }),
		},
		{
			"ascii", header(func(h *mailer.Header) { h.FromName = `Minato "Housing", Inc.` }), notice("Important notice about your card data", "plain\n"),
			with(want, func(r *read) {
				r.FromName, r.Subject, r.Body = `Minato "Housing", Inc.`, "Important notice about your card data", "plain\n"
			}),
		},
		// A name that ISO-2022-JP lacks: the whole message is UTF-8.
		{
			"iso-2022-jp-rare-name", header(charset("iso-2022-jp")), notice(subject, "髙橋 﨑子 様\n"+text),
			with(want, func(r *read) { r.Body = "髙橋 﨑子 様\n" + text }),
		},
		{
			"iso-2022-jp-half-kana", header(charset("iso-2022-jp")), notice("ﾀﾞｲｼﾞなお知らせ", "ﾔﾏﾀﾞ 様\n"),
			with(japanese, func(r *read) { r.Subject, r.Body = "ダイジなお知らせ", "ヤマダ 様\n" }),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := compose(t, tc.h, tc.n)
			file := golden(tc.name + ".eml")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, raw, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			wantRaw, err := os.ReadFile(filepath.Clean(file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(wantRaw), string(raw)); diff != "" {
				t.Error(diff)
			}
			got := readMessage(t, raw)
			got.Date = got.Date.UTC()
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			checkForm(t, raw)
		})
	}
}

// checkForm checks what holds for every message that we make.
func checkForm(t testing.TB, raw []byte) {
	t.Helper()
	head, _, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		t.Fatal("no end of head")
	}
	seen := make(map[string]int)
	for line := range strings.SplitSeq(string(raw[:len(head)]), "\r\n") {
		if strings.TrimSpace(line) == "" {
			t.Errorf("empty line in head")
		}
		if name, _, ok := strings.Cut(line, ":"); ok && line[0] != ' ' && line[0] != '\t' {
			seen[name]++
		}
		if strings.Contains(line, "=?") && len(line) > 76 {
			t.Errorf("line with encoded word has %d octets: %s", len(line), line)
		}
		for word := range strings.FieldsSeq(line) {
			if strings.HasPrefix(word, "=?") && len(word) > 75 {
				t.Errorf("encoded word of %d octets", len(word))
			}
		}
	}
	allowed := "From To Reply-To Subject Date Message-ID Auto-Submitted X-Auto-Response-Suppress MIME-Version Content-Type Content-Transfer-Encoding Content-Language DKIM-Signature"
	for name, n := range seen {
		if n > 1 || !strings.Contains(" "+allowed+" ", " "+name+" ") {
			t.Errorf("field %s, %d times", name, n)
		}
	}
	for _, name := range strings.Fields(allowed) {
		if seen[name] == 0 && name != "Reply-To" && name != "DKIM-Signature" {
			t.Errorf("no field %s", name)
		}
	}
	if !bytes.HasSuffix(raw, []byte("\r\n")) || bytes.Count(raw, []byte("\n")) != bytes.Count(raw, []byte("\r\n")) || bytes.Count(raw, []byte("\r")) != bytes.Count(raw, []byte("\r\n")) {
		t.Error("a line does not end in CRLF")
	}
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 998 {
			t.Errorf("line of %d octets", len(line))
		}
		for _, c := range line {
			if c >= 0x80 || c == 0 {
				t.Fatalf("octet %#02x", c)
			}
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	c := composer(t, nil)
	for name, tc := range map[string]struct {
		h *mailer.Header
		n *mailer.Notice
	}{
		"LF in subject":          {header(), notice("a\nBcc: b@x.example", "x")},
		"CR in subject":          {header(), notice("a\rBcc: b@x.example", "x")},
		"NUL in subject":         {header(), notice("a\x00", "x")},
		"next line in subject":   {header(), notice("a\u0085b", "x")},
		"line separator":         {header(), notice("a\u2028b", "x")},
		"broken UTF-8 subject":   {header(), notice("a\xff", "x")},
		"LF in name":             {header(func(h *mailer.Header) { h.FromName = "a\r\nBcc: b@x.example" }), notice("a", "x")},
		"LF in From":             {header(func(h *mailer.Header) { h.From = "a@x.example\r\nBcc: b@x.example" }), notice("a", "x")},
		"two in To":              {header(func(h *mailer.Header) { h.To = "a@x.example, b@x.example" }), notice("a", "x")},
		"brackets in To":         {header(func(h *mailer.Header) { h.To = "a@x.example>, <b@x.example" }), notice("a", "x")},
		"no To":                  {header(func(h *mailer.Header) { h.To = "" }), notice("a", "x")},
		"unquoted dots in To":    {header(func(h *mailer.Header) { h.To = "a..b@x.example" }), notice("a", "x")},
		"open quote in To":       {header(func(h *mailer.Header) { h.To = `"a\"@x.example` }), notice("a", "x")},
		"no From":                {header(func(h *mailer.Header) { h.From = "" }), notice("a", "x")},
		"Reply-To with name":     {header(func(h *mailer.Header) { h.ReplyTo = "A <a@x.example>" }), notice("a", "x")},
		"no Message-ID":          {header(func(h *mailer.Header) { h.MessageID = "" }), notice("a", "x")},
		"brackets in Message-ID": {header(func(h *mailer.Header) { h.MessageID = "<a@x.example>" }), notice("a", "x")},
		"LF in Message-ID":       {header(func(h *mailer.Header) { h.MessageID = "a@x.example\r\nX: y" }), notice("a", "x")},
		"no date":                {header(func(h *mailer.Header) { h.Date = time.Time{} }), notice("a", "x")},
		"charset":                {header(charset("shift_jis")), notice("a", "x")},
		"broken UTF-8 body":      {header(), notice("a", "x\xff")},
		"NUL in body":            {header(), notice("a", "x\x00")},
	} {
		if msg, err := c.Compose(nil, tc.h, tc.n); !errors.Is(err, mailer.ErrInvalid) {
			t.Errorf("%s: %v\n%s", name, err, msg)
		}
	}
}

// TestLongLineFallsBack: a line that 7bit cannot carry goes in base64.
func TestLongLineFallsBack(t *testing.T) {
	body := strings.Repeat("長", 600) + "\n"
	got := readMessage(t, compose(t, header(charset("iso-2022-jp")), notice("a", body)))
	if got.Charset != "UTF-8" || got.Body != body {
		t.Errorf("charset %s, body of %d octets", got.Charset, len(got.Body))
	}
}

func TestLineEnds(t *testing.T) {
	for _, cs := range []string{"utf-8", "iso-2022-jp"} {
		for in, want := range map[string]string{"": "", "a": "a\n", "a\n": "a\n", "a\r\nb": "a\nb\n", "\n\n": "\n\n"} {
			if got := readMessage(t, compose(t, header(charset(cs)), notice("a", in))).Body; got != want {
				t.Errorf("%s: %q read as %q, want %q", cs, in, got, want)
			}
		}
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("件名", "名前", "本文\n", "utf-8", "a@x.example")
	f.Add("a\r\nBcc: x@y.example", "x\ny", "\x1b$B\n.\n", "iso-2022-jp", `"a..b"@x.example`)
	f.Add("=?UTF-8?B?44GC?=", "=?x?=", "ﾔﾏﾀﾞ〜髙", "iso-2022-jp", "a@x.example>,<b@x.example")
	f.Add(" two  blanks ", strings.Repeat("長い名前", 30), "", "", "a@x.example")
	f.Fuzz(func(t *testing.T, subject, name, body, cs, to string) {
		raw, err := composer(t, nil).Compose(nil, header(charset(cs), func(h *mailer.Header) { h.FromName, h.To = name, to }), notice(subject, body))
		if err != nil {
			if !errors.Is(err, mailer.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		checkForm(t, raw)
		got := readMessage(t, raw)
		if got.Charset != "UTF-8" { // folded kana and the like are checked elsewhere
			return
		}
		if got.Subject != subject || got.FromName != name {
			t.Errorf("subject %q, name %q", got.Subject, got.FromName)
		}
		want := strings.ReplaceAll(body, "\r\n", "\n")
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		if got.Body != want {
			t.Errorf("body %q, want %q", got.Body, want)
		}
	})
}

func BenchmarkCompose(b *testing.B) {
	body := strings.Repeat(text, 12)
	for _, cs := range []string{"utf-8", "iso-2022-jp"} {
		b.Run(cs, func(b *testing.B) {
			c := composer(b, nil)
			h, n := header(charset(cs)), notice(subject, body)
			b.ReportAllocs()
			for b.Loop() {
				msg, err := c.Compose(nil, h, n)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(msg)))
			}
		})
	}
}
