package smtp_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"oshirase/mailer"
	sender "oshirase/mailer/send"
	"oshirase/mailer/sink"
	"oshirase/mailer/smtp"
)

func TestPoolReuses(t *testing.T) {
	in := receiver(t, sink.Options{})
	p := poolOf(t, relayTo(in))
	for range 5 {
		c := get(t, p)
		if out := send(t.Context(), c, message("a@x.example")); out.State != mailer.StateAccepted {
			t.Fatal(out)
		}
		p.Put(c)
	}
	if n := in.Counts().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestPoolBlocks(t *testing.T) {
	in := receiver(t, sink.Options{})
	opt := relayTo(in)
	opt.Connections = 2
	p := poolOf(t, opt)
	if p.Size() != 2 {
		t.Errorf("size %d", p.Size())
	}
	a, b := get(t, p), get(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("third Get: %v", err)
	}
	got := make(chan *smtp.Conn)
	go func() {
		c, err := p.Get(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	p.Put(a)
	p.Put(<-got)
	p.Put(b)
}

// TestRelayDown: a relay that takes no connections is set aside, tried again
// after its back-off, and used as soon as it is there.
func TestRelayDown(t *testing.T) {
	for name, in := range map[string]*inbox{
		"421":     receiver(t, sink.Options{}, "connect,first=2:421 4.3.2 not now"),
		"554":     receiver(t, sink.Options{}, "connect,first=2:554 5.3.2 no service"),
		"drop":    receiver(t, sink.Options{}, "connect,first=2:drop"),
		"reset":   receiver(t, sink.Options{}, "connect,first=2:reset"),
		"garbage": receiver(t, sink.Options{}, "connect,first=2:garbage"),
		"ehlo":    receiver(t, sink.Options{}, "ehlo,first=2:drop"),
		"stall":   receiver(t, sink.Options{}, "connect,first=2:stall"),
	} {
		t.Run(name, func(t *testing.T) {
			opt := relayTo(in)
			opt.DialTimeout = 50 * time.Millisecond
			p := poolOf(t, opt)
			now := time.Now()
			since := now
			p.SetNow(func() time.Time { return now })
			for _, backoff := range []time.Duration{time.Second, 2 * time.Second} {
				for range 2 { // the second asks in vain, without a dial
					_, err := p.Get(t.Context())
					down, ok := errors.AsType[*mailer.RelayDown](err)
					if !ok {
						t.Fatalf("Get: %v", err)
					}
					if !down.RetryAt.Equal(now.Add(backoff)) || !strings.Contains(down.Error(), "relay sink") {
						t.Errorf("retry in %v, %v", down.RetryAt.Sub(now), down)
					}
				}
				want := mailer.Wait{Scope: mailer.WaitRelay, Name: "sink", Reason: mailer.WaitDown, Since: since, Until: now.Add(backoff)}
				if got := down(t, p); got.Reply == "" || got.Name != want.Name || got.Reason != want.Reason || !got.Since.Equal(want.Since) || !got.Until.Equal(want.Until) {
					t.Errorf("set aside: %+v, want %+v", got, want)
				}
				now = now.Add(backoff)
				if got := down(t, p); !got.Until.IsZero() {
					t.Errorf("to be tried again now: %+v", got)
				}
			}
			c := get(t, p)
			if list := p.Down(); len(list) > 0 {
				t.Errorf("set aside: %+v", list)
			}
			if out := send(t.Context(), c, message("a@x.example")); out.State != mailer.StateAccepted {
				t.Error(out)
			}
			p.Put(c)
		})
	}
}

// down is the one relay that is set aside.
func down(t *testing.T, p *pool) mailer.Wait {
	t.Helper()
	list := p.Down()
	if len(list) != 1 {
		t.Fatalf("set aside: %+v, want one", list)
	}
	return list[0]
}

func TestBackoffIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close() // nobody listens
	p := poolOf(t, relay{RelayOptions: smtp.RelayOptions{Name: "gone", Address: addr, TLS: smtp.TLSNone}, Connections: 3})
	now := time.Now()
	p.SetNow(func() time.Time { return now })
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		_, err := p.Get(t.Context())
		down, ok := errors.AsType[*mailer.RelayDown](err)
		if !ok {
			t.Fatal(err)
		}
		if got := down.RetryAt.Sub(now); got != want*time.Second {
			t.Errorf("failure %d: back-off %v, want %v", i+1, got, want*time.Second)
		}
		now = down.RetryAt
	}
}

// TestSeveralRelays: the load follows the weights, and one that is down is made up for.
func TestSeveralRelays(t *testing.T) {
	a, b := receiver(t, sink.Options{}), receiver(t, sink.Options{})
	down := receiver(t, sink.Options{}, "connect:421 4.3.2 no")
	relays := make([]relay, 3)
	for i, in := range []*inbox{a, b, down} {
		relays[i] = relayTo(in)
		relays[i].Name = string(rune('a' + i))
		relays[i].Connections = 10
	}
	relays[0].Weight = 2
	p := poolOf(t, relays...)
	if p.Size() != 30 {
		t.Errorf("size %d", p.Size())
	}
	count := map[string]int{}
	var open []*smtp.Conn
	for range 9 {
		c := get(t, p)
		count[c.Relay()]++
		open = append(open, c)
	}
	for _, c := range open {
		p.Put(c)
	}
	if count["a"] != 6 || count["b"] != 3 {
		t.Errorf("load %v", count)
	}
}

// TestRefusedBesideStanding: a relay that takes fewer connections than we would
// open is not down; who wants one waits.
func TestRefusedBesideStanding(t *testing.T) {
	in := receiver(t, sink.Options{MaxConns: 1})
	opt := relayTo(in)
	opt.Connections = 3
	p := poolOf(t, opt)
	c := get(t, p)
	got := make(chan *smtp.Conn)
	go func() {
		c, err := p.Get(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	p.Put(c)
	p.Put(<-got)
}

func TestPoolTLS(t *testing.T) {
	for _, tc := range []struct {
		name string
		mode sink.TLSMode
		opt  sink.Options
		rule string
		set  func(*relay)
		want string // part of the error; empty: works
		auth bool
	}{
		{name: "STARTTLS", mode: sink.StartTLS},
		{name: "implicit", mode: sink.Implicit, set: func(r *relay) { r.TLS = smtp.TLSImplicit }},
		{name: "server name", mode: sink.StartTLS, opt: sink.Options{Names: []string{"relay.example"}}, set: func(r *relay) { r.ServerName = "relay.example" }},
		{name: "PLAIN", mode: sink.StartTLS, opt: sink.Options{User: "u", Password: "p"}, set: func(r *relay) { r.Username, r.Password = "u", "p" }, auth: true},
		{
			name: "LOGIN, implicit", mode: sink.Implicit, opt: sink.Options{User: "u", Password: "p"}, rule: `ehlo:250 sink\nAUTH LOGIN`,
			set: func(r *relay) { r.TLS, r.Username, r.Password = smtp.TLSImplicit, "u", "p" }, auth: true,
		},
		{name: "untrusted", mode: sink.StartTLS, set: func(r *relay) { r.CAFile = "" }, want: "unknown authority"},
		{name: "wrong certificate", mode: sink.StartTLS, rule: "starttls:wrong-cert", want: "certificate"},
		{name: "wrong certificate, implicit", mode: sink.Implicit, rule: "connect:wrong-cert", set: func(r *relay) { r.TLS = smtp.TLSImplicit }, want: "certificate"},
		{name: "stripped", mode: sink.StartTLS, rule: "ehlo:without STARTTLS", want: "does not support STARTTLS"},
		{name: "refused", mode: sink.StartTLS, rule: "starttls:454 4.7.0 not now", want: "454"},
		{name: "cut", mode: sink.StartTLS, rule: "starttls:drop", want: "relay sink"},
		{name: "wrong password", mode: sink.StartTLS, opt: sink.Options{User: "u", Password: "p"}, set: func(r *relay) { r.Username, r.Password = "u", "x" }, want: "535"},
		{name: "no AUTH there", mode: sink.StartTLS, set: func(r *relay) { r.Username, r.Password = "u", "p" }, want: "smtp.no-mechanism"},
		{name: "AUTH broken", mode: sink.StartTLS, opt: sink.Options{User: "u", Password: "p"}, rule: "auth:454 4.7.0 later", set: func(r *relay) { r.Username, r.Password = "u", "p" }, want: "454"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.opt.TLS = tc.mode
			var rules []string
			if tc.rule != "" {
				rules = []string{tc.rule}
			}
			in := receiver(t, tc.opt, rules...)
			opt := relayTo(in)
			opt.TLS, opt.CAFile = smtp.TLSRequired, filepath.Join(t.TempDir(), "ca.pem")
			if err := in.WriteCA(opt.CAFile); err != nil {
				t.Fatal(err)
			}
			if tc.set != nil {
				tc.set(&opt)
			}
			p := poolOf(t, opt)
			c, err := p.Get(t.Context())
			if tc.want != "" {
				if _, ok := errors.AsType[*mailer.RelayDown](err); !ok || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %q", err, tc.want)
				}
				if us := errors.Is(err, mailer.ErrRefusesUs); us != (tc.want == "535") {
					t.Errorf("refuses us: %t, %v", us, err)
				}
				if n := len(in.messages()); n != 0 {
					t.Errorf("%d messages", n)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer p.Put(c)
			if out := send(t.Context(), c, message("a@x.example", strings.Repeat("line\r\n", 5000))); out.State != mailer.StateAccepted {
				t.Fatal(out)
			}
			if m := in.messages()[0]; !m.TLS || m.Auth != tc.auth {
				t.Errorf("TLS %v, AUTH %v", m.TLS, m.Auth)
			}
		})
	}
}

// TestAuthOnLoopback: without TLS a password goes to this machine only.
func TestAuthOnLoopback(t *testing.T) {
	in := receiver(t, sink.Options{User: "u", Password: "p"})
	opt := relayTo(in)
	opt.Username, opt.Password = "u", "p"
	p := poolOf(t, opt)
	c := get(t, p)
	defer p.Put(c)
	if out := send(t.Context(), c, message("a@x.example")); out.State != mailer.StateAccepted || !in.messages()[0].Auth {
		t.Error(out)
	}
}

func TestRelayOptions(t *testing.T) {
	good := relay{RelayOptions: smtp.RelayOptions{Address: "relay.example:587"}}
	for name, set := range map[string]func(*relay){
		"no port":          func(r *relay) { r.Address = "relay.example" },
		"no host":          func(r *relay) { r.Address = ":25" },
		"odd port":         func(r *relay) { r.Address = "relay.example:smtp" },
		"tls":              func(r *relay) { r.TLS = "maybe" },
		"open password":    func(r *relay) { r.TLS, r.Username = smtp.TLSNone, "u" },
		"CA without TLS":   func(r *relay) { r.TLS, r.CAFile = smtp.TLSNone, "ca.pem" },
		"missing CA":       func(r *relay) { r.CAFile = filepath.Join(t.TempDir(), "none.pem") },
		"empty CA":         func(r *relay) { r.CAFile = "pool_test.go" },
		"helo":             func(r *relay) { r.EHLO = "two words" },
		"helo injection":   func(r *relay) { r.EHLO = "x\r\nMAIL" },
		"broken literal":   func(r *relay) { r.EHLO = "[1.2.3]" },
		"negative":         func(r *relay) { r.Connections = -1 },
		"negative timeout": func(r *relay) { r.DataTimeout = -1 },
	} {
		bad := good
		set(&bad)
		if _, err := newPool(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := newPool(); err == nil {
		t.Error("no relay: no error")
	}
	if _, err := newPool(good, good); err == nil {
		t.Error("two of one name: no error")
	}
	for _, ehlo := range []string{"", "mail.shop.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"} {
		r := good
		r.EHLO = ehlo
		if _, err := newPool(r); err != nil {
			t.Errorf("%q: %v", ehlo, err)
		}
	}
}

// TestIdle: unused connections are closed after a while.
func TestIdle(t *testing.T) {
	in := receiver(t, sink.Options{})
	opt := relayTo(in)
	opt.Idle = 10 * time.Millisecond
	p := poolOf(t, opt)
	c := get(t, p)
	closed := c.Closed()
	p.Put(c)
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Fatal("still open")
	}
	p.Put(get(t, p))
	if n := in.Counts().Connections; n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestStale: a connection that the relay closed meanwhile costs nobody an attempt.
func TestStale(t *testing.T) {
	in := receiver(t, sink.Options{})
	p := poolOf(t, relayTo(in))
	now := time.Now()
	p.SetNow(func() time.Time { return now })
	c := get(t, p)
	p.Put(c)
	c.CutRaw()
	now = now.Add(time.Minute)
	c = get(t, p)
	defer p.Put(c)
	if out := send(t.Context(), c, message("a@x.example")); out.State != mailer.StateAccepted {
		t.Error(out)
	}
}

func TestPoolClose(t *testing.T) {
	in := receiver(t, sink.Options{})
	opt := relayTo(in)
	opt.Connections = 3
	p := poolOf(t, opt)
	a, b := get(t, p), get(t, p)
	p.Put(a)
	waiting := make(chan error)
	c := get(t, p)
	d := get(t, p)
	go func() {
		_, err := p.Get(context.Background())
		waiting <- err
	}()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waiting; !errors.Is(err, sender.ErrClosed) {
		t.Errorf("waiting Get: %v", err)
	}
	if _, err := p.Get(t.Context()); !errors.Is(err, sender.ErrClosed) {
		t.Errorf("Get: %v", err)
	}
	// What was in use still works, and is closed when given back.
	if out := send(t.Context(), b, message("a@x.example")); out.State != mailer.StateAccepted {
		t.Error(out)
	}
	for _, c := range []*smtp.Conn{b, c, d} {
		closed := c.Closed()
		p.Put(c)
		<-closed
	}
}

// TestCloseCutsDials: closing does not wait for a relay that says nothing.
func TestCloseCutsDials(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := poolOf(t, relay{RelayOptions: smtp.RelayOptions{Address: l.Addr().String(), TLS: smtp.TLSNone}})
	done := make(chan error)
	go func() {
		_, err := p.Get(context.Background())
		done <- err
	}()
	conn, err := l.Accept() // and not a word
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p.Close()
	if err := <-done; !errors.Is(err, sender.ErrClosed) {
		t.Error(err)
	}
}

// TestManyWorkers hammers a pool whose relay fails now and then; each message
// is accounted for.
func TestManyWorkers(t *testing.T) {
	const workers, each = 8, 60
	in := receiver(t, sink.Options{Tally: true, MaxMessages: 20},
		"dot,p=0.02:take-drop", "dot,p=0.02:drop", "rcpt,p=0.05:450 4.2.0 busy", "mail,p=0.01:drop")
	opt := relayTo(in)
	opt.Connections = 5
	p := poolOf(t, opt)
	var mu sync.Mutex
	outcomes := map[string]mailer.State{}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				c, err := p.Get(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				to := string(rune('a'+w)) + "-" + time.Duration(i).String() + "@x.example"
				out := send(t.Context(), c, message(to))
				p.Put(c)
				mu.Lock()
				outcomes[to] = out.State
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	tally := in.Tally()
	states := map[mailer.State]int{}
	for to, state := range outcomes {
		states[state]++
		if n := tally[to]; state == mailer.StateAccepted && n != 1 || state == mailer.StateDeferred && n != 0 || n > 1 {
			t.Errorf("%s: %s, %d copies", to, state, n)
		}
	}
	if len(outcomes) != workers*each || states[mailer.StateAccepted] < workers*each/2 || states[mailer.StateUnknown] == 0 || states[mailer.StateDeferred] == 0 {
		t.Errorf("%d outcomes: %v", len(outcomes), states)
	}
}
