package smtp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/sink"
)

// TestOutcomes says what each thing that a relay may do means for a delivery.
func TestOutcomes(t *testing.T) {
	const pipelinedOnly, dataOnly = "pipelined", "data"
	for _, tc := range []struct {
		rule  string
		want  string
		text  string // part of Outcome.Text
		taken int    // messages the receiver has
		only  string
		// broken: the connection is not used again.
		broken bool
	}{
		{rule: "", want: "accepted@dot 250 2.0.0", text: "taken", taken: 1},
		{rule: `dot=*:250 2.0.0 queued\n2.0.0 as 4711`, want: "accepted@dot 250 2.0.0", text: "queued as 4711", taken: 1},
		{rule: "dot=*:250", want: "accepted@dot 250", taken: 1},
		{rule: "dot=*:drip 1ms", want: "accepted@dot 250 2.0.0", taken: 1},
		{rule: "dot=*:delay 20ms", want: "accepted@dot 250 2.0.0", taken: 1},
		{rule: "rcpt=*:251 2.1.5 will forward", want: "accepted@dot 250 2.0.0", taken: 1},

		{rule: "mail=*:451 4.3.0 later", want: "deferred@mail 451 4.3.0", text: "later"},
		{rule: "mail=*:550 5.7.1 go away", want: "deferred@mail 550 5.7.1", text: "relay refuses the sender: go away"},
		{rule: "mail=*:552 5.3.4 too big", want: "deferred@mail 552 5.3.4"},
		{rule: "mail=*:421 4.7.0 slow down", want: "deferred@mail 421 4.7.0", broken: true},
		{rule: "mail=*:354 what", want: "deferred@mail 0", text: "unexpected reply to MAIL: 354", broken: true},
		{rule: "mail=*:drop", want: "deferred@mail 0", text: "connection lost", broken: true},
		{rule: "mail=*:reset", want: "deferred@mail 0", broken: true},
		{rule: "mail=*:garbage", want: "deferred@mail 0", text: "no SMTP reply", broken: true},

		{rule: "rcpt=*:450 4.2.0 greylisted", want: "deferred@rcpt 450 4.2.0", text: "greylisted"},
		{rule: "rcpt=*:550 5.1.1 unknown", want: "rejected@rcpt 550 5.1.1", text: "unknown"},
		{rule: "rcpt=*:599 odd", want: "rejected@rcpt 599", text: "odd"},
		{rule: `rcpt=*:550 5.1.1 no\n5.1.1 such user`, want: "rejected@rcpt 550 5.1.1", text: "no such user"},
		{rule: "rcpt=*:550 4.1.1 contradicts itself", want: "rejected@rcpt 550", text: "4.1.1 contradicts itself"},
		{rule: "rcpt=*:421 4.3.2 shutting down", want: "deferred@rcpt 421 4.3.2", broken: true},
		{rule: "rcpt=*:354 what", want: "deferred@rcpt 0", text: "unexpected reply to RCPT", broken: true},
		{rule: "rcpt=*:drop", want: "deferred@rcpt 0", broken: true},
		{rule: "rcpt=*:reset", want: "deferred@rcpt 0", broken: true},
		{rule: `rcpt=*:raw 250-2.1.5 ok\r\n550 no\r\n`, want: "deferred@rcpt 0", text: "no SMTP reply", broken: true},
		{rule: `rcpt=*:raw 2x0 ok\r\n`, want: "deferred@rcpt 0", text: "no SMTP reply", broken: true},

		{rule: "data=*:451 4.3.0 later", want: "deferred@data 451 4.3.0", only: dataOnly},
		{rule: "data=*:554 5.7.1 no", want: "rejected@data 554 5.7.1", only: dataOnly},
		{rule: "data=*:421 4.3.2 bye", want: "deferred@data 421 4.3.2", only: dataOnly, broken: true},
		{rule: "data=*:250 what", want: "deferred@data 0", text: "unexpected reply to DATA", only: dataOnly, broken: true},
		{rule: "data=*:drop", want: "deferred@data 0", only: dataOnly, broken: true},

		{rule: "dot=*:452 4.2.2 full", want: "deferred@dot 452 4.2.2"},
		{rule: "dot=*:550 5.7.1 spam", want: "rejected@dot 550 5.7.1"},
		{rule: "dot=*:421 4.3.2 bye", want: "deferred@dot 421 4.3.2", broken: true},
		{rule: "dot=*:354 what", want: "unknown@dot 0", text: "unexpected reply to the message", taken: 1, broken: true},
		{rule: "dot=*:drop", want: "unknown@dot 0", text: "connection lost", broken: true},
		{rule: "dot=*:take-drop", want: "unknown@dot 0", text: "connection lost", taken: 1, broken: true},
		{rule: "dot=*:reset", want: "unknown@dot 0", broken: true},
		{rule: "dot=*:garbage", want: "unknown@dot 0", broken: true},
		{rule: `dot=*:raw 250`, want: "unknown@dot 0", only: pipelinedOnly, broken: true},
	} {
		for mode, set := range modes {
			if tc.only == dataOnly && strings.HasPrefix(mode, "chunked") || tc.only == pipelinedOnly && mode != pipelinedOnly {
				continue
			}
			t.Run(tc.rule+"/"+mode, func(t *testing.T) {
				t.Parallel()
				var rules []string
				if tc.rule != "" {
					rules = []string{strings.Replace(tc.rule, "*:", "*,first=1:", 1)}
				}
				in := receiver(t, sink.Options{}, rules...)
				opt := relayTo(in)
				if tc.rule == "dot=*:raw 250" {
					opt.DataTimeout = 50 * time.Millisecond // half a reply and then nothing
				}
				set(&opt)
				p := poolOf(t, opt)
				c := get(t, p)
				out := send(t.Context(), c, message("taro@people.example", "body"))
				if got := short(out); got != tc.want {
					t.Errorf("outcome is %q (%s), want %q", got, out.Text, tc.want)
				}
				if !strings.Contains(out.Text, tc.text) {
					t.Errorf("text is %q, want %q in it", out.Text, tc.text)
				}
				if out.Relay != "sink" || out.At.IsZero() {
					t.Errorf("relay %q at %v", out.Relay, out.At)
				}
				if got := len(in.messages()); got != tc.taken {
					t.Errorf("the receiver has %d messages, want %d", got, tc.taken)
				}
				if c.Usable() == tc.broken {
					t.Errorf("usable is %v", c.Usable())
				}
				p.Put(c)
				// Whatever happened, the next message goes through, on this
				// connection or on another.
				c = get(t, p)
				// The sender's rule counts by sender, the others by recipient.
				if got := short(send(t.Context(), c, message("taro@people.example", "again"))); got != "accepted@dot 250 2.0.0" {
					t.Errorf("the message after it: %s", got)
				}
				p.Put(c)
				last := in.messages()[tc.taken]
				if !bytes.Equal(last.Data, message("taro@people.example", "again").Data) {
					t.Errorf("the message after it arrived as %q", last.Data)
				}
			})
		}
	}
}

// TestEmptyData: a relay that wants a body after it refused the only recipient
// (RFC 2920 section 3.1) gets an empty one, and nothing else goes wrong.
func TestEmptyData(t *testing.T) {
	in := receiver(t, sink.Options{}, "rcpt=refused@*:550 5.1.1 unknown", "data=refused@*:354 go on")
	p := poolOf(t, relayTo(in))
	c := get(t, p)
	defer p.Put(c)
	if got := short(send(t.Context(), c, message("refused@people.example", "secret"))); got != "rejected@rcpt 550 5.1.1" {
		t.Error(got)
	}
	if !c.Usable() {
		t.Error("connection was given up")
	}
	if got := short(send(t.Context(), c, message("hanako@people.example"))); got != "accepted@dot 250 2.0.0" {
		t.Error(got)
	}
	if n := len(in.messages()); n != 1 {
		t.Errorf("%d messages arrived", n)
	}
	if n := in.Counts().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestEmptyDataToAccepted: a relay that refuses the sender, takes the recipient
// and wants a body must not get one.
func TestEmptyDataToAccepted(t *testing.T) {
	in := receiver(t, sink.Options{}, `mail=*:raw 550 5.7.1 no\r\n`, `rcpt=*:raw 250 ok\r\n`, `data=*:raw 354 go\r\n`)
	p := poolOf(t, relayTo(in))
	c := get(t, p)
	defer p.Put(c)
	if got := short(send(t.Context(), c, message("taro@people.example"))); got != "deferred@mail 550 5.7.1" {
		t.Error(got)
	}
	if c.Usable() {
		t.Error("connection is still used")
	}
}

// TestPipeline sends with the envelope of the next message behind each body.
func TestPipeline(t *testing.T) {
	in := receiver(t, sink.Options{}, "rcpt=refused*@*:550 5.1.1 unknown", "dot=spam*@*:554 5.7.1 spam", "rcpt=busy*@*:450 4.2.0 busy")
	p := poolOf(t, relayTo(in))
	c := get(t, p)
	ctx := t.Context()
	to := []string{"a@x.example", "refused1@x.example", "refused2@x.example", "b@x.example", "spam@x.example", "c@x.example", "busy@x.example", "d@x.example"}
	want := []string{"accepted", "rejected", "rejected", "accepted", "rejected", "accepted", "deferred", "accepted"}
	got := make([]string, len(to))
	inFlight := -1
	for i, addr := range to {
		c.Begin(ctx, message(addr, fmt.Sprint(i)))
		if inFlight >= 0 {
			got[inFlight] = string(c.Outcome(ctx).State)
			inFlight = -1
		}
		if out, ok := c.Ready(ctx); !ok {
			got[i] = string(out.State)
			continue
		}
		c.Finish(ctx)
		inFlight = i
	}
	got[inFlight] = string(c.Outcome(ctx).State)
	p.Put(c)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
	var arrived []string
	for _, m := range in.messages() {
		arrived = append(arrived, m.Recipients...)
		if !bytes.Equal(m.Data, message(m.Recipients[0], fmt.Sprint(index(to, m.Recipients[0]))).Data) {
			t.Errorf("%s got %q", m.Recipients, m.Data)
		}
	}
	if fmt.Sprint(arrived) != "[a@x.example b@x.example c@x.example d@x.example]" {
		t.Errorf("arrived: %v", arrived)
	}
	if n := in.Counts().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func index(list []string, s string) int {
	for i, v := range list {
		if v == s {
			return i
		}
	}
	return -1
}

// TestReadyBeforeOutcome: asking for the envelope first loses no reply.
func TestReadyBeforeOutcome(t *testing.T) {
	in := receiver(t, sink.Options{}, "dot=a@*:450 4.2.2 full")
	p := poolOf(t, relayTo(in))
	c := get(t, p)
	defer p.Put(c)
	ctx := t.Context()
	c.Begin(ctx, message("a@x.example"))
	if _, ok := c.Ready(ctx); !ok {
		t.Fatal("not ready")
	}
	c.Finish(ctx)
	c.Begin(ctx, message("b@x.example"))
	if _, ok := c.Ready(ctx); !ok {
		t.Fatal("not ready")
	}
	if got := short(c.Outcome(ctx)); got != "deferred@dot 450 4.2.2" {
		t.Error(got)
	}
	c.Finish(ctx)
	if got := short(c.Outcome(ctx)); got != "accepted@dot 250 2.0.0" {
		t.Error(got)
	}
}

// TestCutBehindBody: when the connection dies after the dot, the message is
// unknown, and the next one, whose envelope went out behind it, is merely deferred.
func TestCutBehindBody(t *testing.T) {
	in := receiver(t, sink.Options{}, "dot=cut@*:take-drop")
	p := poolOf(t, relayTo(in))
	c := get(t, p)
	defer p.Put(c)
	ctx := t.Context()
	c.Begin(ctx, message("cut@x.example"))
	if _, ok := c.Ready(ctx); !ok {
		t.Fatal("not ready")
	}
	c.Finish(ctx)
	c.Begin(ctx, message("next@x.example"))
	if got := short(c.Outcome(ctx)); got != "unknown@dot 0" {
		t.Error(got)
	}
	if out, ok := c.Ready(ctx); ok || out.State != mailer.StateDeferred || out.Code != 0 {
		t.Errorf("next message: %v %v", out, ok)
	}
}

// TestDeadBeforeBody: a connection that died before the body left is certain.
func TestDeadBeforeBody(t *testing.T) {
	in := receiver(t, sink.Options{})
	p := poolOf(t, relayTo(in))
	c := get(t, p)
	defer p.Put(c)
	ctx := t.Context()
	c.Begin(ctx, message("a@x.example"))
	if _, ok := c.Ready(ctx); !ok {
		t.Fatal("not ready")
	}
	c.Break(errors.New("cable pulled"))
	c.Finish(ctx)
	out := c.Outcome(ctx)
	if got := short(out); got != "deferred@body 0" || !strings.Contains(out.Text, "cable pulled") {
		t.Error(got, out.Text)
	}
	if n := len(in.messages()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
}

func TestTransparency(t *testing.T) {
	for mode, set := range modes {
		t.Run(mode, func(t *testing.T) {
			in := receiver(t, sink.Options{})
			opt := relayTo(in)
			set(&opt)
			p := poolOf(t, opt)
			c := get(t, p)
			defer p.Put(c)
			m := message("a@x.example", ".", "..", ".leading dot", "", "...", "in. the .middle", ".")
			if out := send(t.Context(), c, m); out.State != mailer.StateAccepted {
				t.Fatal(out)
			}
			got := in.messages()[0]
			if !bytes.Equal(got.Data, m.Data) {
				t.Errorf("arrived as\n%q\nwant\n%q", got.Data, m.Data)
			}
			if got.Sender != m.Sender || len(got.Recipients) != 1 || got.Recipients[0] != m.Recipient {
				t.Errorf("envelope %q %q", got.Sender, got.Recipients)
			}
		})
	}
}

// TestRefusedHere: what must not leave is rejected without a word to the relay.
func TestRefusedHere(t *testing.T) {
	in := receiver(t, sink.Options{MaxSize: 400, Without: []string{"8BITMIME"}})
	p := poolOf(t, relayTo(in))
	c := get(t, p)
	defer p.Put(c)
	with := func(change func(*mailer.Message)) *mailer.Message {
		m := message("a@x.example", "body")
		change(m)
		return m
	}
	for name, m := range map[string]*mailer.Message{
		"too big":             message("a@x.example", strings.Repeat("long line ", 50)),
		"8bit":                message("a@x.example", "日本語"),
		"bare LF":             message("a@x.example", "smuggled\n.\r\n"),
		"bare CR":             message("a@x.example", "smuggled\r.\r\n"),
		"line too long":       message("a@x.example", strings.Repeat("x", 999)),
		"no end":              with(func(m *mailer.Message) { m.Data = m.Data[:len(m.Data)-2] }),
		"no data":             with(func(m *mailer.Message) { m.Data = nil }),
		"second command":      with(func(m *mailer.Message) { m.Recipient = "a@x.example>\r\nRCPT TO:<b@x.example" }),
		"parameter":           with(func(m *mailer.Message) { m.Recipient = "a@x.example> NOTIFY=NEVER" }),
		"unquoted dots":       with(func(m *mailer.Message) { m.Recipient = "a..b@x.example" }),
		"two recipients":      with(func(m *mailer.Message) { m.Recipient = "a@x.example,b@x.example" }),
		"no recipient":        with(func(m *mailer.Message) { m.Recipient = "" }),
		"sender not ASCII":    with(func(m *mailer.Message) { m.Sender = "返信@x.example" }),
		"sender with newline": with(func(m *mailer.Message) { m.Sender = "a\n@x.example" }),
	} {
		out := send(t.Context(), c, m)
		if out.State != mailer.StateRejected || out.Point != mailer.AtMail || out.Code != 0 || out.Text == "" {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if !c.Usable() {
		t.Error("connection is not usable any more")
	}
	if out := send(t.Context(), c, message(`"a..b"@x.example`)); out.State != mailer.StateAccepted {
		t.Errorf("legacy address: %+v", out)
	}
	if got := in.messages(); len(got) != 1 || got[0].Recipients[0] != `"a..b"@x.example` {
		t.Errorf("arrived: %v", got)
	}
}

func TestEightBit(t *testing.T) {
	in := receiver(t, sink.Options{})
	p := poolOf(t, relayTo(in))
	c := get(t, p)
	defer p.Put(c)
	m := message("a@x.example", "日本語")
	if out := send(t.Context(), c, m); out.State != mailer.StateAccepted || !bytes.Equal(in.messages()[0].Data, m.Data) {
		t.Errorf("%+v", out)
	}
}

// TestCancel: a cancelled context defers what has not left, and gives what has
// left the grace, no more.
func TestCancel(t *testing.T) {
	in := receiver(t, sink.Options{}, "dot=slow@*:stall")
	opt := relayTo(in)
	opt.DataTimeout, opt.Grace = time.Hour, 20*time.Millisecond
	p := poolOf(t, opt)
	c := get(t, p)
	ctx, cancel := context.WithCancelCause(t.Context())
	c.Begin(ctx, message("slow@x.example"))
	if _, ok := c.Ready(ctx); !ok {
		t.Fatal("not ready")
	}
	c.Finish(ctx)
	cancel(errors.New("stopped by the operator"))
	if got := short(c.Outcome(ctx)); got != "unknown@dot 0" {
		t.Error(got)
	}
	p.Put(c)

	c = get(t, p)
	out := send(ctx, c, message("later@x.example"))
	if got := short(out); got != "deferred@mail 0" || !strings.Contains(out.Text, "stopped by the operator") {
		t.Error(got, out.Text)
	}
	if !c.Usable() {
		t.Error("connection was given up though nothing was said")
	}
	if got := short(send(t.Context(), c, message("later@x.example"))); got != "accepted@dot 250 2.0.0" {
		t.Error(got)
	}
	p.Put(c)
}

// TestCancelFinishes: what is on the wire when the context is cancelled, and is
// answered in time, is accepted.
func TestCancelFinishes(t *testing.T) {
	in := receiver(t, sink.Options{}, "dot=*:delay 30ms")
	opt := relayTo(in)
	opt.Grace = 5 * time.Second
	p := poolOf(t, opt)
	c := get(t, p)
	defer p.Put(c)
	ctx, cancel := context.WithCancel(t.Context())
	c.Begin(ctx, message("a@x.example"))
	if _, ok := c.Ready(ctx); !ok {
		t.Fatal("not ready")
	}
	c.Finish(ctx)
	cancel()
	if got := short(c.Outcome(ctx)); got != "accepted@dot 250 2.0.0" {
		t.Error(got)
	}
}

func TestTimeouts(t *testing.T) {
	for point, want := range map[string]string{
		"mail": "deferred@mail 0", "rcpt": "deferred@rcpt 0", "data": "deferred@data 0", "dot": "unknown@dot 0",
	} {
		in := receiver(t, sink.Options{}, point+"=*:stall")
		opt := relayTo(in)
		opt.CommandTimeout, opt.DataTimeout = 30*time.Millisecond, 30*time.Millisecond
		p := poolOf(t, opt)
		c := get(t, p)
		if got := short(send(t.Context(), c, message("a@x.example"))); got != want {
			t.Errorf("%s: %s, want %s", point, got, want)
		}
		p.Put(c)
	}
}

// TestMisuse: calls out of order do no harm.
func TestMisuse(t *testing.T) {
	in := receiver(t, sink.Options{})
	p := poolOf(t, relayTo(in))
	c := get(t, p)
	ctx := t.Context()
	if _, ok := c.Ready(ctx); ok {
		t.Error("ready without Begin")
	}
	c.Finish(ctx)
	if out := c.Outcome(ctx); out.State != mailer.StateDeferred {
		t.Errorf("outcome without Finish: %+v", out)
	}
	c.Begin(ctx, message("a@x.example"))
	if _, ok := c.Ready(ctx); !ok {
		t.Fatal("not ready")
	}
	p.Put(c) // in the middle of a message: closed, nothing taken
	c = get(t, p)
	if out := send(ctx, c, message("b@x.example")); out.State != mailer.StateAccepted {
		t.Errorf("%+v", out)
	}
	p.Put(c)
	if n := in.Counts().Connections; n != 2 {
		t.Errorf("%d connections, want a new one", n)
	}
	if n := len(in.messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestMessageLimits(t *testing.T) {
	in := receiver(t, sink.Options{MaxMessages: 5})
	for _, own := range []int{2, 0} { // our limit, then the relay's 421
		opt := relayTo(in)
		opt.MessagesPerConnection = own
		p := poolOf(t, opt)
		accepted, deferred := 0, 0
		for range 12 {
			c := get(t, p)
			switch out := send(t.Context(), c, message("a@x.example")); out.State {
			case mailer.StateAccepted:
				accepted++
			case mailer.StateDeferred:
				deferred++
				if out.Code != 421 {
					t.Errorf("%+v", out)
				}
			}
			p.Put(c)
		}
		if own == 2 && accepted != 12 || own == 0 && (accepted != 10 || deferred != 2) {
			t.Errorf("own limit %d: %d accepted, %d deferred", own, accepted, deferred)
		}
	}
}

// TestLatency: pipelined, a message costs one round trip. The machine may be busy with
// other things: the best of several goes counts.
func TestLatency(t *testing.T) {
	const rtt, n = 20 * time.Millisecond, 10
	in := receiver(t, sink.Options{Latency: rtt})
	p := poolOf(t, relayTo(in))
	best := time.Hour
	for range 10 {
		c := get(t, p)
		ctx := t.Context()
		began := time.Now()
		for i := range n {
			c.Begin(ctx, message("a@x.example"))
			if i > 0 {
				if out := c.Outcome(ctx); out.State != mailer.StateAccepted {
					t.Fatal(out)
				}
			}
			if out, ok := c.Ready(ctx); !ok {
				t.Fatal(out)
			}
			c.Finish(ctx)
		}
		c.Outcome(ctx)
		best = min(best, time.Since(began))
		p.Put(c)
		// n+1 round trips; lock-step takes 4n. The bound is half way.
		if best <= 5*n*rtt/2 {
			break
		}
	}
	if best < n*rtt || best > 5*n*rtt/2 {
		t.Errorf("%d messages took %v at best", n, best)
	}
}
