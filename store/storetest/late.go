package storetest

import (
	"context"
	"errors"
	"testing"

	"oshirase/mailer"
)

// TestLateList: who comes after a check voids nothing, and is counted until some campaign
// of the stage has them.
func (s suite) TestLateList(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	b1 := e.create(mailer.Campaign{Exposures: []string{"B1"}, Stage: mailer.StageFirstWarning})
	e.check(b1, nil)
	late := func(campaign string, want int64) {
		t.Helper()
		if n, err := e.Late(ctx, campaign); err != nil || n != want {
			t.Errorf("%d came late %v, want %d", n, err, want)
		}
	}
	late(id, 0)
	e.load("club", "others", people(2))
	e.load("shop", "more", people(5)[3:])
	c, err := e.Campaign(ctx, id)
	if must(t, err); c.Phase != mailer.PhaseRunning || c.Digest == "" {
		t.Errorf("after a late list: %+v", c)
	}
	if a, err := e.Approvals(ctx, id); err != nil || len(a) != 1 {
		t.Errorf("approvals: %v %v", a, err)
	}
	late(id, 2)
	late(b1, 0) // they are of another exposure
	if l := claim(t, e.DB, id, 9); len(l.Deliveries) != 3 {
		t.Errorf("%d are sent", len(l.Deliveries))
	}
	second := e.create(mailer.Campaign{})
	e.check(second, nil)
	late(id, 0)
	must(t, e.Cancel(ctx, tester, second))
	late(id, 2)
}

// TestLateChange: of whoever a list changes only the delivery is held, be it claimed, in
// every campaign that stands; what no notice prints holds nobody.
func (s suite) TestLateChange(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(6)
	approved := e.create(mailer.Campaign{Stage: mailer.StageFirstWarning})
	e.check(approved, nil)
	draft := e.create(mailer.Campaign{Stage: mailer.StageFollowUp})
	d := claim(t, e.DB, id, 3).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateDeferred, mailer.AtDot))[0])
	must(t, e.Record(ctx, intent(&d[1]))[0])
	rows := people(6)
	rows[0].Email = "moved@mail.example" // deferred
	rows[1].Email = "gone@mail.example"  // on the wire
	rows[2].Exposures = []string{"B1"}   // claimed
	rows[3].Name = "髙﨑 三子"               // waiting
	rows[4].Phone = "03-1111-1111"       // no notice prints it
	res, _ := e.load("shop", "changed", rows)
	if res.Updated != 5 || res.Held != 3+4 {
		t.Errorf("updated %d, held %d", res.Updated, res.Held)
	}
	for campaign, want := range map[string]int64{id: 3, approved: 4, draft: 0} {
		st, err := e.Status(ctx, campaign)
		must(t, err)
		if got := st[0].Held; got[mailer.HeldChanged] != want || got.Total() != want {
			t.Errorf("held of %s: %v, want %d", campaign, got, want)
		}
	}
	if err := e.Record(ctx, intent(&d[2]))[0]; !errors.Is(err, mailer.ErrLeaseLost) {
		t.Errorf("intent of a delivery that is held: %v", err)
	}
	must(t, e.Record(ctx, outcome(&d[1], mailer.StateAccepted, mailer.AtDot))[0])
	must(t, e.Release(ctx, d[0].Epoch))
	e.recount()
	if l := claim(t, e.DB, id, 9); len(l.Deliveries) != 2 {
		t.Errorf("%d can be claimed, want the two who did not change", len(l.Deliveries))
	}
	var held []string
	must(t, e.EachDelivery(ctx, tester, mailer.DeliveryFilter{Campaign: id, Held: true}, func(v mailer.DeliveryView) error {
		held = append(held, string(v.Held)+" "+v.CustomerID)
		return nil
	}))
	if len(held) != 3 || held[0] != "person-changed C000000" {
		t.Errorf("held: %v", held)
	}
	for _, tt := range []struct {
		as   mailer.State
		ref  string
		want int64
	}{{mailer.StateQueued, d[0].Recipient.Ref, 1}, {mailer.StateCancelled, "", 2}} {
		if n, err := e.DecideHeld(ctx, tester, id, tt.as, tt.ref); err != nil || n != tt.want {
			t.Errorf("%s: %d %v, want %d", tt.as, n, err, tt.want)
		}
	}
	if _, err := e.DecideHeld(ctx, tester, id, mailer.StateQueued, d[2].Recipient.Ref); !errors.Is(err, mailer.ErrNotFound) {
		t.Errorf("a decision on nothing: %v", err)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateAccepted: 1, mailer.StateCancelled: 2, mailer.StateClaimed: 2, mailer.StateQueued: 1})
	// A check anew freezes people as they are.
	e.check(approved, nil)
	e.wantCounts(e.DB, approved, mailer.Counts{mailer.StateQueued: 6})
	if l := claim(t, e.DB, id, 9); len(l.Deliveries) != 1 || l.Deliveries[0].ID != d[0].ID {
		t.Errorf("claimed %+v", l)
	}
	must(t, e.Cancel(ctx, tester, approved))
	must(t, e.Cancel(ctx, tester, id))
	e.recount()
}

// TestHold: a worker holds what it has claimed, and not begun.
func (s suite) TestHold(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(4)
	d := claim(t, e.DB, id, 2).Deliveries
	must(t, e.Hold(ctx, id, d[0].ID, d[0].Epoch, mailer.HeldChanged))
	if err := e.Record(ctx, intent(&d[0]))[0]; !errors.Is(err, mailer.ErrLeaseLost) {
		t.Errorf("intent: %v", err)
	}
	must(t, e.Record(ctx, intent(&d[1]))[0])
	for name, err := range map[string]error{
		"held":         e.Hold(ctx, id, d[0].ID, d[0].Epoch, mailer.HeldChanged),
		"on the wire":  e.Hold(ctx, id, d[1].ID, d[1].Epoch, mailer.HeldChanged),
		"another's":    e.Hold(ctx, id, d[1].ID+1, d[1].Epoch, mailer.HeldChanged),
		"of no lease":  e.Hold(ctx, id, d[1].ID+1, 99, mailer.HeldChanged),
		"of no number": e.Hold(ctx, id, 99, d[1].Epoch, mailer.HeldChanged),
	} {
		if !errors.Is(err, mailer.ErrLeaseLost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, e.Record(ctx, outcome(&d[1], mailer.StateAccepted, mailer.AtDot))[0])
	must(t, e.Release(ctx, d[0].Epoch))
	e.recount()
	d = claim(t, e.DB, id, 9).Deliveries
	if len(d) != 2 {
		t.Errorf("%d can be claimed", len(d))
	}
	for i := range d {
		must(t, e.Record(ctx, intent(&d[i]))[0])
		must(t, e.Record(ctx, outcome(&d[i], mailer.StateAccepted, mailer.AtDot))[0])
	}
	must(t, e.Settle(ctx, id))
	c, err := e.Campaign(ctx, id)
	if must(t, err); c.Phase != mailer.PhaseRunning {
		t.Errorf("with a held delivery it is %s", c.Phase)
	}
}
