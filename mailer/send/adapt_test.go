package send

import (
	"testing"
	"time"

	"oshirase/mailer"
)

// drive steps an adapter n times against a relay that takes rate(workers)
// messages per step and pushes back on a share of them.
func drive(a *adapter, start time.Time, n int, took time.Duration, rate func(workers int) int, refuse func(i int) bool) time.Time {
	for range n {
		for i := range rate(a.workers) {
			o := mailer.Outcome{State: mailer.StateAccepted, Code: 250, Point: mailer.AtDot}
			if refuse != nil && refuse(i) {
				o = mailer.Outcome{State: mailer.StateDeferred, Code: 421, Point: mailer.AtRcpt, Advice: mailer.Advice{RelaySlower: true, GroupSlower: true}}
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
	drive(a, time.Unix(0, 0), 10, time.Millisecond, func(workers int) int { return 10 * workers }, nil)
	if a.workers != 50 {
		t.Errorf("%d workers after a second of a healthy relay, want 50", a.workers)
	}
}

func TestAdapterGivesWayAndComesBack(t *testing.T) {
	a := newAdapter(2, 50)
	now := drive(a, time.Unix(0, 0), 10, time.Millisecond, func(workers int) int { return 10 * workers }, nil)
	now = drive(a, now, 1, time.Millisecond, func(int) int { return 20 }, func(i int) bool { return i%4 == 0 })
	if a.workers != 25 {
		t.Fatalf("%d workers after a push back, want half", a.workers)
	}
	calmAt := now.Add(calm - adaptEvery)
	for now.Before(calmAt) {
		now = drive(a, now, 1, time.Millisecond, func(workers int) int { return 10 * workers }, nil)
	}
	if a.workers != 25 {
		t.Errorf("%d workers within the calm, want 25", a.workers)
	}
	now = drive(a, now, 100, time.Millisecond, func(workers int) int { return 10 * workers }, nil)
	if a.workers != 50 {
		t.Errorf("%d workers after more and more was taken, want 50", a.workers)
	}
	for range 20 {
		now = drive(a, now.Add(calm), 1, time.Millisecond, func(int) int { return 10 }, func(int) bool { return true })
	}
	if a.workers != 2 {
		t.Errorf("%d workers of a relay that only refuses, want the lower bound", a.workers)
	}
}

func TestAdapterIgnoresAFewRefusalsAndIdleTimes(t *testing.T) {
	a := newAdapter(1, 8)
	now := drive(a, time.Unix(0, 0), 5, time.Millisecond, func(workers int) int { return 100 * workers }, func(i int) bool { return i%50 == 0 })
	if a.workers != 8 {
		t.Errorf("%d workers with two refusals in a hundred, want 8", a.workers)
	}
	for range 50 {
		now = now.Add(adaptEvery)
		a.step(now, adaptEvery, true)
	}
	if a.workers != 8 {
		t.Errorf("%d workers after nothing was to be sent, want 8", a.workers)
	}
}

func TestAdapterGivesWayToSlowReplies(t *testing.T) {
	a := newAdapter(1, 16)
	now := drive(a, time.Unix(0, 0), 10, 10*time.Millisecond, func(workers int) int { return 10 * workers }, nil)
	drive(a, now, 1, 5*time.Second, func(int) int { return 16 }, nil)
	if a.workers != 8 {
		t.Errorf("%d workers after replies became slow, want 8", a.workers)
	}
}
