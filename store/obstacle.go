package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

// SetObstacles replaces what a session of this handle says keeps it from sending.
// It stands until the given time, and while the process lives. What others said
// and let lapse is forgotten.
func (db *DB) SetObstacles(ctx context.Context, session int64, until time.Time, list []mailer.Obstacle) error {
	const op = "note obstacles"
	owner, err := db.ownerName()
	if err != nil {
		return wrap(op, err)
	}
	return db.write(ctx, op, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM obstacle WHERE owner = ? AND session = ? OR lapses <= ?`,
			owner, session, db.now().UnixMilli()); err != nil {
			return err
		}
		for i := range list {
			o := &list[i]
			held := []byte("{}")
			if len(o.Held) > 0 {
				if held, err = json.Marshal(o.Held); err != nil {
					return err
				}
			}
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO obstacle (owner, session, kind, name, why, most, reply, since, until, campaigns, lapses)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				owner, session, string(o.Kind), o.Name, string(o.Why), o.Limit, cut(o.Reply), o.Since.UnixMilli(), ms(o.Until),
				string(held), until.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
}

// RelaysAside lists the relays that living workers have set aside, by name; one of
// several workers' is there several times.
func (db *DB) RelaysAside(ctx context.Context) ([]mailer.Obstacle, error) {
	list, err := db.obstacles(ctx, db.r, mailer.RelayObstacle)
	return list, wrap("read obstacles", err)
}

// obstacles lists what living workers say of groups or relays, by name.
func (db *DB) obstacles(ctx context.Context, q sqlx.QueryerContext, kind mailer.ObstacleKind) ([]mailer.Obstacle, error) {
	var rows []struct {
		Owner, Name, Why, Reply string
		Most                    int
		Since                   int64
		Until                   sql.NullInt64
		Campaigns               string
	}
	now := db.now()
	if err := sqlx.SelectContext(ctx, q, &rows, `
		SELECT owner, name, why, most, reply, since, until, campaigns FROM obstacle WHERE kind = ? AND lapses > ?
		ORDER BY name, since, owner, session`, string(kind), now.UnixMilli()); err != nil {
		return nil, err
	}
	var list []mailer.Obstacle
	alive := map[string]bool{}
	for _, r := range rows {
		live, asked := alive[r.Owner]
		if !asked {
			live = db.alive(r.Owner)
			alive[r.Owner] = live
		}
		o := mailer.Obstacle{
			Kind: kind, Name: r.Name, Why: mailer.ObstacleReason(r.Why), Limit: r.Most, Reply: r.Reply,
			Since: time.UnixMilli(r.Since).UTC(), Until: fromMS(r.Until),
		}
		if !live {
			continue
		}
		if over := r.Until.Valid && !o.Until.After(now); over && kind == mailer.GroupObstacle {
			continue // the worker is about to say so
		} else if over {
			o.Until = time.Time{}
		}
		if err := json.Unmarshal([]byte(r.Campaigns), &o.Held); err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// GroupStatus is what waits of a campaign for one domain group that some worker
// cannot send to now.
type GroupStatus struct {
	Name             string
	Queued, Deferred Count
	Held             int64 // claimed by workers, and not begun
	Obstacles        []mailer.Obstacle
}

// Count is a number of deliveries that is counted up to a bound, so that asking
// costs the same at any size.
type Count struct {
	N    int64
	More bool // there are more, or may be
}

// countedUpTo is where counting by domain group ends: some milliseconds.
const countedUpTo = 100_000

// groups has the groups of a campaign in which something waits behind an obstacle.
func (db *DB) groups(ctx context.Context, tx *sqlx.Tx, row *campaignRow, counts mailer.Counts, obstacles []mailer.Obstacle) ([]GroupStatus, error) {
	var groups []GroupStatus
	var names []string
	for _, o := range obstacles {
		held, sent := o.Held[row.ID]
		if !sent {
			continue
		}
		if n := len(groups); n == 0 || groups[n-1].Name != o.Name {
			groups, names = append(groups, GroupStatus{Name: o.Name}), append(names, o.Name)
		}
		g := &groups[len(groups)-1]
		g.Held += int64(held)
		g.Obstacles = append(g.Obstacles, o)
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
		g.Deferred.More = counts[mailer.Deferred] > countedUpTo
		for _, d := range deferred {
			if d.Name == g.Name {
				g.Deferred.N = d.N
			}
		}
		if err := tx.GetContext(ctx, &g.Queued.N, `
			SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_queued WHERE campaign = ? AND state = 'queued' AND grp = ? LIMIT ?)`,
			row.Num, g.Name, countedUpTo+1); err != nil {
			return nil, err
		}
		if g.Queued.N > countedUpTo {
			g.Queued = Count{countedUpTo, true}
		}
		if g.Queued.N+g.Deferred.N+g.Held > 0 || g.Deferred.More {
			waiting = append(waiting, g)
		}
	}
	return waiting, nil
}
