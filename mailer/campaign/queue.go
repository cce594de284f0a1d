package campaign

import (
	"sync"

	"oshirase/mailer"
)

// job is one claimed delivery on its way to a relay.
type job struct {
	delivery *mailer.Delivery
	work     *work
	lease    *lease
	to       mailer.Address
	msg      *mailer.Message
	redials  int // connections that broke before anything was certain
}

// lease counts the jobs of one claimed batch, so that it is released once the
// last of them is done.
type lease struct {
	epoch    int64
	campaign string
	open     int // guarded by the queue's mutex
}

// queue hands jobs from the dispatcher to the lanes. It bounds how many wait, so
// that little is claimed ahead of what the relays take.
type queue struct {
	mu     sync.Mutex
	cond   *sync.Cond
	jobs   []*job
	size   int // the dispatcher waits while this many jobs are waiting
	busy   int // popped and not done
	closed bool
	ended  func(*lease) // called without the lock when a lease has no open job
}

func newQueue(size int, ended func(*lease)) *queue {
	q := &queue{size: size, ended: ended}
	q.cond = sync.NewCond(&q.mu)
	return q
}

// push adds the jobs of a lease at the end and waits for room before it does.
// False: the queue is closed and the jobs were not taken.
func (q *queue) push(l *lease, jobs []*job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.jobs) >= q.size && !q.closed {
		q.cond.Wait()
	}
	if q.closed {
		return false
	}
	l.open = len(jobs)
	q.jobs = append(q.jobs, jobs...)
	q.cond.Broadcast()
	return true
}

// pushFront puts a job back that could not be begun; into a closed queue it is
// dropped.
func (q *queue) pushFront(j *job) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		q.done(j)
		return
	}
	defer q.mu.Unlock()
	q.busy--
	q.jobs = append([]*job{j}, q.jobs...)
	q.cond.Broadcast()
}

// pop waits for a job; nil: the queue is closed.
func (q *queue) pop() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.jobs) == 0 && !q.closed {
		q.cond.Wait()
	}
	return q.take()
}

// tryPop returns a job if one waits, else nil.
func (q *queue) tryPop() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.take()
}

func (q *queue) take() *job {
	if q.closed || len(q.jobs) == 0 {
		return nil
	}
	j := q.jobs[0]
	q.jobs[0] = nil
	q.jobs = q.jobs[1:]
	q.busy++
	q.cond.Broadcast()
	return j
}

// done says that a popped job is finished with, sent or not.
func (q *queue) done(j *job) {
	q.mu.Lock()
	q.busy--
	l := j.lease
	l.open--
	last := l.open == 0
	q.cond.Broadcast()
	q.mu.Unlock()
	if last {
		q.ended(l)
	}
}

// drop forgets the waiting jobs of a campaign.
func (q *queue) drop(campaign string) {
	q.dropIf(func(j *job) bool { return j.lease.campaign == campaign })
}

// close lets no further job out and forgets those that wait.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.cond.Broadcast()
	q.mu.Unlock()
	q.dropIf(func(*job) bool { return true })
}

func (q *queue) dropIf(drop func(*job) bool) {
	q.mu.Lock()
	var over []*lease
	kept := q.jobs[:0]
	for _, j := range q.jobs {
		if !drop(j) {
			kept = append(kept, j)
			continue
		}
		j.lease.open--
		if j.lease.open == 0 {
			over = append(over, j.lease)
		}
	}
	clear(q.jobs[len(kept):])
	q.jobs = kept
	q.cond.Broadcast()
	q.mu.Unlock()
	for _, l := range over {
		q.ended(l)
	}
}

// idle reports whether no job waits or is being sent.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs) == 0 && q.busy == 0
}

// waiting is the number of jobs that no lane has taken.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs)
}
