package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

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

// commit writes one batch in one transaction. It first takes every delivery to
// be in the state that its record implies, and lets the statements count; only
// where they count differently it reads the rows and sorts out whose record is
// late.
func (db *DB) commit(records []*mailer.Record) []error {
	ctx := context.Background() // without Done, the driver needs no goroutine per statement
	errs := make([]error, len(records))
	err := db.write(ctx, "record", func(tx *sqlx.Tx) error {
		clear(errs)
		return db.commitWith(ctx, tx, records, errs, implied)
	})
	if errors.Is(err, errMiscounted) {
		err = db.write(ctx, "record", func(tx *sqlx.Tx) error {
			clear(errs)
			known, err := readStates(ctx, tx, records)
			if err != nil {
				return err
			}
			return db.commitWith(ctx, tx, records, errs, known)
		})
	}
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

var errMiscounted = errors.New("not every delivery was in the state that its record implies")

// stater says in which state a record finds its delivery, or why it may not be
// written.
type stater func(k campaignKey, r *mailer.Record, to mailer.State) (mailer.State, error)

// implied is the state that a delivery has where nothing went wrong. Up to the
// reply to DATA no intent is needed, from the body on there is one.
func implied(_ campaignKey, r *mailer.Record, to mailer.State) (mailer.State, error) {
	if r.Outcome == nil {
		return mailer.Claimed, nil
	}
	switch {
	case r.Intended || to == mailer.Accepted || to == mailer.Unknown:
		return mailer.Sending, nil
	case r.Outcome.Point == mailer.AtBody || r.Outcome.Point == mailer.AtDot:
		return mailer.Sending, nil
	}
	return mailer.Claimed, nil
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
			ok = ok && from == mailer.Claimed
		} else {
			ok = ok && (from == mailer.Claimed || from == mailer.Sending || from == mailer.Unknown)
		}
		if !ok {
			return "", fmt.Errorf("%w: delivery %d is %s under epoch %d", mailer.ErrLeaseLost, r.Delivery, from, a.lease)
		}
		a.state = to
		return from, nil
	}, rows.Err()
}

// step is what many deliveries go through alike: one UPDATE and, for outcomes,
// one INSERT of events.
type step struct {
	campaignKey
	epoch        int64
	from, to     mailer.State
	relay, point string
	code         int
	enhanced     string
}

type stepRows struct {
	step
	ids    []int64
	at     int64  // of the last
	nextAt []byte // JSON object id → next_at; only where deferred
	events []byte // JSON object id → at (13 digits) ‖ text
}

func (db *DB) commitWith(ctx context.Context, tx *sqlx.Tx, records []*mailer.Record, errs []error, state stater) error {
	keys, phase, err := db.campaignsOf(ctx, tx, records)
	if err != nil {
		return err
	}
	now := db.now()
	intents := make(map[step]*stepRows)
	outcomes := make(map[step]*stepRows)
	var order []*stepRows // of outcomes: one delivery may come twice, late after unknown
	for i, r := range records {
		k, ok := keys[r.Campaign]
		if !ok {
			errs[i] = fmt.Errorf("record: %w: campaign %q", mailer.ErrNotFound, r.Campaign)
			continue
		}
		to, err := goal(r, phase[k.num])
		if err != nil {
			errs[i] = err
			continue
		}
		from, err := state(k, r, to)
		if err != nil {
			errs[i] = err
			continue
		}
		s := step{campaignKey: k, epoch: r.Epoch, from: from, to: to}
		into := intents
		if o := r.Outcome; o != nil {
			s.relay, s.point, s.code, s.enhanced = cut(o.Relay), string(o.Point), o.Code, cut(o.Enhanced)
			into = outcomes
		}
		g := into[s]
		if g == nil {
			g = &stepRows{step: s}
			into[s] = g
			if r.Outcome != nil {
				order = append(order, g)
			}
		}
		g.add(r, now)
	}
	for _, g := range intents {
		if err := db.writeIntents(ctx, tx, g); err != nil {
			return err
		}
	}
	for _, g := range order {
		if err := db.writeOutcomes(ctx, tx, g); err != nil {
			return err
		}
	}
	if err := tally(ctx, tx, intents, order); err != nil {
		return err
	}
	for _, g := range order {
		if phase[g.num] == mailer.Cancelled && g.to == mailer.Deferred {
			if err := db.cancelRest(ctx, tx, g.num); err != nil {
				return err
			}
		}
	}
	return nil
}

// goal is the state that a record asks for.
func goal(r *mailer.Record, phase mailer.Phase) (mailer.State, error) {
	if r.Outcome == nil {
		if phase != mailer.Running {
			return "", fmt.Errorf("%w: %s is %s", mailer.ErrNotRunning, r.Campaign, phase)
		}
		return mailer.Sending, nil
	}
	switch r.Outcome.State {
	case mailer.Accepted, mailer.Rejected, mailer.Unknown, mailer.Expired:
	case mailer.Deferred:
		if r.Outcome.NextAt.IsZero() {
			return "", fmt.Errorf("record delivery %d: %w", r.Delivery, invalid("a deferred outcome needs the time of the next attempt"))
		}
	default:
		return "", fmt.Errorf("record delivery %d: %w", r.Delivery, invalid("%q is no outcome", r.Outcome.State))
	}
	return r.Outcome.State, nil
}

// campaignsOf returns keys and phases of the campaigns of a batch.
func (db *DB) campaignsOf(ctx context.Context, tx *sqlx.Tx, records []*mailer.Record) (map[string]campaignKey, map[int64]mailer.Phase, error) {
	keys := make(map[string]campaignKey, 1)
	phase := make(map[int64]mailer.Phase, 1)
	last := ""
	for i, r := range records {
		if i > 0 && r.Campaign == last {
			continue
		}
		last = r.Campaign
		if _, ok := keys[r.Campaign]; ok {
			continue
		}
		k, err := db.campaignKey(ctx, tx, r.Campaign)
		if errors.Is(err, mailer.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, nil, err
		}
		keys[r.Campaign] = k
		var p mailer.Phase
		if err := tx.QueryRowContext(ctx, `SELECT phase FROM campaign WHERE num = ?`, k.num).Scan(&p); err != nil {
			return nil, nil, err
		}
		phase[k.num] = p
	}
	return keys, phase, nil
}

func (g *stepRows) add(r *mailer.Record, now time.Time) {
	g.ids = append(g.ids, r.Delivery)
	o := r.Outcome
	at := r.At
	if o != nil && !o.At.IsZero() {
		at = o.At
	}
	if at.IsZero() {
		at = now
	}
	if g.at = millis(at); o == nil {
		return
	}
	if g.to == mailer.Deferred {
		g.nextAt = appendMember(g.nextAt, r.Delivery)
		g.nextAt = strconv.AppendInt(g.nextAt, o.NextAt.UnixMilli(), 10)
	}
	g.events = appendMember(g.events, r.Delivery)
	g.events = append(g.events, '"')
	g.events = appendMillis(g.events, g.at)
	g.events = appendJSONText(g.events, cut(o.Text))
	g.events = append(g.events, '"')
}

// millis is a time that stands in 13 digits: 2001 to 2286.
func millis(t time.Time) int64 {
	return min(max(t.UnixMilli(), 1e12), 1e13-1)
}

func (db *DB) writeIntents(ctx context.Context, tx *sqlx.Tx, g *stepRows) error {
	r, err := tx.ExecContext(ctx, `
		UPDATE delivery SET state = 'sending', first_at = ifnull(first_at, ?)
		WHERE id IN (SELECT value FROM json_each(?)) AND campaign = ? AND lease = ? AND state = 'claimed'`,
		g.at, idArray(g.ids), g.num, g.epoch)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n != int64(len(g.ids)) {
		return errMiscounted
	}
	return err
}

func (db *DB) writeOutcomes(ctx context.Context, tx *sqlx.Tx, g *stepRows) error {
	attempt := 1
	if g.from == mailer.Unknown {
		attempt = 0 // the attempt was counted when it became unknown
	}
	// The state stands in the text: with a parameter there the statement would be
	// planned anew each time, since partial indexes depend on it.
	held := ` AND campaign = ?5 AND lease = ?6 AND state = '` + string(g.from) + `'`
	query := `
		UPDATE delivery SET state = ?1, attempts = attempts + ?2, first_at = ifnull(first_at, ?3), next_at = NULL
		WHERE id IN (SELECT value FROM json_each(?4))` + held
	rows := idArray(g.ids)
	if g.to == mailer.Deferred {
		query = `
			UPDATE delivery SET state = ?1, attempts = attempts + ?2, first_at = ifnull(first_at, ?3), next_at = j.value
			FROM json_each(?4) j
			WHERE delivery.id = CAST(j.key AS INTEGER)` + held
		rows = string(append(g.nextAt, '}'))
	}
	r, err := tx.ExecContext(ctx, query, string(g.to), attempt, g.at, rows, g.num, g.epoch)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return err
	}
	if n != int64(len(g.ids)) {
		return errMiscounted
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, relay, point, code, enhanced, text)
		SELECT d.id, (SELECT ifnull(max(n), 0) + 1 FROM event e WHERE e.delivery = d.id), d.merchant,
		       CAST(substr(j.value, 1, 13) AS INTEGER), 'attempt', ?1, d.attempts, ?2, ?3, ?4, ?5, substr(j.value, 14)
		FROM json_each(?6) j CROSS JOIN delivery d ON d.id = CAST(j.key AS INTEGER)`,
		string(g.to), g.relay, g.point, g.code, g.enhanced, string(append(g.events, '}')))
	return err
}

// tally keeps the counts and the ticks of acceptance in step with a batch.
func tally(ctx context.Context, tx *sqlx.Tx, intents map[step]*stepRows, outcomes []*stepRows) error {
	type cell struct {
		campaign int64
		state    mailer.State
	}
	moved := make(map[cell]int64, 8)
	add := func(g *stepRows) {
		moved[cell{g.num, g.from}] -= int64(len(g.ids))
		moved[cell{g.num, g.to}] += int64(len(g.ids))
	}
	for _, g := range intents {
		add(g)
	}
	for _, g := range outcomes {
		add(g)
		if g.to != mailer.Accepted {
			continue
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO campaign_tick (campaign, slot, accepted, first_at, last_at) VALUES (?1, ?2 / 10000, ?3, ?2, ?2)
			ON CONFLICT (campaign, slot) DO UPDATE SET accepted = accepted + excluded.accepted,
			first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)`,
			g.num, g.at, len(g.ids)); err != nil {
			return err
		}
	}
	deltas := make(map[int64][]byte, 1) // by campaign: JSON object state → change
	for c, n := range moved {
		if n == 0 {
			continue
		}
		d := deltas[c.campaign]
		if len(d) == 0 {
			d = append(d, '{')
		} else {
			d = append(d, ',')
		}
		d = append(append(append(d, '"'), c.state...), `":`...)
		deltas[c.campaign] = strconv.AppendInt(d, n, 10)
	}
	for campaign, d := range deltas {
		if _, err := tx.ExecContext(ctx, `
			UPDATE campaign_count SET n = n + j.value FROM json_each(?2) j WHERE campaign = ?1 AND state = j.key`,
			campaign, string(append(d, '}'))); err != nil {
			return fmt.Errorf("count campaign %d: %w", campaign, err)
		}
	}
	return nil
}
