package smtp_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"oshirase/mailer"
	"oshirase/mailer/smtp"
)

// odd is a relay that a test speaks for: it is given what comes after EHLO.
func odd(t *testing.T, speak func(*testing.T, *bufio.Reader, net.Conn)) relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		_, _ = io.WriteString(conn, "220 odd\r\n")
		if _, err := r.ReadString('\n'); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "250-odd\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
		speak(t, r, conn)
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return relay{RelayOptions: smtp.RelayOptions{
		Name: "odd", Address: ln.Addr().String(), TLS: smtp.TLSNone, Pipelining: true, Chunking: true, Intents: 16,
		DialTimeout: 5 * time.Second, CommandTimeout: 5 * time.Second, DataTimeout: 5 * time.Second, Grace: time.Second,
	}, Connections: 1}
}

// hearMessage reads the commands of one message and answers each.
func hearMessage(r *bufio.Reader, w io.Writer, answer func(verb string) string) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		verb := line[:4]
		if verb == "BDAT" {
			var n int64
			if _, err := fmt.Sscanf(line, "BDAT %d LAST\r\n", &n); err != nil {
				return err
			}
			if _, err := io.CopyN(io.Discard, r, n); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w, answer(verb)); err != nil || verb == "BDAT" {
			return err
		}
	}
}

// TestStreamContradictions: relays that take what they refused.
func TestStreamContradictions(t *testing.T) {
	for name, tc := range map[string]struct {
		answers map[string]string
		want    string
		usable  bool
	}{
		"recipient refused, body taken":                 {map[string]string{"RCPT": "550 5.1.1 no\r\n"}, "rejected@rcpt 550 5.1.1", true},
		"recipient deferred, body taken":                {map[string]string{"RCPT": "450 no\r\n"}, "deferred@rcpt 450", true},
		"all but the body refused":                      {map[string]string{"MAIL": "451 no\r\n", "RCPT": "503 no\r\n"}, "deferred@mail 451", true},
		"sender refused, recipient taken":               {map[string]string{"MAIL": "451 no\r\n", "BDAT": "503 no\r\n"}, "deferred@mail 451", true},
		"sender refused, recipient and body taken":      {map[string]string{"MAIL": "451 no\r\n"}, "unknown@dot 0", false},
		"sender refused, recipient taken, cut":          {map[string]string{"MAIL": "451 no\r\n", "BDAT": ""}, "unknown@dot 0", false},
		"recipient refused, cut":                        {map[string]string{"RCPT": "550 5.1.1 no\r\n", "BDAT": ""}, "rejected@rcpt 550 5.1.1", false},
		"recipient refused, then no reply to such body": {map[string]string{"RCPT": "550 5.1.1 no\r\n", "BDAT": "354 go\r\n"}, "rejected@rcpt 550 5.1.1", false},
		"sender refused, cut":                           {map[string]string{"MAIL": "550 no\r\n", "RCPT": ""}, "deferred@mail 550", false},
	} {
		t.Run(name, func(t *testing.T) {
			opt := odd(t, func(_ *testing.T, r *bufio.Reader, conn net.Conn) {
				cut := false
				_ = hearMessage(r, conn, func(verb string) string {
					a, given := tc.answers[verb]
					cut = cut || given && a == ""
					switch {
					case cut:
						return ""
					case given:
						return a
					}
					return "250 ok\r\n"
				})
			})
			p := poolOf(t, opt)
			c := get(t, p)
			c.Stream(t.Context(), letters(1)...)
			if got := short(c.Outcome(t.Context())); got != tc.want {
				t.Errorf("outcome is %q, want %q", got, tc.want)
			}
			if c.Usable() != tc.usable {
				t.Errorf("usable is %v", c.Usable())
			}
			c.Break(errors.New("end of the test"))
			p.Put(c)
		})
	}
}

// honest is a relay that keeps to the protocol, and to nothing beyond it: it leaves
// a transaction open where a BDAT was for nobody. answer may refuse any command
// and cut behind any; taken are the senders and recipients of what it took.
type honest struct {
	answer        func(verb string) (code int, cut bool)
	sender, rcpt  string
	taken         []string
	cut, farewell bool
}

func (h *honest) speak(r *bufio.Reader, w io.Writer) {
	for !h.cut && !h.farewell {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if verb == "BDAT" {
			var n int64
			if _, err := fmt.Sscanf(rest, "%d LAST", &n); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, r, n); err != nil {
				return
			}
		}
		code, cut := h.answer(verb)
		h.cut, h.farewell = cut, code == 421
		switch {
		case code >= 400:
		case verb == "RSET":
			h.sender, h.rcpt = "", ""
		case verb == "MAIL" && h.sender != "", verb != "MAIL" && h.sender == "", verb == "BDAT" && h.rcpt == "":
			code = 503
		case verb == "MAIL":
			h.sender = rest
		case verb == "RCPT":
			h.rcpt = rest
		case verb == "BDAT":
			h.taken = append(h.taken, h.sender+" "+h.rcpt)
			h.sender, h.rcpt = "", ""
		}
		if !h.cut {
			if _, err := fmt.Fprintf(w, "%d as it were\r\n", code); err != nil {
				return
			}
		}
	}
}

// TestStreamIsCertain: whatever an honest relay refuses and wherever it cuts, what
// is accepted was taken, and what is refused or deferred was not.
func TestStreamIsCertain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "messages")
		// Each number is what becomes of a command, in the order in which they come.
		script := rapid.SliceOfN(rapid.IntRange(0, 40), 4*n, 4*n).Draw(rt, "script")
		flight := rapid.IntRange(1, n).Draw(rt, "messages in a flight")
		relay := &honest{answer: func(verb string) (int, bool) {
			k := script[0]
			script = append(script[1:], 40)
			code := map[int]int{1: 421, 2: 450, 3: 550, 4: 550, 5: 452}[k]
			if code == 0 || verb == "RSET" && code != 421 {
				code = 250
			}
			return code, k == 0
		}}
		done := make(chan struct{})
		opt := odd(t, func(_ *testing.T, r *bufio.Reader, conn net.Conn) {
			defer close(done)
			relay.speak(r, conn)
		})
		p, err := newPool(opt)
		if err != nil {
			rt.Fatal(err)
		}
		defer p.Close()
		c, err := p.Get(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		ms := letters(n)
		for part := range slices.Chunk(ms, flight) {
			c.Stream(t.Context(), part...)
		}
		outs := make([]mailer.Outcome, n)
		for i := range outs {
			outs[i] = c.Outcome(t.Context())
		}
		c.Break(errors.New("end of the test"))
		p.Put(c)
		<-done
		for i, out := range outs {
			took := slices.Contains(relay.taken, "FROM:<"+ms[i].Sender+"> TO:<"+ms[i].Recipient+">")
			switch {
			case out.State == mailer.StateUnknown && !relay.cut:
				rt.Errorf("message %d is unknown though the relay did not cut: %+v", i, out)
			case out.State == mailer.StateAccepted && !took, out.State != mailer.StateAccepted && out.State != mailer.StateUnknown && took:
				rt.Errorf("message %d is %s, and taken is %v: %+v", i, out.State, took, out)
			}
		}
		if len(relay.taken) > n {
			rt.Errorf("of %d messages these were taken: %q", n, relay.taken)
		}
		for _, to := range relay.taken {
			if to[len("FROM:<")] != to[strings.Index(to, " TO:<")+len(" TO:<")] {
				rt.Errorf("somebody got a message under another's sender: %s", to)
			}
		}
	})
}

// TestStreamStuck: a relay takes one message of many large ones and reads no
// further: what has not left is certain, what has is not.
func TestStreamStuck(t *testing.T) {
	const n = 12
	opt := odd(t, func(_ *testing.T, r *bufio.Reader, conn net.Conn) {
		for range 2 {
			_ = hearMessage(r, conn, func(string) string { return "250 ok\r\n" })
		}
		_, _ = io.WriteString(conn, "250 ok\r\n250 ok\r\n550 no\r\n") // and RCPT of the third refused
		_, _ = r.Peek(1)
		time.AfterFunc(100*time.Millisecond, func() { conn.Close() })
	})
	p := poolOf(t, opt)
	c := get(t, p)
	defer p.Put(c)
	c.Stream(t.Context(), letters(n, slices.Repeat([]string{strings.Repeat("x", 900)}, 3000)...)...)
	got := outcomes(t.Context(), c, n)
	if want := []string{"accepted@dot 250", "accepted@dot 250", "rejected@rcpt 550"}; !slices.Equal(got[:3], want) {
		t.Errorf("outcomes %q, want %q first", got, want)
	}
	rest := got[3:]
	first := slices.Index(rest, "deferred@body 0")
	if first < 0 {
		t.Fatalf("nothing is certain: %q", rest)
	}
	for i, out := range rest {
		if want := map[bool]string{true: "unknown@dot 0", false: "deferred@body 0"}[i < first]; out != want {
			t.Errorf("message %d is %s, want %s", i+3, out, want)
		}
	}
}

// TestStreamVerbose: a relay that reads nothing while its replies are not read
// does not stop us, though both sides' buffers are full.
func TestStreamVerbose(t *testing.T) {
	const n = 8
	long := strings.Repeat("250-"+strings.Repeat("x", 4000)+"\r\n", 100) + "250 ok\r\n"
	opt := odd(t, func(t *testing.T, r *bufio.Reader, conn net.Conn) {
		for range n {
			if err := hearMessage(r, conn, func(string) string { return long }); err != nil {
				t.Error(err)
				return
			}
		}
	})
	p := poolOf(t, opt)
	c := get(t, p)
	c.Stream(t.Context(), letters(n, slices.Repeat([]string{strings.Repeat("x", 900)}, 5000)...)...)
	if got := outcomes(t.Context(), c, n); !slices.Equal(got, slices.Repeat([]string{"accepted@dot 250"}, n)) {
		t.Errorf("outcomes %q", got)
	}
	c.Break(errors.New("end of the test"))
	p.Put(c)
}

// TestStreamTooEarly: a relay that accepts what it has not read has not got it.
func TestStreamTooEarly(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	opt := odd(t, func(_ *testing.T, r *bufio.Reader, conn net.Conn) {
		_, _ = r.Peek(1)
		_, _ = io.WriteString(conn, "250 ok\r\n250 ok\r\n250 ok\r\n")
		<-hold
	})
	defer close(hold)
	p := poolOf(t, opt)
	c := get(t, p)
	defer p.Put(c)
	c.Stream(t.Context(), message("a@people.example", slices.Repeat([]string{strings.Repeat("x", 900)}, 40000)...))
	if got := short(c.Outcome(t.Context())); got != "deferred@body 0" {
		t.Error(got)
	}
	if c.Usable() {
		t.Error("connection is still used")
	}
}
