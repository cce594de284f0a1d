package store

import (
	"context"
	"encoding/json"
	"os"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/journal"
)

// restored is what the act of accepting an older ledger says.
type restored struct {
	Reason string `json:"reason"`
	// At is the time of the checkpoint beside the database that knew more, unix
	// milliseconds; 0: there was none.
	At int64 `json:"at"`
	// Kept are the last entries that this ledger has, by chain.
	Kept map[string]int64 `json:"kept"`
}

// AcceptRestore lets an older ledger be sent from: what the checkpoint beside it knew
// beyond it is given up, and a new one written. Whoever was told meanwhile is not in
// this ledger.
func (db *DB) AcceptRestore(ctx context.Context, by mailer.Actor, reason string) (err error) {
	defer db.explain(&err, "accept restored ledger")
	err = db.mustBeNewest(ctx)
	if err == nil {
		return mailer.Conflict("restore.newest")
	}
	if !isRestored(err) {
		return err // something else is wrong than its age
	}
	what := restored{Reason: reason, Kept: map[string]int64{}}
	if signed, err := os.ReadFile(db.checkpointPath()); err == nil {
		if c, err := db.openCheckpoint(signed); err == nil {
			what.At = c.At
		}
	}
	now, err := db.checkpoint(ctx)
	if err != nil {
		return err
	}
	for _, h := range now.Heads {
		what.Kept[h.Chain] = h.N
	}
	detail, err := json.Marshal(what)
	if err != nil {
		return err
	}
	if err := db.write(ctx, func(c *change) error { return c.act(ctx, by, mailer.ActRestore, "ledger", string(detail)) }); err != nil {
		return err
	}
	return db.heads.write(ctx)
}

// acceptances are the restores that persons accepted.
type acceptances []struct {
	restored
	when int64
}

func (r *Reader) restores(ctx context.Context, tx *sqlx.Tx) (out acceptances, err error) {
	var rows []struct {
		At     int64
		Detail string
	}
	if err := find(ctx, tx, &rows, `SELECT at, detail FROM act WHERE action = ? ORDER BY id`, string(mailer.ActRestore)); err != nil {
		return nil, err
	}
	for _, row := range rows {
		var w restored
		if err := unmarshal(row.Detail, &w); err != nil {
			continue // the journal says that it was changed
		}
		out = append(out, struct {
			restored
			when int64
		}{w, row.At})
	}
	return out, nil
}

// gaveUp reports whether a head of a checkpoint lies in a past that was given up.
func (a acceptances) gaveUp(c *journal.Checkpoint, h journal.Head) bool {
	for _, w := range a {
		if c.At <= w.when && h.N > w.Kept[h.Chain] {
			return true
		}
	}
	return false
}
