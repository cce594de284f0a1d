package send_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/store"
)

// refuse lets the ledger refuse to bring deliveries into a state, once n are in
// it or in one of the others.
func (w *world) refuse(n int, state mailer.State, others ...mailer.State) {
	w.t.Helper()
	in := fmt.Sprintf("'%s'", state)
	for _, s := range others {
		in += fmt.Sprintf(", '%s'", s)
	}
	w.sql(fmt.Sprintf(`CREATE TRIGGER refuse BEFORE UPDATE ON delivery
		WHEN new.state = '%s' AND (SELECT count(*) FROM delivery WHERE state IN (%s)) >= %d
		BEGIN SELECT raise(ABORT, 'no room'); END`, state, in, n))
}

// TestIntentCannotBeRecorded: nothing is sent whose intent is not in the ledger.
func TestIntentCannotBeRecorded(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 12} {
		t.Run(fmt.Sprintf("from the %dth on", n+1), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 40)
			id := w.started(mailer.Campaign{})
			w.refuse(n, mailer.StateSending, mailer.StateAccepted)
			r := w.runner(w.db)
			r.Options.StopGrace = 500 * time.Millisecond
			if _, err := r.Run(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no room") {
				t.Errorf("error %v", err)
			}
			taken := int64(w.inbox.count())
			if taken > int64(n) {
				t.Errorf("%d messages left, %d could be recorded", taken, n)
			}
			w.sql("DROP TRIGGER refuse")
			w.run(w.runner(w.open()))
			w.noneTwice()
			counts, err := w.db.Counts(t.Context(), id)
			must(t, err)
			if counts[mailer.StateAccepted]+counts[mailer.StateUnknown] != 40 || counts[mailer.StateUnknown] > connections {
				t.Errorf("in the end %v", counts)
			}
		})
	}
}

// TestOutcomeCannotBeRecorded: what was sent and could not be recorded is
// unknown to the next run, held, and never sent again.
func TestOutcomeCannotBeRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 40)
	id := w.started(mailer.Campaign{})
	w.refuse(12, mailer.StateAccepted)
	r := w.runner(w.db)
	r.Options.StopGrace = 500 * time.Millisecond
	if _, err := r.Run(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("error %v", err)
	}
	must(t, w.db.Close()) // the process ends
	w.sql("DROP TRIGGER refuse")
	w.db = w.open()
	w.run(w.runner(w.db))
	w.onceEach(40)
	counts, err := w.db.Counts(t.Context(), id)
	must(t, err)
	if n := counts[mailer.StateUnknown]; n < 1 || n > connections || counts[mailer.StateAccepted]+n != 40 {
		t.Errorf("in the end %v", counts)
	}
	w.nothingHeld(id)
}

// TestOutcomeIsInsistedOn: an outcome that could not be recorded at first is
// recorded as soon as it can be.
func TestOutcomeIsInsistedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	id := w.started(mailer.Campaign{})
	w.refuse(5, mailer.StateAccepted)
	r := w.runner(mending{w.db, sync.OnceFunc(func() { w.sql("DROP TRIGGER refuse") })})
	if _, err := r.Run(t.Context(), ""); err == nil {
		t.Error("the run went on over an outcome that was not recorded")
	}
	taken := int64(w.inbox.count())
	w.counts(id, mailer.Counts{mailer.StateAccepted: taken, mailer.StateQueued: 20 - taken})
	w.nothingHeld(id)
}

// mending calls mend after the first record that fails.
type mending struct {
	*store.DB
	mend func()
}

func (m mending) Record(ctx context.Context, records ...mailer.Record) []error {
	errs := m.DB.Record(ctx, records...)
	for i, err := range errs {
		if err != nil && records[i].Outcome != nil {
			m.mend()
		}
	}
	return errs
}

// TestDeadWorker: of a worker that was killed between intent and outcome the
// delivery is unknown and held, or sent again with the same Message-ID where the
// policy says so; what it had only claimed is sent.
func TestDeadWorker(t *testing.T) {
	t.Parallel()
	for _, resend := range []bool{false, true} {
		t.Run(fmt.Sprintf("resend %t", resend), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 10)
			id := w.started(mailer.Campaign{})
			dead := w.open()
			lease, err := dead.Claim(t.Context(), id, w.clock.now(), w.clock.now().Add(time.Minute), 4, nil)
			must(t, err)
			d := lease.Deliveries[0]
			must(t, dead.Record(t.Context(), mailer.Record{Delivery: d.ID, Epoch: d.Epoch, Campaign: id, At: w.clock.now()})[0])
			must(t, dead.Close())
			r := w.runner(w.db)
			r.Options.Resend = resend
			w.run(r)
			if !resend {
				w.counts(id, mailer.Counts{mailer.StateAccepted: 9, mailer.StateUnknown: 1})
				w.onceEach(9)
				return
			}
			w.counts(id, mailer.Counts{mailer.StateAccepted: 10})
			w.onceEach(10)
			again := false
			for _, a := range w.inbox.arrivals() {
				again = again || a.to == d.Recipient.Email && strings.Contains(a.sender, d.Token)
			}
			if !again {
				t.Error("it was not sent again under its own token")
			}
		})
	}
}
