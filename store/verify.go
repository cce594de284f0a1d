package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/journal"
)

// Verify goes through the whole ledger, in one snapshot of it, and names what does not
// fit: in the journal, in states and counts, in facts, campaigns, approvals and
// persons, in the rows of people, and against checkpoints. What a destroyed key has
// sealed cannot be looked at. Memory does not grow with the ledger.
func (r *Reader) Verify(ctx context.Context, o mailer.VerifyOptions) (res mailer.Verification, err error) {
	defer r.explain(&err, "verify")
	v := &verifier{r: r, progress: o.Progress, perRule: map[string]int{}, accepted: map[string]int64{}}
	err = r.read(ctx, func(tx *sqlx.Tx) error {
		v.tx = tx
		known, err := v.knownHeads(ctx, o.Checkpoints)
		if err != nil {
			return err
		}
		for _, look := range []func(context.Context) error{
			func(ctx context.Context) error { return v.journal(ctx, known) },
			v.schema, v.control, v.approvals, v.deliveries, v.counts, v.chunks, v.digests, v.people,
		} {
			if err := look(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return res, err
	}
	return v.result(), nil
}

// verifier gathers what a verification finds.
type verifier struct {
	r        *Reader
	tx       *sqlx.Tx
	progress func(rows int64)
	rows     int64
	entries  int64
	found    []mailer.Discrepancy
	perRule  map[string]int

	accepted     map[string]int64 // by campaign: messages, as events have it
	knownControl journal.Head     // of a checkpoint; without a number: none is known
}

func (v *verifier) find(rule, where, format string, args ...any) {
	v.perRule[rule]++
	if v.perRule[rule] <= mailer.MaxDiscrepancies {
		v.found = append(v.found, mailer.Discrepancy{Rule: rule, Where: where, Detail: fmt.Sprintf(format, args...)})
	}
}

// schema holds the tables, indexes and triggers against those that this program makes.
func (v *verifier) schema(ctx context.Context) error {
	altered, err := v.r.eng.Altered(ctx, v.tx)
	for _, what := range altered {
		v.find("schema", what, "it is missing, or the program did not make it so")
	}
	return err
}

// row counts one row that was looked at.
func (v *verifier) row() {
	v.rows++
	if v.progress != nil && v.rows%4096 == 0 {
		v.progress(v.rows)
	}
}

func (v *verifier) result() mailer.Verification {
	res := mailer.Verification{Entries: v.entries, Findings: []mailer.Discrepancy{}, OK: len(v.found) == 0}
	seen := map[string]int{}
	for _, d := range v.found {
		res.Findings = append(res.Findings, d)
		seen[d.Rule]++
		if more := v.perRule[d.Rule] - mailer.MaxDiscrepancies; seen[d.Rule] == mailer.MaxDiscrepancies && more > 0 {
			res.Findings = append(res.Findings, mailer.Discrepancy{Rule: d.Rule, Where: "ledger", Detail: fmt.Sprintf("and %d more", more)})
		}
	}
	return res
}

// knownHeads are the newest heads that checkpoints know of each chain, but for those
// of a past that a person gave up by accepting an older ledger.
func (v *verifier) knownHeads(ctx context.Context, files []string) ([]journal.Head, error) {
	accepted, err := v.r.restores(ctx, v.tx)
	if err != nil {
		return nil, err
	}
	newest := map[string]journal.Head{}
	take := func(path string, file []byte) error {
		n := 0
		err := journal.SplitCheckpoints(file, func(signed []byte) error {
			n++
			c, err := v.r.openCheckpoint(signed)
			if err != nil {
				v.find("checkpoint", path, "number %d is not one of this ledger, or was changed", n)
				return nil
			}
			for _, h := range c.Heads {
				if h.N > newest[h.Chain].N && !accepted.gaveUp(c, h) {
					newest[h.Chain] = h
				}
			}
			return nil
		})
		if err == nil && n == 0 {
			v.find("checkpoint", path, "there is no checkpoint in it")
		}
		return err
	}
	beside := v.r.checkpointPath()
	file, err := os.ReadFile(beside)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.find("checkpoint", beside, "the checkpoint beside the database is missing")
	case err != nil:
		return nil, err
	default:
		if err := take(beside, file); err != nil {
			return nil, err
		}
	}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			v.find("checkpoint", path, "the file is missing")
			continue
		} else if err != nil {
			return nil, err
		}
		if err := take(path, file); err != nil {
			return nil, err
		}
	}
	var heads []journal.Head
	for _, h := range newest {
		heads = append(heads, h)
	}
	return heads, nil
}

// stamp is a time as findings show it.
func stamp(ms int64) string { return time.UnixMilli(ms).In(mailer.JST).Format(time.DateTime) }
