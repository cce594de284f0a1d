package smtp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/sink"
	"oshirase/mailer/smtp"
)

// streaming is a relay to which so many messages may be streamed.
func streaming(in *inbox, intents int) relay {
	opt := relayTo(in)
	opt.Chunking, opt.Intents = true, intents
	return opt
}

// letters are messages whose senders and recipients begin with a, b, c, …
func letters(n int, body ...string) []*mailer.Message {
	ms := make([]*mailer.Message, n)
	for i := range ms {
		name := string(rune('a' + i%26))
		ms[i] = message(name+"@people.example", append([]string{name}, body...)...)
		ms[i].Sender = name + "@bounce.shop.example"
	}
	return ms
}

func outcomes(ctx context.Context, c *smtp.Conn, n int) []string {
	got := make([]string, n)
	for i := range got {
		got[i] = short(c.Outcome(ctx))
	}
	return got
}

// TestStreamOutcomes says what each thing that a relay may do in the middle of
// five messages means for each of them.
func TestStreamOutcomes(t *testing.T) {
	const ok, lost, before = "accepted@dot 250 2.0.0", "unknown@dot 0", "deferred@mail 0"
	for _, tc := range []struct {
		rule   string
		want   []string
		taken  string // recipients that the receiver has
		broken bool   // the connection is not used again
	}{
		{rule: "", want: []string{ok, ok, ok, ok, ok}, taken: "abcde"},
		{rule: "dot:drip 1ms", want: []string{ok, ok, ok, ok, ok}, taken: "abcde"},
		{rule: "dot:delay 2ms", want: []string{ok, ok, ok, ok, ok}, taken: "abcde"},
		{rule: "rcpt=c*:251 2.1.5 will forward", want: []string{ok, ok, ok, ok, ok}, taken: "abcde"},
		{rule: `dot=c*:250 2.0.0 queued\n2.0.0 as 4711`, want: []string{ok, ok, ok, ok, ok}, taken: "abcde"},

		{rule: "mail=c*:451 4.3.0 later", want: []string{ok, ok, "deferred@mail 451 4.3.0", ok, ok}, taken: "abde"},
		{rule: "mail=c*:550 5.7.1 go away", want: []string{ok, ok, "deferred@mail 550 5.7.1", ok, ok}, taken: "abde"},
		{rule: "rcpt=c*:450 4.2.0 greylisted", want: []string{ok, ok, "deferred@rcpt 450 4.2.0", ok, ok}, taken: "abde"},
		{rule: "rcpt=c*:550 5.1.1 unknown", want: []string{ok, ok, "rejected@rcpt 550 5.1.1", ok, ok}, taken: "abde"},
		{rule: "rcpt=a*:550 5.1.1 unknown", want: []string{"rejected@rcpt 550 5.1.1", ok, ok, ok, ok}, taken: "bcde"},
		{rule: "rcpt=e*:550 5.1.1 unknown", want: []string{ok, ok, ok, ok, "rejected@rcpt 550 5.1.1"}, taken: "abcd"},
		{rule: "rcpt=?@*:550 5.1.1 unknown", want: slices.Repeat([]string{"rejected@rcpt 550 5.1.1"}, 5)},
		{rule: "dot=c*:452 4.2.2 full", want: []string{ok, ok, "deferred@dot 452 4.2.2", ok, ok}, taken: "abde"},
		{rule: "dot=c*:554 5.7.1 spam", want: []string{ok, ok, "rejected@dot 554 5.7.1", ok, ok}, taken: "abde"},
		{rule: "dot=e*:554 5.7.1 spam", want: []string{ok, ok, ok, ok, "rejected@dot 554 5.7.1"}, taken: "abcd"},

		{rule: "mail=c*:421 4.3.2 bye", want: []string{ok, ok, "deferred@mail 421 4.3.2", before, before}, taken: "ab", broken: true},
		{rule: "rcpt=c*:421 4.3.2 bye", want: []string{ok, ok, "deferred@rcpt 421 4.3.2", before, before}, taken: "ab", broken: true},
		{rule: "dot=c*:421 4.3.2 bye", want: []string{ok, ok, "deferred@dot 421 4.3.2", before, before}, taken: "ab", broken: true},
		// A relay that says 421 and goes on is taken at its word, reply by reply.
		{rule: `dot=c*:raw 421 4.3.2 bye\r\n`, want: []string{ok, ok, "deferred@dot 421 4.3.2", ok, ok}, taken: "abde", broken: true},

		{rule: "mail=c*:drop", want: []string{ok, ok, lost, lost, lost}, taken: "ab", broken: true},
		{rule: "rcpt=c*:drop", want: []string{ok, ok, lost, lost, lost}, taken: "ab", broken: true},
		{rule: "body=c*:drop", want: []string{ok, ok, lost, lost, lost}, taken: "ab", broken: true},
		{rule: "dot=c*:drop", want: []string{ok, ok, lost, lost, lost}, taken: "ab", broken: true},
		{rule: "dot=c*:take-drop", want: []string{ok, ok, lost, lost, lost}, taken: "abc", broken: true},
		{rule: "dot=a*:take-drop", want: []string{lost, lost, lost, lost, lost}, taken: "a", broken: true},
		{rule: "dot=e*:take-drop", want: []string{ok, ok, ok, ok, lost}, taken: "abcde", broken: true},
		{rule: "dot=c*:reset", want: []string{ok, ok, lost, lost, lost}, taken: "ab", broken: true},

		{rule: "mail=c*:354 what", want: []string{ok, ok, lost, lost, lost}, taken: "abcde", broken: true},
		{rule: "rcpt=c*:354 what", want: []string{ok, ok, lost, lost, lost}, taken: "abcde", broken: true},
		{rule: "dot=c*:354 what", want: []string{ok, ok, lost, lost, lost}, taken: "abcde", broken: true},
		{rule: "dot=c*:garbage", want: []string{ok, ok, lost, lost, lost}, taken: "abde", broken: true},
		{rule: `dot=c*:raw 421 bye\r\nwhat\r\n`, want: []string{ok, ok, "deferred@dot 421", lost, lost}, taken: "abde", broken: true},
		{rule: `dot=e*:raw 250 ok\r\n250 ok\r\n`, want: []string{ok, ok, ok, ok, lost}, taken: "abcd", broken: true},
		{rule: `dot=e*:raw 250 ok\r\n421 bye\r\n`, want: []string{ok, ok, ok, ok, "accepted@dot 250"}, taken: "abcd", broken: true},
	} {
		for _, flights := range []int{1, 5} {
			t.Run(fmt.Sprintf("%s/%d", tc.rule, flights), func(t *testing.T) {
				t.Parallel()
				var rules []string
				if tc.rule != "" {
					rules = []string{tc.rule}
				}
				in := receiver(t, sink.Options{Latency: 5 * time.Millisecond}, rules...)
				p := poolOf(t, streaming(in, 5))
				c := get(t, p)
				ms := letters(5)
				if n := c.Window(); n != 5 {
					t.Fatalf("window is %d", n)
				}
				for part := range slices.Chunk(ms, 5/flights) {
					c.Stream(t.Context(), part...)
				}
				if got := outcomes(t.Context(), c, 5); !slices.Equal(got, tc.want) {
					t.Errorf("outcomes\n%q, want\n%q", got, tc.want)
				}
				if c.Usable() == tc.broken {
					t.Errorf("usable is %v", c.Usable())
				}
				p.Put(c)
				if n := in.Counts().Connections; n != 1 {
					t.Errorf("%d connections", n)
				}
				has := tc.taken
				// What refused somebody refuses nobody else on this connection.
				if !tc.broken {
					c = get(t, p)
					if got := short(send(t.Context(), c, message("zoe@people.example"))); got != ok {
						t.Errorf("the message after it: %s", got)
					}
					p.Put(c)
					has += "z"
				}
				if err := in.Close(); err != nil { // what it has read is dealt with then
					t.Error(err)
				}
				var taken string
				for _, m := range in.messages() {
					name := m.Recipients[0][:1]
					taken += name
					if i := strings.Index("abcde", name); i >= 0 && (!bytes.Equal(m.Data, ms[i].Data) || m.Sender != ms[i].Sender) {
						t.Errorf("%s got %q from %s", name, m.Data, m.Sender)
					}
				}
				// Of what lay behind the fault, a cut receiver need not have read all.
				if taken != has && !(tc.broken && strings.HasPrefix(has, taken)) {
					t.Errorf("the receiver has %q, want %q", taken, has)
				}
				for i, out := range tc.want {
					if strings.HasPrefix(out, "accepted@dot 250 2") && !strings.Contains(taken, "abcde"[i:i+1]) {
						t.Errorf("%c is accepted and was not taken", "abcde"[i])
					}
				}
			})
		}
	}
}

// TestStreamTLS: what is certain about a cut is the same under TLS.
func TestStreamTLS(t *testing.T) {
	in := receiver(t, sink.Options{TLS: sink.StartTLS}, "rcpt=b*:550 5.1.1 unknown", "dot=d*:drop")
	opt := streaming(in, 5)
	opt.TLS, opt.CAFile = smtp.TLSRequired, filepath.Join(t.TempDir(), "ca.pem")
	if err := in.WriteCA(opt.CAFile); err != nil {
		t.Fatal(err)
	}
	p := poolOf(t, opt)
	c := get(t, p)
	defer p.Put(c)
	c.Stream(t.Context(), letters(5)...)
	want := []string{"accepted@dot 250 2.0.0", "rejected@rcpt 550 5.1.1", "accepted@dot 250 2.0.0", "unknown@dot 0", "unknown@dot 0"}
	if got := outcomes(t.Context(), c, 5); !slices.Equal(got, want) {
		t.Errorf("outcomes %q, want %q", got, want)
	}
}

// TestStreamWindow: how many messages may be unanswered.
func TestStreamWindow(t *testing.T) {
	for name, tc := range map[string]struct {
		set     func(*relay)
		without string
		want    int
	}{
		"as set":                {want: 4},
		"default":               {set: func(r *relay) { r.Intents = 0 }, want: 1},
		"no chunking wanted":    {set: func(r *relay) { r.Chunking = false }, want: 1},
		"no pipelining wanted":  {set: func(r *relay) { r.Pipelining = false }, want: 1},
		"no chunking offered":   {without: "CHUNKING", want: 1},
		"no pipelining offered": {without: "PIPELINING", want: 1},
		"few left":              {set: func(r *relay) { r.MessagesPerConnection = 3 }, want: 3},
	} {
		in := receiver(t, sink.Options{Without: []string{tc.without}})
		opt := streaming(in, 4)
		if tc.set != nil {
			tc.set(&opt)
		}
		p := poolOf(t, opt)
		c := get(t, p)
		if got := c.Window(); got != tc.want {
			t.Errorf("%s: window is %d, want %d", name, got, tc.want)
		}
		p.Put(c)
	}
	for _, n := range []int{-1, 17} {
		if _, err := newPool(relay{RelayOptions: smtp.RelayOptions{Address: "mail.example:25", Intents: n}}); !errors.Is(err, mailer.ErrInvalid) {
			t.Errorf("%d intents: %v", n, err)
		}
	}
}

// TestStreamRested: on a connection that lay idle the envelope is answered first,
// for the relay may have closed it.
func TestStreamRested(t *testing.T) {
	in := receiver(t, sink.Options{})
	p := poolOf(t, streaming(in, 4))
	now := time.Now()
	p.SetNow(func() time.Time { return now })
	c := get(t, p)
	c.Stream(t.Context(), letters(2)...)
	outcomes(t.Context(), c, 2)
	now = now.Add(2 * time.Second)
	if n := c.Window(); n != 1 {
		t.Errorf("window after a rest is %d", n)
	}
	c.Begin(t.Context(), message("a@people.example"))
	if out, ok := c.Ready(t.Context()); !ok {
		t.Fatal(out)
	}
	if n := c.Window(); n != 4 {
		t.Errorf("window after a reply is %d", n)
	}
	c.Finish(t.Context())
	if got := short(c.Outcome(t.Context())); got != "accepted@dot 250 2.0.0" {
		t.Error(got)
	}
	c.Stream(t.Context(), letters(2)...)
	if got := outcomes(t.Context(), c, 2); got[1] != "accepted@dot 250 2.0.0" {
		t.Error(got)
	}
	p.Put(c)
	now = now.Add(2 * time.Second)
	c = get(t, p) // asked with a NOOP
	if n := c.Window(); n != 4 {
		t.Errorf("window of a connection that was asked is %d", n)
	}
	p.Put(c)
}

// TestStreamLimit: a connection's number of messages is kept to.
func TestStreamLimit(t *testing.T) {
	in := receiver(t, sink.Options{})
	opt := streaming(in, 4)
	opt.MessagesPerConnection = 6
	p := poolOf(t, opt)
	c := get(t, p)
	c.Stream(t.Context(), letters(4)...)
	if got := c.Window(); got != 4 {
		t.Errorf("window %d", got)
	}
	outcomes(t.Context(), c, 2)
	if got := c.Window(); got != 4 { // two are unanswered, and two may follow
		t.Errorf("window %d with two unanswered", got)
	}
	c.Stream(t.Context(), letters(2)...)
	if c.Usable() {
		t.Error("a seventh message may begin")
	}
	if got := outcomes(t.Context(), c, 4); got[3] != "accepted@dot 250 2.0.0" {
		t.Error(got)
	}
	p.Put(c)
}

// TestStreamCancel: a cancelled context stops what has not left and gives the
// rest the grace, no more.
func TestStreamCancel(t *testing.T) {
	in := receiver(t, sink.Options{}, "dot=b*:stall")
	opt := streaming(in, 4)
	opt.DataTimeout, opt.Grace = time.Hour, 20*time.Millisecond
	p := poolOf(t, opt)
	c := get(t, p)
	defer p.Put(c)
	ctx, cancel := context.WithCancelCause(t.Context())
	ms := letters(4)
	c.Stream(ctx, ms[:3]...)
	cancel(errors.New("stopped by the operator"))
	c.Stream(ctx, ms[3])
	want := []string{"accepted@dot 250 2.0.0", "unknown@dot 0", "unknown@dot 0", "deferred@mail 0"}
	if got := outcomes(ctx, c, 4); !slices.Equal(got, want) {
		t.Errorf("outcomes %q, want %q", got, want)
	}
}

// TestStreamFalseFarewell: a relay that says 421 and then neither closes nor goes
// on may still do either.
func TestStreamFalseFarewell(t *testing.T) {
	in := receiver(t, sink.Options{}, `dot=b*:raw 421 4.3.2 bye\r\n`, "rcpt=c*:stall")
	opt := streaming(in, 4)
	opt.DataTimeout = 50 * time.Millisecond
	p := poolOf(t, opt)
	c := get(t, p)
	defer p.Put(c)
	c.Stream(t.Context(), letters(3)...)
	want := []string{"accepted@dot 250 2.0.0", "deferred@dot 421 4.3.2", "unknown@dot 0"}
	if got := outcomes(t.Context(), c, 3); !slices.Equal(got, want) {
		t.Errorf("outcomes %q, want %q", got, want)
	}
	c.Stream(t.Context(), letters(1)...)
	if got := c.Outcome(t.Context()).State; got != mailer.StateDeferred {
		t.Errorf("after it: %s", got)
	}
}

func TestStreamTimeout(t *testing.T) {
	in := receiver(t, sink.Options{}, "rcpt=c*:stall")
	opt := streaming(in, 4)
	opt.DataTimeout = 50 * time.Millisecond
	p := poolOf(t, opt)
	c := get(t, p)
	defer p.Put(c)
	c.Stream(t.Context(), letters(4)...)
	want := []string{"accepted@dot 250 2.0.0", "accepted@dot 250 2.0.0", "unknown@dot 0", "unknown@dot 0"}
	if got := outcomes(t.Context(), c, 4); !slices.Equal(got, want) {
		t.Errorf("outcomes %q, want %q", got, want)
	}
}

// TestStreamRefusedHere: what must not leave takes its place among the others.
func TestStreamRefusedHere(t *testing.T) {
	in := receiver(t, sink.Options{})
	p := poolOf(t, streaming(in, 4))
	c := get(t, p)
	defer p.Put(c)
	ms := letters(3)
	ms[1].Data = ms[1].Data[:len(ms[1].Data)-1]
	c.Stream(t.Context(), ms...)
	want := []string{"accepted@dot 250 2.0.0", "rejected@mail 0", "accepted@dot 250 2.0.0"}
	if got := outcomes(t.Context(), c, 3); !slices.Equal(got, want) {
		t.Errorf("outcomes %q, want %q", got, want)
	}
}

// TestStreamMisuse: calls out of order do no harm.
func TestStreamMisuse(t *testing.T) {
	in := receiver(t, sink.Options{})
	p := poolOf(t, streaming(in, 4))
	ctx := t.Context()
	c := get(t, p)
	if c.Answered() {
		t.Error("answered without a message")
	}
	ms := letters(4)
	c.Stream(ctx, ms[0])
	c.Begin(ctx, ms[1])
	if out, ok := c.Ready(ctx); ok || out.State != mailer.StateDeferred {
		t.Errorf("Begin among streamed messages: %v", out)
	}
	if got := short(c.Outcome(ctx)); got != "accepted@dot 250 2.0.0" {
		t.Error(got)
	}
	c.Begin(ctx, ms[1])
	c.Stream(ctx, ms[2])
	if got := short(c.Outcome(ctx)); got != "deferred@mail 0" {
		t.Errorf("Stream after Begin: %s", got)
	}
	if _, ok := c.Ready(ctx); !ok {
		t.Error("the message begun before is lost")
	}
	c.Finish(ctx)
	c.Stream(ctx, ms[2])
	if got := short(c.Outcome(ctx)); got != "deferred@mail 0" {
		t.Errorf("Stream after Finish: %s", got)
	}
	if got := short(c.Outcome(ctx)); got != "accepted@dot 250 2.0.0" {
		t.Error(got)
	}
	c.Stream(ctx, ms[3])
	p.Put(c) // with a message in flight: closed
	c = get(t, p)
	if n := in.Counts().Connections; n != 2 {
		t.Errorf("%d connections", n)
	}
	c.CutRaw()
	c.Stream(ctx, ms[3])
	if got := c.Outcome(ctx).State; got != mailer.StateDeferred {
		t.Errorf("on a closed socket: %s", got)
	}
	c.Stream(ctx, ms[3])
	if got := short(c.Outcome(ctx)); got != "deferred@connect 0" {
		t.Errorf("on a broken connection: %s", got)
	}
	p.Put(c)
}

// TestStreamLatency: a window of messages costs one round trip.
func TestStreamLatency(t *testing.T) {
	const rtt, window, n = 20 * time.Millisecond, 4, 40
	in := receiver(t, sink.Options{Latency: rtt})
	p := poolOf(t, streaming(in, window))
	c := get(t, p)
	defer p.Put(c)
	ms := letters(n)
	began := time.Now()
	c.Stream(t.Context(), ms[:window]...)
	for i := range n {
		if out := c.Outcome(t.Context()); out.State != mailer.StateAccepted {
			t.Fatal(out)
		}
		if i+window < n {
			c.Stream(t.Context(), ms[i+window])
		}
	}
	// n/window round trips; one message at a time takes n.
	if took := time.Since(began); took < n/window*rtt || took > n*rtt*3/4 {
		t.Errorf("%d messages took %v", n, took)
	}
}
