package send

import (
	"context"
	"sync"
	"time"

	"oshirase/mailer"
)

// Prober is a Conn that can ask the relay whether it takes a sender, without a message.
// It is optional: with any other the first message finds that out.
type Prober interface {
	mailer.Conn
	// Probe is Accepted, or what the relay says against the sender; with code 0 it said
	// nothing. No message may be begun.
	Probe(ctx context.Context, sender string) mailer.Outcome
}

// known reports whether nothing is to be asked before a job is sent over the connection.
func (w *worker) known(j *job) bool {
	b := j.lease.of
	if w.proven == b {
		return true
	}
	k := b.brake
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.senders[w.conn.Relay()] {
		return false
	}
	w.proven = b
	return true
}

// asked asks the relay, before a campaign's first message over it in this session,
// whether it takes the sender: nobody is to be begun with where it does not. False: the
// job went back. The answer counts for all workers; while one asks, those with the same
// campaign and relay wait.
func (w *worker) asked(j *job) bool {
	if w.known(j) {
		return true
	}
	w.commit() // before waiting
	b := j.lease.of
	one := b.brake.proof(w.conn.Relay())
	one.Lock()
	defer one.Unlock()
	prober, can := w.conn.(Prober)
	if w.known(j) {
		return true
	}
	out := mailer.Outcome{State: mailer.StateAccepted}
	if can {
		out = prober.Probe(w.ctx, j.msg.Sender)
	}
	switch {
	case out.State == mailer.StateAccepted:
		b.brake.takesSender(w.conn.Relay())
		return true
	case out.Code == 0:
		return true // the connection broke: the message finds that out, as any other
	case out.Code >= 500:
		w.s.pause(b, b.brake.refusedSender(&out))
	default:
		w.s.askLater(b, &out)
	}
	if !w.conn.Usable() {
		w.hangUp()
	}
	w.s.queue.drop(b.ID)
	w.s.queue.done(j)
	return false
}

// proof is held while a relay is asked.
func (k *brake) proof(relay string) *sync.Mutex {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.proofs[relay] == nil {
		k.proofs[relay] = &sync.Mutex{}
	}
	return k.proofs[relay]
}

func (k *brake) takesSender(relay string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.senders[relay] = true
}

// refusedSender is the pause of a campaign whose sender is refused.
func (k *brake) refusedSender(o *mailer.Outcome) mailer.Halt {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.once(mailer.Halt{Why: mailer.HaltSender, Relay: o.Relay, Code: o.Code, Enhanced: o.Enhanced, Count: 1})
}

// askLater lets nothing of a campaign be claimed until its sender is asked for again.
func (s *session) askLater(b *backlog, o *mailer.Outcome) {
	now := s.Options.Now()
	at := now.Add(s.Options.Retry[0])
	s.mu.Lock()
	b.askAt, b.asked = at, codes(o)
	s.mu.Unlock()
	s.log.Warn("sender refused for now", "campaign", b.ID, "relay", o.Relay, "code", o.Code, "enhanced", o.Enhanced, "again", at)
}

// mayAsk is when the sender of a campaign may be asked for again, and what was said;
// zero: now.
func (s *session) mayAsk(b *backlog, now time.Time) (at time.Time, said string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(b.askAt) {
		return b.askAt, b.asked
	}
	return time.Time{}, ""
}
