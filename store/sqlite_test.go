package store_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store"
	"oshirase/store/storetest"
)

// lite is the engine for one machine.
var lite = storetest.Engine{
	Open:         func(tb testing.TB, o store.Options) (*store.DB, error) { return store.Open(tb.Context(), o) },
	OpenReader:   func(tb testing.TB, o store.Options) (*store.Reader, error) { return store.OpenReader(tb.Context(), o) },
	SQL:          openSQL,
	Unguard:      unguard,
	Fill:         fill,
	BreakCommits: breakCommits,
	Stored:       stored,
	Sound:        sound,
}

// TestSQLite: the engine for one machine passes the suite.
func TestSQLite(t *testing.T) { storetest.Run(t, lite) }

func BenchmarkRecord(b *testing.B) { storetest.BenchmarkRecord(b, lite) }
func BenchmarkClaim(b *testing.B)  { storetest.BenchmarkClaim(b, lite) }
func BenchmarkImport(b *testing.B) { storetest.BenchmarkImport(b, lite) }
func BenchmarkFreeze(b *testing.B) { storetest.BenchmarkFreeze(b, lite) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func openSQL(tb testing.TB, path string) *sqlx.DB {
	db, err := sqlx.Open("sqlite3", "file:"+path+"?_busy_timeout=10000")
	must(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func unguard(tb testing.TB, db *sqlx.DB) {
	tb.Helper()
	var names []string
	must(tb, db.Select(&names, `SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name`))
	want := []string{"act_keep_delete", "act_keep_update", "entry_keep_delete", "entry_keep_update", "event_keep_delete", "event_keep_update"}
	if !slices.Equal(names, want) {
		tb.Fatalf("triggers %v, want %v", names, want)
	}
	for _, name := range names {
		_, err := db.Exec(`DROP TRIGGER ` + name)
		must(tb, err)
	}
}

func fill(tb testing.TB, db *store.DB) (free func()) {
	tb.Helper()
	limit := func(pages int64) {
		tb.Helper()
		must(tb, db.Engine().Write(tb.Context(), func(tx *sqlx.Tx) error {
			if pages == 0 {
				if err := tx.Get(&pages, `PRAGMA page_count`); err != nil {
					return err
				}
			}
			var now int64
			if err := tx.Get(&now, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)); err != nil || now != pages {
				return fmt.Errorf("limit of %d pages is %d: %w", pages, now, err)
			}
			return nil
		}))
	}
	limit(0)
	return func() { limit(1_000_000) }
}

// breakCommits has a trigger break a reference that is checked at the commit.
func breakCommits(tb testing.TB, db *sqlx.DB, table string) (mend func()) {
	tb.Helper()
	_, err := db.Exec(`CREATE TRIGGER broken AFTER INSERT ON ` + table + ` BEGIN INSERT INTO mention (list, recipient) VALUES (-1, -1); END`)
	must(tb, err)
	return func() {
		tb.Helper()
		_, err := db.Exec(`DROP TRIGGER broken`)
		must(tb, err)
		var left int
		must(tb, db.Get(&left, `SELECT count(*) FROM mention WHERE list = -1`))
		if left > 0 {
			tb.Errorf("%d broken references were committed", left)
		}
	}
}

func stored(tb testing.TB, path string) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob(path + "*")
	must(tb, err)
	out := map[string][]byte{}
	for _, f := range files {
		if st, err := os.Stat(f); err == nil && st.IsDir() {
			continue // of the workers: names of owners
		}
		b, err := os.ReadFile(f)
		must(tb, err)
		out[filepath.Base(f)] = b
	}
	if len(out[filepath.Base(path)]) == 0 {
		tb.Fatalf("no ledger at %s", path)
	}
	return out
}

func sound(tb testing.TB, path string) {
	tb.Helper()
	db := openSQL(tb, path)
	var wrong []string
	must(tb, db.Select(&wrong, `SELECT "table" FROM pragma_foreign_key_check UNION ALL SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'`))
	if len(wrong) > 0 {
		tb.Errorf("database: %v", wrong)
	}
	var indexes []string
	must(tb, db.Select(&indexes, `SELECT name FROM sqlite_master WHERE name LIKE 'recipient\_%' ESCAPE '\' AND type = 'index' AND sql IS NOT NULL
		OR name LIKE '%import%' ORDER BY name`))
	if want := []string{"recipient_email", "recipient_person"}; !slices.Equal(indexes, want) {
		tb.Errorf("indexes of recipients %v, want %v", indexes, want)
	}
}

// TestImportLeavesNoLog: what a large import wrote is not kept twice.
func TestImportLeavesNoLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	db, err := store.Open(t.Context(), store.Options{Path: path, MasterKey: make([]byte, 32), Durability: "normal"})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	by := mailer.Actor{Name: "試験", Proof: mailer.ProofNone}
	_, err = db.Apply(t.Context(), by,
		[]mailer.Incident{{ID: "pay", Title: "漏えい", Exposures: []mailer.Exposure{{ID: "A", Certainty: mailer.CertaintyPossible}}}},
		[]mailer.Merchant{{ID: "shop", Name: "株式会社みなと", From: "notice@shop.example"}})
	must(t, err)
	n := 0
	_, err = db.Import(t.Context(), by, mailer.Import{Incident: "pay", Merchant: "shop"}, func() (mailer.Row, error) {
		if n == 150_000 {
			return mailer.Row{}, io.EOF
		}
		n++
		p := mailer.Person{CustomerID: fmt.Sprintf("C%06d", n), Name: fmt.Sprintf("髙﨑 %d 子", n), Address: strings.Repeat("東京都千代田区", 5)}
		return mailer.Row{Number: int64(n + 1), Person: p, Exposures: []string{"A"}}, nil
	})
	must(t, err)
	const most = 32 << 20
	if after := size(t, path+"-wal"); after > most {
		t.Errorf("the write-ahead log has %d bytes", after)
	}
	if all := size(t, path); all <= most {
		t.Errorf("the list is too small for the log to have been larger: %d bytes in all", all)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	st, err := os.Stat(path)
	must(t, err)
	return st.Size()
}
