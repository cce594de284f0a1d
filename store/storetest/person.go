package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"oshirase/mailer"
)

// someone is a person who may act, with a user of the machine.
func someone(id string, roles ...mailer.Role) *mailer.Member {
	return &mailer.Member{ID: id, Name: "名前 " + id, Roles: roles, OSUser: "os-" + id}
}

func (e *env) amend(kind mailer.AmendmentKind, m *mailer.Member) (mailer.Amendment, error) {
	return e.Amend(context.Background(), tester, mailer.Amendment{Kind: kind, Member: m}, mailer.Policy{People: 1, Proof: mailer.PolicyName})
}

// TestPersons: they come, change and end, and none of their rows goes.
func (s suite) TestPersons(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	boss, desk := someone("boss", mailer.RoleAdmin), someone("desk", mailer.RoleDesk)
	for _, m := range []*mailer.Member{boss, desk} {
		a, err := e.amend(mailer.AmendAdd, m)
		if err != nil || a.Missing != 0 || a.ID == "" {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	_, err := e.amend(mailer.AmendAdd, desk)
	wantErr(t, err, mailer.ErrConflict, "person.exists")
	_, err = e.amend(mailer.AmendAdd, &mailer.Member{ID: "x", Name: "名前　ＤＥＳＫ", Roles: desk.Roles})
	wantErr(t, err, mailer.ErrConflict, "person.same-name")
	_, err = e.amend(mailer.AmendEnd, &mailer.Member{ID: "gone"})
	wantErr(t, err, mailer.ErrNotFound, "person")
	_, err = e.amend(mailer.AmendEnd, boss)
	wantErr(t, err, mailer.ErrConflict, "person.last-admin")

	e.clock.set(e.clock.Now().Add(time.Hour))
	narrower := *desk
	narrower.Merchants = []string{"shop"}
	_, err = e.amend(mailer.AmendReplace, &narrower)
	must(t, err)
	e.clock.set(e.clock.Now().Add(time.Hour))
	_, err = e.amend(mailer.AmendEnd, desk)
	must(t, err)
	all, err := e.Members(ctx)
	must(t, err)
	var rows []string
	for _, m := range all {
		if !m.Until.IsZero() && m.Until.Sub(m.From) != time.Hour {
			t.Errorf("%s was valid for %v", m.ID, m.Until.Sub(m.From))
		}
		rows = append(rows, m.ID)
	}
	if !slices.Equal(rows, []string{"boss", "desk", "desk"}) || len(all[2].Merchants) != 1 || all[0].OSUser != "os-boss" {
		t.Errorf("%+v", all)
	}
	if all[0].Until != (time.Time{}) || all[1].Until.IsZero() || all[2].Until.IsZero() {
		t.Errorf("%+v", all)
	}
}

// TestPolicy: a change of it voids what was approved under another, and what is in force
// is what counts.
func (s suite) TestPolicy(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	e.load("shop", "list", people(3))
	running, checked := e.create(mailer.Campaign{}), e.create(mailer.Campaign{})
	e.run(running)
	e.check(checked, nil)
	must(t, e.ApprovalsStand(ctx, running))
	if err := e.ApprovalsStand(ctx, checked); mailer.CodeOf(err) != "approvals.few" {
		t.Errorf("nobody approved, and %v", err)
	}
	before, err := e.Policy(ctx)
	must(t, err)
	must(t, e.KeepPolicy(ctx, tester, before)) // nothing happens
	e.wantPhase(running, mailer.PhaseRunning)
	two := mailer.Policy{People: 2, Proof: mailer.PolicyName}
	must(t, e.KeepPolicy(ctx, tester, two))
	e.wantPhase(running, mailer.PhaseDraft)
	e.wantPhase(checked, mailer.PhaseDraft)
	if now, err := e.Policy(ctx); err != nil || now != two {
		t.Errorf("%+v, %v", now, err)
	}
	if err := e.KeepPolicy(ctx, tester, mailer.Policy{}); mailer.CodeOf(err) != "policy.people" {
		t.Errorf("no policy: %v", err)
	}
	if err := e.ApprovalsStand(ctx, running); mailer.CodeOf(err) != "approvals.few" {
		t.Errorf("voided, and %v", err)
	}
}
