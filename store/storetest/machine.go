package storetest

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"pgregory.net/rapid"

	"oshirase/mailer"
	"oshirase/store"
)

// machine drives two handles on one file through random interleavings of
// everything that moves deliveries, beside a model that knows each delivery's
// state only from what the ledger has answered.
type machine struct {
	t        *rapid.T
	e        *env
	handles  [2]*store.DB
	sql      *sqlx.DB
	id       string
	now      time.Time
	total    int
	state    map[int64]mailer.State // as read after each step
	events   map[int64]int
	held     []mailer.Delivery // that some worker believes to hold
	intended []mailer.Delivery // whose intent was committed
}

func (s suite) TestMachine(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		e := s.newEnv(t, store.Options{Durability: "normal"})
		m := &machine{t: rt, e: e, now: t0, total: 12}
		for i := range m.handles {
			db, err := s.Open(t, e.options)
			must(t, err)
			defer db.Close()
			m.handles[i] = db
		}
		e.DB = m.handles[0]
		m.sql = e.sql()
		defer m.sql.Close()
		m.id = e.campaign(m.total)
		m.observe()
		rt.Repeat(map[string]func(*rapid.T){
			"":        func(*rapid.T) { m.observe() },
			"claim":   m.claim,
			"intent":  m.intent,
			"outcome": m.outcome,
			"refuse":  m.refuse,
			"release": m.release,
			"recover": m.recover,
			"wait":    func(t *rapid.T) { m.tick(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second) },
			"pause":   func(*rapid.T) { m.try(m.db().Pause(ctx, tester, m.id, "stop"), mailer.ErrConflict) },
			"resume":  func(*rapid.T) { m.try(m.db().Resume(ctx, tester, m.id), mailer.ErrConflict) },
			"resolve": m.resolve,
			"settle":  func(*rapid.T) { m.try(m.db().Settle(ctx, m.id)) },
			"import":  m.change,
			"cancel":  m.cancel,
			"requeue": m.requeue,
		})
	})
}

func (m *machine) db() *store.DB { return m.handles[rapid.IntRange(0, 1).Draw(m.t, "handle")] }

func (m *machine) tick(d time.Duration) {
	m.now = m.now.Add(d)
	m.e.clock.set(m.now)
}

// try fails on any error but the expected ones.
func (m *machine) try(err error, expected ...error) bool {
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

// observe reads the whole ledger and holds it against the table of what may
// follow what, the counts and the number of people.
func (m *machine) observe() {
	ctx := context.Background()
	next := map[int64]mailer.State{}
	history := map[int64]int{}
	var rows []struct {
		ID     int64
		State  mailer.State
		Events int
	}
	if err := m.sql.SelectContext(ctx, &rows, `
		SELECT d.id, CASE WHEN d.state = 'queued' AND c.id IS NOT NULL THEN 'claimed' ELSE d.state END AS state,
		       (SELECT count(*) FROM event WHERE delivery = d.id) AS events
		FROM delivery d LEFT JOIN chunk c ON c.id = d.chunk AND c.lease IS NOT NULL`); err != nil {
		m.t.Fatal(err)
	}
	for _, r := range rows {
		next[r.ID], history[r.ID] = r.State, r.Events
		if was, ok := m.state[r.ID]; ok && was != r.State && !reachable(was, r.State) {
			m.t.Fatalf("delivery %d went from %s to %s", r.ID, was, r.State)
		}
		if r.Events < m.events[r.ID] {
			m.t.Fatalf("delivery %d lost events", r.ID)
		}
		if was := m.state[r.ID]; was == mailer.StateAccepted && r.State != was {
			m.t.Fatalf("delivery %d did not stay %s", r.ID, was)
		}
	}
	for id, was := range m.state {
		if _, ok := next[id]; !ok && was != mailer.StateQueued && was != mailer.StateSuppressed {
			m.t.Fatalf("delivery %d, %s, is gone", id, was)
		}
	}
	if len(next) != m.total {
		m.t.Fatalf("%d deliveries for %d people", len(next), m.total)
	}
	m.state, m.events = next, history
	m.e.recount()
	m.e.verifyLedger()
	var orphans int
	if err := m.sql.GetContext(ctx, &orphans, `
		SELECT count(*) FROM delivery d WHERE d.state = 'sending' AND NOT EXISTS (
			SELECT 1 FROM chunk c WHERE c.id = d.chunk AND c.lease = d.lease)`); err != nil {
		m.t.Fatal(err)
	}
	if orphans != 0 {
		m.t.Fatalf("%d held deliveries that no lease would give back", orphans)
	}
}

// reachable follows the table over the steps that one transaction may take at once.
func reachable(from, to mailer.State) bool {
	for _, s := range []*mailer.State{&from, &to} {
		if *s == mailer.StateClaimed {
			*s = mailer.StateQueued // which it is, while a worker has it
		}
	}
	if from == to {
		return true
	}
	seen := map[mailer.State]bool{from: true}
	for todo := []mailer.State{from}; len(todo) > 0; todo = todo[1:] {
		for _, s := range mailer.States {
			if todo[0].CanBecome(s) && !seen[s] {
				if s == to {
					return true
				}
				seen[s] = true
				todo = append(todo, s)
			}
		}
	}
	return false
}

func (m *machine) claim(t *rapid.T) {
	n := rapid.IntRange(1, 5).Draw(t, "n")
	l, err := m.db().Claim(context.Background(), m.id, m.now, m.now.Add(time.Minute), n, nil)
	if !m.try(err, mailer.ErrNotRunning) || l == nil {
		return
	}
	for _, d := range l.Deliveries {
		if s := m.state[d.ID]; s != mailer.StateQueued && s != mailer.StateDeferred {
			t.Fatalf("delivery %d was claimed while %s", d.ID, s)
		}
	}
	m.held = append(m.held, l.Deliveries...)
}

func (m *machine) pick(t *rapid.T, from []mailer.Delivery) *mailer.Delivery {
	if len(from) == 0 {
		t.Skip("nothing held")
	}
	return &from[rapid.IntRange(0, len(from)-1).Draw(t, "delivery")]
}

func (m *machine) intent(t *rapid.T) {
	d := m.pick(t, m.held)
	r := intent(d)
	r.At = m.now
	if err := m.db().Record(context.Background(), r)[0]; m.try(err, mailer.ErrLeaseLost, mailer.ErrNotRunning) {
		if m.state[d.ID] != mailer.StateClaimed {
			t.Fatalf("an intent was committed for a delivery that was %s", m.state[d.ID])
		}
		m.intended = append(m.intended, *d)
	}
}

func (m *machine) outcome(t *rapid.T) {
	d := m.pick(t, m.intended)
	s := rapid.SampledFrom([]mailer.State{mailer.StateAccepted, mailer.StateDeferred, mailer.StateRejected, mailer.StateUnknown, mailer.StateExpired, mailer.StateQueued}).Draw(t, "state")
	m.record(d, s, mailer.AtDot)
}

func (m *machine) refuse(t *rapid.T) {
	d := m.pick(t, m.held)
	m.record(d, rapid.SampledFrom([]mailer.State{mailer.StateDeferred, mailer.StateRejected, mailer.StateAccepted, mailer.StateQueued}).Draw(t, "state"), mailer.AtRcpt)
}

func (m *machine) record(d *mailer.Delivery, s mailer.State, p mailer.Point) {
	r := outcome(d, s, p)
	r.At, r.Outcome.At, r.Outcome.NextAt = m.now, m.now, m.now.Add(30*time.Second)
	if s == mailer.StateQueued {
		r.Outcome.Code = 554
		r.Outcome.Held = rapid.SampledFrom([]mailer.Held{"", "", mailer.HeldCompose, mailer.HeldRefused}).Draw(m.t, "held")
	}
	m.try(m.db().Record(context.Background(), r)[0], mailer.ErrLeaseLost)
}

func (m *machine) requeue(t *rapid.T) {
	from := rapid.SampledFrom([]mailer.State{mailer.StateRejected, mailer.StateExpired, mailer.StateQueued}).Draw(t, "from")
	_, err := m.db().Requeue(context.Background(), actor("佐藤"), m.id, from, "")
	m.try(err, mailer.ErrConflict)
}

func (m *machine) release(t *rapid.T) {
	m.try(m.db().Release(context.Background(), m.pick(t, m.held).Epoch))
}

func (m *machine) recover(t *rapid.T) {
	_, err := m.db().Recover(context.Background(), m.now, rapid.Bool().Draw(t, "resend"))
	m.try(err)
}

func (m *machine) resolve(t *rapid.T) {
	as := rapid.SampledFrom([]mailer.State{mailer.StateAccepted, mailer.StateQueued}).Draw(t, "as")
	_, err := m.db().Resolve(context.Background(), actor("佐藤"), m.id, as, "")
	m.try(err)
}

// change imports one more person, and takes the campaign through check and
// approval to running again.
func (m *machine) change(t *rapid.T) {
	c, err := m.handles[0].Campaign(context.Background(), m.id)
	m.try(err)
	if c.Phase == mailer.PhaseFinished || c.Phase == mailer.PhaseCancelled || m.total >= 16 {
		t.Skip("at its end")
	}
	m.total++
	m.e.load("shop", "more"+strconv.Itoa(m.total), people(m.total)[m.total-1:])
	m.try(m.handles[0].Void(context.Background(), tester, m.id, "to check"))
	m.e.run(m.id)
}

func (m *machine) cancel(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "seldom") > 0 {
		t.Skip("seldom")
	}
	m.try(m.db().Cancel(context.Background(), actor("佐藤"), m.id), mailer.ErrConflict)
}
