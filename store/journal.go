package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/journal"
	"oshirase/store/internal/engine"
)

// ownChain is the chain of the journal that this handle writes to; see chain.go. Whoever writes through the handle
// holds its lock, from before the writer's connection is asked for until the commit
// is over: so the entry that a commit adds is known while its events are written.
type ownChain struct {
	sync.Mutex
	num    int64        // of the chain; 0: it has not begun
	head   journal.Head // of what is committed
	known  bool         // false: a commit failed, and the head has to be looked for
	leaf   []byte       // a buffer
	common bool         // the chain is the one of all handles that claim nothing
}

// change is one write transaction with what happened in it so far.
type change struct {
	*sqlx.Tx
	db      *DB
	tree    journal.Tree
	touched []touched // control rows; see code.go
}

// write runs fn in one write transaction; an error rolls everything back. What
// happened in it, if anything did, becomes one entry of the journal.
func (db *DB) write(ctx context.Context, fn func(c *change) error) error {
	j := &db.journal
	j.Lock()
	defer j.Unlock()
	var entry *engine.Entry
	var head journal.Head
	err := db.eng.Write(ctx, func(tx *sqlx.Tx) error {
		if err := db.beginChain(ctx, tx); err != nil {
			return err
		}
		c := &change{Tx: tx, db: db}
		if err := fn(c); err != nil {
			return err
		}
		if err := c.recode(ctx); err != nil {
			return err
		}
		if c.tree.Size() == 0 {
			return nil
		}
		entry, head = db.next(db.now(), &c.tree)
		return db.eng.Apply(ctx, tx, nil, entry)
	})
	db.committed(err, entry != nil, head)
	return err
}

// beginChain makes the chain at the handle's first commit, and finds its head again
// where others write to it too, or after a commit of which it is not certain what became.
func (db *DB) beginChain(ctx context.Context, tx *sqlx.Tx) error {
	j := &db.journal
	if j.num != 0 && j.known {
		return nil
	}
	err := get(ctx, tx, &j.num, `SELECT num FROM chain WHERE id = ?`, j.head.Chain)
	if errors.Is(err, sql.ErrNoRows) {
		err = get(ctx, tx, &j.num, `INSERT INTO chain (id, made_at) VALUES (?, ?) RETURNING num`, j.head.Chain, db.now().UnixMilli())
	}
	if err != nil {
		return err
	}
	var last []struct {
		N    int64
		Hash []byte
	}
	if err := find(ctx, tx, &last, `SELECT n, hash FROM entry WHERE chain = ? ORDER BY n DESC LIMIT 1`, j.num); err != nil {
		return err
	}
	j.head = journal.Head{Chain: j.head.Chain}
	if len(last) > 0 {
		j.head.N = last[0].N
		copy(j.head.Hash[:], last[0].Hash)
	}
	j.known = true
	return nil
}

// next is the entry about to be committed, and the head behind it.
func (db *DB) next(now time.Time, tree *journal.Tree) (*engine.Entry, journal.Head) {
	j := &db.journal
	e := journal.Next(j.head, now.UnixMilli(), tree)
	head := e.Head()
	code := db.codes.Entry(head.Hash)
	return &engine.Entry{
		Chain: j.num, N: e.N, At: e.At, Leaves: e.Leaves, Prev: e.Prev[:], Root: e.Root[:], Hash: head.Hash[:], Code: code[:],
	}, head
}

// committed notes what became of a commit.
func (db *DB) committed(err error, entry bool, head journal.Head) {
	j := &db.journal
	if err == nil && entry {
		j.head = head
		db.heads.note()
	}
	j.known = err == nil && !j.common
}

// act records who did what, in the transaction that does it.
func (c *change) act(ctx context.Context, by mailer.Actor, action mailer.Action, subject, detail string) error {
	if err := by.Valid(); err != nil {
		return err
	}
	j := &c.db.journal
	at := c.db.now().UnixMilli()
	a := journal.Act{At: at, By: by.Name, Proof: string(by.Proof), Action: string(action), Subject: subject, Detail: detail}
	leaf := c.tree.Size()
	j.leaf = a.AppendLeaf(j.leaf[:0])
	c.tree.Add(journal.LeafHash(j.leaf))
	_, err := do(ctx, c, `INSERT INTO act (at, who, proof, action, subject, detail, chain, entry, leaf) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		at, by.Name, string(by.Proof), string(action), subject, detail, j.num, j.head.N+1, leaf)
	return err
}

// actAlone records an act in a transaction of its own.
func (db *DB) actAlone(ctx context.Context, by mailer.Actor, action mailer.Action, subject, detail string) (err error) {
	defer db.explain(&err, "record %s", action)
	return db.write(ctx, func(c *change) error { return c.act(ctx, by, action, subject, detail) })
}

// RecordAct records what somebody does who is shown what the ledger says without
// changing it; it is committed before they are.
func (r *Reader) RecordAct(ctx context.Context, by mailer.Actor, action mailer.Action, subject, detail string) error {
	return r.witness(ctx, by, action, subject, detail)
}

// EachAct calls fn with every act, oldest first.
func (r *Reader) EachAct(ctx context.Context, fn func(mailer.Act) error) (err error) {
	defer r.explain(&err, "read acts")
	for after := int64(0); ; {
		var rows []struct {
			ID, At                              int64
			Who, Proof, Action, Subject, Detail string
		}
		if err := find(ctx, r.pool(), &rows, `SELECT id, at, who, proof, action, subject, detail FROM act WHERE id > ? ORDER BY id LIMIT ?`,
			after, pageRows); err != nil {
			return err
		}
		for _, row := range rows {
			if err := fn(mailer.Act{
				At: time.UnixMilli(row.At).UTC(), By: row.Who, Proof: mailer.Proof(row.Proof), Action: mailer.Action(row.Action),
				Subject: row.Subject, Detail: row.Detail,
			}); err != nil {
				return err
			}
			after = row.ID
		}
		if len(rows) < pageRows {
			return nil
		}
	}
}
