package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
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

type batch struct {
	records []*mailer.Record
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
			errs[i] = wrap("record", err)
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
	for i := range records {
		b.records = append(b.records, &records[i])
	}
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
func (db *DB) commit(records []*mailer.Record) []error {
	ctx := context.Background() // without Done, the driver needs no goroutine per statement
	errs := make([]error, len(records))
	err := db.commitImplied(ctx, records, errs)
	if errors.Is(err, errMiscounted) {
		err = db.write(ctx, "record", func(tx *sqlx.Tx) error {
			clear(errs)
			return db.commitRead(ctx, tx, records, errs)
		})
	}
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

// commitImplied is a transaction of one statement: it begins, writes and commits
// without coming back in between, which matters since batches follow one another.
func (db *DB) commitImplied(ctx context.Context, records []*mailer.Record, errs []error) error {
	keys, err := db.campaignsOf(ctx, db.r, records)
	if err != nil {
		return wrap("record", err)
	}
	steps := db.group(records, errs, keys, func(campaignKey) mailer.Phase { return mailer.PhaseRunning }, implied)
	return db.writeAlone("record", func(q sqlx.ExtContext) error { return writeSteps(ctx, q, steps) })
}

// commitRead reads phases and states first.
func (db *DB) commitRead(ctx context.Context, tx *sqlx.Tx, records []*mailer.Record, errs []error) error {
	keys, err := db.campaignsOf(ctx, tx, records)
	if err != nil {
		return err
	}
	phases, err := readPhases(ctx, tx, keys)
	if err != nil {
		return err
	}
	known, err := readStates(ctx, tx, records)
	if err != nil {
		return err
	}
	steps := db.group(records, errs, keys, func(k campaignKey) mailer.Phase { return phases[k.num] }, known)
	if err := writeSteps(ctx, tx, steps); err != nil {
		return err
	}
	for _, s := range steps {
		if s.phase == mailer.PhaseCancelled && s.to == mailer.StateDeferred {
			if err := db.cancelRest(ctx, tx, s.num); err != nil {
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
		return mailer.StateClaimed, nil
	}
	switch {
	case r.Intended || to == mailer.StateAccepted || to == mailer.StateUnknown:
		return mailer.StateSending, nil
	case r.Outcome.Point == mailer.AtBody || r.Outcome.Point == mailer.AtDot:
		return mailer.StateSending, nil
	}
	return mailer.StateClaimed, nil
}

// readStates reads the deliveries of all records; the stater it returns follows
// them through the batch.
func readStates(ctx context.Context, tx *sqlx.Tx, records []*mailer.Record) (stater, error) {
	type at struct {
		campaign, lease int64
		state           mailer.State
	}
	ids := make([]int64, len(records))
	for i, r := range records {
		ids[i] = r.Delivery
	}
	rows, err := tx.QueryContext(ctx, `SELECT id, campaign, lease, state FROM delivery WHERE id IN (SELECT value FROM json_each(?))`, idArray(ids))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := make(map[int64]*at, len(records))
	for rows.Next() {
		var id int64
		var a at
		if err := rows.Scan(&id, &a.campaign, &a.lease, &a.state); err != nil {
			return nil, err
		}
		known[id] = &a
	}
	return func(k campaignKey, r *mailer.Record, to mailer.State) (mailer.State, error) {
		a := known[r.Delivery]
		if a == nil || a.campaign != k.num {
			return "", fmt.Errorf("%w: campaign %s has no delivery %d", mailer.ErrLeaseLost, r.Campaign, r.Delivery)
		}
		from := a.state
		ok := a.lease == r.Epoch && from.CanBecome(to)
		if r.Outcome == nil {
			ok = ok && from == mailer.StateClaimed
		} else {
			ok = ok && (from == mailer.StateClaimed || from == mailer.StateSending || from == mailer.StateUnknown)
		}
		if !ok {
			return "", fmt.Errorf("%w: delivery %d is %s under epoch %d", mailer.ErrLeaseLost, r.Delivery, from, a.lease)
		}
		a.state = to
		return from, nil
	}, rows.Err()
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
	case mailer.StateDeferred:
		if r.Outcome.NextAt.IsZero() {
			return "", fmt.Errorf("record delivery %d: %w", r.Delivery, invalid("a deferred outcome needs the time of the next attempt"))
		}
	default:
		return "", fmt.Errorf("record delivery %d: %w", r.Delivery, invalid("%q is no outcome", r.Outcome.State))
	}
	return r.Outcome.State, nil
}

// campaignsOf returns the keys of the campaigns of a batch; one that does not
// exist has none.
func (db *DB) campaignsOf(ctx context.Context, q sqlx.QueryerContext, records []*mailer.Record) (map[string]campaignKey, error) {
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
		k, err := db.campaignKey(ctx, q, r.Campaign)
		if errors.Is(err, mailer.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		keys[r.Campaign] = k
	}
	return keys, nil
}

func readPhases(ctx context.Context, tx *sqlx.Tx, keys map[string]campaignKey) (map[int64]mailer.Phase, error) {
	phases := make(map[int64]mailer.Phase, len(keys))
	for _, k := range keys {
		var p mailer.Phase
		if err := tx.GetContext(ctx, &p, `SELECT phase FROM campaign WHERE num = ?`, k.num); err != nil {
			return nil, err
		}
		phases[k.num] = p
	}
	return phases, nil
}

// group gathers records that are alike; a record that may not be written has its
// error instead. The order is that of each one's first record: one delivery may
// come twice, late after unknown.
func (db *DB) group(records []*mailer.Record, errs []error, keys map[string]campaignKey, phaseOf func(campaignKey) mailer.Phase, state stater) []*stepRows {
	now := db.now()
	groups := make(map[step]*stepRows, 8)
	var order []*stepRows
	for i, r := range records {
		k, ok := keys[r.Campaign]
		if !ok {
			errs[i] = fmt.Errorf("record: %w: campaign %q", mailer.ErrNotFound, r.Campaign)
			continue
		}
		phase := phaseOf(k)
		to, err := goal(r, phase)
		if err != nil {
			errs[i] = err
			continue
		}
		from, err := state(k, r, to)
		if err != nil {
			errs[i] = err
			continue
		}
		s := step{campaignKey: k, phase: phase, epoch: r.Epoch, from: from, to: to}
		if o := r.Outcome; o != nil {
			s.relay, s.point, s.code, s.enhanced = cut(o.Relay), string(o.Point), o.Code, cut(o.Enhanced)
		}
		g := groups[s]
		if g == nil {
			g = &stepRows{step: s}
			groups[s] = g
			order = append(order, g)
		}
		g.add(r, now)
	}
	return order
}
