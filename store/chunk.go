package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

// Deliveries are leased in chunks: at most chunkSize of one campaign and one domain
// group, made when they are frozen or queued again. While a chunk is leased, its queued
// deliveries are claimed; claiming them touches no row of theirs.

const (
	// chunkSize is how many deliveries a chunk holds at most.
	chunkSize = 256
	// smallChunk is the same for what a person has sent again: a cause that was not
	// mended is found by a few.
	smallChunk = 32
)

// makeChunks makes chunks of some deliveries, each of one domain group and of at most
// so many, and has fn put them in. The order of the deliveries stays.
func (c *change) makeChunks(ctx context.Context, campaign int64, most int, rows []queuedRow, fn func(chunk int64, in []queuedRow) error) error {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b queuedRow) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.ID, b.ID)) })
	for len(rows) > 0 {
		group := rows[0].Group
		n := slices.IndexFunc(rows, func(r queuedRow) bool { return r.Group != group })
		if n < 0 {
			n = len(rows)
		}
		for _, part := range even(rows[:n], most) {
			ids := make([]int64, len(part))
			for i := range part {
				ids[i] = part[i].ID
			}
			chunk, err := c.insertChunk(ctx, campaign, group, ids, 0)
			if err != nil {
				return err
			}
			if err := fn(chunk, part); err != nil {
				return err
			}
		}
		rows = rows[n:]
	}
	return nil
}

// insertChunk makes a chunk; lease 0: nobody has it.
func (c *change) insertChunk(ctx context.Context, campaign int64, group string, ids []int64, lease int64) (chunk int64, err error) {
	var by any
	if lease > 0 {
		by = lease
	}
	err = get(ctx, c, &chunk, `INSERT INTO chunk (campaign, grp, lease, n, deliveries) VALUES (?, ?, ?, ?, ?) RETURNING id`,
		campaign, group, by, len(ids), idList(ids))
	return chunk, err
}

func idList(ids []int64) string {
	b, err := json.Marshal(ids)
	if err != nil {
		panic(err) // numbers always marshal
	}
	return string(b)
}

func parseIDs(s string) (ids []int64, err error) {
	err = json.Unmarshal([]byte(s), &ids)
	return ids, err
}

// rechunk puts deliveries that are queued, and in no chunk any more, into new ones.
func (c *change) rechunk(ctx context.Context, campaign int64, rows []queuedRow) error {
	return c.makeChunks(ctx, campaign, chunkSize, rows, func(chunk int64, in []queuedRow) error {
		return c.put(ctx, chunk, in)
	})
}

// put notes in which chunk deliveries are.
func (c *change) put(ctx context.Context, chunk int64, in []queuedRow) error {
	ids := make([]int64, len(in))
	for i := range in {
		ids[i] = in[i].ID
	}
	cond, arg := c.db.eng.In("id", ids)
	_, err := do(ctx, c, `UPDATE delivery SET chunk = ? WHERE `+cond, chunk, arg)
	return err
}

// leased is what a lease still holds of one chunk.
type leased struct {
	engine.Chunk
	queued  []int64 // not begun
	sending []int64 // on the wire under this lease
}

// leasedChunks finds what a lease still holds.
func (c *change) leasedChunks(ctx context.Context, lease int64) ([]leased, error) {
	var chunks []engine.Chunk
	if err := find(ctx, c, &chunks, `SELECT id, grp, n, deliveries FROM chunk WHERE lease = ? ORDER BY id`, lease); err != nil {
		return nil, err
	}
	out := make([]leased, len(chunks))
	for i, chunk := range chunks {
		l := &out[i]
		l.Chunk = chunk
		ids, err := parseIDs(chunk.Deliveries)
		if err != nil {
			return nil, err
		}
		cond, arg := c.db.eng.In("id", ids)
		var rows []struct {
			ID, Chunk, Lease int64
			State            mailer.State
		}
		if err := find(ctx, c, &rows, `SELECT id, coalesce(chunk, 0) AS chunk, lease, state FROM delivery WHERE `+cond+` AND state IN ('queued', 'sending') ORDER BY id`, arg); err != nil {
			return nil, err
		}
		for _, r := range rows {
			switch {
			case r.State == mailer.StateQueued && r.Chunk == chunk.ID:
				l.queued = append(l.queued, r.ID)
			case r.State == mailer.StateSending && r.Lease == lease:
				l.sending = append(l.sending, r.ID)
			}
		}
	}
	return out, nil
}

// free gives what was not begun of a chunk to whoever claims next. keep are those
// that must stay under the lease: they are on the wire.
func (c *change) free(ctx context.Context, l *leased, campaign int64, keep []int64) (err error) {
	switch {
	case len(keep) > 0:
		if len(l.queued) > 0 {
			rows := make([]queuedRow, len(l.queued))
			for i, id := range l.queued {
				rows[i] = queuedRow{Row: engine.Row{ID: id}, Group: l.Group}
			}
			if err := c.rechunk(ctx, campaign, rows); err != nil {
				return err
			}
		}
		_, err = do(ctx, c, `UPDATE chunk SET n = ?, deliveries = ? WHERE id = ?`, len(keep), idList(keep), l.ID)
	case len(l.queued) > 0:
		_, err = do(ctx, c, `UPDATE chunk SET lease = NULL, n = ?, deliveries = ? WHERE id = ?`, len(l.queued), idList(l.queued), l.ID)
	default:
		_, err = do(ctx, c, `DELETE FROM chunk WHERE id = ?`, l.ID)
	}
	return err
}

// claimedState is the state of a delivery d as people see it, where c is its chunk
// if that is leased.
const (
	claimedState = `CASE WHEN d.state = 'queued' AND c.id IS NOT NULL THEN 'claimed' ELSE d.state END`
	joinLeased   = ` LEFT JOIN chunk c ON c.id = d.chunk AND c.lease IS NOT NULL `
)

// claimed counts the deliveries of a campaign that are claimed. A leased chunk still
// names those that were begun, and that may be queued again in another one by now.
func (r *Reader) claimed(ctx context.Context, h handle, campaign int64) (n int64, err error) {
	var lists []string
	const chunks = ` FROM lease l JOIN chunk c ON c.lease = l.id WHERE l.campaign = ?`
	if err := find(ctx, h, &lists, `SELECT c.deliveries`+chunks, campaign); err != nil || len(lists) == 0 {
		return 0, err
	}
	var ids []int64
	for _, s := range lists {
		part, err := parseIDs(s)
		if err != nil {
			return 0, err
		}
		ids = append(ids, part...)
	}
	cond, arg := r.eng.In("id", ids)
	err = get(ctx, h, &n, `SELECT count(*) FROM delivery WHERE `+cond+` AND state = 'queued' AND chunk IN (SELECT c.id`+chunks+`)`, arg, campaign)
	return n, err
}
