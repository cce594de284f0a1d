package send

import (
	"context"
	"errors"
	"time"

	"oshirase/mailer"
)

// worker sends jobs over one connection at a time: envelope, intent, body,
// outcome. With a Pipeliner the envelope of the next message travels behind the
// body of this one. In any case the outcome of this one is committed together with
// the intent of the next, so that at most one delivery of a worker is in sending, or
// as many as the connection's window where it streams (see stream).
//
// It keeps its connection from message to message, as long as the pool allows
// (Pool.More), and gives it back before it waits for a job: from then on the pool's
// idle time counts, and another worker may have it.
//
// A message's memory (job.msg) is the worker's from prepared until queue.done, which
// gives it to the next message; and Conn may read it until the outcome was returned,
// or until the connection was given back. So done comes after both.
//
// Two graces bound what a stop leaves on the wire: Options.StopGrace, after which the
// worker's context ends, and behind that the transport's own (smtp.RelayOptions.Grace),
// for the reply of a relay that is just about to give it.
type worker struct {
	s    *session
	n    int             // number of the worker; those below the adapter's count may send
	ctx  context.Context // of the work: outlives a stop by the grace
	conn mailer.Conn     // nil: none
	pipe Pipeliner       // the same; nil where it is none
	// proven is a campaign whose sender the relay of the connection takes.
	proven *backlog
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
	again    bool // it goes again at once
}

// run sends until the queue closes.
func (w *worker) run() {
	defer w.hangUp()
	var cur *job // begun on the connection
	for {
		if cur == nil {
			if cur = w.next(); cur == nil {
				return
			}
			if cur = w.begin(cur); cur == nil {
				continue
			}
		}
		out, ok := w.pipe.Ready(w.ctx)
		switch {
		case !ok:
			w.refused(cur, out)
			cur = nil
		case !w.intend(cur):
			w.giveUp(cur)
			cur = nil
		default:
			cur = w.finish(cur)
		}
	}
}

// begin gets a connection and begins the job on it. nil: it needs no more steps; the
// connection takes messages in another way, or there is none.
func (w *worker) begin(j *job) *job {
	switch {
	case !w.connect(j):
		return nil
	case w.pipe == nil:
		w.sendAlone(j)
		return nil
	case w.pipe.Window() > 1:
		w.stream(j)
		return nil
	}
	w.pipe.Begin(w.ctx, j.msg)
	return j
}

// sendAlone is all of a message on a connection that is no Pipeliner.
func (w *worker) sendAlone(j *job) {
	asked, intended := false, false
	began := time.Now()
	out := w.conn.Send(w.ctx, j.msg, func() bool {
		asked, intended = true, w.intend(j)
		return intended
	})
	if !asked && (out.State == mailer.StateAccepted || out.State == mailer.StateUnknown) {
		// A transport that breaks its promise: better late in the ledger than twice at
		// the recipient.
		w.s.log.Error("transport sent without asking for the intent", "relay", out.Relay)
		asked, intended = true, w.intend(j)
	}
	switch {
	case !asked:
		w.refused(j, out)
	case !intended:
		w.giveUp(j)
	default:
		w.answered(j, out, time.Since(began))
		if out.Advice.Gone {
			w.hangUp()
		}
	}
}

// finish lets the body of a message leave whose intent is durable, and takes its
// outcome. It returns the job that was begun behind it, if one was.
func (w *worker) finish(cur *job) (next *job) {
	w.pipe.Finish(w.ctx)
	next = w.beginBehind()
	w.pipe.Flush(w.ctx)
	began := time.Now()
	out := w.pipe.Outcome(w.ctx)
	w.answered(cur, out, time.Since(began))
	if next != nil && out.Advice.Gone {
		// The connection broke over the message before; this one has not left, and
		// does not pay for that.
		w.hangUp()
		w.s.queue.pushFront(next)
		return nil
	}
	return next
}

// next returns the next prepared job, or nil when the queue is closed. Nothing
// waits uncommitted and no connection is held while it blocks.
func (w *worker) next() *job {
	for {
		j := w.s.queue.tryNext(w.n)
		if j == nil {
			w.commit()
			w.hangUp()
			if j = w.s.queue.next(w.n); j == nil {
				return nil
			}
		}
		if w.prepared(j) {
			return j
		}
	}
}

// beginBehind begins the next message behind the body of the present one, where
// the relay allows it and a job waits. Where messages may be streamed the next
// one is.
func (w *worker) beginBehind() *job {
	if !w.pipe.Pipelining() || !w.pipe.Usable() || w.pipe.Window() > 1 {
		return nil
	}
	j := w.s.queue.tryNext(w.n)
	if j == nil || !w.prepared(j) {
		return nil
	}
	if !w.known(j) || w.s.Relays.More(w.conn, 1) == 0 {
		w.s.queue.pushFront(j)
		return nil
	}
	w.pipe.Begin(w.ctx, j.msg)
	return j
}

// prepared renders and composes. A job that may not be sent is dropped: held where its
// notice is not what was approved, else its campaign with it.
func (w *worker) prepared(j *job) bool {
	if !w.mayLeave(j) {
		w.s.queue.drop(j.delivery.Campaign)
		w.s.queue.done(j)
		return false
	}
	if w.kept(j) {
		return false
	}
	if j.msg != nil {
		return true
	}
	var err error
	j.to, j.msg, err = j.work.message(j.delivery, w.s.Options.Now())
	switch {
	case err == nil:
		return true
	case errors.Is(err, mailer.ErrRenderedDifferently):
		w.s.keepBack(j, mailer.HeldChanged, err)
		w.s.queue.done(j)
	case errors.Is(err, mailer.ErrDamaged):
		w.s.keepBack(j, mailer.HeldDamaged, err)
		w.s.queue.done(j)
	default:
		// Our own composing refuses it: nobody but us has to do with that.
		w.setAside(j, mailer.Outcome{State: mailer.StateQueued, Point: mailer.AtConnect, Text: err.Error(), Advice: mailer.Advice{Ours: true}})
	}
	return false
}

// setAside has a job held that is not to be said to a relay.
func (w *worker) setAside(j *job, out mailer.Outcome) {
	if out.Advice.Ours {
		w.braked(j, &out)
	}
	w.past = append(w.past, settled{job: j, out: out})
	if len(w.past) >= mostPast {
		w.commit()
	}
}

// mostPast is how many outcomes are gathered where nothing is sent in between.
const mostPast = 64

// kept drops a job of a campaign that the brake pauses or of a group that it holds, and
// has one held of a domain that it holds; false: it may be sent.
func (w *worker) kept(j *job) bool {
	k := j.lease.of.brake
	if k.over.Load() {
		w.s.queue.drop(j.delivery.Campaign)
		w.s.queue.done(j)
		return true
	}
	group, alone := k.holding(j.delivery)
	switch {
	case group:
		w.s.queue.dropGroup(j.delivery.Campaign, j.delivery.Group)
		w.s.queue.done(j)
	case alone:
		w.setAside(j, mailer.Outcome{State: mailer.StateQueued, Held: mailer.HeldRefused, Point: mailer.AtConnect})
	}
	return group || alone
}

// braked tells the brake of an outcome, and does what it says.
func (w *worker) braked(j *job, out *mailer.Outcome) {
	b := j.lease.of
	hold, why := b.brake.replied(j, out, w.s.Options.Now())
	out.Held = hold
	w.s.pause(b, why)
}

// connect gets a connection for a job. False: the job went back or was dropped.
func (w *worker) connect(j *job) bool {
	if w.conn != nil && (!w.conn.Usable() || w.s.Relays.More(w.conn, 1) == 0) {
		w.hangUp()
	}
	if w.conn != nil {
		return w.asked(j)
	}
	// Getting a connection may take long: what is known is committed first.
	w.commit()
	conn, err := w.s.Relays.Get(w.s.running)
	if err != nil {
		w.s.queue.pushFront(j)
		if !w.s.stopping() {
			w.s.relayDown(err)
		}
		return false
	}
	w.s.relayUp()
	w.conn = conn
	w.pipe, _ = conn.(Pipeliner)
	return w.asked(j)
}

// refused takes the outcome of an envelope that the relay did not accept. One that
// has not left for want of a connection, perhaps an idle one that the relay had
// closed, goes once more on a new one, without this being an attempt; after a stop
// the delivery simply stays queued. Any other outcome is final for this attempt.
func (w *worker) refused(j *job, out mailer.Outcome) {
	if out.Advice.NotLeft && (j.redials == 0 || w.s.stopping()) {
		j.redials++
		w.hangUp()
		w.s.queue.pushFront(j)
		return
	}
	w.commit()
	w.replied(j, &out, 0)
	w.past = append(w.past, settled{job: j, out: out})
	if !w.conn.Usable() {
		w.hangUp()
	}
}

// answered takes the outcome of a message whose intent was committed.
func (w *worker) answered(j *job, out mailer.Outcome, took time.Duration) {
	// Cut before it had left, by no fault of its own: at once on another connection;
	// but once only.
	again := out.State == mailer.StateDeferred && out.Advice.NotLeft && j.delivery.Attempts == 0
	if !again {
		w.replied(j, &out, took)
	}
	w.past = append(w.past, settled{job: j, out: out, intended: true, again: again})
}

// replied tells adapter and queue how the relay answered.
func (w *worker) replied(j *job, out *mailer.Outcome, took time.Duration) {
	w.s.adapter.outcome(out, took)
	w.s.queue.replied(j, out)
	w.braked(j, out)
}

// mayLeave reports whether neither a stop nor the end of the window came
// meanwhile.
func (w *worker) mayLeave(j *job) bool {
	return !w.s.stopping() && j.work.window.Open(w.s.Options.Now())
}

// giveUp drops a job whose body must not leave, and the connection on which it was
// begun.
func (w *worker) giveUp(j *job) {
	w.hangUp()
	w.s.queue.done(j)
}

// hangUp gives the connection back; one on which a message is open is closed.
func (w *worker) hangUp() {
	if w.conn != nil {
		w.s.Relays.Put(w.conn)
		w.conn, w.pipe, w.proven = nil, nil, nil
	}
}
