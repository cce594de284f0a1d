package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/store"
)

// refusal is an outcome that says nothing about the person.
func refusal(d *mailer.Delivery, p mailer.Point, held mailer.Held) mailer.Record {
	r := outcome(d, mailer.StateQueued, p)
	r.Outcome.Code, r.Outcome.Enhanced, r.Outcome.Text, r.Outcome.Held = 554, "5.7.1", "Relay access denied", held
	return r
}

// shown is how a delivery is shown, by its ID.
func (e *env) shown(campaign string, id int64) (view mailer.DeliveryView) {
	e.tb.Helper()
	must(e.tb, e.EachDelivery(context.Background(), tester, mailer.DeliveryFilter{Campaign: campaign}, func(d mailer.DeliveryView) error {
		if d.ID == id {
			view = d
		}
		return nil
	}))
	return view
}

// TestRefusalMovesNobody: at whatever point a relay refuses us, the delivery is queued,
// without an attempt, its history says why, and it is claimed again.
func (s suite) TestRefusalMovesNobody(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(6)
	l := claim(t, e.DB, id, 6)
	d := l.Deliveries
	for _, err := range e.Record(ctx, intent(&d[1]), intent(&d[2]), intent(&d[3])) {
		must(t, err)
	}
	dot := refusal(&d[1], mailer.AtDot, "")
	dot.Intended = true
	for _, err := range e.Record(ctx, refusal(&d[0], mailer.AtRcpt, ""), dot, refusal(&d[4], mailer.AtConnect, mailer.HeldCompose)) {
		must(t, err)
	}
	held := refusal(&d[2], mailer.AtDot, mailer.HeldRefused)
	held.Intended = true
	must(t, e.Record(ctx, held)[0])
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateClaimed: 3, mailer.StateSending: 1, mailer.StateQueued: 2})
	for i, want := range []struct {
		kind mailer.EventKind
		held mailer.Held
	}{{mailer.EventRefusal, ""}, {mailer.EventRefusal, ""}, {mailer.EventHold, mailer.HeldRefused}, {}, {mailer.EventHold, mailer.HeldCompose}} {
		v := e.shown(id, d[i].ID)
		if want.kind != "" && (v.Attempts != 0 || !v.FirstAt.IsZero() || v.Held != want.held || v.Reply() != "554 5.7.1 Relay access denied") {
			t.Errorf("%d: %+v", i, v)
		}
		matches, err := e.Lookup(ctx, tester, mailer.Query{Ref: v.Ref})
		must(t, err)
		if events := matches[0].Notices[0].Events; want.kind != "" && (len(events) != 1 || events[0].Kind != want.kind || events[0].State != mailer.StateQueued) {
			t.Errorf("%d: %+v", i, events)
		}
	}
	must(t, errors.Join(e.Record(ctx, outcome(&d[3], mailer.StateAccepted, mailer.AtDot))...))
	must(t, e.Release(ctx, l.Epoch))
	if l = claim(t, e.DB, id, 6); len(l.Deliveries) != 3 {
		t.Errorf("%d are claimed again, want all but those that are held and told", len(l.Deliveries))
	}
	st, err := e.Status(ctx, id)
	must(t, err)
	if st[0].Held.Total() != 2 {
		t.Errorf("%d held", st[0].Held.Total())
	}
	must(t, e.Release(ctx, l.Epoch))

	// A pause and a resume have them sent again.
	must(t, e.Pause(ctx, tester, id, "stop"))
	must(t, e.Resume(ctx, tester, id))
	if l = claim(t, e.DB, id, 6); len(l.Deliveries) != 5 {
		t.Errorf("%d are claimed after the resume", len(l.Deliveries))
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateClaimed: 5, mailer.StateAccepted: 1})
}

// TestLateRefusal: one that comes when the lease has lapsed settles the unknown delivery:
// it is due at once, and lost to nobody. In a cancelled campaign it is cancelled.
func (s suite) TestLateRefusal(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	l := claim(t, e.DB, id, 3)
	d := l.Deliveries
	for _, err := range e.Record(ctx, intent(&d[0]), intent(&d[1])) {
		must(t, err)
	}
	e.clock.set(t0.Add(2 * time.Minute))
	_, err := e.Recover(ctx, e.clock.Now(), false)
	must(t, err)
	must(t, e.Record(ctx, refusal(&d[0], mailer.AtDot, ""))[0])
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateDeferred: 1, mailer.StateUnknown: 1, mailer.StateQueued: 1})
	l, err = e.Claim(ctx, id, e.clock.Now(), e.clock.Now().Add(time.Minute), 3, nil)
	must(t, err)
	if len(l.Deliveries) != 2 {
		t.Errorf("%d due", len(l.Deliveries))
	}
	must(t, e.Cancel(ctx, tester, id))
	must(t, e.Record(ctx, refusal(&d[1], mailer.AtDot, ""))[0])
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateCancelled: 3})
}

// TestRequeue: what was refused or has expired is sent again because a person says so,
// with a deadline of its own, and in a finished campaign too; in no other phase.
func (s suite) TestRequeue(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	const people = 100
	id := e.campaign(people)
	l := claim(t, e.DB, id, people)
	var records []mailer.Record
	for i := range l.Deliveries {
		state := []mailer.State{mailer.StateRejected, mailer.StateExpired}[i%2]
		records = append(records, outcome(&l.Deliveries[i], state, mailer.AtRcpt))
	}
	for _, err := range e.Record(ctx, records...) {
		must(t, err)
	}
	must(t, e.Release(ctx, l.Epoch))
	must(t, e.Settle(ctx, id))
	one := e.shown(id, l.Deliveries[0].ID)
	for _, bad := range []struct {
		state mailer.State
		ref   string
		want  error
	}{
		{mailer.StateAccepted, "", mailer.ErrInvalid},
		{mailer.StateUnknown, "", mailer.ErrInvalid},
		{mailer.StateExpired, one.Ref, mailer.ErrNotFound},
		{mailer.StateQueued, one.Ref, mailer.ErrNotFound},
	} {
		if n, err := e.Requeue(ctx, tester, id, bad.state, bad.ref); n != 0 || !errors.Is(err, bad.want) {
			t.Errorf("%+v: %d, %v", bad, n, err)
		}
	}
	if n, err := e.Requeue(ctx, tester, id, mailer.StateQueued, ""); n != 0 || err != nil {
		t.Errorf("nothing is held: %d, %v", n, err)
	}
	e.wantPhase(id, mailer.PhaseFinished)
	n, err := e.Requeue(ctx, tester, id, mailer.StateRejected, one.Ref)
	must(t, err)
	e.wantPhase(id, mailer.PhaseRunning)
	rest, err := e.Requeue(ctx, tester, id, mailer.StateRejected, "")
	must(t, err)
	if n != 1 || rest != people/2-1 {
		t.Errorf("%d and %d", n, rest)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: people / 2, mailer.StateExpired: people / 2})
	var largest int
	must(t, e.sql().Get(&largest, `SELECT max(n) FROM chunk`))
	if largest > 32 {
		t.Errorf("a chunk of %d", largest)
	}
	st, err := e.Status(ctx, id)
	must(t, err)
	if !st[0].EndedAt.IsZero() {
		t.Errorf("ended at %v", st[0].EndedAt)
	}
	if v := e.shown(id, one.ID); v.Attempts != 1 || !v.FirstAt.IsZero() {
		t.Errorf("%+v", v)
	}
	l = claim(t, e.DB, id, 1)
	if d := l.Deliveries[0]; !d.FirstAt.IsZero() {
		t.Errorf("its deadline began at %v", d.FirstAt)
	}
	acts := 0
	must(t, e.EachAct(ctx, func(a mailer.Act) error {
		if a.Action == mailer.ActRequeue && a.By == tester.Name {
			acts++
		}
		return nil
	}))
	if acts != 3 { // one for the call that found nothing
		t.Errorf("%d acts", acts)
	}

	must(t, e.Pause(ctx, tester, id, "stop"))
	if n, err := e.Requeue(ctx, tester, id, mailer.StateExpired, ""); n != people/2 || err != nil {
		t.Errorf("paused: %d, %v", n, err)
	}
	e.wantPhase(id, mailer.PhasePaused)
	must(t, e.Void(ctx, tester, id, "changed"))
	for _, phase := range []mailer.Phase{mailer.PhaseDraft, mailer.PhaseCancelled} {
		e.wantPhase(id, phase)
		if _, err := e.Requeue(ctx, tester, id, mailer.StateRejected, ""); !errors.Is(err, mailer.ErrConflict) {
			t.Errorf("%s: %v", phase, err)
		}
		if phase == mailer.PhaseDraft {
			must(t, e.Cancel(ctx, tester, id))
		}
	}
}

// TestHalt: a pause by the program has its reason, until somebody resumes; one that comes
// late changes nothing.
func (s suite) TestHalt(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(2)
	why := mailer.Halt{Why: mailer.HaltGroups, Relay: "main", Code: 554, Enhanced: "5.7.1", Groups: []string{"docomo", "gmail"}, Count: 3}
	must(t, e.Halt(ctx, id, why, "refused"))
	must(t, e.Halt(ctx, id, mailer.Halt{Why: mailer.HaltFirst}, "late"))
	st, err := e.Status(ctx, id)
	must(t, err)
	if c := st[0]; c.Phase != mailer.PhasePaused || c.Reason != "refused" || c.Halt.Why != why.Why || len(c.Halt.Groups) != 2 || c.Halt.Reply() != "554 5.7.1" {
		t.Errorf("%+v", c.Campaign)
	}
	if w := st[0].NeedsPerson(t0); w.Reason != mailer.WaitHalted {
		t.Errorf("%+v", w)
	}
	must(t, e.Resume(ctx, tester, id))
	c, err := e.Campaign(ctx, id)
	must(t, err)
	if !c.Halt.IsZero() || c.Reason != "" {
		t.Errorf("%+v", c)
	}
}

// TestCheckAnewAfterRefusals: who was refused for our sake, or is held, is frozen anew by
// a check, so that what was mended is what is sent.
func (s suite) TestCheckAnewAfterRefusals(t *testing.T) {
	ctx := context.Background()
	e := s.openWith(t, store.Options{Durability: "normal"})
	id := e.campaign(4)
	l := claim(t, e.DB, id, 4)
	d := l.Deliveries
	for _, err := range e.Record(ctx, refusal(&d[0], mailer.AtRcpt, ""), refusal(&d[1], mailer.AtConnect, mailer.HeldCompose),
		outcome(&d[2], mailer.StateDeferred, mailer.AtRcpt)) {
		must(t, err)
	}
	must(t, e.Release(ctx, l.Epoch))
	must(t, e.Pause(ctx, tester, id, "stop"))
	if res := e.check(id, nil); res.Sendable != 3 {
		t.Errorf("%d are frozen anew", res.Sendable)
	}
	var hashes int
	must(t, e.sql().Get(&hashes, `SELECT count(DISTINCT hash) FROM delivery WHERE state = 'queued'`))
	if v := e.shown(id, d[0].ID); v.ID != d[0].ID || v.Held != "" || hashes != 3 {
		t.Errorf("%+v, %d hashes", v, hashes)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 3, mailer.StateDeferred: 1})
	st, err := e.Status(ctx, id)
	must(t, err)
	if st[0].Held.Total() != 0 {
		t.Errorf("%d are held", st[0].Held.Total())
	}
}
