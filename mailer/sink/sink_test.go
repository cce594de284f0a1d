package sink_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"oshirase/mailer/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t testing.TB, opt sink.Options, rules ...string) *sink.Server {
	t.Helper()
	var err error
	if opt.Rules, err = sink.ParseRules(rules); err != nil {
		t.Fatal(err)
	}
	s, err := sink.Listen("127.0.0.1:0", opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// talk says lines and returns all that the server answers until it closes.
func talk(t testing.TB, s *sink.Server, lines ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("%v after %q", err, got)
	}
	return string(got)
}

func TestDialogue(t *testing.T) {
	for _, tc := range []struct {
		name  string
		opt   sink.Options
		rules []string
		say   []string
		want  []string // starts of the replies behind the greeting
		taken int64
	}{
		{
			name: "one group", // everything at once, as RFC 2920 allows
			say:  []string{"EHLO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", "hello", ".", "QUIT"},
			want: []string{"250-sink.invalid", "250-PIPELINING", "250-8BITMIME", "250-ENHANCEDSTATUSCODES", "250-SIZE 33554432", "250 CHUNKING", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "221"}, taken: 1,
		},
		{
			name: "hidden", opt: sink.Options{Without: []string{"CHUNKING", "size"}}, rules: []string{"ehlo:without PIPELINING"},
			say: []string{"EHLO x", "QUIT"}, want: []string{"250-sink.invalid", "250-8BITMIME", "250 ENHANCEDSTATUSCODES", "221"},
		},
		{name: "HELO", say: []string{"HELO x", "NOOP", "VRFY x", "RSET", "HELP", "QUIT"}, want: []string{"250 sink", "250", "252", "250", "500", "221"}},
		{
			name: "order", say: []string{"MAIL FROM:<a@x.example>", "HELO x", "RCPT TO:<b@x.example>", "DATA", "MAIL FROM:<a@x.example>", "MAIL FROM:<a@x.example>", "DATA", "QUIT"},
			want: []string{"503", "250", "503", "503", "250", "503", "554", "221"},
		},
		{
			name: "parameters", say: []string{
				"HELO x", "MAIL FROM:<a@x.example> SMTPUTF8", "MAIL FROM:<a@x.example> RET=HDRS", "MAIL FROM:<a@x.example> SIZE=99999999999", "MAIL FROM:<a@x.example> BODY=BINARYMIME",
				"MAIL FROM:a@x.example", "MAIL FROM:<> BODY=8BITMIME SIZE=10", "RCPT TO:<b@x.example> NOTIFY=NEVER", "RCPT TO:<>", `RCPT TO:<"a>..b"@x.example>`, "QUIT",
			},
			want: []string{"250", "555", "555", "552", "501", "501", "250", "555", "501", "250", "221"},
		},
		{
			name: "BDAT", say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "BDAT 7\r\nhello\r\nBDAT 5 LAST\r\n.\r\n\r\nMAIL FROM:<a@x.example>", "BDAT 3 LAST\r\nabcRSET", "QUIT"},
			want: []string{"250", "250", "250", "250", "250", "250", "503", "250", "221"}, taken: 1,
		},
		{
			name: "BDAT beyond the limit", opt: sink.Options{MaxSize: 20}, // and what follows is understood
			say:  []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "BDAT 12\r\n0123456789\r\nBDAT 12\r\n0123456789\r\nBDAT 12\r\n0123456789\r\nBDAT 2 LAST\r\n\r\nRSET", "QUIT"},
			want: []string{"250", "250", "250", "250", "552", "552", "552", "250", "221"},
		},
		{
			name: "BDAT without LAST for ever", opt: sink.Options{MaxSize: 1 << 20}, // the server keeps at most the limit
			say:  []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", strings.Repeat("BDAT 1048576\r\n"+strings.Repeat("x", 1<<20), 8) + "RSET", "QUIT"},
			want: []string{"250", "250", "250", "250", "552", "552", "552", "552", "552", "552", "552", "250", "221"},
		},
		{
			name: "BDAT to nobody", say: []string{"HELO x", "MAIL FROM:<a@x.example>", "BDAT 7\r\nhello\r\nBDAT 7 LAST\r\nhello\r\nQUIT"},
			want: []string{"250", "250", "503", "503", "221"},
		},
		{name: "guessing", opt: sink.Options{User: "u", Password: "p"}, say: append([]string{"HELO x"}, slices.Repeat([]string{"AUTH PLAIN AHUAeA=="}, 6)...), want: []string{"250", "535", "535", "535", "535", "535"}},
		{
			name: "recipients without end", say: append([]string{"HELO x", "MAIL FROM:<a@x.example>"}, append(slices.Repeat([]string{"RCPT TO:<b@x.example>"}, 1001), "QUIT")...),
			want: append([]string{"250", "250"}, append(slices.Repeat([]string{"250"}, 1000), "452", "221")...),
		},
		{name: "too long a line", say: []string{"NOOP " + strings.Repeat("x", 5000)}, want: []string{"500"}},
		{name: "AUTH first", opt: sink.Options{User: "u", Password: "p"}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "AUTH PLAIN AHUAcA==", "MAIL FROM:<a@x.example>", "QUIT"}, want: []string{"250", "530", "235", "250", "221"}},
		{name: "AUTH wrong", opt: sink.Options{User: "u", Password: "p"}, say: []string{"HELO x", "AUTH PLAIN AHUAeA==", "AUTH LOGIN", "dQ==", "cA==", "QUIT"}, want: []string{"250", "535", "334", "334", "235", "221"}},
		{name: "limit of messages", opt: sink.Options{MaxMessages: 1}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", ".", "MAIL FROM:<a@x.example>"}, want: []string{"250", "250", "250", "354", "250", "421"}, taken: 1},
		{name: "limit of size", opt: sink.Options{MaxSize: 20}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", strings.Repeat("x", 100), ".", "QUIT"}, want: []string{"250", "250", "250", "354", "552", "221"}},
		{
			name: "far beyond the limit", opt: sink.Options{MaxSize: 20}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", strings.Repeat("x", 300<<10), ".", "QUIT"},
			want: []string{"250", "250", "250", "354", "552", "221"},
		},
		{
			name: "greylisting", rules: []string{"rcpt=*,first=1:450 4.2.0 later"},
			say:  []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "RCPT TO:<B@x.example>", "RCPT TO:<c@x.example>", "RCPT TO:<b@x.example>", "QUIT"},
			want: []string{"250", "250", "450 4.2.0 later", "250", "450", "250", "221"},
		},
		{
			name: "every and after", rules: []string{"rcpt,every=3:451 third", "rcpt,after=4:452 late"},
			say:  []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<1@x.example>", "RCPT TO:<2@x.example>", "RCPT TO:<3@x.example>", "RCPT TO:<4@x.example>", "RCPT TO:<5@x.example>", "RCPT TO:<6@x.example>", "QUIT"},
			want: []string{"250", "250", "250", "250", "451", "250", "250", "451", "221"},
		},
		{name: "cut at RCPT", rules: []string{"rcpt=c*:drop"}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "RCPT TO:<c@x.example>"}, want: []string{"250", "250", "250"}},
		{name: "cut in the body", rules: []string{"body=b*:drop"}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", "x"}, want: []string{"250", "250", "250", "354"}},
		{name: "cut at the dot", rules: []string{"dot:drop"}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", "."}, want: []string{"250", "250", "250", "354"}},
		{name: "taken and cut", rules: []string{"dot:take-drop"}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", "."}, want: []string{"250", "250", "250", "354"}, taken: 1},
		{name: "354 to nobody", rules: []string{"rcpt:550 no", "data:354 go"}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", ".", "QUIT"}, want: []string{"250", "250", "550", "354 go", "554", "221"}},
		{name: "lines", rules: []string{`mail:450 4.2.0 two\n4.2.0 lines`}, say: []string{"HELO x", "MAIL FROM:<b@x.example>", "QUIT"}, want: []string{"250", "450-4.2.0 two", "450 4.2.0 lines", "221"}},
		{name: "raw", rules: []string{`mail:raw \x00?\n`}, say: []string{"HELO x", "MAIL FROM:<b@x.example>", "QUIT"}, want: []string{"250", "\x00?", "221"}},
		{name: "drip and delay", rules: []string{"mail:delay 5ms", "mail:drip 1ms"}, say: []string{"HELO x", "MAIL FROM:<b@x.example>", "QUIT"}, want: []string{"250", "250 2.1.0", "221"}},
		{name: "latency", opt: sink.Options{Latency: 2 * time.Millisecond}, rules: []string{"dot:drop"}, say: []string{"HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", "."}, want: []string{"250", "250", "250", "354"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := listen(t, tc.opt, tc.rules...)
			lines := strings.Split(strings.TrimRight(talk(t, s, tc.say...), "\r\n"), "\n")
			if !strings.HasPrefix(lines[0], "220 sink.invalid") {
				t.Errorf("greeting %q", lines[0])
			}
			lines = lines[1:]
			if len(lines) != len(tc.want) {
				t.Fatalf("%d replies, want %d:\n%s", len(lines), len(tc.want), strings.Join(lines, "\n"))
			}
			for i, l := range lines {
				if !strings.HasPrefix(l, tc.want[i]) {
					t.Errorf("reply %d is %q, want %q", i, l, tc.want[i])
				}
			}
			if n := s.Counts().Messages; n != tc.taken {
				t.Errorf("%d messages taken, want %d", n, tc.taken)
			}
		})
	}
}

// TestBodies: each body arrives as it was meant, in whatever pieces it comes.
func TestBodies(t *testing.T) {
	for _, piece := range []int{1, 2, 3, 7, 1 << 20} {
		got := make(chan string, 10)
		s := listen(t, sink.Options{OnMessage: func(m sink.Received) { got <- string(m.Data) }})
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(c)
		var stream bytes.Buffer
		bodies := []string{"", "a\r\n", ".\r\n", "..\r\n.\r\n", "\r\n", "a\r\n.b\r\n\r\n", "x\n.\ny\r\n", strings.Repeat("0123456789\r\n", 500)}
		stream.WriteString("EHLO x\r\n")
		for _, b := range bodies {
			stuffed := strings.ReplaceAll("\r\n"+b, "\r\n.", "\r\n..")[2:]
			stream.WriteString("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n" + stuffed + ".\r\n")
		}
		go func() {
			for stream.Len() > 0 {
				if _, err := c.Write(stream.Next(piece)); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		for i, want := range bodies {
			if b := <-got; b != want {
				t.Errorf("pieces of %d, body %d: %q, want %q", piece, i, b, want)
			}
		}
		_, _ = r.Peek(1)
		c.Close()
	}
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	say := []string{"HELO x", "MAIL FROM:<b+t@x.example>", `RCPT TO:<"a/../b"@x.example>`, "RCPT TO:<c@x.example>", "DATA", "Subject: x", "", "..dot", ".", "QUIT"}
	for range 2 { // a second server goes on where the first ended
		s := listen(t, sink.Options{Dir: dir, Tally: true})
		talk(t, s, say...)
		if diff := cmp.Diff(map[string]int{`"a/../b"@x.example`: 1, "c@x.example": 1}, s.Tally()); diff != "" {
			t.Error(diff)
		}
		s.Close()
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		number, when, _ := strings.Cut(strings.TrimSuffix(e.Name(), ".eml"), "-")
		if _, err := time.Parse("20060102T150405", when); err != nil {
			t.Errorf("%s says more than when it came", e.Name())
		}
		names = append(names, number)
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if want := "Return-Path: <b+t@x.example>\r\nSubject: x\r\n\r\n.dot\r\n"; string(b) != want {
			t.Errorf("%s is %q, want %q", e.Name(), b, want)
		}
	}
	if diff := cmp.Diff([]string{"000001", "000002"}, names); diff != "" {
		t.Error(diff)
	}
}

// TestKeepFails: what cannot be kept is not acknowledged.
func TestKeepFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := listen(t, sink.Options{Dir: dir})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	got := talk(t, s, "HELO x", "MAIL FROM:<a@x.example>", "RCPT TO:<b@x.example>", "DATA", "x", ".", "QUIT")
	if !strings.Contains(got, "451 4.3.0") || s.Counts().Messages != 0 {
		t.Errorf("%+v\n%s", s.Counts(), got)
	}
	if _, err := sink.Listen("127.0.0.1:0", sink.Options{Dir: dir}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestMaxConns(t *testing.T) {
	s := listen(t, sink.Options{MaxConns: 1})
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if got := talk(t, s, "QUIT"); !strings.HasPrefix(got, "421 4.3.2") {
		t.Errorf("second connection: %q", got)
	}
}

func TestParseRule(t *testing.T) {
	for text, want := range map[string]sink.Rule{
		"rcpt=refused*@*:550 5.1.1 User unknown": {Point: "rcpt", Pattern: "refused*@*", P: 1, Action: sink.Reply, Code: 550, Text: "5.1.1 User unknown"},
		"dot,p=0.25:take-drop":                   {Point: "dot", Pattern: "*", P: 0.25, Action: sink.TakeDrop},
		"mail=*@x.example,first=2,after=3,every=4:delay 1.5s": {
			Point: "mail", Pattern: "*@x.example", P: 1, First: 2, After: 3, Every: 4, Action: sink.Delay, Wait: 1500 * time.Millisecond,
		},
		"ehlo:without starttls":   {Point: "ehlo", Pattern: "*", P: 1, Action: sink.Without, Text: "STARTTLS"},
		`data:raw "x"\r\n`:        {Point: "data", Pattern: "*", P: 1, Action: sink.Raw, Text: "\"x\"\r\n"},
		`rcpt:450-not\nso: "odd"`: {},
		`rcpt:450 a\nso: "odd"`:   {Point: "rcpt", Pattern: "*", P: 1, Action: sink.Reply, Code: 450, Text: "a\nso: \"odd\""},
	} {
		got, err := sink.ParseRule(text)
		if want.Point == "" {
			if err == nil {
				t.Errorf("%s is taken", text)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{
		"", "rcpt", "rcpt=:drop", "nowhere:drop", "rcpt=a", "ehlo=a*:drop", "rcpt:vanish", "rcpt:take-drop", "rcpt:wrong-cert", "rcpt:without X", "ehlo:without",
		"rcpt:99 x", "rcpt:600 x", "rcpt:0550 x", "rcpt,first=0:drop", "rcpt,first=x:drop", "rcpt,p=2:drop", "rcpt,p=NaN:drop", "rcpt,often=2:drop", "rcpt:delay", "rcpt:delay -1s", "rcpt:drop now", `rcpt:raw \q`,
	} {
		if r, err := sink.ParseRule(bad); err == nil {
			t.Errorf("%q is taken: %+v", bad, r)
		}
	}
	if _, err := sink.ParseRules(sink.DemoRules); err != nil {
		t.Error(err)
	}
}

// TestSeed: which addresses a probability hits depends on the seed, and on
// nothing else.
func TestSeed(t *testing.T) {
	hits := func(seed uint64) string {
		s := listen(t, sink.Options{Seed: seed}, "rcpt,p=0.3:550 no")
		say := []string{"HELO x", "MAIL FROM:<a@x.example>"}
		for i := range 100 {
			say = append(say, fmt.Sprintf("RCPT TO:<%d@x.example>", i))
		}
		var b strings.Builder
		for l := range strings.SplitSeq(talk(t, s, append(say, "QUIT")...), "\r\n") {
			b.WriteString(strings.SplitN(l, " ", 2)[0] + " ")
		}
		return b.String()
	}
	one, two := hits(1), hits(2)
	if one != hits(1) {
		t.Error("one seed, two results")
	}
	if one == two {
		t.Error("two seeds, one result")
	}
	if n := strings.Count(one, "550"); n < 15 || n > 45 {
		t.Errorf("%d of 100 hit with p=0.3", n)
	}
}

func FuzzParseRule(f *testing.F) {
	for _, r := range sink.DemoRules {
		f.Add(r)
	}
	f.Add("mail=a,p=0.5,first=2:raw \\x00")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := sink.ParseRule(text)
		if err != nil {
			return
		}
		if r.Action == sink.Reply && (r.Code < 200 || strings.ContainsAny(r.Text, "\r\x00")) || !(r.P >= 0 && r.P <= 1) || r.Pattern == "" {
			t.Errorf("%q: %+v", text, r)
		}
	})
}

// BenchmarkPipelined is the receiver's own speed: one connection, prebuilt bytes.
func BenchmarkPipelined(b *testing.B) {
	s := listen(b, sink.Options{})
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	msg := []byte("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n" + strings.Repeat(strings.Repeat("A", 76)+"\r\n", 100) + ".\r\n")
	const replies = 4
	r := bufio.NewReaderSize(c, 64<<10)
	if _, err := io.WriteString(c, "HELO x\r\n"); err != nil {
		b.Fatal(err)
	}
	lines := func(n int) {
		for range n {
			if _, err := r.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
	}
	lines(2)
	b.SetBytes(int64(len(msg)))
	done := make(chan struct{})
	n := b.N
	b.ResetTimer()
	go func() {
		defer close(done)
		for range n {
			if _, err := c.Write(msg); err != nil {
				return
			}
		}
	}()
	lines(replies * n)
	<-done
}
