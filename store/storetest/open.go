package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"oshirase/mailer"
	"oshirase/store"
)

func (s suite) TestMasterKey(t *testing.T) {
	e := s.open(t)
	for _, tt := range []struct {
		name string
		key  []byte
		kind error
		code mailer.Code
	}{
		{"short", []byte("short"), mailer.ErrInvalid, "ledger.master-key"},
		{"none", nil, mailer.ErrInvalid, "ledger.master-key"},
		{"another ledger's", masterKey(2), mailer.ErrWrongKey, "ledger.wrong-key"},
	} {
		o := e.options
		o.MasterKey = tt.key
		want := func(err error) {
			t.Helper()
			if !errors.Is(err, tt.kind) || mailer.CodeOf(err) != tt.code {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
			}
		}
		db, err := s.Open(t, o)
		if want(err); err == nil {
			must(t, db.Close())
		}
		r, err := s.OpenReader(t, o)
		if want(err); err == nil {
			must(t, r.Close())
		}
	}
}

// TestReader: it reads, and what it shows of persons is recorded before, by a writer
// of its own.
func (s suite) TestReader(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(2)
	r, err := s.OpenReader(t, e.options)
	must(t, err)
	defer func() { must(t, r.Close()) }()
	if c, err := r.Counts(ctx, id); err != nil || c[mailer.StateQueued] != 2 {
		t.Errorf("counts %v %v", c, err)
	}
	if n := e.chains(); n != 1 {
		t.Errorf("%d chains after reading what is not personal, want 1", n)
	}
	acts := func() (n int) {
		must(t, r.EachAct(ctx, func(a mailer.Act) error {
			if a.Action == mailer.ActLookUp && a.By == "窓口" {
				n++
			}
			return nil
		}))
		return n
	}
	for i := range 2 {
		if m, err := r.Lookup(ctx, actor("窓口"), mailer.Query{Email: person(1).Email}); err != nil || len(m) != 1 {
			t.Fatalf("found %+v %v", m, err)
		}
		if acts() != i+1 {
			t.Errorf("%d acts of %d", acts(), i+1)
		}
	}
	if n := e.chains(); n != 1 {
		t.Errorf("%d chains, want the common one", n)
	}
	// Nothing is shown of which it cannot be recorded who saw it.
	if m, err := r.Lookup(ctx, actor(""), mailer.Query{Email: person(1).Email}); err == nil || len(m) != 0 {
		t.Errorf("shown to nobody: %+v %v", m, err)
	}
}

// TestOpenAtOnce: those who open a new ledger at once make one of it, with one secret.
func (s suite) TestOpenAtOnce(t *testing.T) {
	ctx := context.Background()
	e := s.newEnv(t, store.Options{})
	dbs := make([]*store.DB, 6)
	var wg sync.WaitGroup
	for i := range dbs {
		wg.Go(func() {
			db, err := s.Open(t, e.options)
			if err != nil {
				t.Error(err)
				return
			}
			dbs[i] = db
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	e.DB = dbs[0]
	d := claim(t, e.DB, e.campaign(1), 1).Deliveries[0]
	for i, db := range dbs {
		if got, err := db.FindToken(ctx, d.Token); err != nil || got.ID != d.ID {
			t.Errorf("handle %d has another secret: %+v %v", i, got, err)
		}
		must(t, db.Close())
	}
}

// TestDiskFull: a full disk is said as such, nothing of the transaction remains, and
// the journal goes on behind it.
func (s suite) TestDiskFull(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(300)
	d := claim(t, e.DB, id, 300).Deliveries
	var intents, outcomes []mailer.Record
	for i := range d {
		intents = append(intents, intent(&d[i]))
		r := outcome(&d[i], mailer.StateAccepted, mailer.AtDot)
		r.Outcome.Text = strings.Repeat("x", 500)
		outcomes = append(outcomes, r)
	}
	for _, err := range e.Record(ctx, intents...) {
		must(t, err)
	}
	free := s.Fill(t, e.DB)
	for _, err := range e.Record(ctx, outcomes...) {
		wantErr(t, err, store.ErrDiskFull, "ledger.disk-full")
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateSending: 300})
	free()
	for _, err := range e.Record(ctx, outcomes...) {
		must(t, err)
	}
	e.wantCounts(e.DB, id, mailer.Counts{mailer.StateAccepted: 300})
}
