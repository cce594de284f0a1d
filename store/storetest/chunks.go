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

// chunkMachine leases, sends, gives back and checks anew on two handles, in groups of
// any size, and holds what the ledger leases out against a model of who holds what.
type chunkMachine struct {
	t       *rapid.T
	e       *env
	handles [2]*store.DB
	id      string
	now     time.Time
	people  int
	groups  map[int64]string // by delivery
	leases  map[int64]*lease // by epoch; those that live
	sent    []mailer.Delivery
}

// lease is what a worker believes to hold.
type lease struct {
	until   time.Time
	queued  map[int64]mailer.Delivery // not begun
	sending map[int64]mailer.Delivery
}

// TestChunks: whatever workers do, each queued delivery lies in exactly one chunk, no
// two living leases have it, and in the end everything can be claimed.
func (s suite) TestChunks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := s.newEnv(t, store.Options{Durability: "normal"})
		m := &chunkMachine{t: rt, e: e, now: t0, groups: map[int64]string{}, leases: map[int64]*lease{}}
		for i := range m.handles {
			db, err := s.Open(t, e.options)
			must(t, err)
			defer db.Close()
			m.handles[i] = db
		}
		e.DB = m.handles[0]
		defer e.sql().Close()
		m.freeze()
		rt.Repeat(map[string]func(*rapid.T){
			"":          func(*rapid.T) { m.look() },
			"claim":     m.claim,
			"intent":    m.intent,
			"outcome":   m.outcome,
			"refuse":    m.refuse,
			"release":   m.release,
			"renew":     m.renew,
			"wait":      m.wait,
			"lapse":     m.lapse,
			"resolve":   m.resolve,
			"check":     m.check,
			"cancel":    m.cancel,
			"late news": m.late,
		})
		m.drain()
	})
}

// freeze makes a campaign of some groups, one of which needs several chunks.
func (m *chunkMachine) freeze() {
	sizes := map[string]int{"": rapid.IntRange(0, 20).Draw(m.t, "without a group")}
	for i := range rapid.IntRange(1, 9).Draw(m.t, "groups") {
		sizes[fmt.Sprintf("g%d", i)] = rapid.IntRange(1, 12).Draw(m.t, "size")
	}
	if rapid.IntRange(0, 9).Draw(m.t, "large") == 0 {
		sizes["large"] = 600
	}
	var of []string
	for name, n := range sizes {
		for range n {
			of = append(of, name)
		}
	}
	slices.Sort(of)
	m.e.group = func(r *mailer.Recipient) string {
		var n int
		if _, err := fmt.Sscanf(r.CustomerID, "C%d", &n); err != nil || n >= len(of) {
			return "late"
		}
		return of[n*7919%len(of)] // 7919 is a prime: all of them, mixed
	}
	m.people = len(of)
	m.id = m.e.campaign(m.people)
}

func (m *chunkMachine) db() *store.DB { return m.handles[rapid.IntRange(0, 1).Draw(m.t, "handle")] }

func (m *chunkMachine) must(err error, expected ...error) (ok bool) {
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

func (m *chunkMachine) claim(t *rapid.T) {
	n := rapid.SampledFrom([]int{1, 2, 3, 5, 10, 40, 300}).Draw(t, "n")
	var skip []string
	for i := range rapid.IntRange(0, 3).Draw(t, "skipped") {
		skip = append(skip, fmt.Sprintf("g%d", i))
	}
	m.take(m.db(), n, skip)
}

// take claims, and holds what comes against who holds what.
func (m *chunkMachine) take(db *store.DB, n int, skip []string) int {
	until := m.now.Add(time.Minute)
	l, err := db.Claim(context.Background(), m.id, m.now, until, n, skip)
	if !m.must(err, mailer.ErrNotRunning) || l == nil {
		return 0
	}
	if len(l.Deliveries) == 0 || len(l.Deliveries) > n {
		m.t.Fatalf("%d deliveries, of %d", len(l.Deliveries), n)
	}
	mine := &lease{until: until, queued: map[int64]mailer.Delivery{}, sending: map[int64]mailer.Delivery{}}
	for i, d := range l.Deliveries {
		if slices.Contains(skip, d.Group) || m.e.group(&d.Recipient) != d.Group {
			m.t.Fatalf("delivery %d of group %q, %v are skipped", d.ID, d.Group, skip)
		}
		if i > 0 && d.ID <= l.Deliveries[i-1].ID {
			m.t.Fatalf("delivery %d comes behind %d", d.ID, l.Deliveries[i-1].ID)
		}
		for epoch, other := range m.leases {
			_, queued := other.queued[d.ID]
			_, sending := other.sending[d.ID]
			if queued || sending {
				m.t.Fatalf("delivery %d is leased under %d and %d", d.ID, epoch, l.Epoch)
			}
		}
		mine.queued[d.ID] = d
	}
	m.leases[l.Epoch] = mine
	return len(l.Deliveries)
}

// pick draws a living lease, and one of some of its deliveries.
func (m *chunkMachine) pick(t *rapid.T, of func(*lease) map[int64]mailer.Delivery) (*lease, mailer.Delivery) {
	var epochs []int64
	for epoch, l := range m.leases {
		if len(of(l)) > 0 {
			epochs = append(epochs, epoch)
		}
	}
	if len(epochs) == 0 {
		t.Skip("nothing held")
	}
	slices.Sort(epochs)
	l := m.leases[rapid.SampledFrom(epochs).Draw(t, "epoch")]
	var ids []int64
	for id := range of(l) {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return l, of(l)[rapid.SampledFrom(ids).Draw(t, "delivery")]
}

func queued(l *lease) map[int64]mailer.Delivery  { return l.queued }
func sending(l *lease) map[int64]mailer.Delivery { return l.sending }

func (m *chunkMachine) intent(t *rapid.T) {
	l, d := m.pick(t, queued)
	// Who holds a lease that lives, of a campaign that runs, may begin.
	if m.must(m.db().Record(context.Background(), intent(&d))[0], mailer.ErrNotRunning) {
		delete(l.queued, d.ID)
		l.sending[d.ID] = d
	}
}

func (m *chunkMachine) outcome(t *rapid.T) {
	l, d := m.pick(t, sending)
	state := rapid.SampledFrom([]mailer.State{
		mailer.StateAccepted, mailer.StateDeferred, mailer.StateRejected, mailer.StateUnknown, mailer.StateExpired,
	}).Draw(t, "state")
	m.record(t, d, state, mailer.AtDot)
	delete(l.sending, d.ID)
	m.sent = append(m.sent, d)
}

func (m *chunkMachine) refuse(t *rapid.T) {
	l, d := m.pick(t, queued)
	m.record(t, d, rapid.SampledFrom([]mailer.State{mailer.StateDeferred, mailer.StateRejected, mailer.StateExpired}).Draw(t, "state"), mailer.AtRcpt)
	delete(l.queued, d.ID)
}

func (m *chunkMachine) record(t *rapid.T, d mailer.Delivery, state mailer.State, at mailer.Point, expected ...error) {
	r := outcome(&d, state, at)
	r.Outcome.Text = rapid.SampledFrom([]string{"ok", `"quoted\" \\ text`, "二行\r\nある", "\x00\x7f\u2028\xff", ""}).Draw(t, "text")
	if state == mailer.StateDeferred {
		r.Outcome.NextAt = m.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "later")) * time.Second)
	}
	m.must(m.db().Record(context.Background(), r)[0], expected...)
}

// late brings an answer to what was sent before, which counts once at most.
func (m *chunkMachine) late(t *rapid.T) {
	if len(m.sent) == 0 {
		t.Skip("nothing sent")
	}
	m.record(t, rapid.SampledFrom(m.sent).Draw(t, "sent"), mailer.StateAccepted, mailer.AtDot, mailer.ErrLeaseLost)
}

func (m *chunkMachine) drawEpoch(t *rapid.T) int64 {
	if len(m.leases) == 0 {
		t.Skip("no lease")
	}
	var epochs []int64
	for epoch := range m.leases {
		epochs = append(epochs, epoch)
	}
	slices.Sort(epochs)
	return rapid.SampledFrom(epochs).Draw(t, "epoch")
}

func (m *chunkMachine) release(t *rapid.T) {
	epoch := m.drawEpoch(t)
	m.must(m.db().Release(context.Background(), epoch))
	l := m.leases[epoch]
	clear(l.queued)
	if len(l.sending) == 0 {
		delete(m.leases, epoch)
	}
}

// renew is for the handle that claimed; the other one is refused.
func (m *chunkMachine) renew(t *rapid.T) {
	epoch := m.drawEpoch(t)
	until := m.now.Add(time.Minute)
	if m.must(m.db().Renew(context.Background(), []int64{epoch}, until), mailer.ErrLeaseLost) {
		m.leases[epoch].until = until
	}
}

func (m *chunkMachine) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 45).Draw(t, "seconds")) * time.Second)
	m.e.clock.set(m.now)
}

// lapse has dead leases taken back.
func (m *chunkMachine) lapse(t *rapid.T) {
	resend := rapid.Bool().Draw(t, "resend")
	rec, err := m.db().Recover(context.Background(), m.now, resend)
	m.must(err)
	var want mailer.Recovered
	for epoch, l := range m.leases {
		if l.until.After(m.now) {
			continue
		}
		want.Requeued += int64(len(l.queued))
		if resend {
			want.Requeued += int64(len(l.sending))
		} else {
			want.Unknown += int64(len(l.sending))
		}
		for _, d := range l.sending {
			m.sent = append(m.sent, d)
		}
		delete(m.leases, epoch)
	}
	if rec != want {
		t.Fatalf("taken back %+v, want %+v", rec, want)
	}
}

func (m *chunkMachine) resolve(t *rapid.T) {
	as := rapid.SampledFrom([]mailer.State{mailer.StateAccepted, mailer.StateQueued}).Draw(t, "as")
	_, err := m.db().Resolve(context.Background(), tester, m.id, as, "")
	m.must(err)
}

// check takes the campaign through check and approval again, with one person more or
// without.
func (m *chunkMachine) check(t *rapid.T) {
	if m.phase() != mailer.PhaseRunning || m.people > 700 {
		t.Skip("not now")
	}
	ctx := context.Background()
	if rapid.Bool().Draw(t, "with a list") {
		m.people++
		m.e.load("shop", fmt.Sprintf("more %d", m.people), people(m.people)[m.people-1:])
	}
	m.must(m.e.Pause(ctx, tester, m.id, "to check"))
	m.e.run(m.id)
}

func (m *chunkMachine) phase() mailer.Phase {
	c, err := m.handles[0].Campaign(context.Background(), m.id)
	m.must(err)
	return c.Phase
}

// cancel takes what was not begun from all leases.
func (m *chunkMachine) cancel(t *rapid.T) {
	if rapid.IntRange(0, 30).Draw(t, "seldom") > 0 {
		t.Skip("seldom")
	}
	if m.must(m.db().Cancel(context.Background(), tester, m.id), mailer.ErrConflict) {
		for _, l := range m.leases {
			clear(l.queued)
		}
	}
}

// look holds the rows of chunks and deliveries against each other, against what is
// counted, and against the model.
func (m *chunkMachine) look() {
	db := m.e.sql()
	var rows []deliveryRow
	m.must(db.Select(&rows, `SELECT id, state, held, grp, coalesce(chunk, 0) AS chunk FROM delivery`))
	if len(rows) != m.people {
		m.t.Fatalf("%d deliveries for %d people", len(rows), m.people)
	}
	members := map[int64][]int64{} // chunk → the queued deliveries that say to be in it
	byID := map[int64]deliveryRow{}
	for _, r := range rows {
		byID[r.ID] = r
		if r.State == mailer.StateQueued && r.Held == "" {
			members[r.Chunk] = append(members[r.Chunk], r.ID)
		}
	}
	want := mailer.Counts{}
	for _, c := range m.chunks() {
		m.lookAtChunk(c, members[c.ID], byID)
		if c.Lease != 0 {
			want[mailer.StateClaimed] += int64(len(members[c.ID]))
		}
		delete(members, c.ID)
	}
	if len(members) > 0 {
		m.t.Fatalf("queued in chunks that there are not: %v", members)
	}
	for epoch, l := range m.leases {
		for id := range l.queued {
			if byID[id].State != mailer.StateQueued {
				m.t.Fatalf("delivery %d is held under %d and is %s", id, epoch, byID[id].State)
			}
		}
		for id := range l.sending {
			if byID[id].State != mailer.StateSending {
				m.t.Fatalf("delivery %d is on the wire under %d and is %s", id, epoch, byID[id].State)
			}
		}
	}
	for _, r := range rows {
		want[r.State]++
	}
	want[mailer.StateQueued] -= want[mailer.StateClaimed]
	got, err := m.handles[0].Counts(context.Background(), m.id)
	m.must(err)
	for _, s := range mailer.States {
		if got[s] != want[s] {
			m.t.Fatalf("%d are counted as %s, which %d are", got[s], s, want[s])
		}
	}
	m.e.recount()
	if found := m.e.verify(); len(found) > 0 {
		m.t.Fatalf("verify: %v", found)
	}
}

type deliveryRow struct {
	ID    int64
	State mailer.State
	Held  string
	Grp   string
	Chunk int64
}

type chunkRow struct {
	ID, N      int64
	Grp        string
	Lease      int64 // 0: none
	Deliveries string
	Until      int64
}

func (m *chunkMachine) chunks() (rows []chunkRow) {
	m.must(m.e.sql().Select(&rows, `
		SELECT c.id, c.n, c.grp, coalesce(c.lease, 0) AS lease, c.deliveries, coalesce(l.until, 0) AS until
		FROM chunk c LEFT JOIN lease l ON l.id = c.lease`))
	return rows
}

// lookAtChunk: a free chunk names its members and nobody else. One that is leased may
// still name those that were begun, be they elsewhere by now.
func (m *chunkMachine) lookAtChunk(c chunkRow, members []int64, byID map[int64]deliveryRow) {
	var named []int64
	m.must(json.Unmarshal([]byte(c.Deliveries), &named))
	slices.Sort(members)
	if !slices.IsSorted(named) || int64(len(named)) != c.N || c.N > 256 {
		m.t.Fatalf("chunk %d of %d names %v", c.ID, c.N, named)
	}
	if c.Lease == 0 && !slices.Equal(named, members) {
		m.t.Fatalf("free chunk %d names %v, and %v are in it", c.ID, named, members)
	}
	for _, id := range members {
		if !slices.Contains(named, id) || byID[id].Grp != c.Grp {
			m.t.Fatalf("delivery %d of group %q is in chunk %d of %q, which names %v", id, byID[id].Grp, c.ID, c.Grp, named)
		}
	}
	if l := m.leases[c.Lease]; c.Lease != 0 && (l == nil || l.until.UnixMilli() != c.Until) {
		m.t.Fatalf("chunk %d is under lease %d until %d, which is %+v", c.ID, c.Lease, c.Until, l)
	}
}

// drain lets all leases lapse, decides what is unknown, and claims until nothing is
// left: what is open then was lost.
func (m *chunkMachine) drain() {
	ctx := context.Background()
	if m.phase() != mailer.PhaseRunning {
		return
	}
	m.now = m.now.Add(24 * time.Hour)
	m.e.clock.set(m.now)
	_, err := m.db().Recover(ctx, m.now, true)
	m.must(err)
	_, err = m.db().Resolve(ctx, tester, m.id, mailer.StateQueued, "")
	m.must(err)
	clear(m.leases)
	var open int
	m.must(m.e.sql().Get(&open, `SELECT count(*) FROM delivery WHERE state IN ('queued', 'sending', 'deferred', 'unknown')`))
	for n := rapid.IntRange(1, 50).Draw(m.t, "n"); ; {
		k := m.take(m.db(), n, nil)
		if open -= k; k == 0 {
			break
		}
	}
	if open != 0 {
		m.t.Fatalf("%d deliveries cannot be claimed", open)
	}
	m.look()
}

// TestCheckKeepsTried: what was tried and is queued again outlives a check, in whatever
// chunk it lay, and can be claimed afterwards.
func (s suite) TestCheckKeepsTried(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(4)
	d := claim(t, e.DB, id, 2).Deliveries
	for i := range d {
		must(t, e.Record(ctx, intent(&d[i]))[0])
		must(t, e.Record(ctx, outcome(&d[i], mailer.StateUnknown, mailer.AtDot))[0])
	}
	n, err := e.Resolve(ctx, tester, id, mailer.StateQueued, "")
	if err != nil || n != 2 {
		t.Fatalf("resolved %d %v", n, err)
	}
	must(t, e.Pause(ctx, tester, id, "to check"))
	if res := e.check(id, nil); res.Recipients != 2 {
		t.Errorf("%d frozen anew, want the 2 that were never tried", res.Recipients)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateQueued: 4})
	_, _, err = e.Approve(ctx, actor("佐藤"), id, 2, 1)
	must(t, err)
	must(t, e.Start(ctx, tester, id, true))
	if l := claim(t, e.DB, id, 9); len(l.Deliveries) != 4 || l.Deliveries[0].ID != d[0].ID || l.Deliveries[0].Attempts != 1 {
		t.Errorf("claimed %+v", l)
	}
}
