package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/store"
)

func (e *env) wantPhase(id string, want mailer.Phase) {
	e.tb.Helper()
	c, err := e.Campaign(context.Background(), id)
	must(e.tb, err)
	if c.Phase != want {
		e.tb.Fatalf("campaign is %s (%s), want %s", c.Phase, c.Reason, want)
	}
}

func wantErr(tb testing.TB, err, want error, says string) {
	tb.Helper()
	if !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), says) {
		tb.Fatalf("error %v, want %v that says %q", err, want, says)
	}
}

func (s suite) TestApprove(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	e.load("shop", "list", people(5))
	id := e.create(mailer.Campaign{Name: "第一報"})
	_, _, err := e.Approve(ctx, actor("佐藤"), id, 5, 2)
	wantErr(t, err, mailer.ErrConflict, "campaign.draft")
	wantErr(t, e.Start(ctx, tester, id, false), mailer.ErrConflict, "campaign.draft")
	e.check(id, func(r *mailer.Recipient) string {
		if r.CustomerID == "C000002" {
			return "no-email"
		}
		return ""
	})
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 4, mailer.StateSuppressed: 1})
	_, _, err = e.Approve(ctx, actor("佐藤"), id, 5, 2)
	wantErr(t, err, mailer.ErrInvalid, "approve.count")
	if strings.Contains(err.Error(), "4") && !strings.Contains(id, "4") {
		t.Errorf("the right number is given away: %v", err)
	}
	_, _, err = e.Approve(ctx, actor(" 　"), id, 4, 2)
	wantErr(t, err, mailer.ErrInvalid, "actor.missing")
	n, ok, err := e.Approve(ctx, actor("Sato Ichiro"), id, 4, 2)
	if err != nil || n != 1 || ok {
		t.Fatalf("first approval: %d %v %v", n, ok, err)
	}
	_, _, err = e.Approve(ctx, actor("ＳＡＴＯ　ichiro"), id, 4, 2)
	wantErr(t, err, mailer.ErrConflict, "approve.again")
	wantErr(t, e.Start(ctx, tester, id, false), mailer.ErrConflict, "campaign.checked")
	n, ok, err = e.Approve(ctx, actor("鈴木"), id, 4, 2)
	if err != nil || n != 2 || !ok {
		t.Fatalf("second approval: %d %v %v", n, ok, err)
	}
	a, err := e.Approvals(ctx, id)
	must(t, err)
	if len(a) != 2 || len(a[0].Digest) != 64 || a[0].Count != 4 {
		t.Errorf("approvals %+v", a)
	}
	e.wantPhase(id, mailer.PhaseApproved)
	must(t, e.Start(ctx, tester, id, false))
	e.wantPhase(id, mailer.PhaseRunning)
}

func (s suite) TestSchedule(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	e.load("shop", "list", people(1))
	at := t0.Add(time.Hour)
	id := e.create(mailer.Campaign{At: at})
	e.check(id, nil)
	_, _, err := e.Approve(ctx, actor("佐藤"), id, 1, 1)
	must(t, err)
	e.wantPhase(id, mailer.PhaseScheduled)
	must(t, e.Start(ctx, tester, id, false)) // it keeps to its time
	e.wantPhase(id, mailer.PhaseScheduled)
	must(t, e.Wake(ctx, at.Add(-time.Second), time.Minute))
	e.wantPhase(id, mailer.PhaseScheduled)
	must(t, e.Wake(ctx, at.Add(2*time.Minute), time.Minute))
	e.wantPhase(id, mailer.PhaseOverdue)
	later := at.Add(time.Hour)
	must(t, e.Set(ctx, tester, id, nil, nil, &later))
	e.wantPhase(id, mailer.PhaseScheduled)
	never := time.Time{}
	must(t, e.Set(ctx, tester, id, nil, nil, &never))
	e.wantPhase(id, mailer.PhaseApproved)
	must(t, e.Set(ctx, tester, id, nil, nil, &later))
	must(t, e.Wake(ctx, later, time.Minute))
	e.wantPhase(id, mailer.PhaseRunning)
	wantErr(t, e.Set(ctx, tester, id, nil, nil, &never), mailer.ErrConflict, "set.started")
	rate := 120
	must(t, e.Set(ctx, tester, id, &rate, &mailer.WindowSpec{Hours: "09:00-21:00", Days: "weekdays"}, nil))
	c, err := e.Campaign(ctx, id)
	must(t, err)
	if c.PerHour != 120 || c.Window.Hours != "09:00-21:00" || c.Window.Days != "weekdays" || c.Phase != mailer.PhaseRunning {
		t.Errorf("after set: %+v", c)
	}
	wantErr(t, e.Set(ctx, tester, id, nil, &mailer.WindowSpec{Hours: "21:00-09:00"}, nil), mailer.ErrInvalid, "window")
}

func (s suite) TestWaitAndSettle(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(2)
	must(t, e.Settle(ctx, id))
	e.wantPhase(id, mailer.PhaseRunning)
	must(t, e.SetWaits(ctx, 1, time.Now().Add(time.Hour), []mailer.Wait{{Scope: mailer.WaitCampaign, Name: id, Reason: mailer.WaitPace}}))
	st, err := e.Status(ctx, "")
	must(t, err)
	if len(st) != 1 || len(st[0].Waits) != 1 || st[0].Waits[0].Reason != mailer.WaitPace {
		t.Errorf("status %+v", st)
	}
	d := claim(t, e.DB, id, 2).Deliveries
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateRejected, mailer.AtRcpt))[0])
	must(t, e.Record(ctx, intent(&d[1]))[0])
	must(t, e.Record(ctx, outcome(&d[1], mailer.StateUnknown, mailer.AtDot))[0])
	must(t, e.Settle(ctx, id))
	e.wantPhase(id, mailer.PhaseRunning) // an unknown delivery is open
	_, err = e.Resolve(ctx, actor("佐藤"), id, mailer.StateAccepted, d[0].Recipient.Ref)
	wantErr(t, err, mailer.ErrNotFound, "resolve.none")
	n, err := e.Resolve(ctx, actor("佐藤"), id, mailer.StateAccepted, d[1].Recipient.Ref)
	if n != 1 || err != nil {
		t.Fatalf("resolve: %d %v", n, err)
	}
	must(t, e.Settle(ctx, id))
	e.wantPhase(id, mailer.PhaseFinished)
	wantErr(t, e.Cancel(ctx, actor("佐藤"), id), mailer.ErrConflict, "campaign.phase")
	wantErr(t, e.Resume(ctx, tester, id), mailer.ErrConflict, "phase=finished")
	_, err = e.BeginCheck(ctx, tester, id)
	wantErr(t, err, mailer.ErrConflict, "phase=finished")
	st, err = e.Status(ctx, id)
	must(t, err)
	if len(st[0].Waits) > 0 || st[0].EndedAt.IsZero() || st[0].StartedAt.IsZero() {
		t.Errorf("status %+v", st[0])
	}
	_, err = e.Status(ctx, "c-none")
	wantErr(t, err, mailer.ErrNotFound, "c-none")
}

// The check ends with a conflict when anything that it depends on moved.
func (s suite) TestCheckConflicts(t *testing.T) {
	ctx := context.Background()
	changed := incident("pay")
	changed.Title = "別の表題"
	tests := []struct {
		name string
		do   func(e *env, id string)
	}{
		{"incident", func(e *env, _ string) {
			_, err := e.Apply(ctx, tester, []mailer.Incident{changed}, nil)
			must(e.tb, err)
		}},
		{"merchant", func(e *env, _ string) {
			m := merchant("shop")
			m.Name += "商店"
			_, err := e.Apply(ctx, tester, nil, []mailer.Merchant{m})
			must(e.tb, err)
		}},
		{"list", func(e *env, _ string) { e.load("shop", "more", people(4)[3:]) }},
		{"another check", func(e *env, id string) {
			_, err := e.BeginCheck(ctx, tester, id)
			must(e.tb, err)
		}},
		{"cancelled", func(e *env, id string) { must(e.tb, e.Cancel(ctx, actor("佐藤"), id)) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := s.open(t)
			e.apply()
			e.load("shop", "list", people(3))
			id := e.create(mailer.Campaign{})
			rev, err := e.BeginCheck(ctx, tester, id)
			must(t, err)
			tt.do(e, id)
			err = e.EndCheck(ctx, id, rev, mailer.Snapshot{}, mailer.CheckResult{Sendable: 0})
			wantErr(t, err, mailer.ErrConflict, "check.changed")
		})
	}
}

func (s suite) TestCheckResult(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	e.load("shop", "list", people(3))
	id := e.create(mailer.Campaign{})
	if _, ok, err := e.CheckResult(ctx, id); ok || err != nil {
		t.Fatalf("result before the check: %v %v", ok, err)
	}
	_, err := e.Snapshot(ctx, id)
	wantErr(t, err, mailer.ErrConflict, "campaign.unchecked")
	rev, err := e.BeginCheck(ctx, tester, id)
	must(t, err)
	findings := []mailer.Finding{{Severity: mailer.SeverityError, Rule: "period", Message: "it ends too early", Ref: "34679-ACDEF"}, {Severity: mailer.SeverityInfo, Rule: "count", Message: "3"}}
	must(t, e.EndCheck(ctx, id, rev, mailer.Snapshot{Stage: mailer.StageFollowUp}, mailer.CheckResult{Sendable: 3, Findings: findings}))
	e.wantPhase(id, mailer.PhaseDraft)
	res, ok, err := e.CheckResult(ctx, id)
	if err != nil || !ok || len(res.Findings) != 2 || res.Findings[0] != findings[0] || res.Sendable != 3 {
		t.Errorf("result %+v %v %v", res, ok, err)
	}
	if snap, err := e.Snapshot(ctx, id); err != nil || snap.Stage != mailer.StageFollowUp {
		t.Errorf("snapshot %+v %v", snap, err)
	}
	rev, err = e.BeginCheck(ctx, tester, id)
	must(t, err)
	if f, err := e.Findings(ctx, id); err != nil || len(f) != 0 {
		t.Errorf("findings of the check before: %v %v", f, err)
	}
	// Good findings, and yet what was counted was not frozen.
	err = e.EndCheck(ctx, id, rev, mailer.Snapshot{}, mailer.CheckResult{Sendable: 3})
	wantErr(t, err, mailer.ErrConflict, "sendable=3, frozen=0")
}

func (s suite) TestSelection(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	rows := people(4)
	rows[1].Exposures = []string{"B1"}
	rows[2].Exposures = []string{"B2", "A"}
	rows[3].Exposures = []string{"B2"}
	e.load("shop", "list", rows)
	e.load("club", "list", people(1))
	for _, tt := range []struct {
		c    mailer.Campaign
		want string
	}{
		{mailer.Campaign{}, "C000000 C000001 C000002 C000003"},
		{mailer.Campaign{Exposures: []string{"A"}}, "C000000 C000002"},
		{mailer.Campaign{Exposures: []string{"B1", "B2"}}, "C000001 C000002 C000003"},
		{mailer.Campaign{Certainty: mailer.CertaintyConfirmed}, "C000002 C000003"},
		{mailer.Campaign{Certainty: mailer.CertaintyPossible}, "C000000 C000001"},
		{mailer.Campaign{Certainty: mailer.CertaintyConfirmed, Exposures: []string{"A"}}, "C000002"},
		{mailer.Campaign{Merchant: "club"}, "C000000"},
	} {
		id := e.create(tt.c)
		var got []string
		must(t, e.Recipients(ctx, id, func(page []mailer.Recipient) error {
			for _, r := range page {
				got = append(got, r.CustomerID)
			}
			return nil
		}))
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%+v selects %v, want %s", tt.c, got, tt.want)
		}
	}
	_, err := e.CreateCampaign(ctx, tester, mailer.Campaign{Incident: "pay", Merchant: "shop", Stage: mailer.StageFormal, Exposures: []string{"Z"}})
	wantErr(t, err, mailer.ErrInvalid, "exposure=Z")
	_, err = e.CreateCampaign(ctx, tester, mailer.Campaign{Incident: "pay", Merchant: "none", Stage: mailer.StageFormal})
	wantErr(t, err, mailer.ErrNotFound, "what=merchant, id=none")
}

// A later campaign knows what an earlier one told; of another merchant it knows
// nothing.
func (s suite) TestTold(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	e.load("club", "list", people(3))
	d := claim(t, e.DB, id, 2).Deliveries
	for i := range d {
		must(t, e.Record(ctx, intent(&d[i]))[0])
	}
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateAccepted, mailer.AtDot))[0])
	must(t, e.Record(ctx, outcome(&d[1], mailer.StateUnknown, mailer.AtDot))[0])
	next := e.create(mailer.Campaign{Stage: mailer.StageFollowUp})
	e.run(next)
	l := claim(t, e.DB, next, 3).Deliveries
	if len(l) != 3 || len(l[0].Recipient.Told) != 1 || len(l[1].Recipient.Told)+len(l[2].Recipient.Told) != 0 {
		t.Fatalf("told: %+v", l)
	}
	if got := l[0].Recipient.Told[0]; got.Stage != mailer.StageFormal || got.On != mailer.DateOf(t0) || len(got.Exposures) != 1 {
		t.Errorf("told %+v", got)
	}
	r, err := e.FindRecipient(ctx, tester, mailer.RecipientQuery{Campaign: next, Ref: l[0].Recipient.Ref, For: mailer.ActPreview})
	if err != nil || len(r.Told) != 1 {
		t.Errorf("found %+v %v", r, err)
	}
	for _, r := range e.recipients("club") {
		if len(r.Told) != 0 {
			t.Errorf("club knows what shop told: %+v", r)
		}
	}
	// In a draft the recipient is as the check would take it.
	draft := e.create(mailer.Campaign{Stage: mailer.StageCorrection})
	if r, err = e.FindRecipient(ctx, tester, mailer.RecipientQuery{Campaign: draft, Ref: "", For: mailer.ActPreview}); err != nil || len(r.Told) != 1 || r.CustomerID != "C000000" {
		t.Errorf("first of a draft: %+v %v", r, err)
	}
	club := e.create(mailer.Campaign{Merchant: "club"})
	_, err = e.FindRecipient(ctx, tester, mailer.RecipientQuery{Campaign: club, Ref: l[0].Recipient.Ref, For: mailer.ActPreview})
	wantErr(t, err, mailer.ErrNotFound, "recipient.none")
}

func (s suite) TestApply(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	in, m := incident("pay"), merchant("shop")
	res, err := e.Apply(ctx, tester, []mailer.Incident{in}, []mailer.Merchant{m})
	must(t, err)
	if !res.Incidents[0].Changed || !res.Merchants[0].Changed {
		t.Errorf("new: %+v", res)
	}
	res, err = e.Apply(ctx, tester, []mailer.Incident{in}, []mailer.Merchant{m})
	must(t, err)
	if res.Incidents[0].Changed || res.Merchants[0].Changed {
		t.Errorf("unchanged: %+v", res)
	}
	e.load("shop", "list", people(1))
	id := e.create(mailer.Campaign{})
	e.check(id, nil)
	// All or nothing: the second one is refused, so the first is not taken.
	in.Title += "（訂正）"
	bad := merchant("No Such Id")
	_, err = e.Apply(ctx, tester, []mailer.Incident{in}, []mailer.Merchant{bad})
	wantErr(t, err, mailer.ErrInvalid, "No Such Id")
	e.wantPhase(id, mailer.PhaseChecked)
	gone := in
	gone.Exposures = gone.Exposures[1:]
	_, err = e.Apply(ctx, tester, []mailer.Incident{gone}, nil)
	wantErr(t, err, mailer.ErrConflict, "apply.exposure-gone (exposure=A)")
	gone.Exposures = in.Exposures[:1] // nobody has the others
	_, err = e.Apply(ctx, tester, []mailer.Incident{gone}, nil)
	must(t, err)
	e.wantPhase(id, mailer.PhaseDraft)
	got, err := e.Incident(ctx, "pay")
	if err != nil || len(got.Exposures) != 1 || got.Title != in.Title {
		t.Errorf("incident %+v %v", got, err)
	}
	_, err = e.Merchant(ctx, "none")
	wantErr(t, err, mailer.ErrNotFound, "none")
}

func (s suite) TestFireOnce(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	other := e.again()
	for _, tt := range []struct {
		db   *store.DB
		name string
		at   time.Time
		want bool
	}{{e.DB, "morning", t0, true}, {other, "morning", t0, false}, {other, "morning", t0.Add(time.Minute), true}, {e.DB, "evening", t0, true}} {
		if got, err := tt.db.FireOnce(ctx, tt.name, tt.at); err != nil || got != tt.want {
			t.Errorf("%s at %s: %v %v", tt.name, tt.at, got, err)
		}
	}
}
