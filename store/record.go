package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/journal"
	"oshirase/store/internal/engine"
)

// Group commit. Callers of Record join the batch that is open; the first of a
// batch becomes its leader, waits until the batch before is durable (meanwhile
// others join), closes it, commits it in one transaction and wakes all with one
// channel. Nothing runs while nobody records.

type committer struct {
	mu   sync.Mutex
	open *batch     // joined by the next caller; nil: the next caller leads a new one
	turn sync.Mutex // held by the leader that commits
}

// pending is a record with what is sealed of its reply; that is done by whoever
// records, so that a batch does not wait for it.
type pending struct {
	*mailer.Record
	raw []byte // nil: nothing was said
}

type batch struct {
	records []pending
	errs    []error
	done    chan struct{}
}

// maxBatch is the number of records beyond which a batch takes no more callers.
const maxBatch = 2048

// Record commits intents and outcomes and returns when they are durable. The
// result has one error per record: ErrLeaseLost where state or epoch do not
// match, ErrNotRunning for an intent of a campaign that is not running, nil
// where it is committed. Outcomes are taken in any phase. A late outcome also
// settles a delivery that became unknown under the same epoch. ctx counts until
// the records have joined a batch; from then on the result is waited for, since
// it would be committed anyway.
func (db *DB) Record(ctx context.Context, records ...mailer.Record) []error {
	errs := make([]error, len(records))
	if len(records) == 0 {
		return errs
	}
	if err := ctx.Err(); err != nil {
		for i := range errs {
			errs[i] = fmt.Errorf("record: %w", err)
		}
		return errs
	}
	var few [4]pending // copied into the batch
	sealed, err := db.seal(ctx, few[:0], records)
	if err != nil {
		db.explain(&err, "record")
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	c := &db.commits
	c.mu.Lock()
	b := c.open
	leader := b == nil
	if leader {
		b = &batch{done: make(chan struct{})}
		c.open = b
	}
	from := len(b.records)
	b.records = append(b.records, sealed...)
	if len(b.records) >= maxBatch {
		c.open = nil
	}
	c.mu.Unlock()
	if leader {
		c.turn.Lock()
		c.close(b)
		b.errs = db.commit(b.records)
		c.turn.Unlock()
		close(b.done)
	} else {
		<-b.done
	}
	copy(errs, b.errs[from:])
	return errs
}

// close lets no more callers join the batch. Those that the commit before has just
// woken are let through first: without that, batches of one and of all the others
// would take turns, and half of the syncs would carry next to nothing.
func (c *committer) close(b *batch) {
	joined := 0
	for range 16 {
		c.mu.Lock()
		n := len(b.records)
		c.mu.Unlock()
		if n == joined {
			break
		}
		joined = n
		runtime.Gosched()
	}
	c.mu.Lock()
	if c.open == b {
		c.open = nil
	}
	c.mu.Unlock()
}

// commit writes one batch in one transaction. It first takes every campaign to be
// running and every delivery to be in the state that its record implies; the
// statement fails where that is not so, and only then rows are read to sort out
// whose record is late.
func (db *DB) commit(records []pending) []error {
	ctx := context.Background() // without Done, the driver needs no goroutine per statement
	errs := make([]error, len(records))
	err := db.commitImplied(ctx, records, errs)
	if errors.Is(err, engine.ErrStale) {
		err = db.write(ctx, func(c *change) error {
			clear(errs)
			return c.commitRead(ctx, records, errs)
		})
	}
	if err != nil {
		db.explain(&err, "record")
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

// commitImplied is a transaction of one statement: it begins, writes and commits
// without coming back in between, which matters since batches follow one another.
func (db *DB) commitImplied(ctx context.Context, records []pending, errs []error) error {
	j := &db.journal
	j.Lock()
	defer j.Unlock()
	if !j.known {
		return engine.ErrStale // not begun, or in doubt: the long way finds out
	}
	keys, err := db.campaignsOf(ctx, db.pool(), records)
	if err != nil {
		return err
	}
	moves, err := db.group(ctx, db.pool(), records, errs, keys, func(campaignKey) mailer.Phase { return mailer.PhaseRunning }, implied)
	if err != nil {
		return err
	}
	var tree journal.Tree
	steps, err := j.steps(&tree, moves)
	if err != nil || len(steps) == 0 {
		return err
	}
	var entry *engine.Entry
	var head journal.Head
	if tree.Size() > 0 {
		entry, head = db.next(db.now(), &tree)
	}
	err = db.eng.Apply(ctx, nil, steps, entry)
	db.committed(err, entry != nil, head)
	return err
}

// commitRead reads phases and states first.
func (c *change) commitRead(ctx context.Context, records []pending, errs []error) error {
	db := c.db
	keys, err := db.campaignsOf(ctx, c, records)
	if err != nil {
		return err
	}
	phases, err := readPhases(ctx, c, keys)
	if err != nil {
		return err
	}
	known, err := c.readStates(ctx, records)
	if err != nil {
		return err
	}
	moves, err := db.group(ctx, c, records, errs, keys, func(k campaignKey) mailer.Phase { return phases[k.num] }, known)
	if err != nil {
		return err
	}
	if err := c.transition(ctx, moves...); err != nil {
		return err
	}
	for _, m := range moves {
		if m.Phase == mailer.PhaseCancelled && (m.To == mailer.StateDeferred || m.To == mailer.StateQueued) {
			if err := c.cancelRest(ctx, &campaignRow{Num: m.Campaign, ID: m.campaign, Phase: m.Phase}); err != nil {
				return err
			}
		}
	}
	return nil
}

// stater says in which state a record finds its delivery, or why it may not be
// written.
type stater func(k campaignKey, r *mailer.Record, to mailer.State) (mailer.State, error)

// implied is the state that a delivery has where nothing went wrong. Up to the
// reply to DATA no intent is needed, from the body on there is one.
func implied(_ campaignKey, r *mailer.Record, to mailer.State) (mailer.State, error) {
	if r.Outcome == nil {
		return mailer.StateQueued, nil
	}
	switch {
	case r.Intended || to == mailer.StateAccepted || to == mailer.StateUnknown:
		return mailer.StateSending, nil
	case r.Outcome.Point == mailer.AtBody || r.Outcome.Point == mailer.AtDot:
		return mailer.StateSending, nil
	}
	return mailer.StateQueued, nil
}

// readStates reads the deliveries of all records; the stater it returns follows
// them through the batch.
func (c *change) readStates(ctx context.Context, records []pending) (stater, error) {
	type at struct {
		ID, Campaign int64
		State        mailer.State
		Lease        int64 // under which it was last sent
		Held         int64 // that its chunk has; 0: none
	}
	ids := make([]int64, len(records))
	for i, r := range records {
		ids[i] = r.Delivery
	}
	cond, arg := c.db.eng.In("d.id", ids)
	var rows []at
	if err := find(ctx, c, &rows, `
		SELECT d.id, d.campaign, d.state, d.lease, coalesce(c.lease, 0) AS held
		FROM delivery d LEFT JOIN chunk c ON c.id = d.chunk WHERE `+cond, arg); err != nil {
		return nil, err
	}
	known := make(map[int64]*at, len(rows))
	for i := range rows {
		known[rows[i].ID] = &rows[i]
	}
	return func(k campaignKey, r *mailer.Record, to mailer.State) (mailer.State, error) {
		a := known[r.Delivery]
		if a == nil || a.Campaign != k.num {
			return "", fmt.Errorf("%w: campaign %s has no delivery %d", mailer.ErrLeaseLost, r.Campaign, r.Delivery)
		}
		from, under := a.State, a.Lease
		if from == mailer.StateQueued {
			under = a.Held
		}
		ok := under == r.Epoch && from.CanBecome(to)
		if r.Outcome == nil {
			ok = ok && from == mailer.StateQueued
		} else {
			ok = ok && (from == mailer.StateQueued || from == mailer.StateSending || from == mailer.StateUnknown)
		}
		if !ok {
			return "", fmt.Errorf("%w: delivery %d is %s under epoch %d", mailer.ErrLeaseLost, r.Delivery, from, under)
		}
		a.State, a.Lease = to, r.Epoch
		return from, nil
	}, nil
}

// goal is the state that a record asks for.
func goal(r *mailer.Record, phase mailer.Phase) (mailer.State, error) {
	if r.Outcome == nil {
		if phase != mailer.PhaseRunning {
			return "", fmt.Errorf("%w: %s is %s", mailer.ErrNotRunning, r.Campaign, phase)
		}
		return mailer.StateSending, nil
	}
	switch r.Outcome.State {
	case mailer.StateAccepted, mailer.StateRejected, mailer.StateUnknown, mailer.StateExpired:
	case mailer.StateQueued:
		if r.Outcome.Code < 400 && r.Outcome.Held == "" { // without a refusal it may have left
			return "", mailer.Invalid("record.no-refusal", "delivery", r.Delivery)
		}
	case mailer.StateDeferred:
		if r.Outcome.NextAt.IsZero() {
			return "", mailer.Invalid("record.no-time", "delivery", r.Delivery)
		}
	default:
		return "", mailer.Invalid("record.no-outcome", "delivery", r.Delivery, "state", r.Outcome.State)
	}
	return r.Outcome.State, nil
}

// campaignsOf returns the keys of the campaigns of a batch; one that does not
// exist has none.
func (db *DB) campaignsOf(ctx context.Context, h handle, records []pending) (map[string]campaignKey, error) {
	keys := make(map[string]campaignKey, 1)
	last := ""
	for i, r := range records {
		if i > 0 && r.Campaign == last {
			continue
		}
		last = r.Campaign
		if _, ok := keys[r.Campaign]; ok {
			continue
		}
		k, err := db.campaignKey(ctx, h, r.Campaign)
		if errors.Is(err, mailer.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		keys[r.Campaign] = k
	}
	return keys, nil
}

func readPhases(ctx context.Context, h handle, keys map[string]campaignKey) (map[int64]mailer.Phase, error) {
	phases := make(map[int64]mailer.Phase, len(keys))
	for _, k := range keys {
		var p mailer.Phase
		if err := get(ctx, h, &p, `SELECT phase FROM campaign WHERE num = ?`, k.num); err != nil {
			return nil, err
		}
		phases[k.num] = p
	}
	return phases, nil
}

// alike is what records have in common that are written as one step.
type alike struct {
	campaignKey
	epoch    int64
	from, to mailer.State
	relay    string
	point    mailer.Point
	code     int
	enhanced string
	held     mailer.Held
}

// kind is what an outcome leaves in the history.
func (a *alike) kind(wanted mailer.State) mailer.EventKind {
	switch {
	case wanted != mailer.StateQueued:
		return mailer.EventAttempt
	case a.held != "":
		return mailer.EventHold
	}
	return mailer.EventRefusal
}

// group gathers records that are alike; a record that may not be written has its
// error instead. The order is that of each one's first record: one delivery may
// come twice, late after unknown.
func (db *DB) group(ctx context.Context, h handle, records []pending, errs []error, keys map[string]campaignKey,
	phaseOf func(campaignKey) mailer.Phase, state stater,
) ([]*move, error) {
	now := db.now()
	groups := make(map[alike]*move, 8)
	var order []*move
	for i, r := range records {
		k, ok := keys[r.Campaign]
		if !ok {
			errs[i] = mailer.NotFound("ledger.not-found", "what", "campaign", "id", r.Campaign)
			continue
		}
		phase := phaseOf(k)
		to, err := goal(r.Record, phase)
		if err != nil {
			errs[i] = err
			continue
		}
		from, err := state(k, r.Record, to)
		if err != nil {
			errs[i] = err
			continue
		}
		if from == mailer.StateUnknown && to == mailer.StateQueued {
			to = mailer.StateDeferred // late, and in no chunk any more: it is due at once
		}
		a := alike{campaignKey: k, epoch: r.Epoch, from: from, to: to}
		if o := r.Outcome; o != nil {
			a.relay, a.point, a.code, a.enhanced = cut(o.Relay), o.Point, o.Code, cut(o.Enhanced)
			if to == mailer.StateQueued {
				a.held = o.Held
			}
		}
		m := groups[a]
		if m == nil {
			m = &move{campaign: r.Campaign, Step: engine.Step{
				Campaign: k.num, Phase: phase, Lease: r.Epoch, From: from, To: to, Tried: true, Counted: from == mailer.StateUnknown,
				Relay: a.relay, Point: a.point, Code: a.code, Enhanced: a.enhanced,
			}}
			if o := r.Outcome; o != nil {
				m.Kind, m.Held = a.kind(o.State), a.held
				m.Tried = m.Kind == mailer.EventAttempt
			}
			groups[a] = m
			order = append(order, m)
		}
		row := rowOf(&r, to, now)
		m.Rows, m.At = append(m.Rows, row), row.At
	}
	return order, nil
}

// rowOf is a record as one row of a step.
func rowOf(r *pending, to mailer.State, now time.Time) (row engine.Row) {
	row.ID, row.Raw = r.Delivery, r.raw
	o, at := r.Outcome, r.At
	if o != nil && !o.At.IsZero() {
		at = o.At
	}
	if at.IsZero() {
		at = now
	}
	row.At = millis(at)
	switch {
	case o == nil:
	case o.State == mailer.StateDeferred:
		row.NextAt = o.NextAt.UnixMilli()
	case to == mailer.StateDeferred:
		row.NextAt = row.At
	}
	return row
}
