package send_test

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"oshirase/mailer"
	"oshirase/mailer/send"
	"oshirase/mailer/sink"
	"oshirase/mailer/smtp"
	"oshirase/mailer/words"
	"oshirase/store"
	"oshirase/templates"
	"oshirase/torture/mailertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	mailertest.Must(t, err)
}

// clock is the world's clock, by the names that these tests have for it.
type clock struct{ *mailertest.Clock }

func (c clock) now() time.Time          { return c.Now() }
func (c clock) run()                    { c.Run() }
func (c clock) advance(d time.Duration) { c.Advance(d) }

// noon is a Tuesday, in no holiday.
var noon = mailertest.Noon

// world is a real ledger with the sample facts, a real receiver and real
// connections between the two; only the clock is the test's.
type world struct {
	*mailertest.World
	t     *testing.T
	clock clock
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
	base := mailertest.New(t, people)
	w := &world{World: base, t: t, clock: clock{base.Clock}, db: base.DB, set: base.Set}
	w.inbox = &inbox{addr: "127.0.0.1:0"}
	w.inbox.came = sync.NewCond(&w.inbox.mu)
	w.listen(sink.Options{}, faults...)
	t.Cleanup(func() { w.inbox.Close() })
	return w
}

func (w *world) open() *store.DB { return w.Open() }

func (w *world) sql(statement string) {
	w.t.Helper()
	w.SQL(statement)
}

func address(i int) string { return mailertest.Address(i) }

func (w *world) load(merchant string, people int) {
	w.t.Helper()
	w.Load(merchant, people)
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

func (w *world) checked(c mailer.Campaign) (string, mailer.CheckResult) {
	w.t.Helper()
	return w.Checked(c)
}

func (w *world) started(c mailer.Campaign) string {
	w.t.Helper()
	return w.Started(c)
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

func (w *world) counts(id string, want mailer.Counts) {
	w.t.Helper()
	w.Counts(id, want)
}

func (w *world) phase(id string, want mailer.Phase) mailer.Campaign {
	w.t.Helper()
	return w.Phase(id, want)
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
var tester = mailertest.Tester

func actor(name string) mailer.Actor { return mailertest.Actor(name) }
