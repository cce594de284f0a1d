package torture

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"oshirase/mailer/sink"
)

// receiver is the relay: it counts what it took, by Message-ID and by
// recipient, over all its lives on one address.
type receiver struct {
	tb    testing.TB
	addr  string
	opt   sink.Options
	srv   *sink.Server
	spent sink.Counts // of the lives before

	mu      sync.Mutex
	taken   map[string]*taken // by Message-ID
	people  map[string]int    // messages taken, by recipient
	strange []string          // what no message should be
	total   int
	hooks   []hook
}

// taken is what came under one Message-ID.
type taken struct {
	recipient string
	count     int
	untold    int // of these: the connection was cut instead of saying so
}

// hook is called once, when so many messages have been taken in all and before
// the client is told of the last of them.
type hook struct {
	at int
	fn func()
}

func newReceiver(tb testing.TB, rng *rand.Rand, latency time.Duration, rules []string) *receiver {
	tb.Helper()
	parsed, err := sink.ParseRules(rules)
	if err != nil {
		tb.Fatal(err)
	}
	r := &receiver{tb: tb, taken: map[string]*taken{}, people: map[string]int{}}
	r.opt = sink.Options{Latency: latency, Rules: parsed, Seed: rng.Uint64(), OnMessage: r.take}
	// Below the ports that most kernels lend to clients: while the receiver is
	// away, a client that dials could otherwise be lent its port, and connect to itself.
	for try := 0; ; try++ {
		r.addr = fmt.Sprintf("127.0.0.1:%d", 15000+rng.IntN(15000))
		if r.srv, err = sink.Listen(r.addr, r.opt); err == nil {
			break
		}
		if try == 50 {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(r.down)
	return r
}

func (r *receiver) take(m sink.Received) {
	msg, err := mail.ReadMessage(bytes.NewReader(m.Data))
	id := ""
	if err == nil {
		id = strings.Trim(msg.Header.Get("Message-Id"), "<> ")
	}
	r.mu.Lock()
	if err != nil || id == "" || len(m.Recipients) != 1 {
		r.strange = append(r.strange, fmt.Sprintf("message %q to %d recipients: %v", id, len(m.Recipients), err))
	}
	t := r.taken[id]
	if t == nil {
		t = &taken{recipient: strings.Join(m.Recipients, " ")}
		r.taken[id] = t
	}
	t.count++
	if !m.Told {
		t.untold++
	}
	for _, to := range m.Recipients {
		r.people[to]++
	}
	r.total++
	var due []func()
	rest := r.hooks[:0]
	for _, h := range r.hooks {
		if r.total >= h.at {
			due = append(due, h.fn)
		} else {
			rest = append(rest, h)
		}
	}
	r.hooks = rest
	r.mu.Unlock()
	for _, fn := range due {
		fn()
	}
}

// after calls fn once when n further messages have been taken, before the
// client is told of the last of them.
func (r *receiver) after(n int, fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = append(r.hooks, hook{r.total + n, fn})
}

// forget drops hooks that did not come to pass.
func (r *receiver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = nil
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// has reports whether a message with this ID was taken.
func (r *receiver) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken[id] != nil
}

// snapshot is what was taken so far.
func (r *receiver) snapshot() map[string]taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]taken, len(r.taken))
	for id, t := range r.taken {
		out[id] = *t
	}
	return out
}

func (r *receiver) tally() (people map[string]int, strange []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.people), append([]string(nil), r.strange...)
}

// down stops the receiver and cuts its connections. When it returns, nothing
// more is taken.
func (r *receiver) down() {
	if r.srv == nil {
		return
	}
	if err := r.srv.Close(); err != nil {
		r.tb.Errorf("close receiver: %v", err)
	}
	c := r.srv.Counts()
	r.spent.Dropped += c.Dropped
	r.spent.Garbled += c.Garbled
	r.spent.Refused += c.Refused
	r.spent.Deferred += c.Deferred
	r.srv = nil
}

// up lets the receiver listen again on its address.
func (r *receiver) up() {
	r.tb.Helper()
	r.opt.Seed++ // else each life would begin with the same faults
	// The kernel may have lent the port to a client meanwhile.
	end := time.After(30 * time.Second)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		var err error
		if r.srv, err = sink.Listen(r.addr, r.opt); err == nil {
			return
		}
		select {
		case <-again.C:
		case <-end:
			r.tb.Fatal(err)
		}
	}
}

// settle waits until whatever dead clients left in the sockets is either taken
// or dropped for good.
func (r *receiver) settle() {
	r.tb.Helper()
	r.down()
	r.up()
}

// cuts is the number of connections that were cut on request so far.
func (r *receiver) cuts() int64 { return r.spent.Dropped + r.srv.Counts().Dropped }

// garbled is the number of replies so far that were no SMTP.
func (r *receiver) garbled() int64 { return r.spent.Garbled + r.srv.Counts().Garbled }
