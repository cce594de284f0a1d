package torture

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver
)

// mixed is a relay that does everything that relays do.
var mixed = []string{
	"rcpt=refused*@*:550 5.1.1 User unknown",
	"rcpt=grey*@*,first=1:450 4.7.1 Greylisted, come back later",
	"rcpt,p=0.02:451 4.3.0 Try again later",
	"data,p=0.01:450 4.3.2 Not now",
	"dot,p=0.01:452 4.3.1 Out of space",
	"dot,p=0.01:take-drop",
	"dot,p=0.01:drop",
	"body,p=0.01:reset",
	"mail,p=0.005:421 4.7.0 Too much",
	"connect,p=0.02:421 4.3.2 Busy",
	"rcpt,p=0.003:garbage",
}

// tortures are the cases of TestTorture.
var tortures = []struct {
	name    string
	rules   []string
	rounds  int // faults, in the short form
	intents int // in flight per connection; 0: one
	do      func(w *world, n int)
}{
	{name: "locked", rounds: 1, do: (*world).locked},
	{name: "kill", rounds: 4, do: (*world).killed},
	{name: "term", rounds: 4, do: (*world).terminated},
	{name: "freeze", rounds: 1, do: (*world).frozen},
	{name: "pair", rounds: 3, do: (*world).paired},
	{name: "pause", rounds: 2, do: (*world).paused},
	{name: "outage", rounds: 1, do: (*world).outage},
	{name: "mixed", rules: mixed, rounds: 3, do: (*world).anything},
	{name: "flights", rules: mixed, rounds: 3, intents: 4, do: (*world).anything},
}

// TestTorture sends one campaign per case, does something bad to it over and
// over, and compares after each time and at the end.
func TestTorture(t *testing.T) {
	for _, c := range tortures {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := settings{people: 400, connections: 4, intents: c.intents, latency: 10 * time.Millisecond, rules: c.rules}
			if c.rules != nil {
				s.mark = marks
			}
			rounds := c.rounds
			if *longFlag {
				s.people, s.connections, s.latency = 20000, 10, 2*time.Millisecond
				rounds *= 8
			}
			w := newWorld(t, c.name, s)
			end := w.watch()
			defer end()
			for i := range rounds {
				if w.phase() == "finished" {
					break
				}
				// A share of what is left, so that every round finds some.
				left := w.people - w.recv.count()
				c.do(w, 1+w.rng.IntN(max(1, left/(rounds-i+1))))
				w.recv.settle()
				w.audit(fmt.Sprintf("round %d", i+1))
				if w.rng.IntN(2) == 0 {
					w.resolve()
				}
			}
			if done := w.done.kills + w.done.stops + w.done.freezes + w.done.pauses + w.done.outages; done < rounds/2 {
				t.Errorf("only %d of %d faults came to pass: the case proves nothing", done, rounds)
			}
			w.finish()
		})
	}
}

// marks sets some addresses apart for the receiver's rules.
func marks(i int) string {
	switch {
	case i%40 == 7:
		return "refused"
	case i%20 == 3:
		return "grey"
	}
	return "x"
}

// killed kills a worker, in half of the cases between a message and its reply.
func (w *world) killed(n int) {
	w.t.Helper()
	p := w.startEither()
	if w.rng.IntN(2) == 0 {
		p.messages(n, func() { p.signal(syscall.SIGKILL) })
	} else {
		p.messages(n, nil)
		delay := time.NewTimer(time.Duration(w.rng.IntN(20000)) * time.Microsecond)
		defer delay.Stop()
		<-delay.C
	}
	w.bury(p)
}

// bury ends a worker with kill -9, if it lives, and counts what it left.
func (w *world) bury(p *worker) {
	w.t.Helper()
	p.kill()
	p.healthy()
	w.done.kills++
	if n := w.inState("sending"); n > w.wire() {
		w.t.Errorf("seed %d: a killed worker left %d deliveries in sending, with %d on the wire at most", seed, n, w.wire())
	}
}

// terminated ends a worker with SIGTERM: it leaves nothing open-ended.
func (w *world) terminated(n int) {
	w.t.Helper()
	p := w.startEither()
	p.messages(n, nil)
	p.term()
	w.done.stops++
	if claimed, sending, leases := w.claimed(), w.inState("sending"), w.number(`SELECT count(*) FROM lease`); claimed+sending+leases > 0 {
		w.t.Errorf("seed %d: a worker that was asked to end left %d deliveries claimed, %d in sending, and %d leases", seed, claimed, sending, leases)
	}
}

// frozen stops a worker for longer than its lease, lets another one take over,
// and lets the first go on.
func (w *world) frozen(n int) {
	w.t.Helper()
	first := w.start("serve")
	first.messages(n, nil)
	w.stopOutsideCommit(first)
	w.done.freezes++
	w.until("the lease has lapsed", func() bool {
		return w.number(`SELECT count(*) FROM lease WHERE until > ?`, time.Now().UnixMilli()) == 0
	})
	theirs := w.number(`SELECT max(id) FROM lease`)
	second := w.startEither()
	w.until("the second worker has taken back what the first one held", func() bool {
		return w.number(`SELECT count(*) FROM lease WHERE id <= ?`, theirs) == 0
	})
	second.messages(n/2+1, nil)
	second.term()
	first.signal(syscall.SIGCONT)
	first.term()
}

// stopOutsideCommit freezes a worker while it holds no lock on the database; one
// that is frozen in the middle of a commit holds up all others.
func (w *world) stopOutsideCommit(p *worker) {
	w.t.Helper()
	db := w.writer(0)
	w.until("the worker is stopped outside a commit", func() bool {
		p.signal(syscall.SIGSTOP)
		if !await(w.limit(), p.stopped) {
			return false
		}
		tx, err := db.Begin()
		if err != nil {
			p.signal(syscall.SIGCONT)
			return false
		}
		_ = tx.Rollback() // nothing was written
		return true
	})
}

// writer opens the ledger's file to lock it.
func (w *world) writer(busy time.Duration) *sql.DB {
	w.t.Helper()
	db, err := sql.Open("sqlite3", fmt.Sprintf("file:%s?_txlock=immediate&_busy_timeout=%d", filepath.Join(w.dir, "oshirase.db"), busy.Milliseconds()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = db.Close() })
	return db
}

// locked keeps the database locked, as a process that is frozen in the middle of
// a commit does, for longer than SQLite waits by itself: nothing is sent
// meanwhile, and work goes on afterwards.
func (w *world) locked(n int) {
	w.t.Helper()
	p := w.start("serve")
	p.messages(n, nil)
	tx, err := w.writer(10 * time.Second).Begin()
	if err != nil {
		w.t.Fatal(err)
	}
	before := w.recv.count()
	w.until("the worker says that it waits", func() bool {
		select {
		case <-p.ended:
			return true
		default:
			return strings.Contains(p.log.String(), "waiting for another program") || w.pending() == 0
		}
	})
	if after := w.recv.count(); after > before+w.wire() {
		w.t.Errorf("seed %d: %d messages were sent that could not be recorded", seed, after-before)
	}
	_ = tx.Rollback() // nothing was written
	p.messages(n/2+1, nil)
	p.term()
	w.done.stops++
}

// paired lets two workers work at once and ends one of them badly, then the
// other well.
func (w *world) paired(n int) {
	w.t.Helper()
	p, q := w.start("serve"), w.startEither()
	p.messages(n, func() { p.signal(syscall.SIGKILL) })
	p.kill()
	w.done.kills++
	q.messages(n/2+1, nil)
	q.term()
	w.done.stops++
}

// paused pauses the campaign while a worker sends: what is in flight ends,
// nothing else begins.
func (w *world) paused(n int) {
	w.t.Helper()
	p := w.start("serve")
	p.messages(n, nil)
	w.cli("campaign", "pause", w.campaign)
	before := w.recv.count() // after the command has returned
	w.until("nothing is in flight", func() bool { return w.inState("sending")+w.claimed() == 0 })
	if after := w.recv.count(); after > before+w.wire() {
		w.t.Errorf("seed %d: %d messages came after the pause", seed, after-before)
	}
	w.done.pauses++
	if w.rng.IntN(2) == 0 {
		w.bury(p)
		w.cli("campaign", "resume", w.campaign)
		return
	}
	w.cli("campaign", "resume", w.campaign)
	p.messages(n/2+1, nil)
	p.term()
	w.done.stops++
}

// outage lets the relay go away for a while. A worker that waits goes on by itself.
func (w *world) outage(n int) {
	w.t.Helper()
	p := w.start("serve")
	p.messages(n, nil)
	w.recv.down()
	w.done.outages++
	seen := await(5*time.Second, func() bool {
		return strings.Contains(p.log.String(), "no relay takes connections") || w.pending() == 0
	})
	if !seen && w.rules == nil { // else it may be resting: a receiver that refuses much is spared
		w.t.Errorf("seed %d: the worker has not seen that the relay is away\n%s", seed, p.log.String())
	}
	before := w.recv.count()
	w.recv.up()
	p.messages(n/2+1, nil)
	if w.recv.count() == before && w.phase() != "finished" && w.inState("unknown") == 0 {
		w.t.Errorf("seed %d: the worker has not gone on after the outage", seed)
	}
	p.term()
	w.done.stops++
}

// anything draws one of the others.
func (w *world) anything(n int) {
	w.t.Helper()
	all := []func(*world, int){
		(*world).killed, (*world).killed, (*world).terminated, (*world).frozen, (*world).paired, (*world).paused, (*world).outage,
	}
	all[w.rng.IntN(len(all))](w, n)
}
