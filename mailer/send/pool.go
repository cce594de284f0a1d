package send

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"oshirase/mailer"
)

// ErrClosed: the pool was closed.
var ErrClosed = errors.New("connection pool is closed")

// Dialer opens connections to one relay. It knows the transport; the pool knows how
// many there may be, and what to do while there are none.
type Dialer interface {
	// Dial opens a connection, which has to be a pointer. An error sets the relay aside
	// for a while, so it is about the relay, not about one message. Dial is called by
	// several goroutines at once.
	Dial(ctx context.Context) (mailer.Conn, error)
}

// Rester is a Conn that has something to do before it lies unused and after it did.
// Without it a connection lies as it is, and is trusted as long as it is Usable.
type Rester interface {
	mailer.Conn
	// Rest is called when the connection is given back; nobody uses it until it is
	// handed out again. False: it is to be closed, because it is broken, worn, or in
	// the middle of a message.
	Rest() bool
	// Wake asks a connection that lay unused for longer than a second whether the
	// relay still listens. False: it is to be closed.
	Wake(ctx context.Context) bool
}

// Relay is one relay of a pool. Zero values take the defaults.
type Relay struct {
	Name        string // in outcomes, logs and waits; unique
	Dialer      Dialer
	Connections int           // open at once; 10
	Weight      int           // its share of the messages among several; 1
	Idle        time.Duration // how long an unused connection is kept; 30 s
}

const (
	firstBackoff = time.Second
	lastBackoff  = time.Minute
	// restTrusted is how long a connection may have lain idle and still be used
	// unasked: relays close idle ones after minutes, not within a second.
	restTrusted = time.Second
)

// Pool hands out connections to several relays. One that cannot be connected to is
// set aside for 1 s, doubling up to 60 s, and then tried again by one connection
// first. Connections that stand are used meanwhile. Which relay the next message
// goes to is said in share.go.
type Pool struct {
	now    func() time.Time
	relays []*relay
	size   int

	mu      sync.Mutex
	closed  bool
	lines   map[mailer.Conn]*line
	waiters int           // Gets that wait
	changed chan struct{} // closed and replaced when a waiting Get should look again
	work    sync.WaitGroup

	closing context.Context // cancels dials
	close   context.CancelFunc
}

// relay is how one relay fares. All but its options is guarded by Pool.mu.
type relay struct {
	Relay
	idle    []*line // the one used last is at the end
	open    int     // connections: idle, in use, being dialled
	dialing int
	backoff time.Duration // of the last failure; 0 after a success
	retryAt time.Time     // no dial before; zero: not set aside
	err     error         // the last failure
	since   time.Time     // of the first failure since it last took a connection
	share
}

// line is an open connection.
type line struct {
	conn  mailer.Conn
	relay *relay
	at    time.Time   // when it was last given back, or else its last message was taken on
	idle  *time.Timer // closes it when it lies unused; nil before it first did
}

// NewPool connects to nothing yet. The clock is that of back-offs and of rests: the
// machine's, so that nobody sets it back.
func NewPool(now func() time.Time, relays ...Relay) (*Pool, error) {
	if len(relays) == 0 {
		return nil, mailer.Invalid("send.no-relay")
	}
	p := &Pool{now: now, changed: make(chan struct{}), lines: map[mailer.Conn]*line{}}
	p.closing, p.close = context.WithCancel(context.Background())
	names := make(map[string]bool)
	for _, o := range relays {
		if o.Connections < 0 || o.Weight < 0 || o.Idle < 0 {
			return nil, mailer.Invalid("send.relay-negative", "relay", o.Name)
		}
		if names[o.Name] {
			return nil, mailer.Invalid("send.relay-twice", "relay", o.Name)
		}
		names[o.Name] = true
		if o.Connections == 0 {
			o.Connections = 10
		}
		if o.Weight == 0 {
			o.Weight = 1
		}
		if o.Idle == 0 {
			o.Idle = 30 * time.Second
		}
		p.relays = append(p.relays, &relay{Relay: o})
		p.size += o.Connections
	}
	return p, nil
}

// Size is the number of connections that may be open at once.
func (p *Pool) Size() int { return p.size }

// Get returns an open connection for one message, from the pool or new. It blocks
// while the pool is at its size, and for a moment where it is another relay's turn.
// Where every relay is set aside and no connection stands, the error is a
// *mailer.RelayDown. More messages over the same connection are asked for with More.
func (p *Pool) Get(ctx context.Context) (mailer.Conn, error) {
	var t turn
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, ErrClosed
		}
		now := p.now()
		r, until := p.choose(now, &t)
		if r == nil {
			if err := p.wait(ctx, until); err != nil { // unlocks
				return nil, err
			}
			continue
		}
		p.charge(r)
		var c mailer.Conn
		if len(r.idle) > 0 {
			c = p.wake(ctx, r, now) // unlocks
		} else {
			c = p.dial(ctx, r) // unlocks
		}
		if c != nil {
			return c, nil
		}
	}
}

// wake takes the idle connection that was used last; nil where it is of no further
// use. p.mu is held, and free afterwards.
func (p *Pool) wake(ctx context.Context, r *relay, now time.Time) mailer.Conn {
	n := len(r.idle)
	l := r.idle[n-1]
	r.idle[n-1] = nil
	r.idle = r.idle[:n-1]
	l.idle.Stop()
	lay := now.Sub(l.at)
	l.at = now
	p.mu.Unlock()
	if rester, ok := l.conn.(Rester); ok && lay >= restTrusted && !rester.Wake(ctx) || !l.conn.Usable() {
		p.discard(l)
		return nil
	}
	return l.conn
}

// mayDial: a relay that failed gets one trial at a time once its back-off is over.
// Where there are others, no more dials run than connections stand, so that one that
// is slow to answer does not gather all workers.
func (p *Pool) mayDial(r *relay, now time.Time) bool {
	switch {
	case r.open >= r.Connections:
		return false
	case !r.retryAt.IsZero():
		return !now.Before(r.retryAt) && r.dialing == 0
	}
	return len(p.relays) == 1 || r.dialing < max(1, r.open-r.dialing)
}

// wait waits until something changes, or until the given time where there is one.
// Where there is nothing to wait for it says so. p.mu is held, and free afterwards.
func (p *Pool) wait(ctx context.Context, until time.Time) error {
	if until.IsZero() {
		var down *mailer.RelayDown
		if until, down = p.standing(); down != nil {
			p.mu.Unlock()
			return down
		}
	}
	changed := p.changed
	p.waiters++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.waiters--
		p.mu.Unlock()
	}()
	var expired <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(max(until.Sub(p.now()), time.Millisecond))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-changed:
	case <-expired:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// standing says when a relay is tried again (zero: none is to be), or that no
// connection stands and nothing is to be waited for.
func (p *Pool) standing() (retryAt time.Time, down *mailer.RelayDown) {
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

// dial connects to a relay; nil where that failed. p.mu is held, and free
// afterwards.
func (p *Pool) dial(ctx context.Context, r *relay) mailer.Conn {
	r.open++
	r.dialing++
	p.work.Add(1)
	p.mu.Unlock()
	defer p.work.Done()
	began := p.now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.closing, cancel)()
	c, err := r.Dialer.Dial(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.tell()
	r.dialing--
	switch {
	case err == nil && !p.closed:
		r.backoff, r.retryAt, r.err, r.since = 0, time.Time{}, nil, time.Time{}
		p.lines[c] = &line{conn: c, relay: r, at: p.now()}
		return c
	case err == nil:
		p.mu.Unlock()
		c.Close()
		p.mu.Lock()
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

// tell lets waiting Gets look again; p.mu is held.
func (p *Pool) tell() {
	if p.waiters > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// Put gives a connection back. One that is broken, worn, or in the middle of a
// message is closed.
func (p *Pool) Put(c mailer.Conn) {
	fit := c.Usable()
	if rester, ok := c.(Rester); ok {
		fit = rester.Rest()
	}
	p.mu.Lock()
	l := p.lines[c]
	p.over(l)
	if !fit || p.closed {
		// The relay may have closed those that lie idle too: they are asked before they
		// are used, so that a message meets one dead connection at most.
		for _, other := range l.relay.idle {
			other.at = time.Time{}
		}
		p.mu.Unlock()
		p.discard(l)
		return
	}
	defer p.mu.Unlock()
	l.at = p.now()
	if l.idle == nil {
		l.idle = time.AfterFunc(l.relay.Idle, func() { p.expire(l) })
	} else {
		l.idle.Reset(l.relay.Idle)
	}
	l.relay.idle = append(l.relay.idle, l)
	p.tell()
}

// expire closes a connection that was not used for long.
func (p *Pool) expire(l *line) {
	p.mu.Lock()
	i := slices.Index(l.relay.idle, l)
	if i < 0 {
		p.mu.Unlock()
		return
	}
	l.relay.idle = slices.Delete(l.relay.idle, i, i+1)
	p.work.Add(1)
	p.mu.Unlock()
	p.discard(l)
	p.work.Done()
}

// discard closes a connection and frees its slot.
func (p *Pool) discard(l *line) {
	l.conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lines, l.conn)
	l.relay.open--
	p.tell()
}

// Down lists the relays that are set aside, in the order of the config: they took no
// connection when one was last opened. Until is zero where one is being tried again,
// or is as soon as a connection is wanted. Times are by the pool's clock.
func (p *Pool) Down() []mailer.Wait {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var list []mailer.Wait
	for _, r := range p.relays {
		if r.retryAt.IsZero() {
			continue
		}
		w := mailer.Wait{Scope: mailer.WaitRelay, Name: r.Name, Reason: mailer.WaitDown, Since: r.since, Until: r.retryAt}
		if !now.Before(r.retryAt) {
			w.Until = time.Time{}
		}
		if r.err != nil {
			w.Reply = printable(r.err.Error())
		}
		list = append(list, w)
	}
	return list
}

// printable makes an error from outside fit for a ledger and a terminal.
func printable(s string) string {
	const most = 1000
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
	for len(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
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
	var idle []*line
	for _, r := range p.relays {
		idle = append(idle, r.idle...)
		r.idle = nil
	}
	p.tell()
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, l := range idle {
		l.idle.Stop()
		wg.Go(func() { p.discard(l) })
	}
	wg.Wait()
	p.work.Wait()
	return nil
}
