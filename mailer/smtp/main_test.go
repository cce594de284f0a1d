package smtp_test

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"oshirase/mailer"
	"oshirase/mailer/sink"
	"oshirase/mailer/smtp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inbox is a sink and what came to it.
type inbox struct {
	*sink.Server
	mu  sync.Mutex
	got []sink.Received
}

func (in *inbox) messages() []sink.Received {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]sink.Received(nil), in.got...)
}

// receiver starts a sink with rules and options.
func receiver(t *testing.T, opt sink.Options, rules ...string) *inbox {
	t.Helper()
	in := &inbox{}
	var err error
	if opt.Rules, err = sink.ParseRules(rules); err != nil {
		t.Fatal(err)
	}
	opt.OnMessage = func(m sink.Received) {
		m.Data = append([]byte(nil), m.Data...)
		in.mu.Lock()
		in.got = append(in.got, m)
		in.mu.Unlock()
	}
	if in.Server, err = sink.Listen("127.0.0.1:0", opt); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

// relayTo is a relay without TLS; change it as the test needs.
func relayTo(in *inbox) smtp.RelayOptions {
	return smtp.RelayOptions{
		Name: "sink", Address: in.Addr().String(), TLS: smtp.TLSNone, Connections: 1, Pipelining: true,
		DialTimeout: 5 * time.Second, CommandTimeout: 5 * time.Second, DataTimeout: 5 * time.Second, Grace: time.Second,
	}
}

func poolOf(t *testing.T, relays ...smtp.RelayOptions) *smtp.Pool {
	t.Helper()
	p, err := smtp.NewPool(relays)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func get(t *testing.T, p *smtp.Pool) *smtp.Conn {
	t.Helper()
	c, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func message(to string, body ...string) *mailer.Message {
	text := "From: <info@shop.example>\r\nTo: <" + to + ">\r\nSubject: test\r\n\r\n" + strings.Join(body, "\r\n") + "\r\n"
	return &mailer.Message{Sender: "b+token@bounce.shop.example", Recipient: to, Data: []byte(text)}
}

// send takes one message through all steps.
func send(ctx context.Context, c *smtp.Conn, m *mailer.Message) mailer.Outcome {
	c.Begin(ctx, m)
	if out, ok := c.Ready(ctx); !ok {
		return out
	}
	c.Finish(ctx)
	return c.Outcome(ctx)
}

// modes are the ways to speak to a relay; every rule about outcomes holds in each.
var modes = map[string]func(*smtp.RelayOptions){
	"pipelined": func(*smtp.RelayOptions) {},
	"lock-step": func(r *smtp.RelayOptions) { r.Pipelining = false },
	"chunked":   func(r *smtp.RelayOptions) { r.Chunking = true },
	"chunked lock-step": func(r *smtp.RelayOptions) {
		r.Chunking, r.Pipelining = true, false
	},
}

func golden(name string) string { return filepath.Join("testdata", name) }

func short(o mailer.Outcome) string {
	return strings.TrimRight(fmt.Sprintf("%s@%s %d %s", o.State, o.Point, o.Code, o.Enhanced), " ")
}
