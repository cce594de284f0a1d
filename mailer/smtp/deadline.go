package smtp

import (
	"context"
	"net"
	"sync"
	"time"
)

// deadlines keeps the time limit of a connection: each command's own, and the
// grace that a cancelled context leaves.
type deadlines struct {
	mu      sync.Mutex
	grace   time.Duration
	set     time.Time // zero: the connection has none of extend
	latest  time.Time // zero: none
	watched <-chan struct{}
	stop    func() bool
	round   int // counts watches: a stale cancel does nothing
}

// extend gives the next exchange its time. To set a deadline costs as much as a
// small system call, so it is set a little late (a sixteenth) and kept while the
// time it leaves is neither shorter than asked for nor longer than that.
func (d *deadlines) extend(conn net.Conn, timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	at := now.Add(timeout + timeout/16)
	if left := d.set.Sub(now); d.latest.IsZero() && left >= timeout && !d.set.After(at) {
		return
	}
	if !d.latest.IsZero() && d.latest.Before(at) {
		at = d.latest
	}
	d.set = at
	_ = conn.SetDeadline(at) // fails on a closed connection only, as the next use does
}

// watch has a cancelled ctx shorten what is being waited for.
func (d *deadlines) watch(ctx context.Context, conn net.Conn) {
	if ctx.Done() == d.watched {
		return
	}
	d.unwatch()
	if ctx.Done() == nil {
		return
	}
	d.mu.Lock()
	round := d.round
	d.mu.Unlock()
	d.watched = ctx.Done()
	d.stop = context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.round != round {
			return
		}
		d.latest = time.Now().Add(d.grace)
		d.set = time.Time{}
		_ = conn.SetDeadline(d.latest)
	})
}

func (d *deadlines) unwatch() {
	if d.stop != nil {
		d.stop()
	}
	d.mu.Lock()
	d.round++
	// What a cancelled context left is nobody's any more: extend sets a new one.
	d.latest, d.set = time.Time{}, time.Time{}
	d.mu.Unlock()
	d.stop, d.watched = nil, nil
}
