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
	_, sent := m.intended[d.ID]
	_, unsure := m.unsure[d.ID]
	if sent || unsure {
		t.Skip("on the wire, or was")
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
	m.e.clock.set(m.now)
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
