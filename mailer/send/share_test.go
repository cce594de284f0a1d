package send

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"oshirase/mailer"
)

// toy is a relay whose messages take a time.
type toy struct {
	name string
	took func() time.Duration
	down bool

	mu       sync.Mutex
	messages int
}

// toyLine is a connection to it.
type toyLine struct{ *toy }

func (t *toy) Dial(context.Context) (mailer.Conn, error) {
	if t.down {
		return nil, errors.New("refused")
	}
	return &toyLine{t}, nil
}

func (l *toyLine) Relay() string { return l.name }
func (l *toyLine) Usable() bool  { return true }
func (l *toyLine) Close()        {}

func (l *toyLine) Send(_ context.Context, _ *mailer.Message, intend func() bool) mailer.Outcome {
	intend()
	time.Sleep(l.took()) // of the bubble's clock
	l.mu.Lock()
	l.messages++
	l.mu.Unlock()
	return mailer.Outcome{State: mailer.StateAccepted}
}

func takes(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// share sends n messages by so many workers, as the runner's do, and says how long
// it took.
func sendAll(t *testing.T, n, workers int, relays ...Relay) time.Duration {
	t.Helper()
	p, err := NewPool(time.Now, relays...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	began := time.Now()
	jobs := make(chan int, n)
	for i := range n {
		jobs <- i
	}
	close(jobs)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			var c mailer.Conn
			for range jobs {
				if c != nil && p.More(c, 1) == 0 {
					p.Put(c)
					c = nil
				}
				for c == nil {
					var err error
					if c, err = p.Get(t.Context()); err != nil {
						time.Sleep(10 * time.Millisecond)
					}
				}
				c.Send(t.Context(), nil, func() bool { return true })
			}
			if c != nil {
				p.Put(c)
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// TestWeightsShareMessages: also those of small campaigns, with few workers and
// many, and at relays of which one is somewhat slower.
func TestWeightsShareMessages(t *testing.T) {
	for _, n := range []int{50, 400, 5000} {
		for _, workers := range []int{1, 2, 3, 10, 20} {
			for _, weight := range []int{1, 3} {
				for _, slower := range []time.Duration{1, 2} {
					synctest.Test(t, func(t *testing.T) {
						a, b := &toy{name: "a", took: takes(slower * 3 * time.Millisecond)}, &toy{name: "b", took: takes(3 * time.Millisecond)}
						sendAll(t, n, workers, Relay{Name: "a", Dialer: a, Connections: 10, Weight: 1}, Relay{Name: "b", Dialer: b, Connections: 10, Weight: weight})
						got, want := float64(a.messages)/float64(n), 1/float64(1+weight)
						if math.Abs(got-want) > 0.04 {
							t.Errorf("%d messages, %d workers, weights 1:%d, %d times as slow: a share of %.3f, want %.3f", n, workers, weight, slower, got, want)
						}
					})
				}
			}
		}
	}
}

// TestSlowRelayHoldsNobody: while one relay takes very long, or takes nothing, the
// others go on at nearly their own speed.
func TestSlowRelayHoldsNobody(t *testing.T) {
	const n = 4000
	quick := func() *toy { return &toy{name: "quick", took: takes(time.Millisecond)} }
	for name, other := range map[string]func() *toy{
		"slow":  func() *toy { return &toy{name: "other", took: takes(500 * time.Millisecond)} },
		"stuck": func() *toy { return &toy{name: "other", took: takes(30 * time.Second)} },
		"down":  func() *toy { return &toy{name: "other", down: true} },
	} {
		for _, weight := range []int{1, 3} {
			for _, workers := range []int{4, 10, 20} {
				synctest.Test(t, func(t *testing.T) {
					q, o := quick(), other()
					took := sendAll(t, n, workers, Relay{Name: "other", Dialer: o, Connections: 10, Weight: weight}, Relay{Name: "quick", Dialer: q, Connections: 10})
					// What the other has in hand comes last.
					if o.took != nil {
						took -= o.took()
					}
					// A quarter of the workers, at least one, is left to the quick one.
					most := time.Duration(n) * time.Millisecond / time.Duration(max(1, workers/8)) * 11 / 10
					if took > most || q.messages < n*9/10 {
						t.Errorf("%s, weight %d, %d workers: %v for %d messages of %d, want %v at most", name, weight, workers, took, q.messages, n, most)
					}
				})
			}
		}
	}
}

// TestRelayComesBack: what others did meanwhile is not made up for.
func TestRelayComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &toy{name: "a", took: takes(3 * time.Millisecond), down: true}, &toy{name: "b", took: takes(3 * time.Millisecond)}
		p, err := NewPool(time.Now, Relay{Name: "a", Dialer: a}, Relay{Name: "b", Dialer: b})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		use := func(n int) map[string]int {
			got := map[string]int{}
			for range n {
				c, err := p.Get(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got[c.Relay()]++
				c.Send(t.Context(), nil, func() bool { return true })
				p.Put(c)
			}
			return got
		}
		if got := use(100); got["b"] != 100 {
			t.Errorf("while a is down: %v", got)
		}
		a.down = false
		time.Sleep(time.Minute)
		if got := use(100); got["a"] < 48 || got["a"] > 52 {
			t.Errorf("once a is back: %v", got)
		}
	})
}
