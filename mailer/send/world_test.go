package send_test

import (
	"database/sql"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"oshirase/config"
	"oshirase/mailer"
	"oshirase/mailer/check"
	"oshirase/mailer/send"
	"oshirase/mailer/sink"
	"oshirase/mailer/smtp"
	"oshirase/mailer/words"
	"oshirase/store"
	"oshirase/templates"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock is a clock that tests move.
type clock struct {
	mu    sync.Mutex
	t     time.Time
	going time.Time // since when it goes by itself; zero: it stands
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.going.IsZero() {
		return c.t
	}
	return c.t.Add(time.Since(c.going))
}

// run lets the clock go.
func (c *clock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.going = time.Now()
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// noon is a Tuesday, in no holiday.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, mailer.JST)

// world is a real ledger with the sample facts, a real receiver and real
// connections between the two; only the clock is the test's.
type world struct {
	t     *testing.T
	path  string
	clock *clock
	db    *store.DB
	set   *templates.Set
	inbox *inbox
}

// inbox is the receiver and what came to it.
type inbox struct {
	*sink.Server
	addr string

	mu   sync.Mutex
	came *sync.Cond // one more message
	got  []arrival
	hook func(n int) // called with the number of messages so far, before the client is told
}

// arrival is one message that was taken.
type arrival struct {
	to, sender string
	at         time.Time // by the test's clock
	told       bool
}

func (in *inbox) arrivals() []arrival {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]arrival(nil), in.got...)
}

// wait waits until n messages have come.
func (in *inbox) wait(n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.got) < n {
		in.came.Wait()
	}
}

// waitFor waits until n messages have come, or until the limit; false: it was that.
func (in *inbox) waitFor(n int, limit time.Duration) bool {
	over := false
	timer := time.AfterFunc(limit, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		over = true
		in.came.Broadcast()
	})
	defer timer.Stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	for len(in.got) < n && !over {
		in.came.Wait()
	}
	return len(in.got) >= n
}

func (in *inbox) count() int { return len(in.arrivals()) }

// newWorld has a merchant with people recipients: p001@mail.example and so on.
func newWorld(t *testing.T, people int, faults ...string) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "ledger.db"), clock: &clock{t: noon}}
	var err error
	w.set, err = templates.New()
	must(t, err)
	w.db = w.open()
	incidents, merchants, err := config.LoadFacts(samples("incidents"), samples("merchants"))
	must(t, err)
	for i := range merchants {
		merchants[i].Declared = nil
	}
	_, err = w.db.Apply(t.Context(), tester, incidents, merchants)
	must(t, err)
	w.load("shop", people)
	w.inbox = &inbox{addr: "127.0.0.1:0"}
	w.inbox.came = sync.NewCond(&w.inbox.mu)
	w.listen(sink.Options{}, faults...)
	t.Cleanup(func() { w.inbox.Close() })
	return w
}

func samples(dir string) string { return filepath.Join("..", "..", "cmd", "oshirase", "samples", dir) }

// open opens a handle of its own, as another process would.
func (w *world) open() *store.DB {
	w.t.Helper()
	db, err := store.Open(w.t.Context(), store.Options{
		Path: w.path, MasterKey: make([]byte, 32), Durability: "normal", Now: w.clock.now,
	})
	must(w.t, err)
	w.t.Cleanup(func() { db.Close() })
	return db
}

// sql does something to the database behind the program's back.
func (w *world) sql(statement string) {
	w.t.Helper()
	db, err := sql.Open("sqlite3", w.path+"?_busy_timeout=10000")
	must(w.t, err)
	defer db.Close()
	_, err = db.Exec(statement)
	must(w.t, err)
}

func address(i int) string { return fmt.Sprintf("p%03d@mail.example", i) }

// load imports people of a merchant with exposure A.
func (w *world) load(merchant string, people int) {
	w.t.Helper()
	i := 0
	incident := "pay"
	if merchant == "shop" {
		incident = "shop"
	}
	_, err := w.db.Import(w.t.Context(), tester, mailer.Import{
		Incident: incident, Merchant: merchant,
		Info: func() mailer.ListInfo { return mailer.ListInfo{Name: "list.csv", SHA256: merchant, Encoding: "utf-8"} },
		Reject: func(r mailer.Row, column string, reason error) {
			w.t.Errorf("row %d, %s: %s", r.Number, column, reason)
		},
	}, func() (mailer.Row, error) {
		if i == people {
			return mailer.Row{}, io.EOF
		}
		i++
		return mailer.Row{
			Number:    int64(i + 1),
			Person:    mailer.Person{CustomerID: fmt.Sprintf("C%03d", i), Name: "山田 花子", Email: address(i)},
			Exposures: []string{"A"},
		}, nil
	})
	must(w.t, err)
}

// listen starts the receiver, or another one in its place.
func (w *world) listen(opt sink.Options, faults ...string) {
	w.t.Helper()
	var err error
	opt.Rules, err = sink.ParseRules(faults)
	must(w.t, err)
	in := w.inbox
	opt.OnMessage = func(m sink.Received) {
		in.mu.Lock()
		in.got = append(in.got, arrival{m.Recipients[0], m.Sender, w.clock.now(), m.Told})
		n, hook := len(in.got), in.hook
		in.came.Broadcast()
		in.mu.Unlock()
		if hook != nil {
			hook(n)
		}
	}
	srv, err := sink.Listen(in.addr, opt)
	must(w.t, err)
	in.Server, in.addr = srv, srv.Addr().String()
}

// at calls f once, when the n-th message has come and before its sender is told.
func (w *world) at(n int, f func()) {
	w.inbox.mu.Lock()
	defer w.inbox.mu.Unlock()
	w.inbox.hook = func(k int) {
		if k == n {
			f()
		}
	}
}

// checked makes a campaign and checks it.
func (w *world) checked(c mailer.Campaign) (string, mailer.CheckResult) {
	w.t.Helper()
	c.Incident, c.Stage = "pay", mailer.StageFormal
	if c.Merchant == "" {
		c.Merchant, c.Incident = "shop", "shop"
	}
	id, err := w.db.CreateCampaign(w.t.Context(), tester, c)
	must(w.t, err)
	return id, w.check(id)
}

func (w *world) check(id string) mailer.CheckResult {
	w.t.Helper()
	res, err := (&check.Check{Store: w.db, Notices: w.set, Now: w.clock.now}).Run(w.t.Context(), tester, id)
	must(w.t, err)
	return res
}

// started is a running campaign to everybody.
func (w *world) started(c mailer.Campaign) string {
	w.t.Helper()
	id, res := w.checked(c)
	if res.Errors() > 0 {
		w.t.Fatal(res.Findings)
	}
	_, ok, err := w.db.Approve(w.t.Context(), actor("佐藤"), id, res.Sendable, 1)
	must(w.t, err)
	if !ok {
		w.t.Fatal("not approved")
	}
	must(w.t, w.db.Start(w.t.Context(), tester, id, true))
	return id
}

// connections is how many a runner of these tests opens.
const connections = 3

// relay is where a runner of these tests sends to.
type relay struct {
	smtp.RelayOptions
	connections, weight int
}

// runner works on a handle; options are changed as the test needs.
func (w *world) runner(db send.Ledger, change ...func(*relay)) *send.Runner {
	w.t.Helper()
	r := relay{smtp.RelayOptions{Name: "main", Address: w.inbox.addr, TLS: smtp.TLSNone, Pipelining: true}, connections, 1}
	for _, f := range change {
		f(&r)
	}
	dialer, err := smtp.NewDialer(r.RelayOptions)
	must(w.t, err)
	return w.runnerOver(db, send.Relay{Name: r.Name, Dialer: dialer, Connections: r.connections, Weight: r.weight})
}

// runnerOver works on a handle and over these relays.
func (w *world) runnerOver(db send.Ledger, relays ...send.Relay) *send.Runner {
	w.t.Helper()
	pool, err := send.NewPool(time.Now, relays...)
	must(w.t, err)
	w.t.Cleanup(func() { pool.Close() })
	return &send.Runner{
		Ledger: db, Notices: w.set, Relays: pool,
		Composer: func(*mailer.Merchant) (mailer.Composer, error) { return smtp.NewComposer(smtp.ComposerOptions{}) },
		Options:  send.Options{Pace: send.Pace{Batch: 10}, Lease: time.Hour, Now: w.clock.now, Explain: words.Error},
	}
}

// run runs until nothing is due.
func (w *world) run(r *send.Runner) send.Summary {
	w.t.Helper()
	sum, err := r.Run(w.t.Context(), "")
	must(w.t, err)
	return sum
}

// counts wants exactly these deliveries, and no others.
func (w *world) counts(id string, want mailer.Counts) {
	w.t.Helper()
	got, err := w.db.Counts(w.t.Context(), id)
	must(w.t, err)
	for _, s := range mailer.States {
		if got[s] != want[s] {
			w.t.Errorf("%d deliveries are %s, want %d", got[s], s, want[s])
		}
	}
}

func (w *world) phase(id string, want mailer.Phase) mailer.Campaign {
	w.t.Helper()
	c, err := w.db.Campaign(w.t.Context(), id)
	must(w.t, err)
	if c.Phase != want {
		w.t.Errorf("campaign is %s (%s), want %s", c.Phase, c.Reason, want)
	}
	return c
}

// onceEach wants one message for each of n people, and for nobody two.
func (w *world) onceEach(n int) {
	w.t.Helper()
	w.noneTwice()
	if got := w.inbox.count(); got != n {
		w.t.Errorf("%d messages came, want %d", got, n)
	}
}

func (w *world) noneTwice() {
	w.t.Helper()
	seen := map[string]bool{}
	for _, a := range w.inbox.arrivals() {
		if seen[a.to] {
			w.t.Errorf("%s got two messages", a.to)
		}
		seen[a.to] = true
	}
}

// nothingHeld wants no delivery in the hands of a worker.
func (w *world) nothingHeld(id string) {
	w.t.Helper()
	st, err := w.db.Status(w.t.Context(), id)
	must(w.t, err)
	if c := st[0].Counts; c[mailer.StateClaimed] > 0 || c[mailer.StateSending] > 0 || st[0].Leases > 0 {
		w.t.Errorf("left behind: %d claimed, %d sending, %d leases", c[mailer.StateClaimed], c[mailer.StateSending], st[0].Leases)
	}
}

// deadAddress is an address at which nobody listens, and which nobody else gets
// while the test runs: its port is bound.
func deadAddress(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	must(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	must(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	sa, err := syscall.Getsockname(fd)
	must(t, err)
	return fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
}

// tester is who acts in tests.
var tester = actor("試験")

func actor(name string) mailer.Actor { return mailer.Actor{Name: name, Proof: mailer.ProofNone} }
