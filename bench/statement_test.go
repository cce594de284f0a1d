package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
)

// A model of what the ledger writes for a batch of outcomes, to show what it is
// worth that a batch is one statement: the insertion of a row into a temporary
// view, whose trigger does the rest. The plain ways are a transaction of a
// statement for each table, and of statements for each delivery.

const (
	modelBatch  = 20
	modelSchema = `
CREATE TABLE delivery (id INTEGER PRIMARY KEY, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0);
CREATE TABLE event (delivery INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (delivery, n)) WITHOUT ROWID;
CREATE TABLE count (state TEXT PRIMARY KEY, n INTEGER NOT NULL);
INSERT INTO count VALUES ('sending', 0), ('accepted', 0);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) INSERT INTO delivery (id, state) SELECT i, 'sending' FROM n;

CREATE TEMP VIEW step (ids, at, text, n) AS SELECT '', 0, '', 0;
CREATE TEMP TRIGGER outcome INSTEAD OF INSERT ON step BEGIN
  UPDATE delivery SET state = 'accepted', attempts = attempts + 1 WHERE id IN (SELECT value FROM json_each(NEW.ids));
  INSERT INTO event SELECT d.id, d.attempts, NEW.at, NEW.text FROM json_each(NEW.ids) j CROSS JOIN delivery d ON d.id = j.value;
  UPDATE count SET n = n + CASE state WHEN 'accepted' THEN NEW.n ELSE -NEW.n END;
END;`
)

func model(b *testing.B) *sql.DB {
	b.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(b.TempDir(), "model.db")+"?_journal_mode=WAL&_synchronous=FULL&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1) // the view is that connection's
	b.Cleanup(func() { db.Close() })
	if _, err := db.Exec(modelSchema); err != nil {
		b.Fatal(err)
	}
	return db
}

// inTx runs statements, each with its arguments, in a transaction.
func inTx(ctx context.Context, db *sql.DB, statements func(exec func(query string, args ...any))) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	statements(func(query string, args ...any) {
		if err == nil {
			_, err = tx.ExecContext(ctx, query, args...)
		}
	})
	if err != nil {
		_ = tx.Rollback() // err says what went wrong
		return err
	}
	return tx.Commit()
}

const counted = `UPDATE count SET n = n + CASE state WHEN 'accepted' THEN ?1 ELSE -?1 END`

// ways write the outcomes of a batch of deliveries.
var ways = []struct {
	name  string
	write func(ctx context.Context, db *sql.DB, ids []int64) error
}{
	{"view", func(ctx context.Context, db *sql.DB, ids []int64) error {
		_, err := db.ExecContext(ctx, `INSERT INTO temp.step VALUES (?, ?, ?, ?)`, array(ids), 1, "ok", len(ids))
		return err
	}},
	{"statements", func(ctx context.Context, db *sql.DB, ids []int64) error {
		return inTx(ctx, db, func(exec func(string, ...any)) {
			exec(`UPDATE delivery SET state = 'accepted', attempts = attempts + 1 WHERE id IN (SELECT value FROM json_each(?))`, array(ids))
			exec(`INSERT INTO event SELECT d.id, d.attempts, ?, ? FROM json_each(?) j CROSS JOIN delivery d ON d.id = j.value`, 1, "ok", array(ids))
			exec(counted, len(ids))
		})
	}},
	{"rows", func(ctx context.Context, db *sql.DB, ids []int64) error {
		return inTx(ctx, db, func(exec func(string, ...any)) {
			for _, id := range ids {
				exec(`UPDATE delivery SET state = 'accepted', attempts = attempts + 1 WHERE id = ?`, id)
				exec(`INSERT INTO event SELECT id, attempts, ?, ? FROM delivery WHERE id = ?`, 1, "ok", id)
			}
			exec(counted, len(ids))
		})
	}},
}

func array(ids []int64) string {
	text, err := json.Marshal(ids)
	if err != nil {
		panic(err) // numbers always marshal
	}
	return string(text)
}

// busy keeps all cores at work in this process, as composing does beside the
// ledger: whoever comes back from a call then waits for the scheduler.
func busy(b *testing.B) {
	var over atomic.Bool
	b.Cleanup(func() { over.Store(true) })
	for range runtime.GOMAXPROCS(0) {
		go func() {
			sum := sha256.Sum256(nil)
			for !over.Load() {
				sum = sha256.Sum256(sum[:])
			}
		}()
	}
}

// BenchmarkStatement writes batches in each way, alone and beside busy cores.
func BenchmarkStatement(b *testing.B) {
	for _, beside := range []string{"alone", "busy"} {
		for _, way := range ways {
			b.Run(beside+"/"+way.name, func(b *testing.B) {
				db := model(b)
				if beside == "busy" {
					busy(b)
				}
				ids := make([]int64, modelBatch)
				next := int64(0)
				for b.Loop() {
					for i := range ids {
						ids[i] = next%100_000 + 1
						next++
					}
					if err := way.write(context.Background(), db, ids); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestWaysWriteTheSame: what is compared does the same.
func TestWaysWriteTheSame(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			db, err := sql.Open("sqlite3", ":memory:")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			if _, err := db.Exec(modelSchema); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := way.write(t.Context(), db, []int64{7, 9}); err != nil {
					t.Fatal(err)
				}
			}
			var got string
			if err := db.QueryRow(`
				SELECT (SELECT group_concat(id || state || attempts) FROM delivery WHERE state <> 'sending') || ' '
				       || (SELECT group_concat(delivery || '.' || n || text) FROM event) || ' '
				       || (SELECT group_concat(state || n) FROM count)`).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if want := "7accepted2,9accepted2 7.1ok,7.2ok,9.1ok,9.2ok sending-4,accepted4"; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
