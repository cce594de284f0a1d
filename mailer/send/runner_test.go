package send_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/mailer/sink"
	"oshirase/store"
	"oshirase/torture/mailertest"
)

func TestRunSendsToEachOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 45)
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db)
	var progress atomic.Int64
	r.Options.Batch = 7
	r.Options.Progress = func(done int64) {
		for {
			most := progress.Load()
			if done <= most || progress.CompareAndSwap(most, done) {
				return
			}
		}
	}
	if sum := w.run(r); sum.Accepted != 45 || sum.Remaining != 0 || len(sum.Waits) > 0 {
		t.Errorf("%+v", sum)
	}
	w.onceEach(45)
	w.counts(id, mailer.Counts{mailer.StateAccepted: 45})
	w.phase(id, mailer.PhaseFinished)
	w.nothingHeld(id)
	if progress.Load() != 45 {
		t.Errorf("progress ended at %d", progress.Load())
	}
	if sum := w.run(r); sum.Accepted+sum.Remaining != 0 || w.inbox.count() != 45 {
		t.Errorf("a second run: %+v", sum)
	}
}

// TestFaults: what each misbehaviour of a relay comes to.
func TestFaults(t *testing.T) {
	t.Parallel()
	const who = "=p003@*"
	tests := []struct {
		fault string
		want  mailer.State
		taken int // messages that the receiver has
	}{
		{"mail:550 5.7.1 sender refused", mailer.StateQueued, 0}, // a matter between us and the relay
		{"rcpt" + who + ":550 5.1.1 unknown", mailer.StateRejected, 4},
		{"rcpt" + who + ":450 4.2.1 busy", mailer.StateDeferred, 4},
		{"rcpt" + who + ":drop", mailer.StateDeferred, 4},
		{"data" + who + ":554 5.6.0 no", mailer.StateRejected, 4},
		{"data" + who + ":451 4.3.0 later", mailer.StateDeferred, 4},
		{"dot" + who + ":554 5.6.0 no", mailer.StateRejected, 4},
		{"dot" + who + ":452 4.3.1 full", mailer.StateDeferred, 4},
		{"dot" + who + ":take-drop", mailer.StateUnknown, 5},
		{"dot" + who + ":drop", mailer.StateUnknown, 4},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 5, tt.fault)
			id := w.started(mailer.Campaign{})
			w.run(w.runner(w.db))
			want := mailer.Counts{tt.want: 1, mailer.StateAccepted: 4}
			if strings.HasPrefix(tt.fault, "mail") {
				want = mailer.Counts{tt.want: 5}
			}
			w.counts(id, want)
			w.onceEach(tt.taken)
			w.nothingHeld(id)
			w.run(w.runner(w.db)) // nothing of it is tried again at once
			w.counts(id, want)
			w.onceEach(tt.taken)
		})
	}
}

// TestPause: once another process has paused, no more leaves than was on the
// wire then.
func TestPause(t *testing.T) {
	t.Parallel()
	const people = 60
	w := newWorld(t, people)
	id := w.started(mailer.Campaign{})
	other := w.open()
	var atPause int
	w.at(5, func() {
		if err := other.Pause(context.Background(), tester, id, "by hand"); err != nil {
			t.Error(err)
		}
		atPause = w.inbox.count()
	})
	r := w.runner(w.db)
	sum := w.run(r)
	taken := w.inbox.count()
	if taken > atPause+connections {
		t.Errorf("%d messages had come when the pause was over, and %d in the end", atPause, taken)
	}
	if sum.Accepted != int64(taken) {
		t.Errorf("%d are accepted, %d came", sum.Accepted, taken)
	}
	w.phase(id, mailer.PhasePaused)
	w.nothingHeld(id)
	w.counts(id, mailer.Counts{mailer.StateAccepted: int64(taken), mailer.StateQueued: people - int64(taken)})

	if sum := w.run(r); sum.Accepted != 0 {
		t.Errorf("a paused campaign went on: %+v", sum)
	}
	must(t, other.Resume(t.Context(), tester, id))
	w.run(r)
	w.onceEach(people)
	w.phase(id, mailer.PhaseFinished)
}

func TestCancelInMidRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	id := w.started(mailer.Campaign{})
	other := w.open()
	var atCancel int64
	w.at(5, func() {
		if err := other.Cancel(context.Background(), actor("佐藤"), id); err != nil {
			t.Error(err)
		}
		atCancel = int64(w.inbox.count())
	})
	w.run(w.runner(w.db))
	taken := int64(w.inbox.count())
	w.counts(id, mailer.Counts{mailer.StateAccepted: taken, mailer.StateCancelled: 60 - taken})
	w.noneTwice()
	if taken > atCancel+connections {
		t.Errorf("%d messages had come when the campaign was cancelled, and %d in the end", atCancel, taken)
	}
}

// TestWindowClosesInMidRun: the run ends with the window, and the next one
// begins with it.
func TestWindowClosesInMidRun(t *testing.T) {
	t.Parallel()
	const people = 60
	w := newWorld(t, people)
	w.clock.advance(5*time.Hour + 59*time.Minute) // 17:59
	id := w.started(mailer.Campaign{Window: mailer.WindowSpec{Hours: "09:00-18:00", Days: "weekdays"}})
	w.at(5, func() { w.clock.advance(time.Minute) })
	r := w.runner(w.db)
	sum := w.run(r)
	taken := w.inbox.count()
	if taken < 5 || taken > 5+2*connections {
		t.Errorf("%d messages came though the window closed at the fifth", taken)
	}
	if got := sum.Waits[id]; got.Reason != mailer.WaitWindow || !got.Until.Equal(time.Date(2026, 11, 25, 9, 0, 0, 0, mailer.JST)) {
		t.Errorf("it waits for %+v", got)
	}
	w.nothingHeld(id)
	w.counts(id, mailer.Counts{mailer.StateAccepted: int64(taken), mailer.StateQueued: people - int64(taken)})

	w.clock.advance(15*time.Hour - time.Second)
	if sum := w.run(r); sum.Accepted != 0 {
		t.Errorf("a second before nine: %+v", sum)
	}
	w.clock.advance(time.Second)
	w.run(r)
	w.onceEach(people)
	w.phase(id, mailer.PhaseFinished)
}

// paced lets the time pass that a limit asks for, once all that was granted
// before has come.
type paced struct {
	*store.DB
	w       *world
	granted *int
}

func (p paced) Reserve(ctx context.Context, now time.Time, n int, limits []mailer.Limit) (mailer.Grant, error) {
	g, err := p.DB.Reserve(ctx, now, n, limits)
	*p.granted += g.N
	if g.N == 0 {
		p.w.inbox.wait(*p.granted)
		p.w.clock.advance(g.Wait)
	}
	return g, err
}

// TestPerHour: 720 an hour is one every five seconds, whoever sets the limit.
func TestPerHour(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*send.Runner, *mailer.Campaign){
		"of the campaign": func(_ *send.Runner, c *mailer.Campaign) { c.PerHour = 720 },
		"of all":          func(r *send.Runner, _ *mailer.Campaign) { r.Options.PerHour = 720 },
	}
	for name, limit := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 6)
			r := w.runner(paced{w.db, w, new(int)})
			var c mailer.Campaign
			limit(r, &c)
			w.started(c)
			w.run(r)
			w.onceEach(6)
			got := w.inbox.arrivals()
			for i := 1; i < len(got); i++ {
				if gap := got[i].at.Sub(got[i-1].at); gap < 5*time.Second-10*time.Millisecond || gap > 6*time.Second {
					t.Errorf("message %d came %v after the one before", i+1, gap)
				}
			}
		})
	}
}

// ticking lets a minute pass each time that the runner looks for campaigns, once
// all that was claimed before has come.
type ticking struct {
	*store.DB
	w       *world
	claimed *int
}

func (l ticking) Claim(ctx context.Context, id string, now, until time.Time, n int, skip []string) (*mailer.Lease, error) {
	lease, err := l.DB.Claim(ctx, id, now, until, n, skip)
	if lease != nil {
		*l.claimed += len(lease.Deliveries)
	}
	return lease, err
}

func (l ticking) Running(ctx context.Context) ([]mailer.Backlog, error) {
	l.w.inbox.wait(*l.claimed)
	l.w.clock.advance(time.Minute)
	return l.DB.Running(ctx)
}

func TestBatchPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 9)
	w.started(mailer.Campaign{})
	r := w.runner(ticking{w.db, w, new(int)})
	r.Options.Batch, r.Options.BatchPause = 3, 150*time.Second
	w.run(r)
	w.onceEach(9)
	batches := map[time.Time]int{}
	for _, a := range w.inbox.arrivals() {
		batches[a.at]++
	}
	var last time.Time
	for at := noon; len(batches) > 0; at = at.Add(time.Minute) {
		n, sent := batches[at]
		if !sent {
			continue
		}
		delete(batches, at)
		if n != 3 || !last.IsZero() && at.Sub(last) < 150*time.Second {
			t.Errorf("%d messages at %v, the ones before at %v", n, at, last)
		}
		last = at
	}
}

// TestRetryUntilTheDeadline: the waits of the schedule, the last of them again
// and again, until there is no time for another.
func TestRetryUntilTheDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, "rcpt=p001@*:450 4.2.1 busy")
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db)
	r.Options.Retry, r.Options.Deadline = []time.Duration{time.Minute, 5 * time.Minute}, 15*time.Minute
	for i, wait := range []time.Duration{time.Minute, 5 * time.Minute, 5 * time.Minute} {
		if sum := w.run(r); sum.Deferred != 1 || sum.Remaining != 1 || sum.Waits[id].Reason != mailer.WaitRetry {
			t.Fatalf("attempt %d: %+v", i+1, sum)
		}
		due, ok, err := w.db.NextDue(t.Context(), id)
		must(t, err)
		if got := due.Sub(w.clock.now()); !ok || got != wait {
			t.Fatalf("attempt %d: the next is due in %v, want %v", i+1, got, wait)
		}
		w.clock.advance(wait - time.Second)
		if sum := w.run(r); sum.Deferred != 1 || w.inbox.Counts().Deferred != int64(i+1) {
			t.Fatalf("tried before its time: %+v", sum)
		}
		w.clock.advance(time.Second)
	}
	if sum := w.run(r); sum.Deferred != 0 || sum.Rejected != 1 || sum.Remaining != 0 {
		t.Errorf("after the deadline: %+v", sum)
	}
	w.counts(id, mailer.Counts{mailer.StateAccepted: 1, mailer.StateExpired: 1})
	w.phase(id, mailer.PhaseFinished)
	if n := w.inbox.Counts().Deferred; n != 4 {
		t.Errorf("%d attempts", n)
	}
}

// TestRelayGoesAndComesBack: a run that had a connection waits for another. It is
// not parallel: nobody else may get the relay's port meanwhile.
func TestRelayGoesAndComesBack(t *testing.T) {
	const people = 60
	w := newWorld(t, people)
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db)
	r.Options.Now = time.Now // the pool's back-off has the real clock
	gone := make(chan struct{})
	w.at(20, func() { close(gone) })
	done := make(chan error, 1)
	go func() {
		_, err := r.Run(context.Background(), "")
		done <- err
	}()
	<-gone
	w.inbox.Close()
	w.listen(sink.Options{})
	must(t, <-done)
	counts, err := w.db.Counts(t.Context(), id)
	must(t, err)
	unknown := counts[mailer.StateUnknown]
	if unknown > connections || counts[mailer.StateAccepted]+unknown != people {
		t.Errorf("%v", counts)
	}
	w.noneTwice()
	if n := int64(w.inbox.count()); n < counts[mailer.StateAccepted] || n > people {
		t.Errorf("%d messages came for %v", n, counts)
	}
	w.nothingHeld(id)
}

// TestRelayNeverComes: a run that never had a connection gives up soon.
func TestRelayNeverComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 30)
	id := w.started(mailer.Campaign{})
	w.inbox.addr = deadAddress(t)
	r := w.runner(w.db)
	r.Options.Now = time.Now
	began := time.Now()
	sum, err := r.Run(t.Context(), "")
	if _, down := errors.AsType[*mailer.RelayDown](err); !down {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v to say so", took)
	}
	if sum.Remaining != 30 {
		t.Errorf("%+v", sum)
	}
	w.counts(id, mailer.Counts{mailer.StateQueued: 30})
	w.nothingHeld(id)
}

// TestStop: what is on the wire is finished and recorded, nothing is left behind.
func TestStop(t *testing.T) {
	t.Parallel()
	const people = 60
	for range 3 {
		w := newWorld(t, people)
		id := w.started(mailer.Campaign{})
		ctx, stop := context.WithCancel(t.Context())
		w.at(5, stop)
		sum, err := w.runner(w.db).Run(ctx, "")
		stop()
		must(t, err)
		taken := int64(w.inbox.count())
		if sum.Accepted != taken || sum.Remaining != people-taken || taken > 5+2*connections {
			t.Errorf("%d messages came: %+v", taken, sum)
		}
		w.counts(id, mailer.Counts{mailer.StateAccepted: taken, mailer.StateQueued: people - taken})
		w.nothingHeld(id)
		w.run(w.runner(w.open()))
		w.onceEach(people)
	}
}

// TestCutCostsNobodyElse: a connection that breaks over one message, with or
// without a word, is no attempt of the one whose envelope is behind it.
func TestCutCostsNobodyElse(t *testing.T) {
	t.Parallel()
	const people = 60
	w := newWorld(t, people, "dot=p??0@*:drop", "dot=p??3@*:take-drop", "dot=p??6@*,first=1:421 4.3.2 closing")
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db)
	r.Options.Retry = []time.Duration{time.Hour}
	w.run(r)
	w.counts(id, mailer.Counts{mailer.StateAccepted: people * 7 / 10, mailer.StateUnknown: people * 2 / 10, mailer.StateDeferred: people / 10})
}

// TestSlowReplyHoldsNobody: while a relay takes its time over one message, all
// others are sent but the one whose envelope is behind it on that connection.
func TestSlowReplyHoldsNobody(t *testing.T) {
	t.Parallel()
	const people = 40
	w := newWorld(t, people)
	w.started(mailer.Campaign{})
	w.at(10, func() {
		if !w.inbox.waitFor(people-1, 20*time.Second) {
			t.Errorf("only %d of %d messages came while one reply was awaited", w.inbox.count(), people-1)
		}
	})
	w.run(w.runner(w.db))
	w.onceEach(people)
}

func TestTwoRunners(t *testing.T) {
	t.Parallel()
	const people = 200
	w := newWorld(t, people)
	w.load("sports", people)
	a, b := w.started(mailer.Campaign{}), w.started(mailer.Campaign{Merchant: "sports"})
	var accepted atomic.Int64
	var both sync.WaitGroup
	for range 2 {
		r := w.runner(w.open())
		both.Go(func() {
			sum, err := r.Run(t.Context(), "")
			if err != nil {
				t.Error(err)
			}
			accepted.Add(sum.Accepted)
		})
	}
	both.Wait()
	w.run(w.runner(w.db)) // a runner ends when the rest is in the other's hands
	if n := w.inbox.count(); n != 2*people {
		t.Errorf("%d messages came", n)
	}
	seen := map[string]bool{}
	for _, m := range w.inbox.arrivals() {
		if seen[m.sender] {
			t.Errorf("two messages from %s", m.sender)
		}
		seen[m.sender] = true
	}
	for _, id := range []string{a, b} {
		w.counts(id, mailer.Counts{mailer.StateAccepted: people})
		w.phase(id, mailer.PhaseFinished)
	}
	if accepted.Load() != 2*people {
		t.Errorf("the two say that %d were accepted", accepted.Load())
	}
}

// newer has other built-in templates than the check used.
type newer struct{ mailer.Templates }

func (newer) Digest() string { return "another program" }

func TestNewerTemplatesVoid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	id := w.started(mailer.Campaign{})
	r := w.runner(w.db)
	r.Notices = newer{w.set}
	w.run(r)
	if c := w.phase(id, mailer.PhaseDraft); !strings.Contains(c.Reason, "templates") {
		t.Errorf("the reason is %q", c.Reason)
	}
	w.onceEach(0)
}

// TestServeStartsWhatIsDue: a campaign with a time begins by itself when that
// has come.
func TestServeStartsWhatIsDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	id, res := w.checked(mailer.Campaign{At: noon.Add(time.Hour)})
	_, err := w.db.Approve(t.Context(), actor("佐藤"), []string{id}, res.Sendable, mailertest.ByName(1), mailer.Signed{})
	must(t, err)
	w.phase(id, mailer.PhaseScheduled)
	ctx, stop := context.WithCancel(t.Context())
	all := make(chan struct{})
	w.at(5, func() { close(all) })
	r := w.runner(ticking{w.db, w, new(int)})
	done := make(chan error)
	go func() { done <- r.Serve(ctx, func(*mailer.Campaign) bool { return true }) }()
	w.clock.advance(59 * time.Minute)
	<-all
	stop()
	must(t, <-done)
	for _, a := range w.inbox.arrivals() {
		if a.at.Before(noon.Add(time.Hour)) {
			t.Errorf("a message left at %v", a.at)
		}
	}
	w.onceEach(5)
	w.nothingHeld(id)
}

// TestCampaignWhoseTimePassed waits for a person.
func TestCampaignWhoseTimePassed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	id, res := w.checked(mailer.Campaign{At: noon.Add(time.Hour)})
	_, err := w.db.Approve(t.Context(), actor("佐藤"), []string{id}, res.Sendable, mailertest.ByName(1), mailer.Signed{})
	must(t, err)
	w.clock.advance(time.Hour + time.Hour + time.Second)
	r := w.runner(w.db)
	w.run(r)
	if c := w.phase(id, mailer.PhaseOverdue); c.Reason == "" {
		t.Error("no reason")
	}
	w.onceEach(0)
	must(t, w.db.Start(t.Context(), tester, id, false))
	w.run(r)
	w.onceEach(5)
}
