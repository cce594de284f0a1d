package send

import (
	"math"
	"time"

	"oshirase/mailer"
)

// Which relay the next message goes to. Weights share messages, not connections:
// each message moves its relay's place on by 1/weight, and the next one goes where
// the place is lowest. The place of a relay that takes no connections moves with the
// others', so that it has nothing to catch up with when it is back.
//
// A relay that is at its connections is waited for, unless it is slow: its messages
// take much longer than elsewhere, or it takes none for a few times of what one takes
// elsewhere. It is not waited for then, for a quarter of a second and twice as long
// each time, up to half a minute; it goes on with what its connections carry, and
// the others do not mind its weight. Nor may one relay have all workers: half the
// share of the others stays with them.

const (
	// lead is by how many of its messages a relay may be ahead of the one whose turn
	// it is.
	lead = 1
	// shortTurn and turns are how long that one is waited for: so many times of what a
	// message took, and shortTurn at least.
	// It is unknownTurn before the first one is over.
	turns       = 8
	shortTurn   = 5 * time.Millisecond
	unknownTurn = 100 * time.Millisecond
	// slowTimes is by how much its messages may take longer than those of the others.
	slowTimes = 4

	firstSlow = 250 * time.Millisecond
	lastSlow  = 30 * time.Second
)

// share is a relay's part in that.
type share struct {
	place     float64       // messages so far, divided by the weight
	took      time.Duration // what a message took of late, from its connection's last one on
	moved     time.Time     // when it was last given a message
	slowFor   time.Duration // how long it was called slow last; 0: it is not
	slowUntil time.Time
}

// turn is for which relay a Get has waited since when.
type turn struct {
	of    *relay
	since time.Time
}

// choose finds the relay for the next message. nil: wait until the given time or, if
// that is zero, until something changes.
func (p *Pool) choose(now time.Time, t *turn) (r *relay, until time.Time) {
	for {
		next, due := p.candidate(now), p.due(now)
		if next == nil || !next.ahead(due) {
			if next != nil && next == due {
				next.slowFor = 0
			}
			return next, time.Time{}
		}
		if t.of != due {
			*t = turn{due, now}
		}
		since := t.since
		if due.moved.After(since) {
			since = due.moved
		}
		until := since.Add(next.patience())
		if tooSlow := next.took > 0 && due.took > slowTimes*next.took; !tooSlow && now.Before(until) {
			return nil, until
		}
		due.slowFor = min(max(2*due.slowFor, firstSlow), lastSlow)
		due.slowUntil = now.Add(due.slowFor)
	}
}

// candidate is, of the relays that have a connection for one more message, that with
// the lowest place; nil: none has.
func (p *Pool) candidate(now time.Time) (best *relay) {
	for _, r := range p.relays {
		if (best == nil || r.place < best.place) && (len(r.idle) > 0 || p.mayDial(r, now)) && p.leavesOthers(r, now) {
			best = r
		}
	}
	return best
}

// due is the relay whose turn it is, of those that are waited for; nil: none is.
func (p *Pool) due(now time.Time) (due *relay) {
	for _, r := range p.relays {
		if r.awaited(now) && (due == nil || r.place < due.place) {
			due = r
		}
	}
	return due
}

// patience is how long another relay is waited for while r has a connection.
func (r *relay) patience() time.Duration {
	if r.took == 0 {
		return unknownTurn
	}
	return max(shortTurn, turns*r.took)
}

func (r *relay) inUse() int { return r.open - len(r.idle) }

// awaited: it is neither set aside nor slow.
func (r *relay) awaited(now time.Time) bool { return r.retryAt.IsZero() && !now.Before(r.slowUntil) }

func (r *relay) ahead(due *relay) bool {
	return due != nil && r != due && (r.place-due.place)*float64(r.Weight) >= lead
}

// leavesOthers reports whether one more worker may be with r.
func (p *Pool) leavesOthers(r *relay, now time.Time) bool {
	workers, weights, room := p.waiters+1, 0, 0
	for _, o := range p.relays {
		workers += o.inUse()
		if o != r && o.awaited(now) {
			weights += o.Weight
			room += o.Connections
		}
	}
	if weights == 0 || r.inUse() == 0 {
		return true
	}
	stay := float64(weights) / float64(2*(weights+r.Weight))
	return r.inUse()+1 <= workers-min(int(math.Ceil(stay*float64(workers))), room)
}

// charge counts a message for a relay; p.mu is held.
func (p *Pool) charge(r *relay) {
	if len(p.relays) == 1 {
		return
	}
	now := p.now()
	r.place += 1 / float64(r.Weight)
	r.moved = now
	for _, o := range p.relays {
		if !o.awaited(now) {
			o.place = max(o.place, r.place)
		}
	}
	p.tell()
}

// over notes what the last message of a connection took; p.mu is held.
func (p *Pool) over(l *line) {
	now := p.now()
	d := now.Sub(l.at)
	l.at = now
	if l.relay.took == 0 {
		l.relay.took = d
	}
	l.relay.took += (d - l.relay.took) / 8
}

// More reports how many of n more messages may go over a connection that Get gave
// and that is still Usable. 0: it is another relay's turn; the connection is to be
// given back, and another asked for.
func (p *Pool) More(c mailer.Conn, n int) int {
	if len(p.relays) == 1 {
		return n
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l, now := p.lines[c], p.now()
	for k := range n {
		if l.relay.ahead(p.due(now)) {
			return k
		}
		if k == 0 {
			p.over(l)
		}
		p.charge(l.relay)
	}
	return n
}
