package send

import (
	"sync"
	"time"

	"oshirase/mailer"
)

// adapter decides how many workers send at once. It begins with half of them and
// doubles that while the relays keep up, halves them when one asks for less (see
// mailer.Advice) or becomes slow, and then adds one at a time while more workers bring
// more.
type adapter struct {
	mu       sync.Mutex
	min, max int
	workers  int
	steady   bool // no doubling any more: a relay has pushed back
	quiet    time.Time
	taken    int64         // messages taken since the last step
	replies  int64         // and what waiting for their replies took
	waited   time.Duration //
	fastest  time.Duration // mean wait for a reply in the best step
	before   float64       // messages a second in the step before
	probed   bool          // a worker was added in the step before
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
	// and tooSlow how slow they have to be at least, before workers are taken away.
	slower  = 20
	tooSlow = 2 * time.Second
)

func newAdapter(low, high int) *adapter {
	low = min(max(low, 1), high)
	return &adapter{min: low, max: high, workers: max(low, (high+1)/2)}
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
	if o.Advice.RelaySlower {
		a.pushes++
	}
}

// step is called every adaptEvery and returns the workers for the time to come.
// starved says that workers waited for jobs: then nothing can be learnt.
func (a *adapter) step(now time.Time, took time.Duration, starved bool) (workers int, changed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.workers
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
			a.workers = max(a.min, a.workers/2)
		}
		a.steady, a.probed = true, false
		a.quiet = now.Add(calm)
	case starved || now.Before(a.quiet) || a.taken == 0:
		a.probed = false
	case !a.steady:
		a.workers = min(a.max, 2*a.workers)
	case a.probed && rate < a.before:
		a.workers, a.probed = max(a.min, a.workers-1), false // the last one brought nothing
		a.quiet = now.Add(calm)
	default:
		a.workers = min(a.max, a.workers+1)
		a.probed = a.workers > was
	}
	a.before = rate
	a.taken, a.replies, a.waited, a.pushes = 0, 0, 0, 0
	return a.workers, a.workers != was
}
