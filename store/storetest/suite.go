// Package storetest is the suite that every engine of the ledger passes whole. It
// knows the ledger from outside, and the tables where a test has to damage them or
// to hold them against what the ledger says. It is for tests alone.
package storetest

import (
	"reflect"
	"testing"

	"github.com/jmoiron/sqlx"

	"oshirase/store"
)

// Engine is what the suite needs of an engine.
type Engine struct {
	// Open opens the ledger of a path, making it at first; the other options count as
	// they stand.
	Open func(tb testing.TB, o store.Options) (*store.DB, error)
	// OpenReader opens an existing one to read it.
	OpenReader func(tb testing.TB, o store.Options) (*store.Reader, error)
	// SQL opens a connection of the test's own to the ledger of a path, closed at the
	// end of the test.
	SQL func(tb testing.TB, path string) *sqlx.DB
	// Unguard drops what keeps events, entries and acts from being changed.
	Unguard func(tb testing.TB, db *sqlx.DB)
	// Fill lets a handle's ledger grow no further until free is called, as on a full
	// disk.
	Fill func(tb testing.TB, db *store.DB) (free func())
	// BreakCommits makes every transaction that writes to a table fail when it commits,
	// and not before, until mend is called.
	BreakCommits func(tb testing.TB, db *sqlx.DB, table string) (mend func())
	// Stored is all that stands on disk of the ledger of a path, by name.
	Stored func(tb testing.TB, path string) map[string][]byte
	// Sound demands that the database of a path is whole: pages, references, and the
	// indexes of its schema.
	Sound func(tb testing.TB, path string)
}

// suite has the tests as methods.
type suite struct{ Engine }

// Run runs the whole suite.
func Run(t *testing.T, e Engine) {
	s := reflect.ValueOf(suite{e})
	for i := range s.NumMethod() {
		t.Run(s.Type().Method(i).Name, func(t *testing.T) {
			t.Parallel()
			s.Method(i).Call([]reflect.Value{reflect.ValueOf(t)})
		})
	}
}
