package send

import (
	"strings"
	"sync"
	"time"

	"oshirase/mailer"
)

// adapter decides how many lanes send at once. It begins with half of them and
// doubles that while the relays keep up, halves them when one pushes back (421, 4.7.x, a
// reset, replies that become slow), and then adds one at a time while more lanes
// bring more.
type adapter struct {
	mu       sync.Mutex
	min, max int
	lanes    int
	steady   bool // no doubling any more: a relay has pushed back
	quiet    time.Time
	taken    int64         // messages taken since the last step
	replies  int64         // and what waiting for their replies took
	waited   time.Duration //
	fastest  time.Duration // mean wait for a reply in the best step
	before   float64       // messages a second in the step before
	probed   bool          // a lane was added in the step before
	pushes   int64         // replies since the last step that pushed back
}

const (
	adaptEvery = 100 * time.Millisecond
	// pushedShare is the part of the replies (one in so many) that has to push back:
	// greylisting and a bad line now and then are no reason to slow down.
	pushedShare = 10
	// calm is how long nothing is added after a push back.
	calm = 10 * time.Second
	// slower is by how much replies may become slower than they were at best,
	// and tooSlow how slow they have to be at least, before lanes are taken away.
	slower  = 20
	tooSlow = 2 * time.Second
)

func newAdapter(low, high int) *adapter {
	low = min(max(low, 1), high)
	return &adapter{min: low, max: high, lanes: max(low, (high+1)/2)}
}

// outcome tells the adapter what became of a message and how long its reply took.
func (a *adapter) outcome(o *mailer.Outcome, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.State == mailer.StateAccepted {
		a.taken++
	}
	a.replies++
	a.waited += took
	if pushesBack(o) {
		a.pushes++
	}
}

// pushesBack reports whether a relay asks for fewer connections or less mail.
func pushesBack(o *mailer.Outcome) bool {
	switch {
	case o.Code == 421, o.State == mailer.StateDeferred && strings.HasPrefix(o.Enhanced, "4.7."):
		return true
	case o.Code == 0 && o.Point != mailer.AtConnect:
		return true // cut or timed out
	}
	return false
}

// step is called every adaptEvery and returns the lanes for the time to come.
// starved says that lanes waited for jobs: then nothing can be learnt.
func (a *adapter) step(now time.Time, took time.Duration, starved bool) (lanes int, changed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.lanes
	rate := float64(a.taken) / took.Seconds()
	slow := false
	if a.replies > 0 {
		mean := a.waited / time.Duration(a.replies)
		if a.fastest == 0 || mean < a.fastest {
			a.fastest = mean
		}
		slow = mean > tooSlow && mean > slower*a.fastest
	}
	switch {
	case a.pushes*pushedShare > a.replies || slow:
		if now.After(a.quiet) {
			a.lanes = max(a.min, a.lanes/2)
		}
		a.steady, a.probed = true, false
		a.quiet = now.Add(calm)
	case starved || now.Before(a.quiet) || a.taken == 0:
		a.probed = false
	case !a.steady:
		a.lanes = min(a.max, 2*a.lanes)
	case a.probed && rate < a.before:
		a.lanes, a.probed = max(a.min, a.lanes-1), false // the last one brought nothing
		a.quiet = now.Add(calm)
	default:
		a.lanes = min(a.max, a.lanes+1)
		a.probed = a.lanes > was
	}
	a.before = rate
	a.taken, a.replies, a.waited, a.pushes = 0, 0, 0, 0
	return a.lanes, a.lanes != was
}
