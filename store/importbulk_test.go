package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
	"oshirase/store/seal"
)

// counting counts how often an import goes over to bulk.
type counting struct {
	engine.Engine
	begun, ended int
}

func (c *counting) BeginBulk(ctx context.Context, tx *sqlx.Tx) error {
	c.begun++
	return c.Engine.BeginBulk(ctx, tx)
}

func (c *counting) EndBulk(ctx context.Context, tx *sqlx.Tx) error {
	c.ended++
	return c.Engine.EndBulk(ctx, tx)
}

// TestBulkRows: an import sorts its indexes at the end where it brings so many new
// people, and at least as many as there were.
func TestBulkRows(t *testing.T) {
	ctx := t.Context()
	by := mailer.Actor{Name: "試験", Proof: mailer.ProofNone}
	for _, tt := range []struct {
		limit int64
		lists []int // people
		want  int
	}{
		{1, []int{1100}, 1},
		{1000, []int{1100}, 1},
		{1200, []int{1100}, 0},
		{0, []int{1100}, 0},
		{1, []int{1100, 600}, 1},
		{1, []int{600, 1700}, 2},
	} {
		db, err := Open(ctx, Options{
			Path: filepath.Join(t.TempDir(), "ledger.db"), MasterKey: make([]byte, 32), Durability: "normal", BulkRows: tt.limit,
		})
		if err != nil {
			t.Fatal(err)
		}
		c := &counting{Engine: db.eng}
		db.eng = c
		_, err = db.Apply(ctx, by,
			[]mailer.Incident{{ID: "pay", Title: "漏えい", Exposures: []mailer.Exposure{{ID: "A", Certainty: mailer.CertaintyPossible}}}},
			[]mailer.Merchant{{ID: "shop", Name: "株式会社みなと", From: "notice@shop.example"}})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, people := range tt.lists {
			end := n + people
			res, err := db.Import(ctx, by, mailer.Import{Incident: "pay", Merchant: "shop"}, func() (mailer.Row, error) {
				if n == end {
					return mailer.Row{}, io.EOF
				}
				n++
				return mailer.Row{Number: int64(n), Person: mailer.Person{CustomerID: fmt.Sprint(n)}, Exposures: []string{"A"}}, nil
			})
			if err != nil || res.Imported != int64(people) {
				t.Fatalf("%+v %v", res, err)
			}
		}
		if c.begun != tt.want || c.ended != c.begun {
			t.Errorf("limit %d, lists of %v: bulk %d times, ended %d, want %d", tt.limit, tt.lists, c.begun, c.ended, tt.want)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPersonFilter(t *testing.T) {
	keys, err := seal.Derive(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	f := make(personFilter, filterBlocks*32)
	s := seal.NewSealer(keys, 1, 1, rand.Reader)
	const n = 200_000
	held := 0
	for i := range n {
		if !f.add(s.CustomerKey(fmt.Sprint(i))) {
			held++
		}
	}
	if held > 2 {
		t.Errorf("%d of %d new keys are held for known", held, n)
	}
	for i := range n {
		if f.add(s.CustomerKey(fmt.Sprint(i))) {
			t.Fatalf("key %d was forgotten", i)
		}
	}
}
