package send_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/mailer/sink"
	"oshirase/store"
)

// shown is what status in another process shows once a runner has said what keeps
// it from sending.
type shown struct {
	groups []mailer.GroupStatus
	relays []mailer.Wait
}

// telling passes on what is shown each time that the runner says something.
type telling struct {
	*store.DB
	other    *store.DB
	campaign string
	shown    chan<- shown
}

func (l telling) SetWaits(ctx context.Context, session int64, until time.Time, list []mailer.Wait) error {
	err := l.DB.SetWaits(ctx, session, until, list)
	if err != nil {
		return err
	}
	st, err := l.other.Status(ctx, l.campaign)
	if err != nil {
		return err
	}
	relays, err := l.other.RelayWaits(ctx)
	if err == nil {
		l.shown <- shown{st[0].Groups, relays}
	}
	return err
}

// serving serves until the test is over, with a clock that goes.
func (w *world) serving(id string) (*send.Runner, <-chan shown, func()) {
	w.t.Helper()
	said := make(chan shown, 1000)
	w.clock.run()
	r := w.runner(telling{w.db, w.open(), id, said})
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	return r, said, func() {
		go func() { done <- r.Serve(ctx, func(*mailer.Campaign) bool { return true }) }()
		w.t.Cleanup(func() {
			stop()
			must(w.t, <-done)
		})
	}
}

// TestRestingGroupIsShown: while a group rests, status in another process says so,
// and afterwards no longer. It is not parallel: nobody else may get the receiver's
// port meanwhile.
func TestRestingGroupIsShown(t *testing.T) {
	w := newWorld(t, 40, "rcpt=p02?@*:450 4.7.1 too many from you to <p029@mail.example>")
	id := w.started(mailer.Campaign{})
	w.sql(`UPDATE delivery SET grp = 'slow' WHERE id BETWEEN 20 AND 29`)
	r, said, serve := w.serving(id)
	r.Options.Retry = []time.Duration{300 * time.Millisecond} // until three ask for patience at once
	serve()

	got := (<-said).groups
	for len(got) == 0 { // the campaign as a whole may wait first
		got = (<-said).groups
	}
	if len(got) != 1 || got[0].Name != "slow" || len(got[0].Waits) != 1 {
		t.Fatalf("%+v", got)
	}
	o := got[0].Waits[0]
	if o.Reason != mailer.WaitRest || !strings.HasPrefix(o.Reply, "450 4.7.1 too many from you to <") {
		t.Errorf("%+v", o)
	}
	if o.Since.Before(noon) || o.Until.Sub(o.Since) < time.Second || o.Until.Sub(o.Since) > time.Minute {
		t.Errorf("from %v until %v", o.Since, o.Until)
	}
	if n := got[0].Queued + got[0].Deferred.N + got[0].Held; n < 1 || n > 10 || got[0].Deferred.More {
		t.Errorf("%d wait: %+v", n, got[0])
	}
	w.inbox.wait(30) // the others

	w.inbox.Close()
	w.listen(sink.Options{})
	for len(got) > 0 {
		got = (<-said).groups
	}
	w.inbox.wait(40)
}

// TestRelayThatIsDownIsShown: with the error, and no longer once it is there. It is
// not parallel, for the same reason.
func TestRelayThatIsDownIsShown(t *testing.T) {
	w := newWorld(t, 5)
	id := w.started(mailer.Campaign{})
	w.inbox.Close()
	_, said, serve := w.serving(id)
	serve()
	got := (<-said).relays
	for len(got) == 0 {
		got = (<-said).relays
	}
	if len(got) != 1 || got[0].Name != "main" || got[0].Reason != mailer.WaitDown || !strings.Contains(got[0].Reply, "refused") {
		t.Fatalf("%+v", got)
	}
	if o := got[0]; o.Since.Before(noon) || !o.Until.IsZero() && !o.Until.After(o.Since) {
		t.Errorf("from %v until %v", o.Since, o.Until)
	}
	w.listen(sink.Options{})
	w.inbox.wait(5)
	for len(got) > 0 {
		got = (<-said).relays
	}
}

// TestStopTakesBackWhatWasShown: a session of a daemon that ended says nothing.
func TestStopTakesBackWhatWasShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5)
	id := w.started(mailer.Campaign{})
	w.inbox.addr = deadAddress(t)
	w.clock.run()
	said := make(chan shown, 1000)
	r := w.runner(telling{w.db, w.open(), id, said})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Serve(ctx, func(*mailer.Campaign) bool { return true }) }()
	for len((<-said).relays) == 0 { // the campaign as a whole may wait first
	}
	stop()
	must(t, <-done)
	relays, err := w.open().RelayWaits(t.Context())
	must(t, err)
	if len(relays) > 0 {
		t.Errorf("%+v", relays)
	}
}

// TestHeldGroupIsShown: a group that is held since a relay refuses us there is shown with
// the codes of its reply, in another process.
func TestHeldGroupIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 40, "rcpt=p02?@*:554 5.7.1 Relay access denied")
	id := w.started(mailer.Campaign{})
	w.grouped("slow", 20, 29)
	_, said, serve := w.serving(id)
	serve()
	got := (<-said).groups
	for len(got) == 0 {
		got = (<-said).groups
	}
	if len(got) != 1 || got[0].Name != "slow" || got[0].Queued+got[0].Held != 10 {
		t.Fatalf("%+v", got)
	}
	if o := got[0].Waits[0]; o.Reason != mailer.WaitRefused || o.Reply != "554 5.7.1" || o.Since.Before(noon) {
		t.Errorf("%+v", o)
	}
	w.inbox.wait(30)
}
