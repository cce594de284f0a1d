package storetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
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
	if raw != 5 || acts == 0 {
		t.Errorf("%d sealed replies, %d acts", raw, acts)
	}
	if e.chains() != 2 {
		t.Errorf("a worker and others wrote, and there are %d chains", e.chains())
	}
	e.verifyLedger(e.checkpoint())
}

// TestVerifyFinds: whatever is changed, taken away, put in or put back, it shows.
func (s suite) TestVerifyFinds(t *testing.T) {
	// An entry with several events, which stands in the middle of its chain.
	const middle = ` (SELECT chain FROM event GROUP BY chain, entry HAVING count(*) > 1 AND max(entry) < (SELECT max(n) FROM entry x WHERE x.chain = event.chain)
		ORDER BY chain, entry LIMIT 1) `
	const inMiddle = ` chain = ` + middle + `AND entry = (SELECT min(entry) FROM event f WHERE f.chain = ` + middle + `
		AND 1 < (SELECT count(*) FROM event g WHERE g.chain = f.chain AND g.entry = f.entry)) `
	const common = ` (SELECT num FROM chain WHERE id = 'ledger') `
	const worker = ` (SELECT num FROM chain WHERE id <> 'ledger') `
	for _, tt := range []struct {
		name string
		do   []string
		want string // rule
		only bool   // only by a checkpoint that is known from elsewhere
	}{
		{name: "text", do: []string{`UPDATE event SET text = text || '!' WHERE` + inMiddle + `AND leaf = 0`}, want: "root"},
		{name: "code", do: []string{`UPDATE event SET code = 251 WHERE` + inMiddle + `AND leaf = 1`}, want: "root"},
		{name: "enhanced code", do: []string{`UPDATE event SET enhanced = '2.1.5' WHERE` + inMiddle + `AND leaf = 1`}, want: "root"},
		{name: "point", do: []string{`UPDATE event SET point = 'body' WHERE` + inMiddle + `AND leaf = 1`}, want: "root"},
		{name: "relay", do: []string{`UPDATE event SET relay = 'other' WHERE` + inMiddle + `AND leaf = 1`}, want: "root"},
		{name: "time", do: []string{`UPDATE event SET at = at + 1 WHERE` + inMiddle + `AND leaf = 0`}, want: "root"},
		{name: "state of an event", do: []string{`UPDATE event SET state = 'rejected' WHERE state = 'accepted' AND kind = 'attempt'`}, want: "root"},
		{name: "kind", do: []string{`UPDATE event SET kind = 'report' WHERE` + inMiddle + `AND leaf = 0`}, want: "root"},
		{name: "delivery of an event", do: []string{`UPDATE event SET delivery = 8, n = 9 WHERE` + inMiddle + `AND leaf = 0`}, want: "root"},
		{name: "sealed reply", do: []string{`UPDATE event SET raw = zeroblob(40) WHERE` + inMiddle + `AND leaf = 0`}, want: "root"},
		{name: "no reply", do: []string{`UPDATE event SET raw = NULL WHERE state = 'accepted' AND kind = 'attempt'`}, want: "root"},
		{name: "campaign's name", do: []string{`UPDATE campaign SET id = 'c-other'`}, want: "campaign"},
		{name: "deleted event", do: []string{`DELETE FROM event WHERE` + inMiddle + `AND leaf = 0`}, want: "count"},
		{name: "deleted last event", do: []string{
			`DELETE FROM event WHERE` + inMiddle + `AND leaf = (SELECT max(leaf) FROM event WHERE` + inMiddle + `)`,
		}, want: "count"},
		{name: "swapped pair", do: []string{`UPDATE event SET leaf = 1 - leaf WHERE` + inMiddle + `AND leaf IN (0, 1)`}, want: "root"},
		{name: "one twice", do: []string{`UPDATE event SET leaf = 0 WHERE` + inMiddle + `AND leaf = 1`}, want: "leaf"},
		{name: "invented event", do: []string{`
			INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, chain, entry, leaf)
			SELECT 8, 9, 1, at, 'attempt', 'accepted', 1, chain, entry, (SELECT count(*) FROM event WHERE` + inMiddle + `)
			FROM event WHERE` + inMiddle + `AND leaf = 0`}, want: "count"},
		{
			name: "invented event of no entry", do: []string{`
			INSERT INTO event (delivery, n, merchant, at, kind, state, attempt, chain, entry, leaf) VALUES (8, 9, 1, 1, 'attempt', 'accepted', 1, 1, 999, 0)`},
			want: "stray",
		},
		{name: "actor", do: []string{`UPDATE act SET who = '田中' WHERE action = 'approve'`}, want: "root"},
		{name: "act", do: []string{`UPDATE act SET detail = 'count 9' WHERE action = 'approve'`}, want: "root"},
		{name: "time of an act", do: []string{`UPDATE act SET at = at - 1 WHERE action = 'approve'`}, want: "root"},
		{name: "deleted act", do: []string{`DELETE FROM act WHERE action = 'approve'`}, want: "count"},
		{name: "entry", do: []string{`DELETE FROM entry WHERE chain =` + common + `AND n = 3`}, want: "missing"},
		{name: "first entry with its acts", do: []string{
			`DELETE FROM entry WHERE chain =` + common + `AND n = 1`, `DELETE FROM act WHERE chain =` + common + `AND entry = 1`,
		}, want: "missing"},
		{name: "time of an entry", do: []string{`UPDATE entry SET at = at + 1 WHERE chain =` + common + `AND n = 3`}, want: "previous"},
		{name: "hash", do: []string{`UPDATE entry SET hash = root WHERE chain =` + common + `AND n = 3`}, want: "hash"},
		{name: "code of an entry", do: []string{`UPDATE entry SET code = zeroblob(16) WHERE chain =` + common + `AND n = 3`}, want: "code"},
		{name: "name of a chain", do: []string{`UPDATE chain SET id = 'other' WHERE num = 1`}, want: "hash"},
		{name: "chain", do: []string{`DELETE FROM chain WHERE num = 2`}, want: "chain"},
		{name: "end cut off", do: []string{
			`DELETE FROM event WHERE chain =` + worker + `AND entry = (SELECT max(n) FROM entry WHERE chain =` + worker + `)`,
			`DELETE FROM act WHERE chain =` + worker + `AND entry = (SELECT max(n) FROM entry WHERE chain =` + worker + `)`,
			`DELETE FROM entry WHERE chain =` + worker + `AND n = (SELECT max(n) FROM entry WHERE chain =` + worker + `)`,
		}, want: "short"},
		{name: "whole chain", do: []string{
			`DELETE FROM event WHERE chain =` + worker, `DELETE FROM act WHERE chain =` + worker, `DELETE FROM entry WHERE chain =` + worker,
			`DELETE FROM chain WHERE id <> 'ledger'`,
		}, want: "short"},
		{name: "merchant of an event", do: []string{`UPDATE event SET merchant = merchant + 1 WHERE` + inMiddle + `AND leaf = 0`}, want: "event"},
		{name: "accepted by the clock", do: []string{`UPDATE campaign_tick SET accepted = accepted + 1`}, want: "count"},

		{name: "accepted is queued again", do: []string{
			`UPDATE delivery SET state = 'queued', chunk = 1 WHERE id = (SELECT id FROM delivery WHERE state = 'accepted' LIMIT 1)`,
			`UPDATE campaign_count SET n = n + CASE state WHEN 'queued' THEN 1 ELSE -1 END WHERE state IN ('queued', 'accepted')`,
		}, want: "state"},
		{name: "rejected is accepted", do: []string{
			`UPDATE delivery SET state = 'accepted' WHERE id = (SELECT id FROM delivery WHERE state = 'rejected' LIMIT 1)`,
			`UPDATE campaign_count SET n = n + CASE state WHEN 'accepted' THEN 1 ELSE -1 END WHERE state IN ('rejected', 'accepted')`,
		}, want: "state"},
		{name: "cancelled is suppressed", do: []string{
			`UPDATE delivery SET state = 'suppressed', suppressed = 'no-email' WHERE id = (SELECT id FROM delivery WHERE state = 'cancelled' LIMIT 1)`,
			`UPDATE campaign_count SET n = n + CASE state WHEN 'suppressed' THEN 1 ELSE -1 END WHERE state IN ('suppressed', 'cancelled')`,
		}, want: "state"},
		{name: "attempts", do: []string{`UPDATE delivery SET attempts = attempts + 1 WHERE state = 'accepted'`}, want: "state"},
		{name: "count", do: []string{`UPDATE campaign_count SET n = n + 1 WHERE state = 'accepted'`}, want: "count"},
		{name: "deleted delivery", do: []string{
			`DELETE FROM event WHERE delivery = (SELECT min(id) FROM delivery WHERE state = 'cancelled')`,
			`DELETE FROM delivery WHERE id = (SELECT min(id) FROM delivery WHERE state = 'cancelled')`,
		}, want: "digest"},
		{name: "commitment", do: []string{`UPDATE delivery SET hash = zeroblob(32) WHERE id = 3`}, want: "digest"},
		{name: "two commitments exchanged", do: []string{`UPDATE delivery SET recipient = recipient + 100`, `UPDATE delivery SET recipient = CASE recipient WHEN 101 THEN 2 WHEN 102 THEN 1 ELSE recipient - 100 END`}, want: "digest"},

		{name: "person", do: []string{`UPDATE recipient SET sealed = (SELECT sealed FROM recipient WHERE id = 1) WHERE id = 2`}, want: "person"},
		{name: "e-mail key", do: []string{`UPDATE recipient SET email_key = 7 WHERE id = 2`}, want: "person"},
		{name: "key of the customer number as people misread it", do: []string{`UPDATE recipient SET similar_key = 7 WHERE id = 2`}, want: "person"},
		{name: "person blanked", do: []string{`UPDATE recipient SET person_key = NULL, sealed = x'' WHERE id = 2`}, want: "person"},
		{name: "two people exchanged", do: []string{
			`UPDATE recipient SET id = -1 WHERE id = 1`, `UPDATE recipient SET id = 1 WHERE id = 2`, `UPDATE recipient SET id = 2 WHERE id = -1`,
		}, want: "person"},
		{name: "person missing", do: []string{`DELETE FROM recipient WHERE id = 8`}, want: "person"},
		{name: "exposure of a person missing", do: []string{`DELETE FROM recipient_exposure WHERE recipient = 3`}, want: "exposed"},
		{name: "exposure of a person invented", do: []string{`INSERT INTO recipient_exposure SELECT 3, max(exposure) + 1, list, NULL, NULL FROM recipient_exposure`}, want: "exposed"},

		{name: "fact of an incident", do: []string{`UPDATE incident SET facts = replace(facts, '漏えい', '流出')`}, want: "incident"},
		{name: "fact of a merchant", do: []string{`UPDATE merchant SET facts = replace(facts, 'notice@', 'other@') WHERE id = 'shop'`}, want: "merchant"},
		{name: "certainty of an exposure", do: []string{`UPDATE exposure SET certainty = 'confirmed' WHERE id = 'A'`}, want: "exposure"},
		{name: "phase", do: []string{`UPDATE campaign SET phase = 'running'`}, want: "campaign"},
		{name: "snapshot", do: []string{`UPDATE campaign SET snapshot = json_set(snapshot, '$.x', 1)`}, want: "campaign"},
		{name: "approval put back", do: []string{`UPDATE approval SET who = 'b', name = '田中' WHERE num = 1`}, want: "approval"},
		{name: "approval missing", do: []string{`DELETE FROM approval WHERE num = 1`}, want: "control"},
		{name: "list", do: []string{`UPDATE list SET imported = imported + 1`}, want: "list"},
		{name: "merchant missing", do: []string{`DELETE FROM merchant WHERE id = 'club'`}, want: "control"},
		{name: "code of another row", do: []string{`UPDATE merchant SET code = (SELECT code FROM merchant WHERE id = 'shop') WHERE id = 'club'`}, want: "merchant"},
		{name: "sum", do: []string{`UPDATE control SET sum = zeroblob(16) WHERE version = (SELECT max(version) FROM control)`}, want: "control"},
		{name: "newest version", do: []string{`DELETE FROM control WHERE version = (SELECT max(version) FROM control)`}, want: "control"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := s.history(t)
			e.damaged = true
			elsewhere := e.checkpoint()
			db := e.sql()
			s.Unguard(t, db)
			for _, q := range tt.do {
				r, err := db.Exec(q)
				must(t, err)
				if n, err := r.RowsAffected(); err != nil || n == 0 {
					t.Fatalf("nothing was changed by %s: %v", q, err)
				}
			}
			if found := e.verify(elsewhere); !slices.ContainsFunc(found, func(d mailer.Discrepancy) bool { return d.Rule == tt.want }) {
				t.Errorf("found %+v, want %s", found, tt.want)
			}
		})
	}
}

// TestVerifyFindsNobodySends: a delivery that waits and that no chunk names is never
// claimed, and nothing else says so.
func (s suite) TestVerifyFindsNobodySends(t *testing.T) {
	for _, q := range []string{
		`UPDATE chunk SET deliveries = '[' || (SELECT min(id) FROM delivery) || ']'`,
		`UPDATE chunk SET deliveries = '[' || (SELECT min(id) FROM delivery) || ']', n = 1`,
		`UPDATE chunk SET deliveries = '[' || deliveries || ']'`,
		`UPDATE delivery SET chunk = 7`,
		`UPDATE chunk SET grp = 'elsewhere'`,
		`UPDATE chunk SET campaign = 7`,
		`UPDATE chunk SET lease = 7`,
		`DELETE FROM chunk`,
	} {
		e := s.open(t)
		e.campaign(4)
		e.verifyLedger(e.checkpoint())
		e.damaged = true
		_, err := e.sql().Exec(q)
		must(t, err)
		if found := e.verify(); !slices.ContainsFunc(found, func(d mailer.Discrepancy) bool { return d.Rule == "chunk" }) {
			t.Errorf("%s: found %+v", q, found)
		}
	}
}

// TestVerifyFindsSchema: what keeps the past from being changed cannot be taken away
// unseen, and nothing can be put beside it.
func (s suite) TestVerifyFindsSchema(t *testing.T) {
	e := s.open(t)
	e.campaign(1)
	e.verifyLedger(e.checkpoint())
	for _, q := range []string{`DROP INDEX delivery_recipient`, `CREATE TABLE theirs (x INTEGER)`} {
		e := s.open(t)
		e.campaign(1)
		e.damaged = true
		_, err := e.sql().Exec(q)
		must(t, err)
		if found := e.verify(); len(found) != 1 || found[0].Rule != "schema" {
			t.Errorf("%s: found %+v", q, found)
		}
	}
	s.Unguard(t, e.sql())
	e.damaged = true
	if found := e.verify(); len(found) == 0 || found[0].Rule != "schema" {
		t.Errorf("unguarded: found %+v", found)
	}
}

// TestVerifyCheckpoints: one that is missing, changed, or of another ledger is named; one
// from elsewhere knows what the ledger lost together with the one beside it.
func (s suite) TestVerifyCheckpoints(t *testing.T) {
	e := s.history(t)
	e.damaged = true
	elsewhere := e.checkpoint()
	beside := e.path + "-checkpoint"
	signed, err := os.ReadFile(beside)
	must(t, err)
	for name, write := range map[string]func() error{
		"missing": func() error { return os.Remove(beside) },
		"changed": func() error {
			return os.WriteFile(beside, bytes.Replace(signed, []byte("\ntime 1"), []byte("\ntime 2"), 1), 0o600)
		},
		"empty": func() error { return os.WriteFile(beside, nil, 0o600) },
	} {
		must(t, write())
		if found := e.verify(elsewhere); len(found) != 1 || found[0].Rule != "checkpoint" {
			t.Errorf("%s: %+v", name, found)
		}
		must(t, os.WriteFile(beside, signed, 0o600))
	}
	e.verifyLedger(elsewhere)
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
		mend()
		e.verifyLedger()
		e.recount()
		must(t, tt.do())
		if now := entries(); now != before+1 {
			t.Errorf("%d entries after the next commit, %d before", now, before)
		}
		e.verifyLedger()
	}
	if e.chains() != 2 {
		t.Errorf("one worker makes %d chains", e.chains())
	}
}

// TestChains: handles that claim nothing share one chain; a worker has its own from its
// first claim on, until it ends. Entries are only of commits in which something happened.
func (s suite) TestChains(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	if e.chains() != 0 {
		t.Error("opening makes a chain")
	}
	id := e.campaign(4)
	if e.chains() != 1 {
		t.Errorf("%d chains", e.chains())
	}
	d := claim(t, e.DB, id, 4).Deliveries
	must(t, e.Record(ctx, intent(&d[0]))[0])
	heads := e.heads()
	// Nothing happened that anybody would ask for later.
	must(t, e.Renew(ctx, []int64{d[0].Epoch}, t0.Add(2*time.Minute)))
	must(t, e.Settle(ctx, id))
	if now := e.heads(); !slices.Equal(now, heads) {
		t.Errorf("an entry without leaves: %v, before %v", now, heads)
	}
	for i := range 2 {
		must(t, e.again().Record(ctx, outcome(&d[i+1], mailer.StateRejected, mailer.AtRcpt))[0])
	}
	must(t, e.Record(ctx, outcome(&d[0], mailer.StateAccepted, mailer.AtDot))[0])
	now := e.heads()
	if len(now) != 2 || now[0].Chain != "ledger" || now[0].N != heads[0].N+2 || now[1].N != 1 {
		t.Errorf("heads %v, before %v", now, heads)
	}
	must(t, e.Close())
	var living int
	other := e.again()
	must(t, e.sql().Get(&living, `SELECT count(*) FROM chain WHERE ended_at IS NULL`))
	if living != 1 || e.chains() != 2 {
		t.Errorf("%d chains live of %d, though the worker ended", living, e.chains())
	}
	must(t, other.Pause(ctx, tester, id, "stop"))
	e.verifyLedger()
}
