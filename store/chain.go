package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"oshirase/mailer"
)

// commonChain is that of all handles that claim nothing: they look for its head at
// each commit. A worker has a chain of its own, named as the owner of its leases, so
// that workers do not wait for one another; it ends with the worker, by an act on the
// common chain that names its last entry.
const commonChain = "ledger"

// becomeWorker gives the handle a chain of its own.
func (db *DB) becomeWorker(ctx context.Context, owner string) error {
	j := &db.journal
	j.Lock()
	own := j.head.Chain == owner
	j.Unlock()
	if own {
		return nil
	}
	if err := db.endChains(ctx, owner); err != nil {
		return err
	}
	j.Lock()
	defer j.Unlock()
	j.num, j.known, j.head.Chain, j.common = 0, false, owner, false
	return nil
}

// endChains ends the chains of workers that are gone; but is the one that stays.
func (db *DB) endChains(ctx context.Context, but string) error {
	gone := func(h handle) ([]string, error) {
		var ids []string
		if err := find(ctx, h, &ids, `SELECT id FROM chain WHERE ended_at IS NULL AND id NOT IN (?, ?) ORDER BY num`, commonChain, but); err != nil {
			return nil, err
		}
		dead := ids[:0]
		for _, id := range ids {
			if !db.eng.Alive(id) {
				dead = append(dead, id)
			}
		}
		return dead, nil
	}
	// Looked at without the writer: almost always there is none.
	if ids, err := gone(db.pool()); err != nil || len(ids) == 0 {
		return err
	}
	return db.write(ctx, func(c *change) error {
		ids, err := gone(c)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := c.endChain(ctx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// endChain ends one chain.
func (c *change) endChain(ctx context.Context, id string) error {
	var last struct {
		N    int64
		Hash []byte
	}
	err := get(ctx, c, &last, `SELECT e.n, e.hash FROM chain k JOIN entry e ON e.chain = k.num WHERE k.id = ? ORDER BY e.n DESC LIMIT 1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = do(ctx, c, `DELETE FROM chain WHERE id = ?`, id)
		return err
	} else if err != nil {
		return err
	}
	if _, err := do(ctx, c, `UPDATE chain SET ended_at = ? WHERE id = ?`, c.db.now().UnixMilli(), id); err != nil {
		return err
	}
	return c.act(ctx, mailer.Program, mailer.ActEndChain, id, endDetail(last.N, last.Hash))
}

// endDetail is what the act that ends a chain says of its last entry.
func endDetail(n int64, hash []byte) string { return fmt.Sprintf("%d %x", n, hash) }

// finish ends the handle's own chain, if it has one.
func (db *DB) finish(ctx context.Context) error {
	j := &db.journal
	j.Lock()
	own := j.head.Chain
	if j.common || own == "" {
		j.Unlock()
		return nil
	}
	j.num, j.known, j.head.Chain, j.common = 0, false, commonChain, true
	j.Unlock()
	return db.write(ctx, func(c *change) error { return c.endChain(ctx, own) })
}

// closer ends what a handle began, before its connections are closed.
type closer struct {
	db   *DB
	once sync.Once
	err  error
}

func (c *closer) Close() error {
	c.once.Do(func() {
		ctx := context.Background()
		if err := c.db.finish(ctx); err != nil && !strings.Contains(err.Error(), "closed") {
			c.db.log.Warn("chain of the journal not ended; the next program does it", "error", c.db.eng.Explain(err))
		}
		c.err = c.db.heads.close(ctx)
	})
	return c.err
}
