package torture

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

// worst is a power cut after which nothing is left that was not synced.
func worst() loss { return loss{rng: rand.New(rand.NewPCG(1, 1)), kept: map[byte]float64{}} }

// TestPowerLossIsNoticed makes sure that TestPowerLoss can fail: where commits are
// not synced, or the disk lies about its syncs, people are found whom the receiver
// has and the ledger would send to again.
func TestPowerLossIsNoticed(t *testing.T) {
	const sentAgain = "sent, and would be sent again"
	found := func(t *testing.T, complaints []string, what string) {
		t.Helper()
		if !strings.Contains(strings.Join(complaints, "\n"), what) {
			t.Errorf("seed %d: not found: %s, but: %q", seed, what, complaints)
		}
	}
	start := func(t *testing.T, durability string) (*powered, *worker) {
		w := newPowered(t, "control", settings{people: 200, connections: 4, latency: 2 * time.Millisecond, durability: durability})
		w.cut("behind the set-up", nil, nil)
		p := w.start("serve")
		p.messages(w.people/4, nil)
		return w, p
	}
	stop := func(w *powered, p *worker, s syscall.Signal) {
		_ = w.db.Close() // the worker is the last one that has the ledger open
		p.signal(s)
		p.wait(15 * time.Second)
		w.recv.settle()
	}
	t.Run("disk that forgets the log", func(t *testing.T) {
		t.Parallel()
		w, p := start(t, "full")
		stop(w, p, syscall.SIGKILL)
		l := worst()
		for _, c := range w.left(w.disk.state().after(l), 1) {
			t.Errorf("seed %d, an honest disk: %s", seed, c)
		}
		l.forget = map[byte]bool{walFile: true}
		found(t, w.left(w.disk.state().after(l), 1), sentAgain)
	})
	t.Run("disk that forgets the database", func(t *testing.T) {
		t.Parallel()
		w, p := start(t, "full")
		stop(w, p, syscall.SIGTERM) // it moves all to the database file and removes the log
		l := worst()
		l.names = 1 // the log stays removed
		for _, c := range w.left(w.disk.state().after(l), 1) {
			t.Errorf("seed %d, an honest disk: %s", seed, c)
		}
		l.forget = map[byte]bool{databaseFile: true}
		found(t, w.left(w.disk.state().after(l), 1), sentAgain)
	})
	t.Run("durability normal", func(t *testing.T) {
		t.Parallel()
		w, p := start(t, "normal")
		stop(w, p, syscall.SIGKILL)
		found(t, w.left(w.disk.state().after(worst()), 1), sentAgain)
	})
}

// TestDiskRecord compares the record, with everything kept, with the files: no
// write has gone past it.
func TestDiskRecord(t *testing.T) {
	t.Parallel()
	w := newPowered(t, "record", settings{people: 100, connections: 4})
	compare := func(when string) {
		t.Helper()
		all := loss{rng: w.rng, kept: map[byte]float64{databaseFile: 1, walFile: 1, journalFile: 1}, names: 1}
		files := w.disk.state().after(all)
		for file, suffix := range suffixes {
			if is := w.disk.has(file); !bytes.Equal(files[file], is) {
				t.Errorf("seed %d, %s: oshirase.db%s has %d bytes, and is not the %d that were recorded", seed, when, suffix, len(is), len(files[file]))
			}
		}
	}
	compare("behind the set-up")
	p := w.start("serve")
	p.messages(w.people/2, nil)
	p.term() // this process has the ledger open: the log stays
	compare("with a log")
	w.start("run").succeeded(w.limit())
	_ = w.db.Close()
	w.cli("apply")
	compare("without a log")
}

// TestWhatIsLeft holds the rules of disk, one by one.
func TestWhatIsLeft(t *testing.T) {
	a, b, c := bytes.Repeat([]byte("a"), 4096), bytes.Repeat([]byte("b"), 4096), bytes.Repeat([]byte("c"), 4096)
	write := func(ticket uint64, offset int64, data []byte) step {
		return step{op: wrote, ticket: ticket, offset: offset, data: data}
	}
	const draws = 2000
	// each draws many power cuts and returns how often there was what.
	each := func(o *object, names ...string) map[string]int {
		got := map[string]int{}
		for i := range uint64(draws) {
			l := drawLoss(rand.New(rand.NewPCG(seed, i)))
			files := (&state{links: map[byte][]link{walFile: {{0, o}}}}).after(l)
			name := "other"
			for i := 0; i < len(names); i += 2 {
				if names[i+1] == string(files[walFile]) {
					name = names[i]
				}
			}
			got[name]++
		}
		return got
	}
	t.Run("synced", func(t *testing.T) {
		o := &object{file: walFile, steps: []step{write(1, 0, a), write(3, 0, b)}, synced: 4}
		if got := each(o, "b", string(b)); got["b"] != draws {
			t.Errorf("got %v", got)
		}
	})
	t.Run("written while the sync ran", func(t *testing.T) {
		o := &object{file: walFile, steps: []step{write(1, 0, a), write(3, 0, b)}, synced: 2}
		if got := each(o, "a", string(a), "b", string(b)); got["a"] == 0 || got["b"] == 0 || got["other"] == 0 {
			t.Errorf("neither old nor new nor torn: %v", got)
		}
	})
	t.Run("appended", func(t *testing.T) {
		o := &object{file: walFile, base: a, steps: []step{write(1, 4096, b), write(2, 8192, c)}}
		got := each(o, "none", string(a), "first", string(a)+string(b), "all", string(a)+string(b)+string(c))
		if got["none"] == 0 || got["first"] == 0 || got["all"] == 0 || got["other"] == 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("truncated", func(t *testing.T) {
		o := &object{file: walFile, base: append(append([]byte{}, a...), b...), steps: []step{{op: truncated, ticket: 1, offset: 4096}}}
		if got := each(o, "short", string(a), "long", string(a)+string(b)); got["short"] == 0 || got["long"] == 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("names", func(t *testing.T) {
		old, young := &object{file: walFile, base: a}, &object{file: walFile, steps: []step{write(4, 0, b)}, synced: 5}
		for _, c := range []struct {
			folder uint64
			want   []string
		}{{0, []string{"", string(a), string(b)}}, {3, []string{"", string(b)}}, {4, []string{string(b)}}} {
			got := map[string]bool{}
			for i := range uint64(draws) {
				s := &state{links: map[byte][]link{walFile: {{0, old}, {2, nil}, {3, young}}}, synced: c.folder}
				got[string(s.after(drawLoss(rand.New(rand.NewPCG(seed, i))))[walFile])] = true
			}
			for _, want := range c.want {
				if !got[want] {
					t.Errorf("folder synced at %d: never %.1q", c.folder, want)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("folder synced at %d: %d kinds of file, want %d", c.folder, len(got), len(c.want))
			}
		}
	})
}
