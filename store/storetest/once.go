package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"oshirase/mailer"
	"oshirase/store"
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

// onceMachine starts campaigns of one stage for people of several exposures in any order
// and has relays answer anything, beside a record of what people really got.
type onceMachine struct {
	t         *rapid.T
	e         *env
	handles   [2]*store.DB
	campaigns []string
	now       time.Time
	claimed   []mailer.Delivery
	intended  map[int64]mailer.Delivery // on the wire
	unsure    map[int64]bool            // unknown deliveries: whether the relay has the message
	refs      map[int64]string
	got       map[int64][]string // exposures that each recipient was told of
}

// TestOnceMachine: nobody is told twice, in whatever order campaigns are checked, started,
// voided and cancelled and whatever relays say; and whoever a running campaign passes over
// was told by another.
func (s suite) TestOnceMachine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := s.newEnv(t, store.Options{Durability: "normal"})
		m := &onceMachine{
			t: rt, e: e, now: t0, intended: map[int64]mailer.Delivery{}, unsure: map[int64]bool{},
			refs: map[int64]string{}, got: map[int64][]string{},
		}
		for i := range m.handles {
			db, err := s.Open(t, e.options)
			must(t, err)
			defer db.Close()
			m.handles[i] = db
		}
		e.DB = m.handles[0]
		defer e.sql().Close()
		m.begin()
		rt.Repeat(map[string]func(*rapid.T){
			"":        func(*rapid.T) { m.look() },
			"check":   m.check,
			"start":   m.start,
			"claim":   m.claim,
			"intent":  m.intent,
			"outcome": m.outcome,
			"refuse":  m.refuse,
			"release": m.release,
			"resolve": m.resolve,
			"recover": m.recover,
			"pause":   func(*rapid.T) { m.ok(m.db().Pause(context.Background(), tester, m.any(), "stop"), mailer.ErrConflict) },
			"resume":  func(*rapid.T) { m.ok(m.db().Resume(context.Background(), tester, m.any()), mailer.ErrConflict) },
			"void":    func(*rapid.T) { m.ok(m.db().Void(context.Background(), tester, m.any(), "facts"), mailer.ErrConflict) },
			"cancel":  m.cancel,
			"review":  func(*rapid.T) { m.review(m.any()) },
			"settle":  func(*rapid.T) { m.ok(m.db().Settle(context.Background(), m.any())) },
			"list":    m.list,
		})
		m.end()
	})
}

func (m *onceMachine) begin() {
	rows := people(rapid.IntRange(1, 6).Draw(m.t, "people"))
	for i := range rows {
		rows[i].Exposures = m.exposures()
	}
	m.e.apply()
	m.e.load("shop", "list", rows)
	for range rapid.IntRange(2, 4).Draw(m.t, "campaigns") {
		var of []string
		if rapid.Bool().Draw(m.t, "narrowed") {
			of = m.exposures()
		}
		m.campaigns = append(m.campaigns, m.e.create(mailer.Campaign{Exposures: of}))
	}
}

func (m *onceMachine) exposures() []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"A", "B1", "B2"}), 1, 2, rapid.ID).Draw(m.t, "exposures")
}

func (m *onceMachine) any() string   { return rapid.SampledFrom(m.campaigns).Draw(m.t, "campaign") }
func (m *onceMachine) db() *store.DB { return m.handles[rapid.IntRange(0, 1).Draw(m.t, "handle")] }
func (m *onceMachine) phase(id string) mailer.Phase {
	c, err := m.e.Campaign(context.Background(), id)
	m.ok(err)
	return c.Phase
}

func (m *onceMachine) ok(err error, expected ...error) bool {
	for _, want := range expected {
		if errors.Is(err, want) {
			return false
		}
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return true
}

// check takes a campaign to approved.
func (m *onceMachine) check(t *rapid.T) {
	id := m.any()
	switch m.phase(id) {
	case mailer.PhaseRunning, mailer.PhaseFinished, mailer.PhaseCancelled:
		t.Skip("not now")
	}
	m.e.approve(id)
}

func (m *onceMachine) start(*rapid.T) {
	m.ok(m.db().Start(context.Background(), tester, m.any(), true), mailer.ErrConflict)
}

func (m *onceMachine) claim(t *rapid.T) { m.take(m.any(), rapid.IntRange(1, 3).Draw(t, "n")) }

func (m *onceMachine) take(id string, n int) int {
	l, err := m.db().Claim(context.Background(), id, m.now, m.now.Add(time.Minute), n, nil)
	if !m.ok(err, mailer.ErrNotRunning) || l == nil {
		return 0
	}
	for _, d := range l.Deliveries {
		m.refs[d.ID] = d.Recipient.Ref
	}
	m.claimed = append(m.claimed, l.Deliveries...)
	return len(l.Deliveries)
}

func (m *onceMachine) draw(t *rapid.T) *mailer.Delivery {
	if len(m.claimed) == 0 {
		t.Skip("nothing claimed")
	}
	return &m.claimed[rapid.IntRange(0, len(m.claimed)-1).Draw(t, "delivery")]
}

func (m *onceMachine) intent(t *rapid.T) {
	d := m.draw(t)
	r := intent(d)
	r.At = m.now
	if m.ok(m.db().Record(context.Background(), r)[0], mailer.ErrLeaseLost, mailer.ErrNotRunning) {
		m.intended[d.ID] = *d
	}
}

func (m *onceMachine) outcome(t *rapid.T) {
	var ids []int64
	for id := range m.intended {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		t.Skip("nothing on the wire")
	}
	slices.Sort(ids)
	m.answer(rapid.SampledFrom(ids).Draw(t, "delivery"), rapid.SampledFrom([]mailer.State{
		mailer.StateAccepted, mailer.StateDeferred, mailer.StateRejected, mailer.StateUnknown, mailer.StateExpired,
	}).Draw(t, "state"))
}

// answer is what a relay says of a message that was handed to it.
func (m *onceMachine) answer(id int64, s mailer.State) {
	d := m.intended[id]
	delete(m.intended, id)
	r := outcome(&d, s, mailer.AtDot)
	r.At, r.Outcome.At, r.Outcome.NextAt = m.now, m.now, m.now
	m.ok(m.db().Record(context.Background(), r)[0])
	switch s {
	case mailer.StateAccepted:
		m.told(&d)
	case mailer.StateUnknown:
		if m.unsure[id] = rapid.Bool().Draw(m.t, "taken"); m.unsure[id] {
			m.told(&d)
		}
	}
}

// told notes that somebody really gets a message.
func (m *onceMachine) told(d *mailer.Delivery) {
	var named string
	m.ok(m.e.sql().Get(&named, `SELECT exposures FROM delivery WHERE id = ?`, d.ID))
	var list []string
	m.ok(json.Unmarshal([]byte(named), &list))
	if had := m.got[d.Recipient.ID]; mailer.Covers(had, list) {
		m.t.Fatalf("recipient %d was told of %v, and is told of %v by delivery %d", d.Recipient.ID, had, list, d.ID)
	}
	m.got[d.Recipient.ID] = append(m.got[d.Recipient.ID], list...)
}

func (m *onceMachine) refuse(t *rapid.T) {
	d := m.draw(t)
	if _, sent := m.intended[d.ID]; sent {
		t.Skip("on the wire")
	}
	r := outcome(d, rapid.SampledFrom([]mailer.State{mailer.StateDeferred, mailer.StateRejected}).Draw(t, "state"), mailer.AtRcpt)
	r.At, r.Outcome.At, r.Outcome.NextAt = m.now, m.now, m.now
	m.ok(m.db().Record(context.Background(), r)[0], mailer.ErrLeaseLost)
}

func (m *onceMachine) release(t *rapid.T) {
	m.ok(m.db().Release(context.Background(), m.draw(t).Epoch))
}

// recover has all leases lapse: what was on the wire is unknown then, and may have
// arrived.
func (m *onceMachine) recover(t *rapid.T) {
	m.now = m.now.Add(2 * time.Minute)
	m.e.clock.t = m.now
	_, err := m.db().Recover(context.Background(), m.now, false)
	m.ok(err)
	for id, d := range m.intended {
		if m.unsure[id] = rapid.Bool().Draw(t, "taken"); m.unsure[id] {
			m.told(&d)
		}
	}
	clear(m.intended)
	m.claimed = nil
}

// resolve has a person decide one unknown delivery as it was.
func (m *onceMachine) resolve(t *rapid.T) {
	var ids []int64
	for id := range m.unsure {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		t.Skip("nothing unknown")
	}
	slices.Sort(ids)
	m.decide(rapid.SampledFrom(ids).Draw(t, "delivery"))
}

func (m *onceMachine) decide(id int64) {
	var campaign string
	m.ok(m.e.sql().Get(&campaign, `SELECT k.id FROM delivery d JOIN campaign k ON k.num = d.campaign WHERE d.id = ?`, id))
	as := mailer.StateQueued
	if m.unsure[id] {
		as = mailer.StateAccepted
	}
	_, err := m.db().Resolve(context.Background(), tester, campaign, as, m.refs[id])
	m.ok(err)
	delete(m.unsure, id)
}

func (m *onceMachine) cancel(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "seldom") > 0 {
		t.Skip("seldom")
	}
	m.ok(m.db().Cancel(context.Background(), tester, m.any()), mailer.ErrConflict)
}

func (m *onceMachine) review(id string) int64 {
	n, err := m.db().Review(context.Background(), id)
	m.ok(err)
	return n
}

// list brings a person anew, or one more exposure of a known one.
func (m *onceMachine) list(t *rapid.T) {
	n := rapid.IntRange(0, 7).Draw(t, "person")
	rows := people(n + 1)[n:]
	rows[0].Exposures = m.exposures()
	m.e.load("shop", fmt.Sprint("more ", rapid.Uint32().Draw(t, "sum")), rows)
}

// look: the ledger keeps to its own rules.
func (m *onceMachine) look() {
	m.e.recount()
}

// end has everything decided and sent that can be: then nobody waits, and whoever was
// passed over by a campaign was told by another.
func (m *onceMachine) end() {
	ctx := context.Background()
	for _, id := range m.campaigns {
		m.ok(m.db().Resume(ctx, tester, id), mailer.ErrConflict)
		_, err := m.db().DecideHeld(ctx, tester, id, mailer.StateQueued, "")
		m.ok(err)
	}
	m.recover(m.t)
	for moved := true; moved; {
		moved = false
		for id := range m.unsure {
			m.decide(id)
		}
		for _, id := range m.campaigns {
			n := m.take(id, 100)
			for i := range m.claimed {
				d := m.claimed[i]
				m.ok(m.db().Record(ctx, intent(&d))[0])
				m.intended[d.ID] = d
				m.answer(d.ID, mailer.StateAccepted)
			}
			m.claimed = nil
			moved = moved || n > 0 || m.review(id) > 0
		}
	}
	m.e.verifyLedger()
	var rows []struct {
		Recipient  int64
		State      mailer.State
		Held       string
		Suppressed mailer.Suppression
	}
	m.ok(m.e.sql().Select(&rows, `SELECT d.recipient, d.state, d.held, d.suppressed FROM delivery d JOIN campaign k ON k.num = d.campaign WHERE k.phase = 'running'`))
	for _, r := range rows {
		if r.State.Open() {
			m.t.Fatalf("recipient %d stays %s %s", r.Recipient, r.State, r.Held)
		}
		if r.Suppressed == mailer.SuppressedAlreadyNotified && len(m.got[r.Recipient]) == 0 {
			m.t.Fatalf("recipient %d was passed over, and was told by nobody", r.Recipient)
		}
	}
}
