package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// SetWaits replaces what a session of this handle says is not sent now, and why. It
// stands until the given time, and while the process lives. What others said and
// let lapse is forgotten.
func (db *DB) SetWaits(ctx context.Context, session int64, until time.Time, list []mailer.Wait) error {
	const op = "note waits"
	owner, err := db.ownerName()
	if err != nil {
		return wrap(op, err)
	}
	return db.write(ctx, op, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM wait WHERE owner = ? AND session = ? OR lapses <= ?`,
			owner, session, db.now().UnixMilli()); err != nil {
			return err
		}
		for i := range list {
			w := list[i]
			w.Reply = cut(w.Reply)
			body, err := json.Marshal(&w)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO wait (owner, session, scope, name, body, lapses) VALUES (?, ?, ?, ?, ?, ?)`,
				owner, session, string(w.Scope), w.Name, string(body), until.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
}

// RelayWaits lists the relays that living workers have set aside, by name; one of
// several workers' is there several times.
func (db *DB) RelayWaits(ctx context.Context) ([]mailer.Wait, error) {
	list, err := db.waits(ctx, db.r, mailer.WaitRelay)
	return list, wrap("read waits", err)
}

// waits lists what living workers say of one scope, by name.
func (db *DB) waits(ctx context.Context, q sqlx.QueryerContext, scope mailer.WaitScope) ([]mailer.Wait, error) {
	var rows []struct{ Owner, Body string }
	now := db.now()
	if err := sqlx.SelectContext(ctx, q, &rows, `SELECT owner, body FROM wait WHERE scope = ? AND lapses > ? ORDER BY name, owner, session`,
		string(scope), now.UnixMilli()); err != nil {
		return nil, err
	}
	var list []mailer.Wait
	alive := map[string]bool{}
	for _, r := range rows {
		live, asked := alive[r.Owner]
		if !asked {
			live = db.alive(r.Owner)
			alive[r.Owner] = live
		}
		if !live {
			continue
		}
		var w mailer.Wait
		if err := json.Unmarshal([]byte(r.Body), &w); err != nil {
			return nil, err
		}
		if over := !w.Until.IsZero() && !w.Until.After(now); over && scope == mailer.WaitGroup {
			continue // the worker is about to say so
		} else if over {
			w.Until = time.Time{}
		}
		list = append(list, w)
	}
	slices.SortStableFunc(list, func(a, b mailer.Wait) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Since.Compare(b.Since)) })
	return list, nil
}

// countedUpTo is where counting by domain group ends: some milliseconds.
const countedUpTo = 100_000

// groups has the groups of a campaign in which something waits behind a wait.
func (db *DB) groups(ctx context.Context, tx *sqlx.Tx, row *campaignRow, counts mailer.Counts, waits []mailer.Wait) ([]mailer.GroupStatus, error) {
	var groups []mailer.GroupStatus
	var names []string
	for _, o := range waits {
		held, sent := o.Held[row.ID]
		if !sent {
			continue
		}
		if n := len(groups); n == 0 || groups[n-1].Name != o.Name {
			groups, names = append(groups, mailer.GroupStatus{Name: o.Name}), append(names, o.Name)
		}
		g := &groups[len(groups)-1]
		g.Held += int64(held)
		g.Waits = append(g.Waits, o)
	}
	if len(groups) == 0 {
		return nil, nil
	}
	// Deferred ones are found in the order of their time, whatever their group.
	var deferred []struct {
		Name string
		N    int64
	}
	if err := tx.SelectContext(ctx, &deferred, `
		SELECT grp AS name, count(*) AS n
		FROM (SELECT grp FROM delivery INDEXED BY delivery_deferred WHERE campaign = ? AND state = 'deferred' LIMIT ?)
		WHERE grp IN (SELECT value FROM json_each(?)) GROUP BY grp`, row.Num, countedUpTo, stringArray(names)); err != nil {
		return nil, err
	}
	waiting := groups[:0]
	for _, g := range groups {
		g.Deferred.More = counts[mailer.StateDeferred] > countedUpTo
		for _, d := range deferred {
			if d.Name == g.Name {
				g.Deferred.N = d.N
			}
		}
		if err := tx.GetContext(ctx, &g.Queued, `
			SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_queued WHERE campaign = ? AND state = 'queued' AND grp = ? LIMIT ?)`,
			row.Num, g.Name, countedUpTo+1); err != nil {
			return nil, err
		}
		if g.Queued+g.Deferred.N+g.Held > 0 || g.Deferred.More {
			waiting = append(waiting, g)
		}
	}
	return waiting, nil
}
