package send_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/sink"
	"oshirase/store"
)

// intents is how many messages these tests have in flight on a connection.
const intents = 4

// streaming has messages streamed.
func streaming(r *relay) { r.Chunking, r.Intents = true, intents }

// single has one connection, so that the order of messages is that of the list.
func single(r *relay) { r.connections = 1 }

// watched counts the deliveries in sending, as the ledger would show them after a
// crash at that moment.
type watched struct {
	*store.DB
	mu           sync.Mutex
	sending      map[int64]bool
	most         int // that were in sending at once
	wide         int // most intents in one record
	intent, with int // records with intents, and those of them that carried outcomes too
}

func (w *watched) Record(ctx context.Context, records ...mailer.Record) []error {
	errs := w.DB.Record(ctx, records...)
	w.mu.Lock()
	defer w.mu.Unlock()
	began, ended := 0, 0
	for i, r := range records {
		switch {
		case errs[i] != nil:
		case r.Outcome == nil:
			w.sending[r.Delivery] = true
			began++
		default:
			delete(w.sending, r.Delivery)
			ended++
		}
	}
	w.most = max(w.most, len(w.sending))
	w.wide = max(w.wide, began)
	if began > 0 {
		w.intent++
	}
	if began > 0 && ended > 0 {
		w.with++
	}
	return errs
}

func watch(db *store.DB) *watched { return &watched{DB: db, sending: map[int64]bool{}} }

func TestStreamSendsToEachOnce(t *testing.T) {
	t.Parallel()
	const people = 200
	w := newWorld(t, people)
	id := w.started(mailer.Campaign{})
	db := watch(w.db)
	if sum := w.run(w.runner(db, streaming, single)); sum.Accepted != people || sum.Remaining != 0 {
		t.Errorf("%+v", sum)
	}
	w.onceEach(people)
	w.counts(id, mailer.Counts{mailer.StateAccepted: people})
	w.phase(id, mailer.PhaseFinished)
	w.nothingHeld(id)
	if db.most != intents {
		t.Errorf("%d deliveries were in sending at once, want %d", db.most, intents)
	}
	if db.wide < 2 || db.with < db.intent/2 {
		t.Errorf("%d intents in one record; of %d with intents %d carried outcomes", db.wide, db.intent, db.with)
	}
}

// TestStreamFaults: what each misbehaviour comes to for the message it hits, and
// for those that were in flight behind it.
func TestStreamFaults(t *testing.T) {
	t.Parallel()
	const people, who = 30, "=p013@*"
	for _, tt := range []struct {
		fault string
		state mailer.State // of the message that is hit
		// behind: messages in flight behind it have this state too, up to the window.
		behind bool
	}{
		{fault: "rcpt" + who + ":550 5.1.1 unknown", state: mailer.StateRejected},
		{fault: "rcpt" + who + ":450 4.2.1 busy", state: mailer.StateDeferred},
		{fault: "dot" + who + ":554 5.6.0 no", state: mailer.StateRejected},
		{fault: "dot" + who + ":452 4.3.1 full", state: mailer.StateDeferred},
		// What was behind a 421 is sent at once, on another connection.
		{fault: "rcpt" + who + ":421 4.3.2 bye", state: mailer.StateDeferred},
		{fault: "dot" + who + ":421 4.3.2 bye", state: mailer.StateDeferred},
		{fault: "dot" + who + ":take-drop", state: mailer.StateUnknown, behind: true},
		{fault: "dot" + who + ":drop", state: mailer.StateUnknown, behind: true},
		{fault: "rcpt" + who + ":reset", state: mailer.StateUnknown, behind: true},
		{fault: "dot" + who + ":garbage", state: mailer.StateUnknown, behind: true},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, people, tt.fault)
			id := w.started(mailer.Campaign{})
			w.run(w.runner(w.db, streaming, single))
			got, err := w.db.Counts(t.Context(), id)
			must(t, err)
			most := int64(1)
			if tt.behind {
				most = intents
			}
			if n := got[tt.state]; n < 1 || n > most || got[mailer.StateAccepted] != people-n {
				t.Errorf("%s, want 1 to %d %s and the rest accepted", show(got), most, tt.state)
			}
			w.asTheReceiverSaw(id)
			w.nothingHeld(id)
			before := w.inbox.count()
			w.run(w.runner(w.db, streaming, single))
			if w.inbox.count() != before {
				t.Error("something was tried again at once")
			}
		})
	}
}

func show(c mailer.Counts) string {
	var b strings.Builder
	for _, s := range mailer.States {
		if c[s] > 0 {
			fmt.Fprintf(&b, "%d %s ", c[s], s)
		}
	}
	return strings.TrimSpace(b.String())
}

// asTheReceiverSaw holds every delivery against what the receiver has.
func (w *world) asTheReceiverSaw(id string) {
	w.t.Helper()
	w.noneTwice()
	has := map[string]bool{} // told or not
	for _, a := range w.inbox.arrivals() {
		has[a.to] = true
	}
	must(w.t, w.db.EachDelivery(w.t.Context(), tester, mailer.DeliveryFilter{Campaign: id, State: ""}, func(r mailer.DeliveryView) error {
		taken := has[r.Person.Email]
		if wrong := taken != (r.State == mailer.StateAccepted); wrong && r.State != mailer.StateUnknown {
			w.t.Errorf("%s is %s, and taken is %v", r.Person.Email, r.State, taken)
		}
		return nil
	}))
}

// TestStreamDrops: connections that are cut, closed and refused all the time lose
// nobody and reach nobody twice; unknown are at most as many as were in flight.
func TestStreamDrops(t *testing.T) {
	t.Parallel()
	const people = 300
	w := newWorld(t, people,
		"dot,every=41:take-drop", "dot,every=53:drop", "rcpt,every=67:reset", "mail,every=31:421 4.3.2 bye", "rcpt,every=29:450 4.2.1 busy", "rcpt=p00?@*:550 5.1.1 unknown")
	id := w.started(mailer.Campaign{})
	db := watch(w.db)
	for range 60 {
		w.run(w.runner(db, streaming))
		counts, err := w.db.Counts(t.Context(), id)
		must(t, err)
		if counts.Pending() == 0 {
			break
		}
		w.clock.advance(time.Minute)
	}
	counts, err := w.db.Counts(t.Context(), id)
	must(t, err)
	cuts := w.inbox.Counts().Dropped
	if n := counts[mailer.StateUnknown]; counts.Pending() > 0 || counts[mailer.StateRejected] != 9 || n < 1 || n > intents*cuts || counts[mailer.StateAccepted] != people-9-n {
		t.Errorf("after %d cuts: %s", cuts, show(counts))
	}
	if db.most > connections*intents {
		t.Errorf("%d deliveries were in sending at once", db.most)
	}
	w.asTheReceiverSaw(id)
	w.nothingHeld(id)
}

// TestStreamLimits: a connection takes no more messages than it may, by our limit
// or by the relay's, and the others go out on new ones.
func TestStreamLimits(t *testing.T) {
	t.Parallel()
	const people, limit = 47, 10
	for name, tc := range map[string]struct {
		relay sink.Options
		own   int
	}{
		"ours":   {own: limit},
		"theirs": {relay: sink.Options{MaxMessages: limit}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, people)
			must(t, w.inbox.Close())
			w.inbox.addr = "127.0.0.1:0"
			w.listen(tc.relay)
			id := w.started(mailer.Campaign{})
			for range 10 {
				w.run(w.runner(w.db, streaming, single, func(r *relay) { r.MessagesPerConnection = tc.own }))
				w.clock.advance(time.Minute) // for those that were told 421
			}
			w.onceEach(people)
			w.counts(id, mailer.Counts{mailer.StateAccepted: people})
			if n := w.inbox.Counts().Connections; n < (people+limit-1)/limit {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestStreamHalts: after a stop, a pause or the end of the window nothing leaves
// but what was in flight.
func TestStreamHalts(t *testing.T) {
	t.Parallel()
	const people = 100
	for name, halt := range map[string]func(w *world, id string, stop func()){
		"stop":   func(_ *world, _ string, stop func()) { stop() },
		"window": func(w *world, _ string, _ func()) { w.clock.advance(6 * time.Hour) },
		"pause": func(w *world, id string, _ func()) {
			if err := w.db.Pause(context.Background(), tester, id, "by hand"); err != nil {
				w.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, people)
			id := w.started(mailer.Campaign{Window: mailer.WindowSpec{Hours: "09:00-18:00", Days: "weekdays"}})
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			w.at(9, func() { halt(w, id, stop) })
			sum, err := w.runner(w.db, streaming).Run(ctx, "")
			must(t, err)
			taken := int64(w.inbox.count())
			// Those in flight, and those whose intents were being committed.
			if sum.Accepted != taken || taken > 9+2*connections*intents {
				t.Errorf("%d messages came: %+v", taken, sum)
			}
			w.counts(id, mailer.Counts{mailer.StateAccepted: taken, mailer.StateQueued: people - taken})
			w.nothingHeld(id)
		})
	}
}

// TestStreamLedgerFails: what the ledger could not take is recorded as soon as it
// can be, for all in flight; intents that it refused send nothing.
func TestStreamLedgerFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	id := w.started(mailer.Campaign{})
	w.refuse(12, mailer.StateAccepted)
	r := w.runner(mending{w.db, sync.OnceFunc(func() { w.sql("DROP TRIGGER refuse") })}, streaming)
	if _, err := r.Run(t.Context(), ""); err == nil {
		t.Error("the run went on over an outcome that was not recorded")
	}
	taken := int64(w.inbox.count())
	w.counts(id, mailer.Counts{mailer.StateAccepted: taken, mailer.StateQueued: 60 - taken})
	w.asTheReceiverSaw(id)
	w.nothingHeld(id)
}

// TestStreamDeadWorker: of a worker that dies with messages in flight these are
// unknown, and only these.
func TestStreamDeadWorker(t *testing.T) {
	t.Parallel()
	const people = 60
	w := newWorld(t, people, "dot=p02?@*:stall")
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db, streaming, single, func(r *relay) { r.Grace = 10 * time.Millisecond })
	r.Options.StopGrace = 10 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w.at(19, stop)
	_, _ = r.Run(ctx, "") // cut in the middle, it cannot record what came of them
	counts, err := w.db.Counts(t.Context(), id)
	must(t, err)
	if n := counts[mailer.StateUnknown] + counts[mailer.StateSending]; n < 1 || n > intents {
		t.Errorf("%s", show(counts))
	}
	must(t, w.inbox.Close())
	w.listen(sink.Options{})
	w.clock.advance(2 * time.Hour) // the lease lapses
	w.run(w.runner(w.open(), streaming))
	w.noneTwice()
	after, err := w.db.Counts(t.Context(), id)
	must(t, err)
	if n := after[mailer.StateUnknown]; n < 1 || n > intents || after[mailer.StateAccepted] != people-n {
		t.Errorf("in the end %s", show(after))
	}
	w.asTheReceiverSaw(id)
}
