package send

import (
	"context"
	"errors"
	"time"

	"oshirase/mailer"
)

// What a worker has the ledger commit: intents before bodies leave, and outcomes.

// intend commits that the body of j is about to leave, and with it the outcome
// of the message before. False: it must not leave.
func (w *worker) intend(j *job) bool {
	if !w.mayLeave(j) {
		w.commit()
		return false
	}
	return w.commit(j)[0] == nil
}

// commit records the outcomes at hand and the intents of jobs, in one go. It
// returns an error for each job; where it is nil the intent is durable. The jobs are
// still the caller's.
func (w *worker) commit(jobs ...*job) []error {
	if len(w.past)+len(jobs) == 0 {
		return nil
	}
	now := w.s.Options.Now()
	w.records = w.records[:0]
	for i := range w.past {
		s := &w.past[i]
		w.s.Options.classify(s, now)
		w.records = append(w.records, s.job.record(now, &s.out))
		w.records[i].Intended = s.intended
	}
	for _, j := range jobs {
		w.records = append(w.records, j.record(now, nil))
	}
	// What is known is recorded, also after a stop.
	errs := w.s.Ledger.Record(context.WithoutCancel(w.ctx), w.records...)
	n := len(w.past)
	w.insist(w.records[:n], errs[:n])
	for i := range w.past {
		w.recorded(&w.past[i], errs[i])
	}
	clear(w.past)
	w.past = w.past[:0]
	for i, j := range jobs {
		if err := errs[n+i]; err != nil {
			w.notIntended(j, err)
		}
	}
	return errs[n:]
}

func (j *job) record(at time.Time, out *mailer.Outcome) mailer.Record {
	d := j.delivery
	return mailer.Record{Delivery: d.ID, Epoch: d.Epoch, Campaign: d.Campaign, At: at, Outcome: out}
}

// insist tries again to record outcomes that the ledger could not take (a full
// disk, say), for half as long as a stop may take: what is not recorded then becomes
// unknown. Meanwhile nothing new is sent. errs, one for each record, is brought
// up to date.
func (w *worker) insist(records []mailer.Record, errs []error) {
	var again []int
	for i, err := range errs {
		if err != nil && !errors.Is(err, mailer.ErrLeaseLost) {
			w.s.fail(err)
			again = append(again, i)
		}
	}
	if len(again) == 0 {
		return
	}
	deadline := time.NewTimer(w.s.Options.StopGrace / 2)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for len(again) > 0 {
		select {
		case <-deadline.C:
			return
		case <-tick.C:
		}
		open := again[:0]
		for _, i := range again {
			errs[i] = w.s.Ledger.Record(context.WithoutCancel(w.ctx), records[i])[0]
			if errs[i] != nil && !errors.Is(errs[i], mailer.ErrLeaseLost) {
				open = append(open, i)
			}
		}
		again = open
	}
}

// classify completes an outcome: what of its text is kept, and when to try again, or
// that there is no time left.
func (o *Options) classify(s *settled, now time.Time) {
	out := &s.out
	if masked := mailer.MaskText(out.Text, s.job.to); masked != out.Text {
		if out.Raw == "" {
			out.Raw = out.Text
		}
		out.Text = masked
	}
	certain := out.State == mailer.StateDeferred || out.State == mailer.StateRejected
	if certain && (out.Advice.RefusesUs && out.Code >= 400 || out.Held != "") {
		out.State = mailer.StateQueued // nothing of it is the person's
	}
	out.At = now // of the runner's clock, as the intent and the next attempt are
	if out.State == mailer.StateUnknown && o.Resend {
		// The policy is to risk a second copy, with the same Message-ID.
		out.State, out.Text = mailer.StateDeferred, "outcome unknown, sent again by policy: "+out.Text
	}
	if out.State != mailer.StateDeferred {
		return
	}
	if s.again {
		out.NextAt = now
		return
	}
	at, inTime := o.retryAt(s.job.delivery, now, out.Advice.Wait)
	if !inTime && !out.Advice.Impersonal {
		out.State = mailer.StateExpired
		return
	}
	out.NextAt = at
}

// retryAt is when a deferred delivery is tried again: when the relay asks for that,
// or by the schedule where it does not, or asks for more than the deadline leaves.
// False: not before its deadline.
func (o *Options) retryAt(d *mailer.Delivery, now time.Time, asked time.Duration) (time.Time, bool) {
	first := d.FirstAt
	if first.IsZero() {
		first = now
	}
	deadline := first.Add(o.Deadline)
	if at := now.Add(asked); asked > 0 && at.Before(deadline) {
		return at, true
	}
	at := now.Add(o.Retry[min(d.Attempts, len(o.Retry)-1)])
	return at, at.Before(deadline)
}

// recorded counts an outcome, or says that the ledger did not take it: then the
// delivery stays in sending and becomes unknown, never a second copy.
func (w *worker) recorded(s *settled, err error) {
	defer w.s.queue.done(s.job)
	d := s.job.delivery
	switch {
	case err == nil:
		w.s.count(s.out.State)
	case errors.Is(err, mailer.ErrLeaseLost):
		w.s.log.Warn("outcome after the lease was lost", "campaign", d.Campaign, "ref", d.Recipient.Ref, "state", s.out.State, "code", s.out.Code)
	default:
		w.s.fail(err)
	}
	if s.out.State != mailer.StateAccepted && (s.out.Held == "" || s.out.Code != 0 || s.out.Text != "") { // that its group or domain is held was said once
		attrs := []any{
			"campaign", d.Campaign, "ref", d.Recipient.Ref, "state", s.out.State, "point", s.out.Point,
			"code", s.out.Code, "enhanced", s.out.Enhanced, "relay", s.out.Relay, "refuses_us", s.out.Advice.RefusesUs,
		}
		if s.out.Code == 0 { // what a relay says may name people; it stands sealed in the ledger
			attrs = append(attrs, "error", s.out.Text)
		}
		w.s.log.Info("not accepted", attrs...)
	}
}

func (w *worker) notIntended(j *job, err error) {
	switch {
	case errors.Is(err, mailer.ErrNotRunning):
		w.s.queue.drop(j.delivery.Campaign)
	case errors.Is(err, mailer.ErrLeaseLost):
		w.s.log.Warn("lease lost before sending", "campaign", j.delivery.Campaign, "ref", j.delivery.Recipient.Ref)
	default:
		w.s.fail(err)
	}
}
