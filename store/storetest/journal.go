package storetest

import (
	"context"
	"os"
	"path/filepath"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/journal"
	"oshirase/store"
)

// verify goes through the ledger as it is on the disk, with checkpoints from elsewhere.
func (e *env) verify(checkpoints ...string) []mailer.Discrepancy {
	e.tb.Helper()
	ctx := context.Background()
	r, err := store.OpenReader(ctx, e.options)
	must(e.tb, err)
	defer func() { must(e.tb, r.Close()) }()
	res, err := r.Verify(ctx, mailer.VerifyOptions{Checkpoints: checkpoints})
	must(e.tb, err)
	if res.OK != (len(res.Findings) == 0) {
		e.tb.Errorf("%+v", res)
	}
	return res.Findings
}

// verifyLedger demands that the ledger fits.
func (e *env) verifyLedger(checkpoints ...string) {
	e.tb.Helper()
	for _, f := range e.verify(checkpoints...) {
		e.tb.Errorf("verify: %s: %s: %s", f.Rule, f.Where, f.Detail)
	}
}

// checkpoint is a file elsewhere with a checkpoint of now.
func (e *env) checkpoint() string {
	e.tb.Helper()
	must(e.tb, e.WriteCheckpoint(context.Background()))
	signed, err := os.ReadFile(e.path + "-checkpoint")
	must(e.tb, err)
	path := filepath.Join(e.tb.TempDir(), "checkpoint")
	must(e.tb, os.WriteFile(path, signed, 0o600))
	return path
}

// chains is how many chains the journal has.
func (e *env) chains() (n int) {
	e.tb.Helper()
	must(e.tb, e.sql().Get(&n, `SELECT count(*) FROM chain`))
	return n
}

// readHeads are the last entries of all chains of a ledger, in the order of the chains.
func readHeads(ctx context.Context, db *sqlx.DB) (heads []journal.Head, err error) {
	var rows []struct {
		ID   string
		N    int64
		Hash []byte
	}
	if err := db.SelectContext(ctx, &rows, `
		SELECT c.id, e.n, e.hash FROM chain c JOIN entry e ON e.chain = c.num
		WHERE e.n = (SELECT max(n) FROM entry x WHERE x.chain = c.num) ORDER BY c.num`); err != nil {
		return nil, err
	}
	for _, r := range rows {
		h := journal.Head{Chain: r.ID, N: r.N}
		copy(h.Hash[:], r.Hash)
		heads = append(heads, h)
	}
	return heads, nil
}

func (e *env) heads() []journal.Head {
	e.tb.Helper()
	heads, err := readHeads(context.Background(), e.sql())
	must(e.tb, err)
	return heads
}
