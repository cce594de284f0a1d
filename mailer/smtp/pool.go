package smtp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"oshirase/mailer"
)

// ErrClosed: the pool was closed.
var ErrClosed = errors.New("connection pool is closed")

const (
	firstBackoff = time.Second
	lastBackoff  = time.Minute
	// restTrusted is how long a connection may have lain idle and still be used
	// without a NOOP: relays close idle ones after minutes, not within a second.
	restTrusted = time.Second
	quitWait    = 2 * time.Second
)

// Pool hands out connections to several relays. A relay that cannot be
// connected to (refused, 421, TLS or AUTH failed) is set aside for 1 s, doubling up
// to 60 s, and then tried again by one connection first. Connections that stand
// are used meanwhile.
type Pool struct {
	now    func() time.Time // replaced by tests
	relays []*relay
	size   int

	mu      sync.Mutex
	closed  bool
	changed chan struct{} // closed and replaced when a waiting Get should look again
	work    sync.WaitGroup

	closing context.Context // cancels dials
	close   context.CancelFunc
}

// NewPool checks the relays, of which there must be one at least; it does not
// connect.
func NewPool(relays []RelayOptions) (*Pool, error) {
	if len(relays) == 0 {
		return nil, fmt.Errorf("%w: no relay", mailer.ErrInvalid)
	}
	p := &Pool{now: time.Now, changed: make(chan struct{})}
	p.closing, p.close = context.WithCancel(context.Background())
	names := make(map[string]bool)
	for _, o := range relays {
		r, err := newRelay(o)
		if err != nil {
			return nil, err
		}
		if names[r.Name] {
			return nil, fmt.Errorf("%w: two relays are named %s", mailer.ErrInvalid, r.Name)
		}
		names[r.Name] = true
		p.relays = append(p.relays, r)
		p.size += r.Connections
	}
	return p, nil
}

// Size is the number of connections that may be open at once.
func (p *Pool) Size() int { return p.size }

// Get returns an open connection, from the pool or new. It blocks while the pool
// is at its size. Where every relay is set aside and no connection stands, the
// error is a *mailer.RelayDown.
func (p *Pool) Get(ctx context.Context) (*Conn, error) {
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, ErrClosed
		}
		c, r := p.pick()
		if c != nil {
			p.mu.Unlock()
			if p.now().Sub(c.idleAt) < restTrusted || c.alive(ctx) {
				return c, nil
			}
			p.discard(c, 0)
			continue
		}
		if r != nil {
			r.open++
			r.dialing++
			p.work.Add(1)
			p.mu.Unlock()
			if c := p.dial(ctx, r); c != nil {
				return c, nil
			}
			continue
		}
		retryAt, down := p.waiting()
		changed := p.changed
		p.mu.Unlock()
		if down != nil {
			return nil, down
		}
		if err := wait(ctx, changed, retryAt.Sub(p.now()), !retryAt.IsZero()); err != nil {
			return nil, err
		}
	}
}

// pick finds an idle connection, or the relay to connect to, or neither. Among
// several the one with the least load for its weight comes first.
func (p *Pool) pick() (*Conn, *relay) {
	now := p.now()
	var best *relay
	for _, r := range p.relays {
		if len(r.idle) == 0 && !r.mayDial(now) {
			continue
		}
		if best == nil || r.load() < best.load() {
			best = r
		}
	}
	if best == nil {
		return nil, nil
	}
	if n := len(best.idle); n > 0 {
		c := best.idle[n-1]
		best.idle = best.idle[:n-1]
		c.idle.Stop()
		return c, nil
	}
	return nil, best
}

func (r *relay) load() float64 { return float64(r.open-len(r.idle)+1) / float64(r.Weight) }

// mayDial: a relay that failed gets one trial at a time once its back-off is over.
func (r *relay) mayDial(now time.Time) bool {
	if r.open >= r.Connections {
		return false
	}
	return r.retryAt.IsZero() || (!now.Before(r.retryAt) && r.dialing == 0)
}

// waiting says until when a Get has to wait (zero: until something changes),
// or that there is nothing to wait for.
func (p *Pool) waiting() (retryAt time.Time, down *mailer.RelayDown) {
	var last error
	standing := false
	for _, r := range p.relays {
		if r.open > 0 {
			standing = true
		}
		if r.retryAt.IsZero() || r.open >= r.Connections || r.dialing > 0 {
			continue
		}
		if retryAt.IsZero() || r.retryAt.Before(retryAt) {
			retryAt, last = r.retryAt, r.err
		}
	}
	if standing || last == nil {
		return retryAt, nil
	}
	return retryAt, &mailer.RelayDown{RetryAt: retryAt, Err: last}
}

func wait(ctx context.Context, changed <-chan struct{}, d time.Duration, timed bool) error {
	var expired <-chan time.Time
	if timed {
		t := time.NewTimer(max(d, time.Millisecond))
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-changed:
	case <-expired:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// dial connects to a relay whose slot was taken before; nil where that failed.
func (p *Pool) dial(ctx context.Context, r *relay) *Conn {
	defer p.work.Done()
	began := p.now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.closing, cancel)()
	c, err := r.dial(ctx, p.now)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.wake()
	r.dialing--
	if err == nil && p.closed {
		_ = c.raw.Close()
		err = ErrClosed
	}
	if err == nil {
		r.backoff, r.retryAt, r.err, r.since = 0, time.Time{}, nil, time.Time{}
		return c
	}
	r.open--
	if p.closed || ctx.Err() != nil {
		return nil // says nothing about the relay
	}
	// Of several dials that failed together only the first counts.
	if r.retryAt.IsZero() {
		r.since = p.now()
	}
	if r.retryAt.IsZero() || !began.Before(r.retryAt) {
		r.backoff = min(max(2*r.backoff, firstBackoff), lastBackoff)
		r.retryAt = p.now().Add(r.backoff)
	}
	r.err = fmt.Errorf("relay %s: %w", r.Name, err)
	return nil
}

// wake lets waiting Gets look again; p.mu is held.
func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Put gives a connection back; one that is broken, worn, or in the middle of a
// message is closed.
func (p *Pool) Put(c *Conn) {
	c.unwatch()
	if c.begun != nil || c.finished != nil || len(c.flights) > 0 || len(c.out) > 0 {
		c.fail(errors.New("given back in the middle of a message"))
		c.ground()
	}
	if !c.Usable() {
		p.discard(c, quitWait)
		return
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		p.discard(c, quitWait)
		return
	}
	defer p.mu.Unlock()
	c.idleAt = p.now()
	c.idle = time.AfterFunc(c.relay.Idle, func() { p.expire(c) })
	c.relay.idle = append(c.relay.idle, c)
	p.wake()
}

// expire closes a connection that was not used for long.
func (p *Pool) expire(c *Conn) {
	p.mu.Lock()
	r := c.relay
	for i, other := range r.idle {
		if other == c {
			r.idle = append(r.idle[:i], r.idle[i+1:]...)
			p.work.Add(1)
			p.mu.Unlock()
			p.discard(c, quitWait)
			p.work.Done()
			return
		}
	}
	p.mu.Unlock()
}

// discard closes a connection and frees its slot.
func (p *Pool) discard(c *Conn, wait time.Duration) {
	c.quit(wait)
	p.mu.Lock()
	defer p.mu.Unlock()
	c.relay.open--
	p.wake()
}

// Close takes leave of the relays and waits for that, two seconds at most.
// Connections in use are closed when they are given back.
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.close()
	var idle []*Conn
	for _, r := range p.relays {
		idle = append(idle, r.idle...)
		r.idle = nil
	}
	p.wake()
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range idle {
		c.idle.Stop()
		wg.Go(func() { p.discard(c, quitWait) })
	}
	wg.Wait()
	p.work.Wait()
	return nil
}
