// Package mailertest is a small world for tests: a real ledger with the facts of
// the samples, people in it, and a clock that the test moves. Tests alone import it.
package mailertest

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"oshirase/config"
	"oshirase/mailer"
	"oshirase/mailer/check"
	"oshirase/store"
	"oshirase/templates"
)

// Noon is when every world begins: a Tuesday, in no holiday.
var Noon = time.Date(2026, 11, 24, 12, 0, 0, 0, mailer.JST)

// Tester is who acts in tests.
var Tester = Actor("試験")

// Actor is somebody who gave a name and proved nothing.
func Actor(name string) mailer.Actor { return mailer.Actor{Name: name, Proof: mailer.ProofNone} }

// ByName is the policy that so many names are enough.
func ByName(people int) mailer.Policy { return mailer.Policy{People: people, Proof: mailer.PolicyName} }

// Must ends the test where there is an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Clock is a clock that tests move. It is safe for concurrent use.
type Clock struct {
	mu    sync.Mutex
	t     time.Time
	going time.Time // since when it goes by itself; zero: it stands
}

// Now is what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.going.IsZero() {
		return c.t
	}
	return c.t.Add(time.Since(c.going))
}

// Run lets the clock go.
func (c *Clock) Run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.going = time.Now()
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// World is a ledger with the sample facts, in a folder of the test's.
type World struct {
	T     *testing.T
	Path  string // of the database
	Clock *Clock
	DB    *store.DB
	Set   *templates.Set
}

// New has a merchant with people recipients: p001@mail.example and so on. Nobody
// has declared how many there are.
func New(t *testing.T, people int) *World {
	t.Helper()
	w := &World{T: t, Path: filepath.Join(t.TempDir(), "ledger.db"), Clock: &Clock{t: Noon}}
	var err error
	w.Set, err = templates.New()
	Must(t, err)
	w.DB = w.Open()
	incidents, merchants, err := config.LoadFacts(samples("incidents"), samples("merchants"))
	Must(t, err)
	for i := range merchants {
		merchants[i].Declared = nil
	}
	_, err = w.DB.Apply(t.Context(), Tester, incidents, merchants)
	Must(t, err)
	w.Load("shop", people)
	return w
}

// samples is a folder of the samples, wherever the test runs.
func samples(dir string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "cmd", "oshirase", "samples", dir)
}

// Open opens a handle of its own, as another process would.
func (w *World) Open() *store.DB {
	w.T.Helper()
	db, err := store.Open(w.T.Context(), store.Options{
		Path: w.Path, MasterKey: make([]byte, 32), Durability: "normal", Now: w.Clock.Now,
	})
	Must(w.T, err)
	w.T.Cleanup(func() { db.Close() })
	return db
}

// SQL does something to the database behind the program's back.
func (w *World) SQL(statement string) {
	w.T.Helper()
	db, err := sql.Open("sqlite3", w.Path+"?_busy_timeout=10000")
	Must(w.T, err)
	defer db.Close()
	_, err = db.Exec(statement)
	Must(w.T, err)
}

// Address is that of the i-th recipient of New or Load, counted from 1.
func Address(i int) string { return fmt.Sprintf("p%03d@mail.example", i) }

// Load imports people of a merchant with exposure A.
func (w *World) Load(merchant string, people int) {
	w.T.Helper()
	incident := "pay"
	if merchant == "shop" {
		incident = "shop"
	}
	persons := make([]mailer.Person, people)
	for i := range persons {
		persons[i] = mailer.Person{CustomerID: fmt.Sprintf("C%03d", i+1), Name: "山田 花子", Email: Address(i + 1)}
	}
	w.take(incident, merchant, persons)
}

// Add imports persons of the shop beside the world's own.
func (w *World) Add(persons ...mailer.Person) {
	w.T.Helper()
	w.take("shop", "shop", persons)
}

func (w *World) take(incident, merchant string, persons []mailer.Person) {
	w.T.Helper()
	name := merchant
	if len(persons) > 0 {
		name += persons[0].CustomerID
	}
	next := 0
	_, err := w.DB.Import(context.Background(), Tester, mailer.Import{
		Incident: incident, Merchant: merchant,
		Info: func() mailer.ListInfo { return mailer.ListInfo{Name: "list.csv", SHA256: name, Encoding: "utf-8"} },
		Reject: func(r mailer.Row, column string, reason error) {
			w.T.Errorf("row %d, %s: %s", r.Number, column, reason)
		},
	}, func() (mailer.Row, error) {
		if next == len(persons) {
			return mailer.Row{}, io.EOF
		}
		next++
		return mailer.Row{Number: int64(next + 1), Person: persons[next-1], Exposures: []string{"A"}}, nil
	})
	Must(w.T, err)
}

// Created makes a campaign of stage formal, of the shop unless c names a merchant
// of the incident pay.
func (w *World) Created(c mailer.Campaign) string {
	w.T.Helper()
	c.Incident, c.Stage = "pay", mailer.StageFormal
	if c.Merchant == "" {
		c.Merchant, c.Incident = "shop", "shop"
	}
	id, err := w.DB.CreateCampaign(w.T.Context(), Tester, c)
	Must(w.T, err)
	return id
}

// Checked makes a campaign and checks it.
func (w *World) Checked(c mailer.Campaign) (string, mailer.CheckResult) {
	w.T.Helper()
	id := w.Created(c)
	return id, w.Check(id)
}

// Check checks a campaign.
func (w *World) Check(id string) mailer.CheckResult {
	w.T.Helper()
	res, err := (&check.Check{Store: w.DB, Notices: w.Set, Now: w.Clock.Now}).Run(w.T.Context(), Tester, id)
	Must(w.T, err)
	return res
}

// Started is a running campaign to everybody.
func (w *World) Started(c mailer.Campaign) string {
	w.T.Helper()
	id, res := w.Checked(c)
	if res.Errors() > 0 {
		w.T.Fatal(res.Findings)
	}
	out, err := w.DB.Approve(w.T.Context(), Actor("佐藤"), []string{id}, res.Sendable, ByName(1), mailer.Signed{})
	Must(w.T, err)
	if !out[0].Approved {
		w.T.Fatal("not approved")
	}
	Must(w.T, w.DB.Start(w.T.Context(), Tester, id, true))
	return id
}

// Send has a worker and a relay accept what is due of a running campaign, but that
// of the recipients to whom refuse says no.
func (w *World) Send(id string, refuse func(address string) bool) {
	w.T.Helper()
	w.send(id, func(to string) mailer.Outcome {
		if refuse != nil && refuse(to) {
			return mailer.Outcome{State: mailer.StateRejected, Point: mailer.AtRcpt, Code: 550, Enhanced: "5.1.1"}
		}
		return mailer.Outcome{State: mailer.StateAccepted, Point: mailer.AtDot, Code: 250}
	})
}

// Lose sends a campaign to a relay that is gone after each final dot.
func (w *World) Lose(id string) {
	w.T.Helper()
	w.send(id, func(string) mailer.Outcome { return mailer.Outcome{State: mailer.StateUnknown, Point: mailer.AtDot} })
}

func (w *World) send(id string, outcome func(address string) mailer.Outcome) {
	w.T.Helper()
	now := w.Clock.Now()
	for {
		lease, err := w.DB.Claim(w.T.Context(), id, now, now.Add(time.Hour), 500, nil)
		Must(w.T, err)
		if lease == nil {
			break
		}
		for _, d := range lease.Deliveries {
			r := mailer.Record{Delivery: d.ID, Epoch: lease.Epoch, Campaign: id, At: now}
			out := outcome(d.Recipient.Email)
			out.Relay, out.At = "main", now
			if out.Point == mailer.AtDot {
				w.record(r)
				r.Intended = true
			}
			r.Outcome = &out
			w.record(r)
		}
		Must(w.T, w.DB.Release(w.T.Context(), lease.Epoch))
	}
	Must(w.T, w.DB.Settle(w.T.Context(), id))
}

func (w *World) record(r mailer.Record) {
	w.T.Helper()
	for _, err := range w.DB.Record(w.T.Context(), r) {
		Must(w.T, err)
	}
}

// Counts wants exactly these deliveries, and no others.
func (w *World) Counts(id string, want mailer.Counts) {
	w.T.Helper()
	got, err := w.DB.Counts(w.T.Context(), id)
	Must(w.T, err)
	for _, s := range mailer.States {
		if got[s] != want[s] {
			w.T.Errorf("%d deliveries are %s, want %d", got[s], s, want[s])
		}
	}
}

// Phase wants a campaign in a phase.
func (w *World) Phase(id string, want mailer.Phase) mailer.Campaign {
	w.T.Helper()
	c, err := w.DB.Campaign(w.T.Context(), id)
	Must(w.T, err)
	if c.Phase != want {
		w.T.Errorf("campaign is %s (%s), want %s", c.Phase, c.Reason, want)
	}
	return c
}

// Acts are what stands in the audit of one kind, oldest first.
func (w *World) Acts(action mailer.Action) (acts []mailer.Act) {
	w.T.Helper()
	Must(w.T, w.DB.EachAct(w.T.Context(), func(a mailer.Act) error {
		if a.Action == action {
			acts = append(acts, a)
		}
		return nil
	}))
	return acts
}
