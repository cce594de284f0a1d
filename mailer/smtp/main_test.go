package smtp_test

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"oshirase/mailer"
	sender "oshirase/mailer/send"
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
func relayTo(in *inbox) relay {
	return relay{RelayOptions: smtp.RelayOptions{
		Name: "sink", Address: in.Addr().String(), TLS: smtp.TLSNone, Pipelining: true,
		DialTimeout: 5 * time.Second, CommandTimeout: 5 * time.Second, DataTimeout: 5 * time.Second, Grace: time.Second,
	}, Connections: 1}
}

// relay is one of a pool of these tests.
type relay struct {
	smtp.RelayOptions
	Connections, Weight int
	Idle                time.Duration
}

// pool is the runner's pool, with relays that are spoken to by SMTP.
type pool struct {
	*sender.Pool
	clock atomic.Pointer[func() time.Time]
}

func newPool(relays ...relay) (*pool, error) {
	p := &pool{}
	p.SetNow(time.Now)
	now := func() time.Time { return (*p.clock.Load())() }
	var all []sender.Relay
	for _, r := range relays {
		r.Now = now
		d, err := smtp.NewDialer(r.RelayOptions)
		if err != nil {
			return nil, err
		}
		all = append(all, sender.Relay{Name: r.Name, Dialer: d, Connections: r.Connections, Weight: r.Weight, Idle: r.Idle})
	}
	var err error
	p.Pool, err = sender.NewPool(now, all...)
	return p, err
}

// SetNow replaces the clock of the pool and of the connections it opens.
func (p *pool) SetNow(now func() time.Time) { p.clock.Store(&now) }

func (p *pool) Get(ctx context.Context) (*smtp.Conn, error) {
	c, err := p.Pool.Get(ctx)
	if err != nil {
		return nil, err
	}
	return c.(*smtp.Conn), nil
}

func poolOf(t *testing.T, relays ...relay) *pool {
	t.Helper()
	p, err := newPool(relays...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func get(t *testing.T, p *pool) *smtp.Conn {
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
	return c.Send(ctx, m, func() bool { return true })
}

// modes are the ways to speak to a relay; every rule about outcomes holds in each.
var modes = map[string]func(*relay){
	"pipelined": func(*relay) {},
	"lock-step": func(r *relay) { r.Pipelining = false },
	"chunked":   func(r *relay) { r.Chunking = true },
	"chunked lock-step": func(r *relay) {
		r.Chunking, r.Pipelining = true, false
	},
}

func golden(name string) string { return filepath.Join("testdata", name) }

func short(o mailer.Outcome) string {
	return strings.TrimRight(fmt.Sprintf("%s@%s %d %s", o.State, o.Point, o.Code, o.Enhanced), " ")
}
