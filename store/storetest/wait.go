package storetest

import (
	"testing"
	"time"

	"oshirase/mailer"
)

func (e *env) groups(id string) []mailer.GroupStatus {
	e.tb.Helper()
	st, err := e.Status(e.tb.Context(), id)
	must(e.tb, err)
	return st[0].Groups
}

func (e *env) waitRows() (n int) {
	e.tb.Helper()
	must(e.tb, e.sql().Get(&n, `SELECT count(*) FROM wait`))
	return n
}

// TestWaits: what living workers say, each for itself, and for the campaigns
// that they send.
func (s suite) TestWaits(t *testing.T) {
	ctx := t.Context()
	e := s.open(t)
	e.group = func(r *mailer.Recipient) string {
		if r.CustomerID <= person(3).CustomerID {
			return "slow"
		}
		return ""
	}
	id := e.campaign(6)
	other := e.create(mailer.Campaign{Stage: mailer.StageFollowUp})
	e.run(other)
	d := claim(t, e.DB, id, 1).Deliveries[0]
	must(t, e.Record(ctx, outcome(&d, mailer.StateDeferred, mailer.AtRcpt))[0])

	a, b := e.again(), e.again()
	lapse := t0.Add(time.Minute)
	rest := mailer.Wait{
		Scope: mailer.WaitGroup, Name: "slow", Reason: mailer.WaitRest, Reply: "421 4.7.0 later", Since: t0, Until: t0.Add(10 * time.Second),
		Held: map[string]int{id: 2},
	}
	limit := mailer.Wait{Scope: mailer.WaitGroup, Name: "slow", Reason: mailer.WaitRate, Limit: 5, Since: t0.Add(time.Second), Held: map[string]int{id: 0}}
	relay := mailer.Wait{Scope: mailer.WaitRelay, Name: "main", Reason: mailer.WaitDown, Reply: "no", Since: t0, Until: t0.Add(20 * time.Second)}
	idle := mailer.Wait{Scope: mailer.WaitGroup, Name: "idle", Reason: mailer.WaitRate, Limit: 1, Since: t0, Held: map[string]int{id: 0}}
	must(t, a.SetWaits(ctx, 1, lapse, []mailer.Wait{rest, idle}))
	must(t, a.SetWaits(ctx, 2, lapse, []mailer.Wait{limit}))
	must(t, b.SetWaits(ctx, 1, lapse, []mailer.Wait{limit, relay}))

	g := e.groups(id)
	if len(g) != 1 || g[0].Name != "slow" || g[0].Queued != 3 || g[0].Deferred != (mailer.Count{N: 1}) || g[0].Held != 2 || len(g[0].Waits) != 3 {
		t.Fatalf("%+v", g)
	}
	if o := g[0].Waits[0]; o.Reason != mailer.WaitRest || o.Reply != rest.Reply || !o.Since.Equal(t0) || !o.Until.Equal(rest.Until) {
		t.Errorf("%+v", o)
	}
	if o := g[0].Waits[1]; o.Reason != mailer.WaitRate || o.Limit != 5 || !o.Until.IsZero() {
		t.Errorf("%+v", o)
	}
	if g := e.groups(other); len(g) > 0 {
		t.Errorf("of a campaign that nobody sends: %+v", g)
	}

	e.clock.set(t0.Add(15 * time.Second))
	if g := e.groups(id); len(g) != 1 || len(g[0].Waits) != 2 {
		t.Errorf("after the rest: %+v", g)
	}
	must(t, a.SetWaits(ctx, 2, lapse, nil))
	if g := e.groups(id); len(g) != 1 || len(g[0].Waits) != 1 {
		t.Errorf("after one session has ended: %+v", g)
	}
	must(t, e.Pause(ctx, tester, id, "by hand"))
	if g := e.groups(id); len(g) > 0 {
		t.Errorf("paused: %+v", g)
	}
	must(t, e.Resume(ctx, tester, id))

	relays, err := e.RelayWaits(ctx)
	must(t, err)
	if len(relays) != 1 || relays[0].Name != "main" || !relays[0].Until.Equal(relay.Until) || relays[0].Reply != "no" {
		t.Errorf("%+v", relays)
	}
	e.clock.set(t0.Add(25 * time.Second))
	if relays, err = e.RelayWaits(ctx); err != nil || len(relays) != 1 || !relays[0].Until.IsZero() {
		t.Errorf("being tried again: %+v, %v", relays, err)
	}

	must(t, b.Close()) // as when its process ends
	if g := e.groups(id); len(g) > 0 {
		t.Errorf("of a dead worker: %+v", g)
	}
	if relays, err = e.RelayWaits(ctx); err != nil || len(relays) > 0 {
		t.Errorf("of a dead worker: %+v, %v", relays, err)
	}

	must(t, a.SetWaits(ctx, 1, lapse, []mailer.Wait{limit}))
	e.clock.set(lapse)
	if g := e.groups(id); len(g) > 0 {
		t.Errorf("of a worker that stands still: %+v", g)
	}
	must(t, e.SetWaits(ctx, 1, lapse.Add(time.Minute), []mailer.Wait{limit}))
	if n := e.waitRows(); n != 1 {
		t.Errorf("%d rows, of which one stands", n)
	}
	if g := e.groups(id); len(g) != 1 {
		t.Errorf("of this worker: %+v", g)
	}
}

// TestGroupCountsAreBounded: asking costs the same however many wait.
func (s suite) TestGroupCountsAreBounded(t *testing.T) {
	e := s.open(t)
	id := e.campaign(1)
	must(t, e.SetWaits(t.Context(), 1, t0.Add(time.Minute), []mailer.Wait{
		{Scope: mailer.WaitGroup, Name: "slow", Reason: mailer.WaitRate, Since: t0, Held: map[string]int{id: 0}},
	}))
	db := e.sql()
	e.damaged = true
	_, err := db.Exec(`
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001)
		INSERT INTO delivery (campaign, merchant, round, recipient, state, first_at, next_at, hash, exposures, grp)
		SELECT 1, 1, 1, (SELECT max(recipient) FROM delivery) + i, 'deferred', 1, i, (SELECT max(hash) FROM delivery), '[]', 'slow' FROM n`)
	must(t, err)
	count := func(n int) []mailer.GroupStatus {
		t.Helper()
		_, err := db.Exec(`UPDATE campaign_count SET n = ? WHERE campaign = 1 AND state = 'deferred'`, n)
		must(t, err)
		return e.groups(id)
	}
	if g := count(100_000); len(g) != 1 || g[0].Deferred != (mailer.Count{N: 100_000}) {
		t.Errorf("%+v", g)
	}
	if g := count(100_001); len(g) != 1 || g[0].Deferred != (mailer.Count{N: 100_000, More: true}) {
		t.Errorf("%+v", g)
	}
}
