package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/journal"
	"oshirase/store"
)

// history is a ledger in which something of every sort has happened.
func (s suite) history(t *testing.T) *env {
	t.Helper()
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(8)
	d := claim(t, e.DB, id, 8).Deliveries
	for i := range 6 {
		must(t, e.Record(ctx, intent(&d[i]))[0])
	}
	long := outcome(&d[2], mailer.StateRejected, mailer.AtDot)
	long.Outcome.Text = strings.Repeat("拒否 ", 200) // more than stands in clear
	for _, err := range e.Record(ctx,
		outcome(&d[0], mailer.StateAccepted, mailer.AtDot), outcome(&d[1], mailer.StateAccepted, mailer.AtDot),
		long, outcome(&d[3], mailer.StateDeferred, mailer.AtDot), outcome(&d[6], mailer.StateRejected, mailer.AtRcpt)) {
		must(t, err)
	}
	other := e.again()
	_, err := other.Recover(ctx, t0.Add(time.Hour), false)
	must(t, err)
	_, err = other.Resolve(ctx, actor("佐藤"), id, mailer.StateAccepted, d[4].Recipient.Ref)
	must(t, err)
	must(t, e.Cancel(ctx, actor("鈴木"), id))
	return e
}

// TestJournal: of every kind of event there is one, and all of it fits.
func (s suite) TestJournal(t *testing.T) {
	e := s.history(t)
	var kinds []string
	must(t, e.sql().Select(&kinds, `SELECT DISTINCT kind FROM event ORDER BY kind`))
	if got := strings.Join(kinds, " "); got != "attempt cancel lapse resolve" {
		t.Errorf("events of the kinds %s", got)
	}
	var raw, acts int
	must(t, e.sql().Get(&raw, `SELECT count(*) FROM event WHERE raw IS NOT NULL`))
	must(t, e.sql().Get(&acts, `SELECT count(*) FROM act`))
	if raw != 1 || acts == 0 {
		t.Errorf("%d sealed replies, %d acts", raw, acts)
	}
	heads := e.heads()
	if len(heads) != 2 || e.chains() != 2 {
		t.Errorf("two handles wrote, and there are %d chains with %d heads", e.chains(), len(heads))
	}
	e.verifyJournal(heads...)
}

// TestJournalFinds: whatever of the past is changed, it shows.
func (s suite) TestJournalFinds(t *testing.T) {
	// An entry with several events, which stands in the middle of its chain.
	const middle = ` (SELECT chain FROM event GROUP BY chain, entry HAVING count(*) > 1 AND max(entry) < (SELECT max(n) FROM entry x WHERE x.chain = event.chain)
		ORDER BY chain, entry LIMIT 1) `
	const inMiddle = ` chain = ` + middle + `AND entry = (SELECT min(entry) FROM event f WHERE f.chain = ` + middle + `
		AND 1 < (SELECT count(*) FROM event g WHERE g.chain = f.chain AND g.entry = f.entry)) `
	for _, tt := range []struct {
		name string
		do   []string
		want string // what is said contains it
		only bool   // only by a head that is known from elsewhere
	}{
		{name: "text", do: []string{`UPDATE event SET text = text || '!' WHERE` + inMiddle + `AND leaf = 0`}, want: "root"},
		{name: "code", do: []string{`UPDATE event SET code = 251 WHERE` + inMiddle + `AND leaf = 1`}, want: "root"},
		{name: "enhanced code", do: []string{`UPDATE event SET enhanced = '2.1.5' WHERE` + inMiddle + `AND leaf = 1`}, want: "root"},
		{name: "point", do: []string{`UPDATE event SET point = 'body' WHERE` + inMiddle + `AND leaf = 1`}, want: "root"},
		{name: "relay", do: []string{`UPDATE event SET relay = 'other' WHERE` + inMiddle + `AND leaf = 1`}, want: "root"},
		{name: "time", do: []string{`UPDATE event SET at = at + 1 WHERE` + inMiddle + `AND leaf = 0`}, want: "root"},
		{name: "state", do: []string{`UPDATE event SET state = 'rejected' WHERE` + inMiddle + `AND state = 'accepted' AND leaf = 0`}, want: "root"},
		{name: "kind", do: []string{`UPDATE event SET kind = 'report' WHERE` + inMiddle + `AND leaf = 0`}, want: "root"},
		{name: "delivery", do: []string{`UPDATE event SET delivery = 8, n = 9 WHERE` + inMiddle + `AND leaf = 0`}, want: "root"},
		{name: "sealed reply", do: []string{`UPDATE event SET raw = (SELECT raw_sum FROM event WHERE raw IS NOT NULL) WHERE raw IS NOT NULL`}, want: "sealed reply"},
		{name: "hash of a sealed reply", do: []string{`UPDATE event SET raw = NULL, raw_sum = NULL WHERE raw IS NOT NULL`}, want: "root"},
		{name: "campaign", do: []string{`UPDATE campaign SET id = 'c-other'`}, want: "root"},
		{name: "deleted event", do: []string{`DELETE FROM event WHERE` + inMiddle + `AND leaf = 0`}, want: "count"},
		{name: "deleted last event", do: []string{
			`DELETE FROM event WHERE` + inMiddle + `AND leaf = (SELECT max(leaf) FROM event WHERE` + inMiddle + `)`,
		}, want: "count"},
		{name: "swapped pair", do: []string{`UPDATE event SET leaf = 1 - leaf WHERE` + inMiddle + `AND leaf IN (0, 1)`}, want: "root"},
		{name: "one twice", do: []string{`UPDATE event SET leaf = 0 WHERE` + inMiddle + `AND leaf = 1`}, want: "where leaf 1 should be"},
		{name: "invented event", do: []string{`
			INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, chain, entry, leaf)
			SELECT 8, 9, 1, at, 'attempt', 'accepted', 1, chain, entry, (SELECT count(*) FROM event WHERE` + inMiddle + `)
			FROM event WHERE` + inMiddle + `AND leaf = 0`}, want: "count"},
		{
			name: "invented event of no entry", do: []string{`
			INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, chain, entry, leaf) VALUES (8, 9, 1, 1, 'attempt', 'accepted', 1, 1, 999, 0)`},
			want: "there is no entry 999",
		},
		{name: "actor", do: []string{`UPDATE act SET who = '田中' WHERE action = 'approve'`}, want: "root"},
		{name: "act", do: []string{`UPDATE act SET detail = 'count 9' WHERE action = 'approve'`}, want: "root"},
		{name: "time of an act", do: []string{`UPDATE act SET at = at - 1 WHERE action = 'approve'`}, want: "root"},
		{name: "deleted act", do: []string{`DELETE FROM act WHERE action = 'approve'`}, want: "count"},
		{name: "entry", do: []string{`DELETE FROM entry WHERE chain = 1 AND n = 3`}, want: "missing"},
		{name: "first entry with its acts", do: []string{`DELETE FROM entry WHERE chain = 1 AND n = 1`, `DELETE FROM act WHERE chain = 1 AND entry = 1`}, want: "missing"},
		{name: "time of an entry", do: []string{`UPDATE entry SET at = at + 1 WHERE chain = 1 AND n = 3`}, want: "previous"},
		{name: "hash", do: []string{`UPDATE entry SET hash = root WHERE chain = 1 AND n = 3`}, want: "its hash is another"},
		{name: "head", do: []string{`UPDATE entry SET hash = root WHERE chain = 1 AND n = (SELECT max(n) FROM entry WHERE chain = 1)`}, want: "its hash is another"},
		{name: "name of a chain", do: []string{`UPDATE chain SET id = 'other' WHERE num = 1`}, want: "its hash is another"},
		{name: "chain", do: []string{`DELETE FROM chain WHERE num = 2`}, want: "there is no such chain"},
		{name: "end cut off", do: []string{
			`DELETE FROM event WHERE chain = 1 AND entry = (SELECT max(n) FROM entry WHERE chain = 1)`,
			`DELETE FROM act WHERE chain = 1 AND entry = (SELECT max(n) FROM entry WHERE chain = 1)`,
			`DELETE FROM entry WHERE chain = 1 AND n = (SELECT max(n) FROM entry WHERE chain = 1)`,
		}, want: "short", only: true},
		{
			name: "whole chain", do: []string{`DELETE FROM event WHERE chain = 2`, `DELETE FROM act WHERE chain = 2`, `DELETE FROM entry WHERE chain = 2`, `DELETE FROM chain WHERE num = 2`},
			want: "short", only: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := s.history(t)
			e.damaged = true
			heads := e.heads()
			db := e.sql()
			s.Unguard(t, db)
			for _, q := range tt.do {
				r, err := db.Exec(q)
				must(t, err)
				if n, err := r.RowsAffected(); err != nil || n == 0 {
					t.Fatalf("nothing was changed: %v", err)
				}
			}
			found, err := VerifyJournal(context.Background(), db)
			must(t, err)
			if tt.only == (len(found) > 0) {
				t.Errorf("without a head: found %v", found)
			}
			if found, err = VerifyJournal(context.Background(), db, heads...); err != nil || !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, tt.want) }) {
				t.Errorf("found %q %v, want %q", found, err, tt.want)
			}
		})
	}
}

// TestJournalWrittenAnew: a last entry that was made anew with all its hashes is known
// by a head from elsewhere, and by nothing else.
func (s suite) TestJournalWrittenAnew(t *testing.T) {
	e := s.history(t)
	e.damaged = true
	heads := e.heads()
	db := e.sql()
	s.Unguard(t, db)
	var r struct {
		At, Leaves int64
		Prev, Root []byte
	}
	must(t, db.Get(&r, `SELECT at, leaves, prev, root FROM entry WHERE chain = 2 AND n = ?`, heads[1].N))
	anew := journal.Entry{Chain: heads[1].Chain, N: heads[1].N, At: r.At + 1, Leaves: r.Leaves}
	copy(anew.Prev[:], r.Prev)
	copy(anew.Root[:], r.Root)
	sum := anew.Hash()
	_, err := db.Exec(`UPDATE entry SET at = ?, hash = ? WHERE chain = 2 AND n = ?`, anew.At, sum[:], anew.N)
	must(t, err)
	if found, err := VerifyJournal(context.Background(), db); err != nil || len(found) > 0 {
		t.Errorf("without a head: %v %v", found, err)
	}
	if found, err := VerifyJournal(context.Background(), db, heads...); err != nil || len(found) != 1 || !strings.Contains(found[0], string(journal.RuleHead)) {
		t.Errorf("with the head: %v %v", found, err)
	}
}

// TestJournalGoesOn: a commit that fails after everything was written, be it at the
// commit itself, leaves nothing, and the next one continues the chain.
func (s suite) TestJournalGoesOn(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	d := claim(t, e.DB, id, 3).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	entries := func() (n int64) {
		t.Helper()
		for _, h := range e.heads() {
			n += h.N
		}
		var rows int64
		must(t, e.sql().Get(&rows, `SELECT count(*) FROM entry`))
		if rows != n {
			t.Errorf("%d entries, and the heads are at %d: there is a gap", rows, n)
		}
		return n
	}
	for _, tt := range []struct {
		table string
		do    func() error
	}{
		{"act", func() error { return e.Pause(ctx, tester, id, "stop") }},
		{"act", func() error { return e.Resume(ctx, tester, id) }},
		// A statement that is its own transaction.
		{"event", func() error { return e.Record(ctx, outcome(&d[0], mailer.StateAccepted, mailer.AtDot))[0] }},
		// One that is not: the state is not the one that is implied.
		{"event", func() error {
			return errors.Join(e.Record(ctx, outcome(&d[1], mailer.StateRejected, mailer.AtRcpt), intent(&d[2]))...)
		}},
		{"entry", func() error { return e.Cancel(ctx, tester, id) }},
	} {
		before := entries()
		mend := s.BreakCommits(t, e.sql(), tt.table)
		for range 2 {
			if err := tt.do(); err == nil {
				t.Fatalf("a commit that writes to %s was to fail", tt.table)
			}
		}
		if now := entries(); now != before {
			t.Errorf("%d entries after a commit that failed, %d before", now, before)
		}
		e.verifyJournal()
		e.recount()
		mend()
		must(t, tt.do())
		if now := entries(); now != before+1 {
			t.Errorf("%d entries after the next commit, %d before", now, before)
		}
		e.verifyJournal()
	}
	if e.chains() != 1 {
		t.Errorf("one handle has %d chains", e.chains())
	}
}

// TestChains: each handle has a chain from its first commit on, with entries only for
// commits in which something happened.
func (s suite) TestChains(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	if e.chains() != 0 {
		t.Error("opening makes a chain")
	}
	id := e.campaign(4)
	d := claim(t, e.DB, id, 4).Deliveries
	heads := e.heads()
	if len(heads) != 1 {
		t.Fatalf("heads %v", heads)
	}
	// Nothing happened that anybody would ask for later.
	must(t, e.Renew(ctx, []int64{d[0].Epoch}, t0.Add(2*time.Minute)))
	must(t, e.Record(ctx, intent(&d[0]))[0])
	must(t, e.Settle(ctx, id))
	if now := e.heads(); !slices.Equal(now, heads) {
		t.Errorf("an entry without leaves: %v, before %v", now, heads)
	}
	var handles []*store.DB
	for range 2 {
		handles = append(handles, e.again())
	}
	for i, db := range handles {
		must(t, db.Record(ctx, outcome(&d[i+1], mailer.StateRejected, mailer.AtRcpt))[0])
	}
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateAccepted, mailer.AtDot))[0])
	now := e.heads()
	if len(now) != 3 || now[0].N != heads[0].N+1 || now[1].N != 1 || now[2].N != 1 {
		t.Errorf("heads %v", now)
	}
	e.verifyJournal(heads...)
}
