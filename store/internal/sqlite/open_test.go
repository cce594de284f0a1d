package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func open(tb testing.TB, path string) *DB {
	tb.Helper()
	db, err := Open(tb.Context(), Options{Path: path, Durability: "normal", Logger: slog.New(slog.DiscardHandler)})
	must(tb, err)
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func (db *DB) exec(query string, args ...any) error {
	return db.Write(context.Background(), func(tx *sqlx.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	made := func(name, change string) string {
		path := filepath.Join(dir, name)
		db, err := Open(t.Context(), Options{Path: path, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		must(t, db.exec(change))
		must(t, db.Close())
		return path
	}
	newer := made("newer.db", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`)
	tests := []struct {
		name string
		o    Options
		code mailer.Code
		kind error
	}{
		{"missing directory", Options{Path: filepath.Join(dir, "none", "l.db")}, "ledger.no-directory", fs.ErrNotExist},
		{"directory that is a file", Options{Path: filepath.Join(file("f", ""), "l.db")}, "ledger.not-directory", mailer.ErrInvalid},
		{"a directory", Options{Path: dir}, "ledger.is-directory", mailer.ErrInvalid},
		{"not a database", Options{Path: file("n.db", strings.Repeat("氏名,メール\n", 100))}, "ledger.not-database", engine.ErrNotDatabase},
		{"not a database, read-only", Options{Path: file("r.db", strings.Repeat("氏名,メール\n", 100)), ReadOnly: true}, "ledger.not-database", engine.ErrNotDatabase},
		{"newer schema", Options{Path: newer}, "ledger.newer-schema", mailer.ErrConflict},
		{"newer schema, read-only", Options{Path: newer, ReadOnly: true}, "ledger.newer-schema", mailer.ErrConflict},
		{"empty, read-only", Options{Path: file("e.db", ""), ReadOnly: true}, "ledger.old-schema", errOldSchema},
		{"durability", Options{Path: filepath.Join(dir, "d.db"), Durability: "none"}, "ledger.durability", mailer.ErrInvalid},
		{"missing, read-only", Options{Path: filepath.Join(dir, "m.db"), ReadOnly: true}, "ledger.none", fs.ErrNotExist},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Logger = slog.New(slog.DiscardHandler)
			db, err := Open(t.Context(), tt.o)
			if err == nil {
				must(t, db.Close())
				t.Fatal("no error")
			}
			if mailer.CodeOf(err) != tt.code || !errors.Is(err, tt.kind) {
				t.Errorf("error %v (code %s), want %s, %v", err, mailer.CodeOf(err), tt.code, tt.kind)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "m.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening to read made a file: %v", err)
	}
}

// TestReadOnly: nothing of a handle that reads writes.
func TestReadOnly(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "ledger.db")
	w := open(t, path)
	must(t, w.exec(`INSERT INTO pace (key, tat) VALUES ('k', 1)`))
	db, err := Open(ctx, Options{Path: path, ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	var tat int
	if err := db.Reader().Get(&tat, `SELECT tat FROM pace`); err != nil || tat != 1 {
		t.Errorf("read %d %v", tat, err)
	}
	_, settle := db.Settle(ctx)
	for what, err := range map[string]error{
		"Write":  db.exec(`DELETE FROM pace`),
		"Apply":  db.Apply(ctx, nil, []*engine.Step{{}}, nil),
		"Settle": settle,
	} {
		if !errors.Is(err, engine.ErrReadOnly) {
			t.Errorf("%s: %v, want %v", what, err, engine.ErrReadOnly)
		}
	}
	for name, r := range map[string]*sqlx.DB{"of a reader": db.Reader(), "of a writer": w.Reader()} {
		if _, err := r.Exec(`DELETE FROM pace`); !errors.Is(db.Explain(err), engine.ErrReadOnly) {
			t.Errorf("the pool %s writes: %v", name, err)
		}
	}
}

// TestLocked: a writer waits for another process, and in the end says why it did not
// write.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	db, other := open(t, path), open(t, path)
	tx, err := other.w.Begin()
	must(t, err)
	const insert = `INSERT INTO pace (key, tat) VALUES ('k', 1)`
	db.patience = 0
	if err := db.exec(insert); !errors.Is(db.Explain(err), engine.ErrLocked) {
		t.Fatalf("%v, want %v", err, engine.ErrLocked)
	}
	db.patience = time.Hour
	done := make(chan error)
	go func() { done <- db.exec(insert) }()
	must(t, tx.Rollback())
	must(t, <-done)
	// Purging waits for nobody whom it does not need.
	must(t, db.Purge(t.Context()))
}

// TestDiskFull: the code says so, and nothing remains.
func TestDiskFull(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	var pages, limit int
	must(t, db.w.Get(&pages, `PRAGMA page_count`))
	must(t, db.w.Get(&limit, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)))
	fill := func() error {
		return db.Write(t.Context(), func(tx *sqlx.Tx) error {
			for i := range 1000 {
				if _, err := tx.Exec(`INSERT INTO pace (key, tat) VALUES (?, 1)`, fmt.Sprint(i, strings.Repeat("x", 1000))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := db.Explain(fill()); !errors.Is(err, engine.ErrDiskFull) || mailer.CodeOf(err) != "ledger.disk-full" {
		t.Errorf("%v, want %v", err, engine.ErrDiskFull)
	}
	var left int
	must(t, db.r.Get(&left, `SELECT count(*) FROM pace`))
	if left != 0 {
		t.Errorf("%d rows left", left)
	}
	must(t, db.w.Get(&limit, `PRAGMA max_page_count = 1000000`))
	must(t, fill())
}

// TestFileModes: nobody else reads what is kept beside the ledger.
func TestFileModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	db := open(t, path)
	must(t, db.exec(`INSERT INTO pace (key, tat) VALUES ('k', 1)`))
	name, err := db.Owner()
	must(t, err)
	for file, want := range map[string]fs.FileMode{
		path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + "-workers": 0o700, filepath.Join(path+"-workers", name): 0o600,
	} {
		st, err := os.Stat(file)
		must(t, err)
		if st.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", file, st.Mode().Perm(), want)
		}
	}
}

// TestSettings: an import leaves the writer's connection as it was, whether it was
// committed or not.
func TestSettings(t *testing.T) {
	ctx := t.Context()
	db := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	settings := func() (s string) {
		for _, name := range []string{"foreign_keys", "cache_size", "threads", "busy_timeout", "synchronous", "journal_mode", "secure_delete", "wal_autocheckpoint"} {
			var v string
			must(t, db.w.Get(&v, `PRAGMA `+name))
			s += name + "=" + v + " "
		}
		return s
	}
	indexes := func() (s []string) {
		must(t, db.r.Select(&s, `SELECT sql FROM sqlite_master WHERE tbl_name = 'recipient' AND sql IS NOT NULL ORDER BY name`))
		return s
	}
	before, schema := settings(), fmt.Sprint(indexes())
	if !strings.Contains(before, "foreign_keys=1 ") || !strings.Contains(before, "synchronous=1 ") || len(indexes()) != 3 {
		t.Fatalf("settings %s, indexes %v", before, indexes())
	}
	broken := errors.New("broken list")
	for _, fails := range []bool{false, true} {
		after, err := db.Settle(ctx)
		must(t, err)
		err = db.Write(ctx, func(tx *sqlx.Tx) error {
			if err := db.BeginBulk(ctx, tx); err != nil {
				return err
			}
			if fails {
				return broken
			}
			if _, err := tx.Exec(`DROP TABLE import_waiting`); err != nil {
				return err
			}
			return db.EndBulk(ctx, tx)
		})
		if fails != errors.Is(err, broken) || !fails && err != nil {
			t.Fatal(err)
		}
		after()
		after() // once is enough
		if now := settings(); now != before {
			t.Errorf("fails %v: settings\n%s, before\n%s", fails, now, before)
		}
		if now := fmt.Sprint(indexes()); now != schema {
			t.Errorf("fails %v: indexes\n%s, before\n%s", fails, now, schema)
		}
	}
}

// TestUnique tells a row that is there already from what else can be wrong with one.
func TestUnique(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	must(t, db.exec(`INSERT INTO chain (id, made_at) VALUES ('a', 1)`))
	must(t, db.exec(`INSERT INTO pace (key, tat) VALUES ('a', 1)`))
	for _, tt := range []struct {
		query string
		want  bool
	}{
		{`INSERT INTO chain (id, made_at) VALUES ('a', 1)`, true},
		{`INSERT INTO pace (key, tat) VALUES ('a', 1)`, true},
		{`INSERT INTO chain (id) VALUES ('b')`, false},
		{`INSERT INTO person (id, name, roles, merchants, valid_from) VALUES ('p', '', '{}', '[]', 0)`, false},
		{`INSERT INTO none (id) VALUES (1)`, false},
	} {
		err := db.exec(tt.query)
		if err == nil || db.Unique(err) != tt.want {
			t.Errorf("%s: %v, a row that is there already %v", tt.query, err, db.Unique(err))
		}
	}
	if db.Unique(nil) || db.Unique(sql.ErrNoRows) {
		t.Error("no error of the database is a row that is there already")
	}
}

// TestOwner: whoever has given up its name is dead, and its file is gone.
func TestOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	db := open(t, path)
	other, err := Open(t.Context(), Options{Path: path, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	name, err := other.Owner()
	must(t, err)
	if again, err := other.Owner(); err != nil || again != name {
		t.Errorf("another name at the second call: %s %v", again, err)
	}
	if !db.Alive(name) || !other.Alive(name) {
		t.Error("a living owner is called dead")
	}
	must(t, other.Close())
	if db.Alive(name) || db.Alive("nobody") {
		t.Error("a dead owner is called alive")
	}
	if left, err := os.ReadDir(path + "-workers"); err != nil || len(left) > 1 { // of the migration
		t.Errorf("left: %v %v", left, err)
	}
}

// TestWriterComesBack: whatever connection the writer has, it can write what senders
// write, and checks references.
func TestWriterComesBack(t *testing.T) {
	ctx := t.Context()
	db := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	db.w.SetMaxIdleConns(0) // each statement has a connection of its own
	entry := func(n int64) *engine.Entry {
		zero := make([]byte, 32)
		return &engine.Entry{Chain: 1, N: n, At: 1, Leaves: 0, Prev: zero, Root: zero, Hash: zero, Code: zero[:16]}
	}
	must(t, db.Apply(ctx, nil, nil, entry(1)))
	must(t, db.Write(ctx, func(tx *sqlx.Tx) error { return db.Apply(ctx, tx, nil, entry(2)) }))
	var n int
	if must(t, db.r.Get(&n, `SELECT count(*) FROM entry`)); n != 2 {
		t.Errorf("%d entries of 2", n)
	}
	if err := db.exec(`INSERT INTO mention (list, recipient) VALUES (-1, -1)`); err == nil {
		t.Error("a reference to nothing was committed")
	}
}
