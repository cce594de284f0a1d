package send

import (
	"testing"
	"time"

	"oshirase/mailer"
)

// drive steps an adapter n times against a relay that takes rate(lanes)
// messages per step and pushes back on a share of them.
func drive(a *adapter, start time.Time, n int, took time.Duration, rate func(lanes int) int, refuse func(i int) bool) time.Time {
	for range n {
		for i := range rate(a.lanes) {
			o := mailer.Outcome{State: mailer.StateAccepted, Code: 250, Point: mailer.AtDot}
			if refuse != nil && refuse(i) {
				o = mailer.Outcome{State: mailer.StateDeferred, Code: 421, Point: mailer.AtRcpt}
			}
			a.outcome(&o, took)
		}
		start = start.Add(adaptEvery)
		a.step(start, adaptEvery, false)
	}
	return start
}

func TestAdapterGrowsToTheBound(t *testing.T) {
	a := newAdapter(1, 50)
	drive(a, time.Unix(0, 0), 10, time.Millisecond, func(lanes int) int { return 10 * lanes }, nil)
	if a.lanes != 50 {
		t.Errorf("%d lanes after a second of a healthy relay, want 50", a.lanes)
	}
}

func TestAdapterGivesWayAndComesBack(t *testing.T) {
	a := newAdapter(2, 50)
	now := drive(a, time.Unix(0, 0), 10, time.Millisecond, func(lanes int) int { return 10 * lanes }, nil)
	now = drive(a, now, 1, time.Millisecond, func(int) int { return 20 }, func(i int) bool { return i%4 == 0 })
	if a.lanes != 25 {
		t.Fatalf("%d lanes after a push back, want half", a.lanes)
	}
	calmAt := now.Add(calm - adaptEvery)
	for now.Before(calmAt) {
		now = drive(a, now, 1, time.Millisecond, func(lanes int) int { return 10 * lanes }, nil)
	}
	if a.lanes != 25 {
		t.Errorf("%d lanes within the calm, want 25", a.lanes)
	}
	now = drive(a, now, 100, time.Millisecond, func(lanes int) int { return 10 * lanes }, nil)
	if a.lanes != 50 {
		t.Errorf("%d lanes after more and more was taken, want 50", a.lanes)
	}
	for range 20 {
		now = drive(a, now.Add(calm), 1, time.Millisecond, func(int) int { return 10 }, func(int) bool { return true })
	}
	if a.lanes != 2 {
		t.Errorf("%d lanes of a relay that only refuses, want the lower bound", a.lanes)
	}
}

func TestAdapterIgnoresAFewRefusalsAndIdleTimes(t *testing.T) {
	a := newAdapter(1, 8)
	now := drive(a, time.Unix(0, 0), 5, time.Millisecond, func(lanes int) int { return 100 * lanes }, func(i int) bool { return i%50 == 0 })
	if a.lanes != 8 {
		t.Errorf("%d lanes with two refusals in a hundred, want 8", a.lanes)
	}
	for range 50 {
		now = now.Add(adaptEvery)
		a.step(now, adaptEvery, true)
	}
	if a.lanes != 8 {
		t.Errorf("%d lanes after nothing was to be sent, want 8", a.lanes)
	}
}

func TestAdapterGivesWayToSlowReplies(t *testing.T) {
	a := newAdapter(1, 16)
	now := drive(a, time.Unix(0, 0), 10, 10*time.Millisecond, func(lanes int) int { return 10 * lanes }, nil)
	drive(a, now, 1, 5*time.Second, func(int) int { return 16 }, nil)
	if a.lanes != 8 {
		t.Errorf("%d lanes after replies became slow, want 8", a.lanes)
	}
}
