package store_test

import (
	"testing"

	"github.com/jmoiron/sqlx"

	"oshirase/store"
	"oshirase/store/storetest"
)

// TestSQLite: the engine for one machine passes the suite.
func TestSQLite(t *testing.T) {
	storetest.Run(t, storetest.Engine{
		Open: func(tb testing.TB, o store.Options) (*store.DB, error) { return store.Open(tb.Context(), o) },
		SQL: func(tb testing.TB, path string) *sqlx.DB {
			db, err := sqlx.Open("sqlite3", "file:"+path+"?_busy_timeout=10000")
			if err != nil {
				tb.Fatal(err)
			}
			tb.Cleanup(func() { _ = db.Close() })
			return db
		},
	})
}
