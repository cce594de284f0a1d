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
// job waits, when it is another relay's turn, or when the connection is to be used in
// another way or not at all; nothing is on the wire then.
//
// At most the connection's window is in sending: an outcome and the intent that
// takes its place are committed by one transaction.
func (w *worker) stream(first *job) {
	next := []*job{first}   // prepared
	var inFlight []streamed // oldest first
	granted := 1            // messages that the pool allowed and that have not left
	for {
		if w.pipe.Usable() {
			room := w.pipe.Window() - len(inFlight)
			if len(inFlight) == 0 && room < 2 {
				break // it has rested meanwhile, or may take one more
			}
			next = w.gather(next, room)
			n := max(0, min(room, len(next)))
			if n > granted {
				granted += w.s.Relays.More(w.conn, n-granted)
			}
			n = min(n, granted)
			granted -= n
			inFlight = append(inFlight, w.send(next[:n])...)
			next = next[n:]
			if len(inFlight) == 0 && n == 0 {
				break
			}
		}
		if len(inFlight) == 0 {
			if len(next) == 0 || !w.pipe.Usable() {
				break
			}
			continue
		}
		w.commit() // before waiting
		if w.pipe.Usable() {
			next = w.gather(next, len(inFlight))
		}
		inFlight = w.receive(inFlight)
	}
	for _, j := range slices.Backward(next) {
		w.s.queue.pushFront(j)
	}
}

// gather takes and prepares jobs until there are n, or none waits.
func (w *worker) gather(jobs []*job, n int) []*job {
	for len(jobs) < n {
		j := w.s.queue.tryNext(w.n)
		if j == nil {
			break
		}
		if !w.prepared(j) {
			continue
		}
		if !w.known(j) { // asked for between messages, not among them
			w.s.queue.pushFront(j)
			break
		}
		jobs = append(jobs, j)
	}
	return jobs
}

// send commits intents, and the outcomes at hand with them, and streams what
// may leave.
func (w *worker) send(jobs []*job) []streamed {
	var leaving []*job
	for _, j := range jobs {
		if w.mayLeave(j) {
			leaving = append(leaving, j)
		} else {
			w.s.queue.done(j)
		}
	}
	if len(leaving) == 0 {
		w.commit()
		return nil
	}
	messages := make([]*mailer.Message, 0, len(leaving))
	out := make([]streamed, 0, len(leaving))
	errs := w.commit(leaving...)
	now := time.Now()
	for i, j := range leaving {
		if errs[i] != nil {
			w.s.queue.done(j)
			continue
		}
		messages, out = append(messages, j.msg), append(out, streamed{j, now})
	}
	if len(messages) > 0 {
		w.pipe.Stream(w.ctx, messages...)
	}
	return out
}

// receive waits for the outcome of the oldest message, and takes those of others
// that are there already. It returns what is still on the wire.
func (w *worker) receive(inFlight []streamed) []streamed {
	for waited := false; len(inFlight) > 0 && (!waited || w.pipe.Answered()); waited = true {
		s := inFlight[0]
		inFlight = inFlight[1:]
		w.answered(s.job, w.pipe.Outcome(w.ctx), time.Since(s.at))
	}
	return inFlight
}
