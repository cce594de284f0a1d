package send_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/mailer/sink"
	"oshirase/mailer/smtp"
	"oshirase/store"
)

// provider is another transport than SMTP: messages are posted. This is all that one
// takes.
type provider struct {
	url    string
	client http.Client
}

func (p *provider) Dial(context.Context) (mailer.Conn, error) { return &posting{provider: p}, nil }

// posting is its Conn; there is no connection to speak of.
type posting struct {
	*provider
	givenUp bool
}

func (*posting) Relay() string  { return "provider" }
func (p *posting) Usable() bool { return !p.givenUp }
func (*posting) Close()         {}

func (p *posting) Send(ctx context.Context, m *mailer.Message, intend func() bool) mailer.Outcome {
	out := mailer.Outcome{State: mailer.StateDeferred, Relay: "provider", Point: mailer.AtConnect, At: time.Now()}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"?to="+m.Recipient, bytes.NewReader(m.Data))
	if err != nil {
		out.Text = err.Error()
		return out
	}
	if p.givenUp = !intend(); p.givenUp {
		return out
	}
	resp, err := p.client.Do(req)
	out.Point = mailer.AtDot
	if err != nil {
		out.State, out.Text = mailer.StateUnknown, err.Error()
		return out
	}
	defer resp.Body.Close()
	out.Code, out.Text = resp.StatusCode, resp.Status
	switch {
	case resp.StatusCode == http.StatusAccepted:
		out.State = mailer.StateAccepted
	case resp.StatusCode == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		out.Advice = mailer.Advice{RelaySlower: true, Wait: time.Duration(seconds) * time.Second}
	case resp.StatusCode == http.StatusUnauthorized:
		out.Advice.RefusesUs = true
	case resp.StatusCode == http.StatusBadRequest:
		out.State = mailer.StateRejected
	}
	return out
}

// desk is the provider's side: what it has taken, by recipient.
type desk struct {
	mu    sync.Mutex
	asked map[string]int
	taken map[string]int
	hook  func(n int) // called with the number of messages taken so far
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	_, _ = io.Copy(io.Discard, r.Body)
	d.mu.Lock()
	d.asked[to]++
	first := d.asked[to] == 1
	take := func() {
		d.taken[to]++
		n := 0
		for _, k := range d.taken {
			n += k
		}
		if d.hook != nil {
			d.hook(n)
		}
	}
	defer d.mu.Unlock()
	switch {
	case to == address(3):
		w.WriteHeader(http.StatusBadRequest)
	case to == address(7) && first:
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
	case to == address(11): // cut behind it
		take()
		panic(http.ErrAbortHandler)
	case to == address(13): // cut before it was taken
		panic(http.ErrAbortHandler)
	case to == address(17) && first:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		take()
		w.WriteHeader(http.StatusAccepted)
	}
}

// newProvider is one that takes messages, and what it has taken.
func newProvider(t *testing.T) (*provider, *desk) {
	d := &desk{asked: map[string]int{}, taken: map[string]int{}}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	return &provider{url: srv.URL, client: http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}, d
}

// TestAnotherTransport sends a campaign over a Conn that is no Pipeliner: a relay
// that asks for patience gets it, what it refuses is refused, what was cut is
// unknown, and nobody gets two.
func TestAnotherTransport(t *testing.T) {
	t.Parallel()
	const people = 50
	w := newWorld(t, people)
	id := w.started(mailer.Campaign{})
	over, desk := newProvider(t)
	r := w.runnerOver(w.db, send.Relay{Name: "provider", Dialer: over, Connections: connections})
	r.Options.Retry = []time.Duration{time.Hour}
	w.run(r)
	w.counts(id, mailer.Counts{mailer.StateAccepted: people - 4, mailer.StateRejected: 1, mailer.StateUnknown: 2, mailer.StateDeferred: 1})
	due, ok, err := w.db.NextDue(t.Context(), id)
	must(t, err)
	if !ok || due.Sub(w.clock.now()) != 2*time.Minute {
		t.Errorf("the one who was told to wait two minutes is due in %v", due.Sub(w.clock.now()))
	}
	w.clock.advance(2 * time.Minute)
	w.run(r)
	w.clock.advance(time.Hour)
	w.run(r)
	w.counts(id, mailer.Counts{mailer.StateAccepted: people - 3, mailer.StateRejected: 1, mailer.StateUnknown: 2})
	w.nothingHeld(id)
	desk.once(t, people-2)
}

// once wants n messages, and for nobody two.
func (d *desk) once(t *testing.T, n int) {
	t.Helper()
	for to, k := range d.taken {
		if k != 1 {
			t.Errorf("%s got %d messages", to, k)
		}
	}
	if len(d.taken) != n {
		t.Errorf("%d messages came, want %d", len(d.taken), n)
	}
}

// dying is a ledger that is out of reach once the process is dead.
type dying struct {
	*store.DB
	dead *atomic.Bool
}

func (l dying) Record(ctx context.Context, records ...mailer.Record) []error {
	if l.dead.Load() {
		errs := make([]error, len(records))
		for i := range errs {
			errs[i] = errors.New("killed")
		}
		return errs
	}
	return l.DB.Record(ctx, records...)
}

// TestAnotherTransportKilled: a worker dies between a message and its reply; what was
// on the wire is unknown, and all others get theirs once.
func TestAnotherTransportKilled(t *testing.T) {
	t.Parallel()
	const people = 50
	w := newWorld(t, people)
	id := w.started(mailer.Campaign{})
	over, desk := newProvider(t)
	var dead atomic.Bool
	desk.hook = func(n int) { dead.Store(n >= 20) }
	r := w.runnerOver(dying{w.db, &dead}, send.Relay{Name: "provider", Dialer: over, Connections: connections})
	r.Options.StopGrace = 50 * time.Millisecond
	if _, err := r.Run(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("error %v", err)
	}
	must(t, w.db.Close())
	desk.hook = nil
	w.db = w.open()
	r = w.runnerOver(w.db, send.Relay{Name: "provider", Dialer: over, Connections: connections})
	w.run(r)
	w.clock.advance(2 * time.Minute)
	w.run(r)
	counts, err := w.db.Counts(t.Context(), id)
	must(t, err)
	if n := counts[mailer.StateUnknown]; n < 3 || n > connections+2 || counts[mailer.StateRejected] != 1 || counts[mailer.StateAccepted]+n != people-1 {
		t.Errorf("in the end %v", counts)
	}
	for to, k := range desk.taken {
		if k != 1 {
			t.Errorf("%s got %d messages", to, k)
		}
	}
}

// TestTwoRelaysShareACampaign of fifty as their weights say.
func TestTwoRelaysShareACampaign(t *testing.T) {
	t.Parallel()
	const people = 60
	w := newWorld(t, people)
	w.started(mailer.Campaign{})
	var relays []send.Relay
	var desks []*desk
	for i, weight := range []int{1, 3} {
		over, desk := newProvider(t)
		desks = append(desks, desk)
		relays = append(relays, send.Relay{Name: strconv.Itoa(i), Dialer: over, Connections: connections, Weight: weight})
	}
	w.run(w.runnerOver(w.db, relays...))
	count := func(d *desk) (n int) {
		for _, k := range d.asked {
			n += k
		}
		return n
	}
	if a, b := count(desks[0]), count(desks[1]); a+b < people || a < people/4-4 || a > people/4+4 {
		t.Errorf("%d messages over one relay and %d over the other, at weights of 1:3", a, b)
	}
}

// TestTwoRelaysSpokenToBySMTP: envelopes that travel behind bodies, and messages
// in flight, are shared as well.
func TestTwoRelaysSpokenToBySMTP(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]func(*smtp.RelayOptions){
		"pipelined": func(*smtp.RelayOptions) {},
		"lock-step": func(o *smtp.RelayOptions) { o.Pipelining = false },
		"streamed":  func(o *smtp.RelayOptions) { o.Chunking, o.Intents = true, intents },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const people = 60
			w := newWorld(t, people)
			id := w.started(mailer.Campaign{})
			var relays []send.Relay
			var sinks []*sink.Server
			for i, weight := range []int{1, 3} {
				srv, err := sink.Listen("127.0.0.1:0", sink.Options{})
				must(t, err)
				t.Cleanup(func() { srv.Close() })
				sinks = append(sinks, srv)
				opt := smtp.RelayOptions{Name: strconv.Itoa(i), Address: srv.Addr().String(), TLS: smtp.TLSNone, Pipelining: true}
				mode(&opt)
				dialer, err := smtp.NewDialer(opt)
				must(t, err)
				relays = append(relays, send.Relay{Name: opt.Name, Dialer: dialer, Connections: connections, Weight: weight})
			}
			w.run(w.runnerOver(w.db, relays...))
			w.counts(id, mailer.Counts{mailer.StateAccepted: people})
			a, b := sinks[0].Counts().Messages, sinks[1].Counts().Messages
			if a+b != people || a < people/4-5 || a > people/4+5 {
				t.Errorf("%d messages over one relay and %d over the other, at weights of 1:3", a, b)
			}
		})
	}
}
