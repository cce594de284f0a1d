package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"oshirase/mailer"
)

// SetWaits replaces what a session of this handle says is not sent now, and why. It
// stands until the given time, and while the process lives. What others said and
// let lapse is forgotten.
func (db *DB) SetWaits(ctx context.Context, session int64, until time.Time, list []mailer.Wait) (err error) {
	defer db.explain(&err, "note waits")
	owner, err := db.eng.Owner()
	if err != nil {
		return err
	}
	return db.write(ctx, func(c *change) error {
		if _, err := do(ctx, c, `DELETE FROM wait WHERE owner = ? AND session = ? OR lapses <= ?`,
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
			if _, err := do(ctx, c, `INSERT INTO wait (owner, session, scope, name, body, lapses) VALUES (?, ?, ?, ?, ?, ?)`,
				owner, session, string(w.Scope), w.Name, string(body), until.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
}

// RelayWaits lists the relays that living workers have set aside, by name; one of
// several workers' is there several times.
func (r *Reader) RelayWaits(ctx context.Context) (list []mailer.Wait, err error) {
	defer r.explain(&err, "read waits")
	return r.waits(ctx, r.pool(), mailer.WaitRelay)
}

// waits lists what living workers say of one scope, by name.
func (r *Reader) waits(ctx context.Context, h handle, scope mailer.WaitScope) ([]mailer.Wait, error) {
	var rows []struct{ Owner, Body string }
	now := r.now()
	if err := find(ctx, h, &rows, `SELECT owner, body FROM wait WHERE scope = ? AND lapses > ? ORDER BY name, owner, session`,
		string(scope), now.UnixMilli()); err != nil {
		return nil, err
	}
	var list []mailer.Wait
	alive := map[string]bool{}
	for _, row := range rows {
		live, asked := alive[row.Owner]
		if !asked {
			live = r.eng.Alive(row.Owner)
			alive[row.Owner] = live
		}
		if !live {
			continue
		}
		var w mailer.Wait
		if err := json.Unmarshal([]byte(row.Body), &w); err != nil {
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
func (r *Reader) groups(ctx context.Context, h handle, row *campaignRow, counts mailer.Counts, waits []mailer.Wait) ([]mailer.GroupStatus, error) {
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
	cond, arg := r.eng.InText("grp", names)
	if err := find(ctx, h, &deferred, `
		SELECT grp AS name, count(*) AS n
		FROM (SELECT grp FROM delivery WHERE campaign = ? AND state = 'deferred' LIMIT ?) AS d
		WHERE `+cond+` GROUP BY grp`, row.Num, countedUpTo, arg); err != nil {
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
		if err := get(ctx, h, &g.Queued, `SELECT coalesce(sum(n), 0) FROM chunk WHERE campaign = ? AND grp = ? AND lease IS NULL`, row.Num, g.Name); err != nil {
			return nil, err
		}
		if g.Queued+g.Deferred.N+g.Held > 0 || g.Deferred.More {
			waiting = append(waiting, g)
		}
	}
	return waiting, nil
}
