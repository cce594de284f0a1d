package send

import (
	"context"
	"errors"
	"time"

	"oshirase/mailer"
)

// lane sends jobs over one connection at a time: envelope, intent, body,
// outcome. With pipelining the envelope of the next message travels behind the
// body of this one, and the outcome of this one is committed together with the
// intent of the next. At most one delivery of a lane is in sending, or as many as
// the connection's window where it streams (see stream).
type lane struct {
	*session
	n    int             // number of the lane; those below the adapter's count may send
	ctx  context.Context // of the work: outlives a stop by the grace
	conn Conn
	ahead
	// past are the outcomes that are not yet committed: one, or as many as were in
	// flight.
	past    []settled
	records []mailer.Record // of the present commit; a buffer
}

// settled is a job whose outcome is known.
type settled struct {
	job      *job
	out      mailer.Outcome
	intended bool // its intent was committed
	// again: nothing was wrong with the message and it certainly did not leave, so
	// that it need not wait for its next attempt.
	again bool
}

// run sends until the queue closes.
func (l *lane) run() {
	defer l.hangUp()
	var cur *job // begun on the connection
	for {
		if cur == nil {
			if cur = l.take(); cur == nil {
				return
			}
			if !l.connect(cur) {
				cur = nil
				continue
			}
			if l.conn.Window() > 1 {
				l.stream(cur)
				cur = nil
				continue
			}
			l.conn.Begin(l.ctx, cur.msg)
		}
		out, ok := l.conn.Ready(l.ctx)
		if !ok {
			l.refused(cur, out)
			cur = nil
			continue
		}
		if !l.intend(cur) {
			cur = nil
			continue
		}
		cur = l.finish(cur)
	}
}

// finish lets the body of a message leave whose intent is durable, and takes its
// outcome. It returns the job that was begun behind it, if one was.
func (l *lane) finish(cur *job) (next *job) {
	l.conn.Finish(l.ctx)
	next = l.takeBehind()
	l.conn.Flush(l.ctx)
	l.prepareAhead()
	began := time.Now()
	out := l.conn.Outcome(l.ctx)
	l.replied(cur, &out, time.Since(began))
	l.past = append(l.past, settled{job: cur, out: out, intended: true})
	if next != nil && (out.Code == 0 || out.Code == 421) {
		// The connection broke over the message before; this one has not left, and
		// does not pay for that.
		l.hangUp()
		l.queue.pushFront(next)
		return nil
	}
	return next
}

// take returns the next prepared job, or nil when the queue is closed. Nothing
// waits uncommitted while it blocks.
func (l *lane) take() *job {
	for {
		j := l.tryTake()
		if j == nil {
			l.commit()
			if j = l.queue.pop(l.n); j == nil {
				return nil
			}
		}
		if l.prepared(j) {
			return j
		}
	}
}

// takeBehind begins the next message behind the body of the present one, where
// the relay allows it and a job waits. Where messages may be streamed the next
// one is.
func (l *lane) takeBehind() *job {
	if !l.conn.Pipelining() || !l.conn.Usable() || l.conn.Window() > 1 {
		return nil
	}
	j := l.tryTake()
	if j == nil || !l.prepared(j) {
		return nil
	}
	l.conn.Begin(l.ctx, j.msg)
	return j
}

// prepared renders and composes; a job that may not be sent is dropped, and its
// campaign with it.
func (l *lane) prepared(j *job) bool {
	if !l.mayLeave(j) {
		l.queue.drop(j.delivery.Campaign)
		l.queue.done(j)
		return false
	}
	if j.msg != nil {
		return true
	}
	var err error
	j.to, j.msg, err = j.work.message(j.delivery, l.Options.Now())
	if err == nil {
		return true
	}
	l.cannotSend(j.work, j.delivery.Recipient.Ref, err)
	l.queue.done(j)
	return false
}

// connect gets a connection for a job. False: the job went back or was dropped.
func (l *lane) connect(j *job) bool {
	if l.conn != nil && !l.conn.Usable() {
		l.hangUp()
	}
	if l.conn == nil {
		// Getting a connection may take long: what is known is committed first.
		l.commit()
		conn, err := l.Relays.Get(l.running)
		if err != nil {
			l.queue.pushFront(j)
			if !l.stopping() {
				l.relayDown(err)
			}
			return false
		}
		l.relayUp()
		l.conn = conn
	}
	return true
}

// refused takes the outcome of an envelope that the relay did not accept.
func (l *lane) refused(j *job, out mailer.Outcome) {
	if out.Code == 0 && (j.redials == 0 || l.stopping()) {
		// The connection broke before anything was certain, perhaps an idle one
		// that the relay had closed: once more on a new one. After a stop the
		// delivery simply stays queued.
		j.redials++
		l.hangUp()
		l.queue.pushFront(j)
		return
	}
	l.commit()
	l.replied(j, &out, 0)
	l.past = append(l.past, settled{job: j, out: out})
	if !l.conn.Usable() {
		l.hangUp()
	}
}

// replied tells adapter and queue how the relay answered.
func (l *lane) replied(j *job, out *mailer.Outcome, took time.Duration) {
	l.adapter.outcome(out, took)
	l.queue.replied(j, out)
}

// intend commits that the body of j is about to leave, and with it the outcome
// of the message before. False: it must not leave; the connection, on which DATA
// is open, is given up.
func (l *lane) intend(j *job) bool {
	switch {
	case !l.mayLeave(j):
		l.commit()
		l.queue.done(j)
	case len(l.commit(j)) == 1:
		return true
	}
	l.hangUp()
	return false
}

// mayLeave reports whether neither a stop nor the end of the window came
// meanwhile.
func (l *lane) mayLeave(j *job) bool {
	return !l.stopping() && j.work.window.Open(l.Options.Now())
}

// commit records the outcomes at hand and the intents of jobs, in one go. It
// returns those whose intent is durable.
func (l *lane) commit(jobs ...*job) (intended []*job) {
	if len(l.past)+len(jobs) == 0 {
		return nil
	}
	now := l.Options.Now()
	l.records = l.records[:0]
	for i := range l.past {
		s := &l.past[i]
		l.classify(s, now)
		l.records = append(l.records, s.job.record(now, &s.out))
		l.records[i].Intended = s.intended
	}
	for _, j := range jobs {
		l.records = append(l.records, j.record(now, nil))
	}
	errs := l.Ledger.Record(l.ctx, l.records...)
	n := len(l.past)
	l.insist(l.records[:n], errs[:n])
	for i := range l.past {
		l.recorded(&l.past[i], errs[i])
	}
	clear(l.past)
	l.past = l.past[:0]
	intended = jobs[:0]
	for i, j := range jobs {
		if err := errs[n+i]; err != nil {
			l.notIntended(j, err)
			l.queue.done(j)
			continue
		}
		intended = append(intended, j)
	}
	return intended
}

func (j *job) record(at time.Time, out *mailer.Outcome) mailer.Record {
	d := j.delivery
	return mailer.Record{Delivery: d.ID, Epoch: d.Epoch, Campaign: d.Campaign, At: at, Outcome: out}
}

// insist tries again to record outcomes that the ledger could not take (a full
// disk, say), for as long as a stop may take: what is not recorded becomes
// unknown. Meanwhile nothing new is sent. errs, one for each record, is brought
// up to date.
func (l *lane) insist(records []mailer.Record, errs []error) {
	var again []int
	for i, err := range errs {
		if err != nil && !errors.Is(err, mailer.ErrLeaseLost) {
			l.fail(err)
			again = append(again, i)
		}
	}
	if len(again) == 0 {
		return
	}
	deadline := time.NewTimer(l.Options.StopGrace / 2)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for len(again) > 0 {
		select {
		case <-deadline.C:
			return
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		open := again[:0]
		for _, i := range again {
			errs[i] = l.Ledger.Record(l.ctx, records[i])[0]
			if errs[i] != nil && !errors.Is(errs[i], mailer.ErrLeaseLost) {
				open = append(open, i)
			}
		}
		again = open
	}
}

// classify completes an outcome: when to try again, or that there is no time left.
func (l *lane) classify(s *settled, now time.Time) {
	s.out.Text = mailer.MaskText(s.out.Text, s.job.to)
	s.out.At = now // of the runner's clock, as the intent and the next attempt are
	if s.out.State == mailer.StateUnknown && l.Options.Resend {
		// The policy is to risk a second copy, with the same Message-ID.
		s.out.State, s.out.Text = mailer.StateDeferred, "outcome unknown, sent again by policy: "+s.out.Text
	}
	if s.out.State != mailer.StateDeferred {
		return
	}
	if s.again {
		s.out.NextAt = now
		return
	}
	at, inTime := l.Options.retryAt(s.job.delivery, now)
	if !inTime {
		s.out.State = mailer.StateExpired
		return
	}
	s.out.NextAt = at
}

// recorded counts an outcome, or says that the ledger did not take it: then the
// delivery stays in sending and becomes unknown, never a second copy.
func (l *lane) recorded(s *settled, err error) {
	defer l.queue.done(s.job)
	d := s.job.delivery
	switch {
	case err == nil:
		l.count(s.out.State)
	case errors.Is(err, mailer.ErrLeaseLost):
		l.log.Warn("outcome after the lease was lost", "campaign", d.Campaign, "ref", d.Recipient.Ref, "state", s.out.State, "code", s.out.Code)
	default:
		l.fail(err)
	}
	if s.out.State != mailer.StateAccepted {
		l.log.Info("not accepted", "campaign", d.Campaign, "ref", d.Recipient.Ref, "state", s.out.State,
			"point", s.out.Point, "code", s.out.Code, "enhanced", s.out.Enhanced, "relay", s.out.Relay, "text", s.out.Text)
	}
}

func (l *lane) notIntended(j *job, err error) {
	switch {
	case errors.Is(err, mailer.ErrNotRunning):
		l.queue.drop(j.delivery.Campaign)
	case errors.Is(err, mailer.ErrLeaseLost):
		l.log.Warn("lease lost before sending", "campaign", j.delivery.Campaign, "ref", j.delivery.Recipient.Ref)
	default:
		l.fail(err)
	}
}

// hangUp gives the connection back; one on which a message is open is closed.
func (l *lane) hangUp() {
	if l.conn != nil {
		l.Relays.Put(l.conn)
		l.conn = nil
	}
}
