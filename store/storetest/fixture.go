package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/journal"
	"oshirase/store"
)

// t0 is when the tests begin.
var t0 = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// clock is a clock that tests move, while handles read it.
type clock struct{ t atomic.Pointer[time.Time] }

func newClock(t time.Time) *clock {
	c := new(clock)
	c.set(t)
	return c
}

func (c *clock) Now() time.Time  { return *c.t.Load() }
func (c *clock) set(t time.Time) { c.t.Store(&t) }

func masterKey(n byte) []byte {
	key := make([]byte, 32)
	key[0] = n
	return key
}

type env struct {
	*store.DB
	s     suite
	tb    testing.TB
	path  string
	clock *clock
	// options are those of all handles, but for what the fixture sets itself.
	options store.Options
	own     *sqlx.DB // see sql
	// damaged says that the test changes the past: else its journal has to be right at
	// its end.
	damaged bool
	// repeat says that checks allow people to be told again.
	repeat bool
	// group is the domain group with which a recipient is frozen; nil: none.
	group func(*mailer.Recipient) string
}

func (s suite) open(tb testing.TB) *env {
	tb.Helper()
	return s.openWith(tb, store.Options{Durability: "normal"})
}

func (s suite) openWith(tb testing.TB, o store.Options) *env {
	tb.Helper()
	e := s.newEnv(tb, o)
	tb.Cleanup(func() {
		if !e.damaged {
			e.own = nil // closed by now
			e.verifyLedger()
		}
	})
	e.DB = e.again()
	return e
}

// newEnv is a ledger that no handle has opened.
func (s suite) newEnv(tb testing.TB, o store.Options) *env {
	tb.Helper()
	e := &env{s: s, tb: tb, path: filepath.Join(tb.TempDir(), "ledger.db"), clock: newClock(t0), options: o}
	e.options.Path, e.options.MasterKey, e.options.Now = e.path, masterKey(1), e.clock.Now
	return e
}

// again opens another handle on the same file.
func (e *env) again() *store.DB {
	e.tb.Helper()
	db, err := e.s.Open(e.tb, e.options)
	if err != nil {
		e.tb.Fatal(err)
	}
	e.tb.Cleanup(func() {
		if err := db.Close(); err != nil && !e.damaged {
			e.tb.Error(err)
		}
	})
	return db
}

func incident(id string) mailer.Incident {
	return mailer.Incident{
		ID: id, Title: "不正アクセスによる個人情報漏えい",
		Exposures: []mailer.Exposure{
			{ID: "A", Certainty: mailer.CertaintyPossible, Count: 460_395},
			{ID: "B1", Certainty: mailer.CertaintyPossible},
			{ID: "B2", Certainty: mailer.CertaintyConfirmed},
		},
	}
}

func merchant(id string) mailer.Merchant {
	return mailer.Merchant{ID: id, Name: "株式会社みなと" + id, From: "notice@" + id + ".example"}
}

// apply sets up incident pay and merchants shop and club.
func (e *env) apply() {
	e.tb.Helper()
	_, err := e.Apply(context.Background(), tester, []mailer.Incident{incident("pay")}, []mailer.Merchant{merchant("shop"), merchant("club")})
	must(e.tb, err)
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func person(n int) mailer.Person {
	return mailer.Person{
		CustomerID: fmt.Sprintf("C%06d", n), Name: fmt.Sprintf("髙﨑 %d 子", n), Email: fmt.Sprintf("reader%d@mail.example", n),
		PostalCode: "100-0001", Address: fmt.Sprintf("東京都千代田区千代田%d", n), Phone: fmt.Sprintf("03-0000-%04d", n%10_000),
	}
}

// people are n rows with exposure A.
func people(n int) []mailer.Row {
	rows := make([]mailer.Row, n)
	for i := range rows {
		rows[i] = mailer.Row{Number: int64(i + 2), Person: person(i), Exposures: []string{"A"}}
	}
	return rows
}

func source(rows []mailer.Row) func() (mailer.Row, error) {
	return func() (mailer.Row, error) {
		if len(rows) == 0 {
			return mailer.Row{}, io.EOF
		}
		r := rows[0]
		rows = rows[1:]
		return r, nil
	}
}

type refused struct {
	row            int64
	column, reason string
}

// load imports rows for a merchant; sum stands for the file's checksum.
func (e *env) load(merchant, sum string, rows []mailer.Row) (mailer.ImportResult, []refused) {
	e.tb.Helper()
	var rejected []refused
	res, err := e.Import(context.Background(), tester, mailer.Import{
		Incident: "pay", Merchant: merchant,
		Info: func() mailer.ListInfo {
			return mailer.ListInfo{Name: sum + ".csv", SHA256: sum, Encoding: "utf-8", Rows: int64(len(rows))}
		},
		Reject: func(r mailer.Row, column string, reason error) {
			rejected = append(rejected, refused{r.Number, column, reason.Error()})
		},
	}, source(rows))
	must(e.tb, err)
	return res, rejected
}

func (e *env) create(c mailer.Campaign) string {
	e.tb.Helper()
	if c.Incident == "" {
		c.Incident = "pay"
	}
	if c.Merchant == "" {
		c.Merchant = "shop"
	}
	if c.Stage == "" {
		c.Stage = mailer.StageFormal
	}
	id, err := e.CreateCampaign(context.Background(), tester, c)
	must(e.tb, err)
	return id
}

// check freezes everybody, as the real check does; suppress says why not.
func (e *env) check(id string, suppress func(*mailer.Recipient) string) mailer.CheckResult {
	e.tb.Helper()
	ctx := context.Background()
	rev, err := e.BeginCheck(ctx, tester, id)
	must(e.tb, err)
	res := mailer.CheckResult{Suppressed: map[mailer.Suppression]int64{}}
	snap := mailer.Snapshot{Stage: mailer.StageFormal, NoticeOn: mailer.DateOf(e.clock.Now()), AllowRepeat: e.repeat}
	var tree journal.Tree
	must(e.tb, e.Recipients(ctx, id, func(page []mailer.Recipient) error {
		var rows []mailer.Frozen
		for i := range page {
			r := &page[i]
			f := mailer.Frozen{Recipient: r.ID, Hash: sha256.Sum256([]byte(r.Ref)), Exposures: r.Exposures, Told: r.Told}
			if e.group != nil {
				f.Group = e.group(r)
			}
			if suppress != nil {
				f.Suppressed = mailer.Suppression(suppress(r))
			}
			res.Recipients++
			leaf := journal.Person{Ref: r.Ref, Suppressed: string(f.Suppressed)}
			if f.Suppressed == "" {
				leaf.Commitment = f.Hash
			}
			tree.Add(journal.LeafHash(leaf.AppendLeaf(nil)))
			if f.Suppressed == "" {
				res.Sendable++
			} else {
				res.Suppressed[f.Suppressed]++
			}
			rows = append(rows, f)
		}
		return e.Freeze(ctx, id, rows)
	}))
	facts, err := json.Marshal(snap)
	must(e.tb, err)
	res.Digest = journal.Digest(facts, &tree).String()
	must(e.tb, e.EndCheck(ctx, id, rev, snap, res))
	return res
}

// Approve approves one campaign by name, as long as that is the policy.
func (e *env) Approve(ctx context.Context, by mailer.Actor, campaign string, count int64, people int) (approvals int, approved bool, err error) {
	p := mailer.Policy{People: people, Proof: mailer.PolicyName, MakerMayApprove: true}
	out, err := e.DB.Approve(ctx, by, []string{campaign}, count, p, mailer.Signed{})
	if err != nil {
		return 0, false, err
	}
	return out[0].Approvals, out[0].Approved, nil
}

// run takes a campaign from draft to running.
func (e *env) run(id string) {
	e.tb.Helper()
	ctx := context.Background()
	res := e.check(id, nil)
	_, ok, err := e.Approve(ctx, actor("佐藤"), id, res.Sendable, 1)
	must(e.tb, err)
	if !ok {
		e.tb.Fatal("one of one is not enough")
	}
	must(e.tb, e.Start(ctx, tester, id, true))
}

// campaign is a running campaign of n people.
func (e *env) campaign(n int) string {
	e.tb.Helper()
	e.apply()
	e.load("shop", "list", people(n))
	id := e.create(mailer.Campaign{})
	e.run(id)
	return id
}

// claim claims n deliveries for a minute.
func claim(tb testing.TB, db *store.DB, campaign string, n int) *mailer.Lease {
	tb.Helper()
	l, err := db.Claim(context.Background(), campaign, t0, t0.Add(time.Minute), n, nil)
	must(tb, err)
	return l
}

func intent(d *mailer.Delivery) mailer.Record {
	return mailer.Record{Delivery: d.ID, Epoch: d.Epoch, Campaign: d.Campaign, At: t0}
}

func outcome(d *mailer.Delivery, s mailer.State, p mailer.Point) mailer.Record {
	r := intent(d)
	r.Outcome = &mailer.Outcome{State: s, Point: p, Code: 250, Enhanced: "2.0.0", Text: `ok "queued" as 1`, Relay: "main", At: t0.Add(time.Second)}
	if s == mailer.StateDeferred {
		r.Outcome.NextAt = t0.Add(time.Hour)
	}
	return r
}

// sql is a connection of the test's own.
func (e *env) sql() *sqlx.DB {
	e.tb.Helper()
	if e.own == nil {
		e.own = e.s.SQL(e.tb, e.path)
	}
	return e.own
}

// recount compares the kept counts with the rows, and what chunks hold with what is
// queued.
func (e *env) recount() {
	e.tb.Helper()
	db := e.sql()
	for what, query := range map[string]string{
		"counts that differ from the rows": `SELECT count(*) FROM campaign_count k
			WHERE n <> (SELECT count(*) FROM delivery d WHERE d.campaign = k.campaign AND d.state = k.state)`,
		"held deliveries that are not queued": `SELECT count(*) FROM delivery WHERE held <> '' AND (state <> 'queued' OR chunk IS NOT NULL)`,
		"queued deliveries whose chunk is not theirs": `SELECT count(*) FROM delivery d WHERE d.state = 'queued' AND d.held = ''
			AND NOT EXISTS (SELECT 1 FROM chunk c WHERE c.id = d.chunk AND c.campaign = d.campaign AND c.grp = d.grp)`,
		"free chunks that hold others than the queued": `SELECT count(*) FROM chunk c WHERE c.lease IS NULL
			AND c.n <> (SELECT count(*) FROM delivery d WHERE d.chunk = c.id AND d.state = 'queued')`,
		"chunks without their lease": `SELECT count(*) FROM chunk c WHERE c.lease IS NOT NULL AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.id = c.lease)`,
	} {
		var wrong int
		must(e.tb, db.Get(&wrong, query))
		if wrong != 0 {
			e.tb.Fatalf("%d %s", wrong, what)
		}
	}
}

func (e *env) wantCounts(db *store.DB, campaign string, want mailer.Counts) {
	e.tb.Helper()
	got, err := db.Counts(context.Background(), campaign)
	must(e.tb, err)
	for _, s := range mailer.States {
		if got[s] != want[s] {
			e.tb.Errorf("%s: %d, want %d", s, got[s], want[s])
		}
	}
	e.recount()
}

// tester is who acts in tests.
var tester = actor("試験")

func actor(name string) mailer.Actor { return mailer.Actor{Name: name, Proof: mailer.ProofNone} }
