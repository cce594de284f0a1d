package torture

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// powered is a world on a disk of which it is known what a power cut leaves.
type powered struct {
	*world
	disk *disk
	// events is how many events of the ledger were seen before the power failed;
	// what another process can see must be there for certain.
	events  atomic.Int64
	sending int // deliveries that the last power cut left in sending
	// checkpoints is how many cuts came between a checkpoint's first write to the
	// database file and its sync.
	checkpoints int
}

func newPowered(t testing.TB, name string, s settings) *powered {
	t.Helper()
	s.dir = t.TempDir()
	d := newDisk(t, s.dir)
	s.env = d.env()
	return &powered{world: newWorld(t, name, s), disk: d}
}

// powerCuts are the moments at which the power fails: each starts workers, lets
// them send about n messages, and returns those that send and what else runs.
var powerCuts = []struct {
	name string
	do   func(p *powered, n int) (senders, others []*worker)
}{
	{"while it sends", (*powered).whileSending},
	{"at the end of a worker", (*powered).whileEnding},
	{"beside a checkpoint", (*powered).whileCheckpointing},
	{"at a step of the disk", (*powered).atStep},
	{"at its own checkpoint", (*powered).whileWorkerCheckpoints}, // needs more people than the short form has
}

// TestPowerLoss cuts the power over and over: all processes end at once, and of
// the ledger's files there is what was synced and, of the rest, whatever chance
// leaves. The receiver is another machine, and lives.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	s := settings{people: 400, connections: 4, latency: 5 * time.Millisecond}
	cuts := powerCuts[:len(powerCuts)-1]
	rounds := len(cuts)
	if *longFlag {
		s, cuts = settings{people: 20000, connections: 10, latency: 2 * time.Millisecond}, powerCuts
		rounds = 10 * len(cuts)
	}
	w := newPowered(t, "power", s)
	w.seen()
	w.cut("behind the set-up", nil, nil)
	if w.phase() != "running" {
		t.Fatalf("seed %d: the campaign was started, and is %s", seed, w.phase())
	}
	for i := range rounds {
		if w.phase() == "finished" {
			break
		}
		left := w.people - w.recv.count()
		c := cuts[i%len(cuts)]
		senders, others := c.do(w, 1+w.rng.IntN(max(1, left/(rounds-i+1))))
		w.cut(fmt.Sprintf("cut %d, %s", i+1, c.name), senders, others)
		if w.rng.IntN(2) == 0 {
			w.resolve()
			w.seen()
		}
	}
	// On a busy machine a checkpoint may be over before the cut: then once more.
	for i := 0; i < 10 && w.checkpoints == 0 && w.phase() != "finished"; i++ {
		senders, others := w.whileCheckpointing(1)
		w.cut(fmt.Sprintf("once more %d, beside a checkpoint", i+1), senders, others)
	}
	if w.done.power < rounds/2 || w.checkpoints == 0 {
		t.Errorf("seed %d: %d of %d power cuts, %d of them during a checkpoint: the test proves nothing", seed, w.done.power, rounds, w.checkpoints)
	}
	w.finish()
}

// seen counts the events that another process sees. Not while a process is being
// killed: one that dies while it writes to the shared memory lets the next reader
// look into the write-ahead log itself, where commits are that nobody was told of.
func (w *powered) seen() {
	var n int64
	if err := w.db.QueryRow(`SELECT count(*) FROM event`).Scan(&n); err == nil { // else it is locked
		w.events.Store(n)
	}
}

// cut cuts the power, looks at what it has left, and leaves it to the next worker.
func (w *powered) cut(when string, senders, others []*worker) {
	w.t.Helper()
	for _, p := range append(senders, others...) {
		p.signal(syscall.SIGKILL)
	}
	for _, p := range append(senders, others...) {
		<-p.ended
		p.healthy()
	}
	_ = w.db.Close()
	w.recv.settle()
	w.done.power++
	w.powerless += len(senders)

	state := w.disk.state()
	if state.unsynced(databaseFile) > 0 {
		w.checkpoints++
	}
	l := drawLoss(newRand(fmt.Sprintf("%s %d", w.done.name, w.done.power)))
	files := state.after(l)
	w.t.Logf("%s: %d taken; unsynced steps: database %d, write-ahead log %d; kept of them: %.2f, %.2f; files: %d and %d bytes", when, w.recv.count(),
		state.unsynced(databaseFile), state.unsynced(walFile), l.kept[databaseFile], l.kept[walFile], len(files[databaseFile]), len(files[walFile]))
	for _, c := range w.left(files, len(senders)) {
		w.t.Errorf("seed %d, %s: %s", seed, when, c)
	}
	w.disk.become(files)
	// The files by which workers know each other hold nothing, and are never synced.
	if w.rng.IntN(2) == 0 {
		if err := os.RemoveAll(w.disk.path + "-workers"); err != nil {
			w.t.Fatal(err)
		}
	}
	w.openDB()
}

// left looks at what a power cut has left, in a copy: looking changes it.
func (w *powered) left(files map[byte][]byte, senders int) (complaints []string) {
	w.t.Helper()
	dir, err := os.MkdirTemp("", "torture")
	if err != nil {
		w.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c := *w.world
	c.dir, c.env = dir, nil
	if err := os.Mkdir(filepath.Join(c.dir, "keys"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	keys, err := fs.Glob(os.DirFS(w.dir), "keys/*.key")
	if err != nil || len(keys) == 0 {
		w.t.Fatalf("keys of incidents: %v %v", keys, err)
	}
	for _, name := range append(keys, "oshirase.toml", "master.key") {
		b, err := os.ReadFile(filepath.Join(w.dir, name))
		if err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.dir, name), b, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	w.disk.put(filepath.Join(c.dir, "oshirase.db"), files)
	c.openDB()
	defer c.db.Close()
	if err := c.intact(); err != nil {
		return []string{err.Error()}
	}
	all, complaints := c.examine()
	most := w.sending + w.wire()*senders // the worker may have ended before it took back what was left
	w.sending = 0
	for _, d := range all {
		if d.State == "sending" {
			w.sending++
		}
	}
	if w.sending > most {
		complaints = append(complaints, fmt.Sprintf("%d deliveries in sending, with %d on the wire at most", w.sending, most))
	}
	var events int64
	if err := c.db.QueryRow(`SELECT count(*) FROM event`).Scan(&events); err != nil {
		complaints = append(complaints, err.Error())
	}
	if seen := w.events.Load(); events < seen {
		complaints = append(complaints, fmt.Sprintf("%d events are left of the %d that another process had seen", events, seen))
	}
	return complaints
}

// whileSending lets one worker send, or two, until the power fails at a random
// moment, in half of the cases between a message and its reply.
func (w *powered) whileSending(n int) (senders, _ []*worker) {
	w.t.Helper()
	p := w.startEither()
	senders = []*worker{p}
	if w.rng.IntN(3) == 0 {
		senders = append(senders, w.startEither())
	}
	if w.rng.IntN(2) == 0 {
		p.messages(n, func() {
			w.seen()
			for _, p := range senders {
				p.signal(syscall.SIGKILL)
			}
		})
		return senders, nil
	}
	p.messages(n, nil)
	delay := time.NewTimer(time.Duration(w.rng.IntN(20000)) * time.Microsecond)
	defer delay.Stop()
	<-delay.C
	w.seen()
	return senders, nil
}

// whileEnding asks a worker to end. As it is the last one it moves what is in the
// write-ahead log to the database, and the power fails at a step of that.
func (w *powered) whileEnding(n int) (senders, _ []*worker) {
	w.t.Helper()
	p := w.startWith(dieAt(wrote, databaseFile, 1+w.rng.IntN(8)))
	p.messages(n, nil)
	w.seen()
	_ = w.db.Close() // else the worker is not the last one
	p.signal(syscall.SIGTERM)
	p.wait(15 * time.Second)
	return []*worker{p}, nil
}

// whileCheckpointing lets another process do checkpoints without end beside a
// worker, and the power fails at a step of one of them.
func (w *powered) whileCheckpointing(n int) (senders, others []*worker) {
	w.t.Helper()
	p := w.start("serve")
	p.messages(n/2+1, nil)
	step := [...]byte{wrote, wrote, synced}[w.rng.IntN(3)]
	cmd := w.command()
	cmd.Path, cmd.Args = os.Args[0], []string{os.Args[0]}
	cmd.Env = append(cmd.Env, checkpointEnv+"="+w.disk.path, dieAt(step, databaseFile, 1+w.rng.IntN(40)))
	q := w.startCommand(cmd)
	w.until("the checkpoint has come to that step", func() bool {
		select {
		case <-q.ended:
			return true
		case <-p.ended:
			return true
		default:
			return w.pending() == 0
		}
	})
	if s := q.log.String(); s != "" {
		w.t.Errorf("seed %d: checkpoint: %s", seed, s)
	}
	w.seen()
	return []*worker{p}, []*worker{q}
}

// atStep lets the power fail at a random step of a worker on the disk.
func (w *powered) atStep(n int) (senders, _ []*worker) {
	w.t.Helper()
	// A message takes some six writes, and its share of two syncs.
	step := [...]string{dieAt(wrote, walFile, 1+w.rng.IntN(6*n)), dieAt(synced, walFile, 1+w.rng.IntN(n/4+1))}[w.rng.IntN(2)]
	p := w.startWith(step)
	p.messages(n, nil)
	w.seen()
	return []*worker{p}, nil
}

// whileWorkerCheckpoints lets the power fail at a step of the checkpoint that a
// worker does by itself every few thousand pages.
func (w *powered) whileWorkerCheckpoints(n int) (senders, _ []*worker) {
	w.t.Helper()
	p := w.startWith(dieAt(wrote, databaseFile, 1+w.rng.IntN(100)))
	p.messages(max(n, (w.people-w.recv.count())/4), nil)
	w.seen()
	return []*worker{p}, nil
}

// startWith starts run or serve, with one more thing in its environment.
func (w *powered) startWith(env string) *worker {
	w.t.Helper()
	cmd := w.command([]string{"run", "serve"}[w.rng.IntN(2)])
	cmd.Env = append(cmd.Env, env)
	return w.startCommand(cmd)
}

// checkpointEnv names the database for a test binary that does checkpoints.
const checkpointEnv = "TORTURE_CHECKPOINT"

// checkpoints does them until the process is killed, or whoever should do it has
// surely died.
func checkpoints(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	db, err := sql.Open("sqlite3", "file:"+path+"?_synchronous=FULL&_busy_timeout=10000")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for ctx.Err() == nil {
		mode := [...]string{"PASSIVE", "PASSIVE", "RESTART", "TRUNCATE"}[rand.IntN(4)]
		if _, err := db.ExecContext(ctx, `PRAGMA wal_checkpoint(`+mode+`)`); err != nil {
			return err
		}
	}
	return ctx.Err()
}
