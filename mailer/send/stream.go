package send

import (
	"slices"
	"time"

	"oshirase/mailer"
)

// streamed is a job that is on the wire and unanswered.
type streamed struct {
	job *job
	at  time.Time
}

// stream sends over a connection that takes messages whole before the first is
// answered: the outcomes that have arrived are committed together with the
// intents of the next messages, and then these leave at once. It returns when no
// job waits, or when the connection is to be used in another way or not at all;
// nothing is on the wire then.
//
// At most the connection's window is in sending: an outcome and the intent that
// takes its place are committed by one transaction.
func (l *lane) stream(first *job) {
	next := []*job{first} // prepared
	var aloft []streamed  // oldest first
	for {
		if l.conn.Usable() {
			room := l.conn.Window() - len(aloft)
			if len(aloft) == 0 && room < 2 {
				break // it has rested meanwhile, or may take one more
			}
			next = l.gather(next, room)
			n := max(0, min(room, len(next)))
			aloft = append(aloft, l.launch(next[:n])...)
			next = next[n:]
		}
		if len(aloft) == 0 {
			if len(next) == 0 || !l.conn.Usable() {
				break
			}
			continue
		}
		l.commit() // before waiting
		if l.conn.Usable() {
			next = l.gather(next, len(aloft))
		}
		aloft = l.land(aloft)
	}
	for _, j := range slices.Backward(next) {
		l.queue.pushFront(j)
	}
}

// gather takes and prepares jobs until there are n, or none waits.
func (l *lane) gather(jobs []*job, n int) []*job {
	for len(jobs) < n {
		j := l.queue.tryPop(l.n)
		if j == nil {
			break
		}
		if l.prepared(j) {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// launch commits intents, and the outcomes at hand with them, and streams what
// may leave.
func (l *lane) launch(jobs []*job) []streamed {
	var leaving []*job
	for _, j := range jobs {
		if l.mayLeave(j) {
			leaving = append(leaving, j)
		} else {
			l.queue.done(j)
		}
	}
	leaving = l.commit(leaving...)
	if len(leaving) == 0 {
		return nil
	}
	messages := make([]*mailer.Message, len(leaving))
	out := make([]streamed, len(leaving))
	now := time.Now()
	for i, j := range leaving {
		messages[i], out[i] = j.msg, streamed{j, now}
	}
	l.conn.Stream(l.ctx, messages...)
	return out
}

// land waits for the outcome of the oldest message, and takes those of others
// that are there already. It returns what is still on the wire.
func (l *lane) land(aloft []streamed) []streamed {
	for waited := false; len(aloft) > 0 && (!waited || l.conn.Answered()); waited = true {
		s := aloft[0]
		aloft = aloft[1:]
		out := l.conn.Outcome(l.ctx)
		d := s.job.delivery
		// Cut before it had left, by no fault of its own: at once on another
		// connection, as a message is whose envelope was cut; but once only.
		again := out.State == mailer.StateDeferred && out.Code == 0 && d.Attempts == 0
		if !again {
			l.replied(s.job, &out, time.Since(s.at))
		}
		l.past = append(l.past, settled{job: s.job, out: out, intended: true, again: again})
	}
	return aloft
}
