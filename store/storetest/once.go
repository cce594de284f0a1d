package storetest

import (
	"context"
	"slices"
	"testing"

	"oshirase/mailer"
)

// approve takes a draft to approved, as the check does it for who was not told before.
func (e *env) approve(id string) {
	e.tb.Helper()
	res := e.check(id, suppressTold)
	_, _, err := e.Approve(context.Background(), actor("佐藤"), id, res.Sendable, 1)
	must(e.tb, err)
}

func suppressTold(r *mailer.Recipient) string {
	var told []string
	for _, t := range r.Told {
		if t.Same {
			told = append(told, t.Exposures...)
		}
	}
	if mailer.Covers(told, r.Exposures) {
		return string(mailer.SuppressedAlreadyNotified)
	}
	return ""
}

// send has a relay answer everything that can be claimed of a campaign, and returns how
// many that were.
func (e *env) send(id string, answer mailer.State) int {
	e.tb.Helper()
	ctx := context.Background()
	n := 0
	for l := claim(e.tb, e.DB, id, 100); l != nil; l = claim(e.tb, e.DB, id, 100) {
		for i := range l.Deliveries {
			d := &l.Deliveries[i]
			must(e.tb, e.Record(ctx, intent(d))[0])
			must(e.tb, e.Record(ctx, outcome(d, answer, mailer.AtDot))[0])
			n++
		}
		must(e.tb, e.Release(ctx, l.Epoch))
	}
	return n
}

func (e *env) wantHeld(id string, want int64) {
	e.tb.Helper()
	held, err := e.Held(context.Background(), id)
	must(e.tb, err)
	if held[mailer.HeldNotified] != want || held.Total() != want {
		e.tb.Errorf("held %v, want %d", held, want)
	}
	e.recount()
}

func (e *env) review(id string, want int64) {
	e.tb.Helper()
	if n, err := e.Review(context.Background(), id); err != nil || n != want {
		e.tb.Errorf("decided %d %v, want %d", n, err, want)
	}
}

// TestOnce: of two campaigns that were both checked and approved for the same people, the
// one that starts later waits for the other, and takes whom that one did not tell.
func (s suite) TestOnce(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name   string
		answer mailer.State
		then   func(e *env, first string)
		sent   int // by the second campaign
	}{
		{"accepted", mailer.StateAccepted, nil, 0},
		{"rejected", mailer.StateRejected, nil, 5},
		{"expired", mailer.StateExpired, nil, 5},
		{"unknown, and the relay has it", mailer.StateUnknown, func(e *env, first string) {
			_, err := e.Resolve(ctx, tester, first, mailer.StateAccepted, "")
			must(e.tb, err)
		}, 0},
		{"unknown, and sent again", mailer.StateUnknown, func(e *env, first string) {
			_, err := e.Resolve(ctx, tester, first, mailer.StateQueued, "")
			must(e.tb, err)
			e.send(first, mailer.StateAccepted)
		}, 0},
		{"unknown, cancelled, and the relay has it not", mailer.StateUnknown, func(e *env, first string) {
			must(e.tb, e.Cancel(ctx, tester, first))
			e.wantHeld(first, 0)
			_, err := e.Resolve(ctx, tester, first, mailer.StateQueued, "")
			must(e.tb, err)
		}, 5},
		{"deferred, then cancelled", mailer.StateDeferred, func(e *env, first string) {
			must(e.tb, e.Cancel(ctx, tester, first))
		}, 5},
		{"deferred, then voided", mailer.StateDeferred, func(e *env, first string) {
			must(e.tb, e.Void(ctx, tester, first, "facts changed"))
		}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := s.open(t)
			e.apply()
			e.load("shop", "list", people(5))
			first, second := e.create(mailer.Campaign{}), e.create(mailer.Campaign{})
			e.approve(first)
			e.approve(second)
			must(t, e.Start(ctx, tester, first, true))
			must(t, e.again().Start(ctx, tester, second, true))
			e.wantHeld(first, 0)
			e.wantHeld(second, 5)
			if l := claim(t, e.DB, second, 9); l != nil {
				t.Fatalf("%d are sent a second notice", len(l.Deliveries))
			}
			e.review(second, 0)
			e.send(first, tt.answer)
			if tt.then != nil {
				if !mailer.State.Open(tt.answer) {
					t.Fatal("nothing is open")
				}
				e.review(second, 0)
				tt.then(e, first)
			}
			e.review(second, 5)
			e.review(second, 0)
			if n := e.send(second, mailer.StateAccepted); n != tt.sent {
				t.Errorf("the second campaign tells %d, want %d", n, tt.sent)
			}
			must(t, e.Settle(ctx, second))
			c, err := e.Campaign(ctx, second)
			if must(t, err); c.Phase != mailer.PhaseFinished {
				t.Errorf("the second campaign is %s", c.Phase)
			}
			e.recount()
		})
	}
}

// TestOnceReturns: what comes back to a campaign that was voided, and another one has told
// meanwhile, is not sent again; while the other is paused it waits.
func (s suite) TestOnceReturns(t *testing.T) {
	ctx := context.Background()
	for _, paused := range []bool{false, true} {
		e := s.open(t)
		e.apply()
		e.load("shop", "list", people(3))
		first, second := e.create(mailer.Campaign{}), e.create(mailer.Campaign{})
		e.approve(first)
		must(t, e.Start(ctx, tester, first, true))
		e.send(first, mailer.StateDeferred)
		must(t, e.Void(ctx, tester, first, "facts"))
		e.approve(second)
		must(t, e.Start(ctx, tester, second, true))
		e.wantHeld(second, 0)
		if paused {
			must(t, e.Pause(ctx, tester, second, "stop"))
		} else if n := e.send(second, mailer.StateAccepted); n != 3 {
			t.Errorf("%d are sent", n)
		}
		e.approve(first)
		must(t, e.Start(ctx, tester, first, true))
		if !paused {
			e.wantCounts(e.DB, first, mailer.Counts{mailer.StateSuppressed: 3})
			continue
		}
		e.wantHeld(first, 3)
		must(t, e.Resume(ctx, tester, second))
		e.wantHeld(second, 0)
		e.send(second, mailer.StateRejected)
		e.review(first, 3)
		if n := e.send(first, mailer.StateAccepted); n != 3 {
			t.Errorf("%d are sent", n)
		}
	}
}

// TestOnceDecided: who is given back by hand after another campaign has told them is not
// told again.
func (s suite) TestOnceDecided(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	rows := people(3)
	e.load("shop", "list", rows)
	first := e.create(mailer.Campaign{})
	e.approve(first)
	must(t, e.Start(ctx, tester, first, true))
	rows[1].Name = "髙﨑 次子"
	e.load("shop", "mended", rows)
	e.send(first, mailer.StateAccepted)
	second := e.create(mailer.Campaign{})
	e.approve(second)
	must(t, e.Start(ctx, tester, second, true))
	if n := e.send(second, mailer.StateAccepted); n != 1 {
		t.Errorf("the second campaign tells %d, want whom the first holds", n)
	}
	n, err := e.DecideHeld(ctx, tester, first, mailer.StateQueued, "")
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	e.wantCounts(e.DB, first, mailer.Counts{mailer.StateAccepted: 2, mailer.StateSuppressed: 1})
}

// TestOnceApart: campaigns that do not tell the same wait for nobody.
func (s suite) TestOnceApart(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	rows := people(4)
	rows[3].Exposures = []string{"A", "B1"}
	e.load("shop", "list", rows)
	e.load("club", "list", rows)
	first := e.create(mailer.Campaign{})
	e.approve(first)
	must(t, e.Start(ctx, tester, first, true))
	for _, tt := range []struct {
		name string
		c    mailer.Campaign
	}{
		{"another stage", mailer.Campaign{Stage: mailer.StageFirstWarning}},
		{"another merchant", mailer.Campaign{Merchant: "club"}},
		{"a follow-up", mailer.Campaign{Stage: mailer.StageFollowUp}},
		{"a follow-up of another cause", mailer.Campaign{Stage: mailer.StageFollowUp, Cause: "警察の発表"}},
	} {
		id := e.create(tt.c)
		e.approve(id)
		must(t, e.Start(ctx, tester, id, true))
		held, err := e.Held(ctx, id)
		if must(t, err); held.Total() != 0 {
			t.Errorf("%s: held %v", tt.name, held)
		}
		if n := e.send(id, mailer.StateAccepted); n != 4 {
			t.Errorf("%s: %d are sent", tt.name, n)
		}
	}
	again := e.create(mailer.Campaign{Stage: mailer.StageFollowUp, Cause: " 警察の 発表"}) // as people read it, the same
	e.check(again, nil)
	_, _, err := e.Approve(ctx, actor("佐藤"), again, 4, 1)
	must(t, err)
	must(t, e.Start(ctx, tester, again, true))
	e.wantCounts(e.DB, again, mailer.Counts{mailer.StateSuppressed: 4})
}

// TestOnceNews: newly found exposures are a reason to tell again; what several notices
// told together is told.
func (s suite) TestOnceNews(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	rows := people(3)
	e.load("shop", "a", rows)
	first := e.create(mailer.Campaign{})
	e.approve(first)
	must(t, e.Start(ctx, tester, first, true))
	e.send(first, mailer.StateAccepted)
	rows[0].Exposures = []string{"B1"}
	e.load("shop", "b", rows[:1])
	var all []string
	for range 2 {
		id := e.create(mailer.Campaign{})
		if res := e.check(id, nil); res.Sendable != 3 {
			t.Fatalf("%d sendable", res.Sendable)
		}
		_, _, err := e.Approve(ctx, actor("佐藤"), id, 3, 1)
		must(t, err)
		all = append(all, id)
	}
	must(t, e.Start(ctx, tester, all[0], true))
	must(t, e.Start(ctx, tester, all[1], true))
	e.wantCounts(e.DB, all[0], mailer.Counts{mailer.StateQueued: 1, mailer.StateSuppressed: 2})
	e.wantCounts(e.DB, all[1], mailer.Counts{mailer.StateQueued: 1, mailer.StateSuppressed: 2})
	e.wantHeld(all[1], 1)
	var kinds []string
	must(t, e.EachDelivery(ctx, tester, mailer.DeliveryFilter{Campaign: all[1]}, func(d mailer.DeliveryView) error {
		kinds = append(kinds, string(d.Suppressed)+string(d.Held))
		return nil
	}))
	if want := []string{"already-notified", "already-notified", "already-notified"}; !slices.Equal(kinds, want) {
		t.Errorf("%q", kinds)
	}
	// The program's decision is part of the history.
	var events int
	must(t, e.sql().Get(&events, `SELECT count(*) FROM event WHERE kind = 'suppress' AND text = 'already-notified' AND state = 'suppressed'`))
	if events != 4 {
		t.Errorf("%d events", events)
	}
	// And a check anew neither loses nor repeats it.
	must(t, e.Void(ctx, tester, all[1], "to check"))
	if res := e.check(all[1], suppressTold); res.Recipients != 1 || res.Sendable != 1 {
		t.Errorf("checked again: %+v", res)
	}
	e.wantCounts(e.DB, all[1], mailer.Counts{mailer.StateQueued: 1, mailer.StateSuppressed: 2})
}

// TestOnceRepeat: only what was approved with it tells people again.
func (s suite) TestOnceRepeat(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	e.load("shop", "list", people(2))
	first, second := e.create(mailer.Campaign{}), e.create(mailer.Campaign{})
	e.approve(first)
	must(t, e.Start(ctx, tester, first, true))
	e.repeat = true
	e.check(second, nil)
	_, _, err := e.Approve(ctx, actor("佐藤"), second, 2, 1)
	must(t, err)
	must(t, e.Start(ctx, tester, second, true))
	e.wantHeld(second, 0)
	if n := e.send(second, mailer.StateAccepted); n != 2 {
		t.Errorf("%d are told again, want 2", n)
	}
}
