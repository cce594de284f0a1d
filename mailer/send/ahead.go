package send

import (
	"sync"
	"time"
)

// ahead is a job that a lane prepares while the relay works on its last message,
// so that it need not do so when the relay is done. A relay that takes long over
// one message shall hold no others: then the job goes back.
type ahead struct {
	mu   sync.Mutex
	job  *job
	back *time.Timer
}

// patience is how long a prepared job waits for its lane.
const patience = 250 * time.Millisecond

// prepareAhead prepares the job to come.
func (l *lane) prepareAhead() {
	if l.conn.Window() > 1 || !l.conn.Usable() {
		return
	}
	j := l.queue.tryPop(l.n)
	if j == nil || !l.prepared(j) {
		return
	}
	a := &l.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	a.job = j
	if a.back == nil {
		a.back = time.AfterFunc(patience, func() { a.giveBack(l.queue) })
	} else {
		a.back.Reset(patience)
	}
}

// giveBack puts the prepared job into the queue again. A lane that looks for it
// meanwhile waits: it does not end while its job is nowhere.
func (a *ahead) giveBack(q *queue) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.job != nil {
		q.pushFront(a.job)
		a.job = nil
	}
}

// take returns the prepared job; nil: there is none, or it went back.
func (a *ahead) take() *job {
	a.mu.Lock()
	defer a.mu.Unlock()
	j := a.job
	a.job = nil
	return j
}

// tryTake returns the job that was prepared, else one that waits, else nil.
func (l *lane) tryTake() *job {
	if j := l.ahead.take(); j != nil {
		if !l.queue.rests(j) {
			return j
		}
		l.queue.pushFront(j)
	}
	return l.queue.tryPop(l.n)
}
