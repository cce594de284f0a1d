package send

import (
	"sync"
	"time"

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
	of       *backlog
	open     int // guarded by the queue's mutex
}

// queue hands jobs from the dispatcher to the workers: each domain group in turn,
// so that a slow one holds nobody else. It bounds how many wait, so that little
// is claimed ahead of what the relays take.
type queue struct {
	mu      sync.Mutex
	work    *sync.Cond // workers wait for a job
	room    *sync.Cond // the dispatcher waits for room
	groups  map[string]*group
	ring    []*group // in the order of the first job
	turn    int
	size    int // the dispatcher waits while this many jobs are waiting
	wait    int // jobs that no worker has taken
	busy    int // taken by workers and not done
	workers int // workers with a lower number may take jobs
	closed  bool
	ended   func(*lease) // called without the lock when a lease has no open job
	// drained has an element when the last job was done and none waits.
	drained chan struct{}
}

// group is what waits and what is on the wire for one domain group.
type group struct {
	mailer.DomainGroup
	jobs  []*job
	busy  int
	quota int       // messages that may still begin, where PerSecond is set
	rest  time.Time // none begins before: the provider pushed back
	again time.Duration
	// Replies since the last refill, and those among them that pushed back.
	replies, pushes int
	pushed          time.Time // since when it rests again and again; zero: it does not
	said            string    // the last reply that pushed back, masked
	atRate, atMost  gauge     // whether jobs waited for PerSecond, for Connections
}

// groupShare is the part of the queue (one in so many) that a group which cannot
// send may fill: the rest stays for the others.
const groupShare = 8

func newQueue(size int, ended func(*lease)) *queue {
	q := &queue{size: size, groups: map[string]*group{}, ended: ended, drained: make(chan struct{}, 1)}
	q.work, q.room = sync.NewCond(&q.mu), sync.NewCond(&q.mu)
	return q
}

// of returns the state of a job's group, a new one at its first job.
func (q *queue) of(j *job) *group {
	name := j.delivery.Group
	g := q.groups[name]
	if g == nil {
		g = &group{DomainGroup: mailer.DomainGroup{Name: name}}
		q.groups[name] = g
		q.ring = append(q.ring, g)
	}
	return g
}

// limit sets the limits of the groups, of all others none.
func (q *queue) limit(groups []mailer.DomainGroup) {
	q.mu.Lock()
	defer q.mu.Unlock()
	limits := map[string]mailer.DomainGroup{}
	for _, l := range groups {
		limits[l.Name] = l
		if q.groups[l.Name] == nil {
			g := &group{DomainGroup: l}
			q.groups[l.Name] = g
			q.ring = append(q.ring, g)
		}
	}
	for name, g := range q.groups {
		l := limits[name]
		if g.Connections != l.Connections || g.PerSecond != l.PerSecond {
			g.Connections, g.PerSecond = l.Connections, l.PerSecond
			q.work.Broadcast()
		}
	}
}

// push adds the jobs of a lease at the end and waits for room before it does.
// False: the queue is closed and the jobs were not taken.
func (q *queue) push(l *lease, jobs []*job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.wait >= q.size && !q.closed {
		q.room.Wait()
	}
	if q.closed {
		return false
	}
	l.open = len(jobs)
	for _, j := range jobs {
		g := q.of(j)
		g.jobs = append(g.jobs, j)
	}
	q.wait += len(jobs)
	q.work.Broadcast()
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
	g := q.of(j)
	q.busy--
	g.busy--
	q.wait++
	g.quota++
	g.jobs = append([]*job{j}, g.jobs...)
	q.work.Broadcast()
}

// next waits until the worker may take a job; nil: the queue is closed.
func (q *queue) next(worker int) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.closed {
			return nil
		}
		if j := q.pick(worker); j != nil {
			return j
		}
		q.work.Wait()
	}
}

// tryNext returns a job if the worker may take one now, else nil.
func (q *queue) tryNext(worker int) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	return q.pick(worker)
}

func (q *queue) pick(worker int) *job {
	if q.wait == 0 || worker >= q.workers {
		return nil
	}
	for range q.ring {
		g := q.ring[q.turn]
		q.turn = (q.turn + 1) % len(q.ring)
		if len(g.jobs) == 0 || !g.open() {
			continue
		}
		j := g.jobs[0]
		g.jobs[0] = nil
		g.jobs = g.jobs[1:]
		g.busy++
		g.quota--
		q.busy++
		q.wait--
		if q.wait < q.size {
			q.room.Signal()
		}
		return j
	}
	return nil
}

// open reports whether a message of the group may begin. Its rest is lifted by
// refill.
func (g *group) open() bool {
	return (g.Connections == 0 || g.busy < g.Connections) && (g.PerSecond == 0 || g.quota > 0) && g.rest.IsZero()
}

// done ends a job that was taken, sent or not. Its message's memory goes to the next
// message: nobody, no connection either, may read it from now on.
func (q *queue) done(j *job) {
	if j.msg != nil {
		messages.Put(j.msg)
		j.msg = nil
	}
	q.mu.Lock()
	q.busy--
	g := q.of(j)
	g.busy--
	if g.Connections > 0 && len(g.jobs) > 0 {
		q.work.Signal()
	}
	l := j.lease
	l.open--
	last := l.open == 0
	drained := q.wait == 0 && q.busy == 0
	q.mu.Unlock()
	if last {
		q.ended(l)
	}
	if drained {
		select {
		case q.drained <- struct{}{}:
		default: // said and not yet heard
		}
	}
}

// replied notes an answer for the group of a job.
func (q *queue) replied(j *job, o *mailer.Outcome) {
	var said string
	pushedBack := o.Advice.GroupSlower
	if pushedBack {
		said = mailer.MaskText(o.Reply(), j.to)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.of(j)
	g.replies++
	if pushedBack {
		g.pushes++
		g.said = said
	}
}

// judge lets a group rest when most of its provider's answers ask for patience:
// a second, then twice as long each time, up to a minute.
func (g *group) judge(now time.Time) {
	switch {
	case g.replies == 0:
	case g.pushes >= fewPushes && 2*g.pushes > g.replies:
		g.again = min(max(2*g.again, time.Second), time.Minute)
		g.rest = now.Add(g.again)
		if g.pushed.IsZero() {
			g.pushed = now
		}
	case g.pushes == 0:
		g.again /= 2
		g.pushed = time.Time{}
	}
	g.replies, g.pushes = 0, 0
}

// fewPushes is how many answers have to ask for patience before a group rests.
const fewPushes = 3

// refill ends the rests that are over and gives the groups that have a pace of
// their own what grant allows them; it reports groups that still rest.
func (q *queue) refill(now time.Time, grant func(g *mailer.DomainGroup, n int) int) (resting []string) {
	q.mu.Lock()
	var paced []*group
	for _, g := range q.ring {
		if g.rest.IsZero() {
			g.judge(now)
		} else if !now.Before(g.rest) {
			g.rest = time.Time{}
		}
		if !g.rest.IsZero() {
			resting = append(resting, g.Name)
		}
		g.measure(now)
		if g.PerSecond > 0 && len(g.jobs) > 0 && g.quota <= 0 {
			paced = append(paced, g)
		}
	}
	q.mu.Unlock()
	for _, g := range paced {
		n := grant(&g.DomainGroup, g.PerSecond)
		q.mu.Lock()
		g.quota = n
		q.mu.Unlock()
	}
	q.mu.Lock()
	q.work.Broadcast()
	q.mu.Unlock()
	return resting
}

// full lists the groups that cannot send now and of which enough waits already:
// no more of them is to be claimed, so that there is room for the others.
func (q *queue) full() (names []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.ring {
		if len(g.jobs) >= max(1, q.size/groupShare) && !g.open() {
			names = append(names, g.Name)
		}
	}
	return names
}

// drop forgets the waiting jobs of a campaign.
func (q *queue) drop(campaign string) {
	q.dropIf(func(j *job) bool { return j.lease.campaign == campaign })
}

// dropGroup forgets those of one domain group.
func (q *queue) dropGroup(campaign, group string) {
	q.dropIf(func(j *job) bool { return j.lease.campaign == campaign && j.delivery.Group == group })
}

// close lets no further job out and forgets those that wait.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.work.Broadcast()
	q.room.Broadcast()
	q.mu.Unlock()
	q.dropIf(func(*job) bool { return true })
}

func (q *queue) dropIf(drop func(*job) bool) {
	q.mu.Lock()
	var over []*lease
	for _, g := range q.ring {
		kept := g.jobs[:0]
		for _, j := range g.jobs {
			if !drop(j) {
				kept = append(kept, j)
				continue
			}
			q.wait--
			j.lease.open--
			if j.lease.open == 0 {
				over = append(over, j.lease)
			}
		}
		clear(g.jobs[len(kept):])
		g.jobs = kept
	}
	q.room.Signal()
	q.mu.Unlock()
	for _, l := range over {
		q.ended(l)
	}
}

// allow lets so many workers take jobs.
func (q *queue) allow(workers int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.workers = workers
	q.work.Broadcast()
}

// idle reports whether no job waits or is being sent.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wait == 0 && q.busy == 0
}

// waiting is the number of jobs that no worker has taken.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wait
}
