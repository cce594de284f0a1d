package send

import (
	"sync"
	"time"
)

// prefetch is a job that a worker prepares while the relay works on its last message,
// so that it need not do so when the relay is done. A relay that takes long over
// one message shall hold no others: then the job goes back.
type prefetch struct {
	mu   sync.Mutex
	job  *job
	back *time.Timer
}

// fetchPatience is how long a prepared job waits for its worker.
const fetchPatience = 250 * time.Millisecond

// prefetch prepares the job to come.
func (w *worker) prefetch() {
	if w.pipe.Window() > 1 || !w.pipe.Usable() {
		return
	}
	j := w.s.queue.tryNext(w.n)
	if j == nil || !w.prepared(j) {
		return
	}
	f := &w.fetched
	f.mu.Lock()
	defer f.mu.Unlock()
	f.job = j
	if f.back == nil {
		f.back = time.AfterFunc(fetchPatience, func() { f.giveBack(w.s.queue) })
	} else {
		f.back.Reset(fetchPatience)
	}
}

// giveBack puts the prepared job into the queue again. A worker that looks for it
// meanwhile waits: it does not end while its job is nowhere.
func (f *prefetch) giveBack(q *queue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.job != nil {
		q.pushFront(f.job)
		f.job = nil
	}
}

// take returns the prepared job; nil: there is none, or it went back.
func (f *prefetch) take() *job {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.job
	f.job = nil
	return j
}

// tryNext returns the job that was prepared, else one that waits, else nil.
func (w *worker) tryNext() *job {
	if j := w.fetched.take(); j != nil {
		if !w.s.queue.rests(j) {
			return j
		}
		w.s.queue.pushFront(j)
	}
	return w.s.queue.tryNext(w.n)
}
