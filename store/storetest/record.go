package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"oshirase/mailer"
)

func (s suite) TestRecord(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(6)
	l := claim(t, e.DB, id, 10)
	if len(l.Deliveries) != 6 || l.Deliveries[0].Recipient.Name != person(0).Name || len(l.Deliveries[0].Token) != 26 {
		t.Fatalf("claimed %+v", l)
	}
	d := l.Deliveries
	var intents []mailer.Record
	for i := range 4 {
		intents = append(intents, intent(&d[i]))
	}
	for _, err := range e.Record(ctx, intents...) {
		must(t, err)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateSending: 4, mailer.StateClaimed: 2})
	for _, err := range e.Record(ctx,
		outcome(&d[0], mailer.StateAccepted, mailer.AtDot), outcome(&d[1], mailer.StateDeferred, mailer.AtDot),
		outcome(&d[2], mailer.StateRejected, mailer.AtBody), outcome(&d[3], mailer.StateUnknown, mailer.AtDot),
		outcome(&d[4], mailer.StateDeferred, mailer.AtRcpt), outcome(&d[5], mailer.StateRejected, mailer.AtMail)) {
		must(t, err)
	}
	want := mailer.Counts{mailer.StateAccepted: 1, mailer.StateDeferred: 2, mailer.StateRejected: 2, mailer.StateUnknown: 1}
	e.wantCounts(e.DB, id, want)
	// A late outcome settles the unknown one, without counting the attempt twice.
	must(t, e.Record(ctx, outcome(&d[3], mailer.StateAccepted, mailer.AtDot))[0])
	want[mailer.StateUnknown], want[mailer.StateAccepted] = 0, 2
	e.wantCounts(e.DB, id, want)
	var rows []mailer.DeliveryView
	must(t, e.EachDelivery(ctx, tester, mailer.DeliveryFilter{Campaign: id, State: ""}, func(r mailer.DeliveryView) error { rows = append(rows, r); return nil }))
	for i, r := range rows {
		if r.Attempts != 1 || r.Text != `ok "queued" as 1` || r.Code != 250 || !r.LastAt.Equal(t0.Add(time.Second)) {
			t.Errorf("delivery %d: %+v", i, r)
		}
	}
	if at, ok, err := e.NextDue(ctx, id); err != nil || !ok || !at.Equal(t0.Add(time.Hour)) {
		t.Errorf("next due %v %v %v", at, ok, err)
	}
	st, err := e.Status(ctx, id)
	must(t, err)
	if s := st[0]; s.Total != 6 || !s.FirstAccepted.Equal(t0.Add(time.Second)) || s.Counts[mailer.StateAccepted] != 2 {
		t.Errorf("status %+v", s)
	}
}

// Records that are late, forged or out of order are refused one by one; the
// others of the same call are committed.
func (s suite) TestRecordRefuses(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(9)
	d := claim(t, e.DB, id, 9).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	wrong := func(r mailer.Record, f func(*mailer.Record)) mailer.Record { f(&r); return r }
	tests := []struct {
		name string
		r    mailer.Record
		want error
	}{
		{"good", intent(&d[1]), nil},
		{"second intent", intent(&d[0]), mailer.ErrLeaseLost},
		{"another epoch", wrong(intent(&d[2]), func(r *mailer.Record) { r.Epoch++ }), mailer.ErrLeaseLost},
		{"accepted without intent", outcome(&d[3], mailer.StateAccepted, mailer.AtDot), mailer.ErrLeaseLost},
		{"no such delivery", wrong(intent(&d[4]), func(r *mailer.Record) { r.Delivery += 1000 }), mailer.ErrLeaseLost},
		{"no such campaign", wrong(intent(&d[5]), func(r *mailer.Record) { r.Campaign = "c-none" }), mailer.ErrNotFound},
		{"queued by no refusal", outcome(&d[0], mailer.StateQueued, mailer.AtDot), mailer.ErrInvalid},
		{"no outcome at all", outcome(&d[0], mailer.StateDelivered, mailer.AtDot), mailer.ErrInvalid},
		{"deferred without a time", wrong(outcome(&d[6], mailer.StateDeferred, mailer.AtRcpt), func(r *mailer.Record) { r.Outcome.NextAt = time.Time{} }), mailer.ErrInvalid},
		{"refused before its intent", outcome(&d[7], mailer.StateRejected, mailer.AtBody), nil},
		{"intent and outcome together", intent(&d[8]), nil},
		{"the outcome", outcome(&d[8], mailer.StateAccepted, mailer.AtDot), nil},
		{"the same again", outcome(&d[8], mailer.StateAccepted, mailer.AtDot), mailer.ErrLeaseLost},
		{"refused at the envelope after its intent", outcome(&d[0], mailer.StateDeferred, mailer.AtRcpt), nil},
	}
	var records []mailer.Record
	for _, tt := range tests {
		records = append(records, tt.r)
	}
	for i, err := range e.Record(ctx, records...) {
		if !errors.Is(err, tests[i].want) || (err == nil) != (tests[i].want == nil) {
			t.Errorf("%s: %v, want %v", tests[i].name, err, tests[i].want)
		}
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateSending: 1, mailer.StateClaimed: 5, mailer.StateAccepted: 1, mailer.StateRejected: 1, mailer.StateDeferred: 1})
}

// A pause by any process stops intents at once; outcomes are still taken.
func (s suite) TestRecordPaused(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	d := claim(t, e.DB, id, 3).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	must(t, e.again().Pause(ctx, tester, id, "stop"))
	errs := e.Record(ctx, outcome(&d[0], mailer.StateAccepted, mailer.AtDot), intent(&d[1]))
	must(t, errs[0])
	if !errors.Is(errs[1], mailer.ErrNotRunning) {
		t.Fatalf("intent while paused: %v", errs[1])
	}
	if _, err := e.Claim(ctx, id, t0, t0.Add(time.Minute), 1, nil); !errors.Is(err, mailer.ErrNotRunning) {
		t.Fatalf("claim while paused: %v", err)
	}
	must(t, e.Resume(ctx, tester, id))
	must(t, e.Record(ctx, intent(&d[1]))[0])
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateAccepted: 1, mailer.StateSending: 1, mailer.StateClaimed: 1})
}

// What is deferred after a cancellation is cancelled, not left open for ever.
func (s suite) TestRecordCancelled(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(4)
	d := claim(t, e.DB, id, 3).Deliveries
	for i := range 3 {
		must(t, e.Record(ctx, intent(&d[i]))[0])
	}
	must(t, e.Cancel(ctx, actor("佐藤"), id))
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateSending: 3, mailer.StateCancelled: 1})
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateDeferred, mailer.AtDot))[0])
	must(t, e.Record(ctx, outcome(&d[1], mailer.StateUnknown, mailer.AtDot))[0])
	must(t, e.Record(ctx, outcome(&d[2], mailer.StateAccepted, mailer.AtDot))[0])
	n, err := e.Resolve(ctx, actor("鈴木"), id, mailer.StateQueued, "")
	must(t, err)
	if n != 1 {
		t.Fatalf("resolved %d", n)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateCancelled: 3, mailer.StateAccepted: 1})
}

func (s suite) TestRecordTextIsCut(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(1)
	d := claim(t, e.DB, id, 1).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	r := outcome(&d[0], mailer.StateRejected, mailer.AtDot)
	r.Outcome.Text = "550\r\n\"\\\xff" + strings.Repeat("拒", 300)
	must(t, e.Record(ctx, r)[0])
	must(t, e.EachDelivery(ctx, tester, mailer.DeliveryFilter{Campaign: id, State: mailer.StateRejected}, func(r mailer.DeliveryView) error {
		want := "550  \"\\�" + strings.Repeat("拒", 163)
		if r.Text != want {
			t.Errorf("text %q (%d bytes)", r.Text, len(r.Text))
		}
		return nil
	}))
}

// Concurrent lanes share transactions and each gets the answers of its own.
func (s suite) TestRecordConcurrently(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	const lanes, each = 8, 25
	id := e.campaign(lanes * each)
	d := claim(t, e.DB, id, lanes*each).Deliveries
	var wg sync.WaitGroup
	fail := make(chan error, lanes)
	for lane := range lanes {
		wg.Go(func() {
			mine := d[lane*each : (lane+1)*each]
			var last *mailer.Delivery
			for i := range mine {
				records := []mailer.Record{intent(&mine[i])}
				if last != nil {
					records = append(records, outcome(last, mailer.StateAccepted, mailer.AtDot))
				}
				for _, err := range e.Record(ctx, records...) {
					if err != nil {
						fail <- fmt.Errorf("lane %d: %w", lane, err)
						return
					}
				}
				last = &mine[i]
			}
			if err := e.Record(ctx, intent(last))[0]; !errors.Is(err, mailer.ErrLeaseLost) {
				fail <- fmt.Errorf("lane %d: second intent: %v", lane, err)
			}
		})
	}
	wg.Wait()
	close(fail)
	for err := range fail {
		t.Error(err)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateAccepted: lanes * (each - 1), mailer.StateSending: lanes})
}

// TestRate: over the present ten seconds and those before, and of no campaign that
// has stopped.
func (s suite) TestRate(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(30)
	e.clock.set(t0.Truncate(10 * time.Second).Add(5 * time.Second))
	want := func(rate float64, when string) {
		t.Helper()
		if got, err := e.Rate(ctx); err != nil || got != rate {
			t.Errorf("%s: %v a second, %v, want %v", when, got, err, rate)
		}
	}
	want(0, "before")
	l := claim(t, e.DB, id, 30)
	for i := range l.Deliveries {
		r := outcome(&l.Deliveries[i], mailer.StateAccepted, mailer.AtDot)
		r.Outcome.At = e.clock.Now()
		must(t, errors.Join(e.Record(ctx, intent(&l.Deliveries[i]))[0], e.Record(ctx, r)[0]))
	}
	want(2, "30 in 15 seconds")
	e.clock.set(e.clock.Now().Add(5 * time.Second))
	want(3, "in the ten seconds before")
	e.clock.set(e.clock.Now().Add(10 * time.Second))
	want(0, "too long ago")
	e.clock.set(e.clock.Now().Add(-15 * time.Second))
	must(t, e.Pause(ctx, tester, id, "enough"))
	want(0, "paused")
}
