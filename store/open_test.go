package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"oshirase/mailer"
)

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	made := func(name string, change string) string {
		path := filepath.Join(dir, name)
		db, err := Open(context.Background(), Options{Path: path, MasterKey: masterKey(1)})
		must(t, err)
		if change != "" {
			_, err = db.w.Exec(change)
			must(t, err)
		}
		must(t, db.Close())
		return path
	}
	tests := []struct {
		name string
		o    Options
		want error
		says string
	}{
		{"missing directory", Options{Path: filepath.Join(dir, "none", "l.db"), MasterKey: masterKey(1)}, os.ErrNotExist, "create it"},
		{"a directory", Options{Path: dir, MasterKey: masterKey(1)}, nil, "directory"},
		{"short key", Options{Path: filepath.Join(dir, "k.db"), MasterKey: []byte("short")}, mailer.ErrInvalid, "5 bytes of 32"},
		{"wrong key", Options{Path: made("w.db", ""), MasterKey: masterKey(2)}, mailer.ErrWrongKey, "another one"},
		{"not a database", Options{Path: file("n.db", strings.Repeat("氏名,メール\n", 100)), MasterKey: masterKey(1)}, ErrNotDatabase, "not an oshirase database"},
		{"newer schema", Options{Path: made("v.db", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`), MasterKey: masterKey(1)}, mailer.ErrConflict, "version 99"},
		{"durability", Options{Path: filepath.Join(dir, "d.db"), MasterKey: masterKey(1), Durability: "none"}, mailer.ErrInvalid, "full or normal"},
		{"read-only and missing", Options{Path: filepath.Join(dir, "m.db"), MasterKey: masterKey(1), ReadOnly: true}, os.ErrNotExist, "m.db"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db, err := Open(context.Background(), tt.o)
			if err == nil {
				must(t, db.Close())
				t.Fatal("no error")
			}
			if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %v that says %q", err, tt.want, tt.says)
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	ctx := context.Background()
	e := open(t)
	id := e.campaign(2)
	db, err := Open(ctx, Options{Path: e.path, MasterKey: masterKey(1), ReadOnly: true})
	must(t, err)
	defer db.Close()
	if c, err := db.Counts(ctx, id); err != nil || c[mailer.StateQueued] != 2 {
		t.Errorf("counts %v %v", c, err)
	}
	wantErr(t, db.Pause(ctx, tester, id, "stop"), ErrReadOnly, "read-only")
}

// Processes that open a new ledger at once make one of it.
func TestOpenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	var wg sync.WaitGroup
	tokens := make([]string, 6)
	for i := range tokens {
		wg.Go(func() {
			db, err := Open(context.Background(), Options{Path: path, MasterKey: masterKey(1)})
			if err != nil {
				t.Error(err)
				return
			}
			tokens[i] = db.names.Token(1)
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, tok := range tokens {
		if tok != tokens[0] {
			t.Errorf("the handles have different secrets: %v", tokens)
		}
	}
}

// A full disk is said as such, and nothing of the transaction remains.
func TestDiskFull(t *testing.T) {
	ctx := context.Background()
	e := open(t)
	id := e.campaign(300)
	d := claim(t, e.DB, id, 300).Deliveries
	var pages int
	must(t, e.w.Get(&pages, `PRAGMA page_count`))
	var limit int
	must(t, e.w.Get(&limit, `PRAGMA max_page_count = `+strconv.Itoa(pages)))
	var records []mailer.Record
	for i := range d {
		records = append(records, intent(&d[i]))
	}
	for _, err := range e.Record(ctx, records...) {
		must(t, err)
	}
	for i := range d {
		records[i] = outcome(&d[i], mailer.StateAccepted, mailer.AtDot)
		records[i].Outcome.Text = strings.Repeat("x", 500)
	}
	for _, err := range e.Record(ctx, records...) {
		wantErr(t, err, ErrDiskFull, "free some space")
	}
	wantCounts(t, e.DB, id, mailer.Counts{mailer.StateSending: 300})
	must(t, e.w.Get(&limit, `PRAGMA max_page_count = 1000000`))
	for _, err := range e.Record(ctx, records...) {
		must(t, err)
	}
	wantCounts(t, e.DB, id, mailer.Counts{mailer.StateAccepted: 300})
}

func TestHistoryIsAppendOnly(t *testing.T) {
	ctx := context.Background()
	e := open(t)
	id := e.campaign(1)
	d := claim(t, e.DB, id, 1).Deliveries
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateRejected, mailer.AtRcpt))[0])
	for _, q := range []string{`UPDATE event SET code = 250`, `DELETE FROM event`, `UPDATE audit SET who = ''`, `DELETE FROM audit`} {
		if _, err := e.w.Exec(q); err == nil || !strings.Contains(err.Error(), "only ever appended") {
			t.Errorf("%s: %v", q, err)
		}
	}
}

// A writer waits for another process, and in the end says why it did not write.
func TestLocked(t *testing.T) {
	ctx := context.Background()
	e := open(t)
	id := e.campaign(1)
	other := e.again()
	tx, err := other.w.Begin()
	must(t, err)
	e.patience = 0
	wantErr(t, e.Pause(ctx, tester, id, "stop"), ErrLocked, "keeps the database locked")
	e.patience = time.Hour
	done := make(chan error)
	go func() { done <- e.Pause(ctx, tester, id, "stop") }()
	must(t, tx.Rollback())
	must(t, <-done)
	e.wantPhase(id, mailer.PhasePaused)
}
