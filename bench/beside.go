package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver
)

// reader is a command that reads the ledger while a campaign is being sent.
type reader struct {
	name  string
	every time.Duration // 0: again as soon as it is over
	args  []string      // none: nothing reads
}

// stretch is a part of a run, with what the reader beside it took.
type stretch struct {
	rate  float64 // messages a second
	took  time.Duration
	calls []cost        // those that were over before the stretch was
	cpu   time.Duration // of the reader, the last call included
}

const (
	// stretchFor is how long a stretch lasts.
	stretchFor = time.Second
	// besideWarm is how long a run goes before the first one.
	besideWarm = 2 * time.Second
)

// besides compares stretches of a run beside which something reads with those
// before and behind, which are alone: both see the same machine.
func (b *bench) besides(ctx context.Context) error {
	n, rounds := b.read, cmp.Or(b.rounds, 2)
	f, id, err := b.prepare(ctx, setup{relay: "127.0.0.1:2525", connections: b.near, durability: "full", people: n}, &steps{})
	if err != nil {
		return err
	}
	defer f.remove()
	var found struct{ Matches []struct{ Ref string } }
	if _, err := f.do(ctx, &found, "lookup", "--customer-id", "00000001", "--by", "bench"); err != nil {
		return err
	}
	if len(found.Matches) != 1 {
		return fmt.Errorf("%d people have the number of the first", len(found.Matches))
	}
	export := reader{"export, over and over", 0, []string{"deliveries", "--campaign", id, "--csv", "export.csv"}}
	r := &besideRuns{with: map[string][]stretch{}, ratios: map[string][]float64{}}
	for _, reader := range []reader{
		{name: "nothing, for comparison"}, // how far stretches differ anyway
		{"status, each second", time.Second, []string{"status", "--json"}},
		{"look-up, each second", time.Second, []string{"lookup", "--ref", found.Matches[0].Ref, "--by", "bench", "--json"}},
		export,
	} {
		if reader.args == nil || b.variant.MatchString(reader.name) {
			r.readers = append(r.readers, reader)
		}
	}
	for range rounds {
		if err := r.run(ctx, b, f, id, n, &export); err != nil {
			return err
		}
	}
	t := &table{title: fmt.Sprintf("beside a run: loopback, %d connections, durability full, %d runs of %d messages in stretches of %s, each with the ones before and behind it, which are alone; medians",
		b.near, rounds, n, stretchFor)}
	t.add("beside", "stretches", "messages/s", "to alone", "quartiles", "calls", "CPU ms a call", "wall ms a call", "share of all CPUs")
	for _, reader := range r.readers {
		t.add(append([]string{reader.name}, r.cells(r.with[reader.name], r.ratios[reader.name])...)...)
	}
	t.print()
	fmt.Printf("  journal at most %s MiB; an export beside which nothing is sent: %.1f s, of CPU %s µs a row\n",
		mib(r.journal), r.export.wall.Seconds(), micros(n, r.export.cpu))
	return nil
}

// besideRuns gathers the stretches of several runs.
type besideRuns struct {
	readers []reader
	alone   []stretch
	with    map[string][]stretch
	ratios  map[string][]float64 // to the mean of both neighbours
	journal int64                // the largest
	export  cost                 // of an export once the run is over
	turn    int                  // of the readers
}

// run sends the campaign of a folder out of a copy of it, and then exports it.
func (s *besideRuns) run(ctx context.Context, b *bench, from *folder, id string, n int, export *reader) error {
	parent, err := os.MkdirTemp(b.dir, "beside-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(parent)
	f := &folder{from.program, filepath.Join(parent, "w")}
	if out, err := exec.CommandContext(ctx, "cp", "-a", from.dir, f.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the folder: %w: %s", err, out)
	}
	recv, err := b.receive(ctx)
	if err != nil {
		return err
	}
	running, over := context.WithCancel(ctx)
	defer over()
	ended := make(chan error, 1)
	var sum struct{ Accepted int }
	go func() {
		defer over()
		err := change(filepath.Join(f.dir, "oshirase.toml"), []edit{{`(?m)^address = .*`, fmt.Sprintf("address = %q", recv.address)}})
		if err == nil {
			_, err = f.do(ctx, &sum, "run", "--campaign", id)
		}
		ended <- err
	}()
	err = errors.Join(s.stretches(running, f), <-ended)
	arrived, _, cerr := recv.close()
	if err = errors.Join(err, cerr); err != nil {
		return err
	}
	if sum.Accepted != n || arrived.Messages != int64(n) {
		return fmt.Errorf("%d people, %d accepted, %d received: that is no figure but a defect", n, sum.Accepted, arrived.Messages)
	}
	s.export, err = f.do(ctx, nil, export.args...)
	return err
}

// stretches measures until the run is over: alone, beside a reader, alone, beside
// the next one.
func (s *besideRuns) stretches(ctx context.Context, f *folder) error {
	path := filepath.Join(f.dir, "oshirase.db")
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&_busy_timeout=5000")
	if err != nil {
		return err
	}
	defer db.Close()
	if !pause(ctx, besideWarm) {
		return errors.New("the run was over before it was measured: take more -read-messages")
	}
	var before *stretch // alone
	var beside *stretch // behind it
	var name string
	for {
		a, whole, err := s.stretch(ctx, f, db, nil)
		if err != nil || !whole {
			return err
		}
		s.alone = append(s.alone, *a)
		if beside != nil {
			s.with[name] = append(s.with[name], *beside)
			s.ratios[name] = append(s.ratios[name], 2*beside.rate/(before.rate+a.rate))
		}
		before = a
		if st, err := os.Stat(path + "-wal"); err == nil {
			s.journal = max(s.journal, st.Size())
		}
		r := &s.readers[s.turn%len(s.readers)]
		s.turn++
		if beside, whole, err = s.stretch(ctx, f, db, r); err != nil || !whole {
			return err
		}
		name = r.name
	}
}

// stretch measures one; it is not whole where the run is over before.
func (s *besideRuns) stretch(ctx context.Context, f *folder, db *sql.DB, r *reader) (*stretch, bool, error) {
	accepted := func() (n int64, at time.Time, err error) {
		err = db.QueryRow(`SELECT n FROM campaign_count WHERE state = 'accepted'`).Scan(&n)
		return n, time.Now(), err
	}
	first, began, err := accepted()
	if err != nil {
		return nil, false, err
	}
	now, end := context.WithTimeout(ctx, stretchFor)
	defer end()
	var got stretch
	if err := got.read(now, f, r); err != nil {
		return nil, false, err
	}
	last, ended, err := accepted()
	got.took = ended.Sub(began)
	got.rate = float64(last-first) / got.took.Seconds()
	return &got, ctx.Err() == nil, err
}

// read has the reader at work until the stretch is over.
func (got *stretch) read(now context.Context, f *folder, r *reader) error {
	for r != nil && r.args != nil && now.Err() == nil {
		began := time.Now()
		c, err := f.do(now, nil, r.args...)
		got.cpu += c.cpu
		if now.Err() != nil {
			return nil // ended in the middle: no whole call
		}
		if err != nil {
			return err
		}
		got.calls = append(got.calls, c)
		pause(now, r.every-time.Since(began))
	}
	<-now.Done()
	return nil
}

// pause is false where ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (s *besideRuns) cells(with []stretch, ratios []float64) []string {
	var rates, shares, cpus, walls []float64
	for _, st := range with {
		rates = append(rates, st.rate)
		shares = append(shares, 100*st.cpu.Seconds()/st.took.Seconds()/float64(runtime.NumCPU()))
		for _, c := range st.calls {
			cpus = append(cpus, float64(c.cpu.Microseconds())/1000)
			walls = append(walls, float64(c.wall.Microseconds())/1000)
		}
	}
	to := func(q float64, format string, v []float64) string {
		if len(v) == 0 {
			return "-"
		}
		return fmt.Sprintf(format, quantile(q, v))
	}
	return []string{
		fmt.Sprint(len(with)), to(0.5, "%.0f", rates), to(0.5, "%.3f", ratios), to(0.25, "%.3f", ratios) + " to " + to(0.75, "%.3f", ratios),
		fmt.Sprint(len(cpus)), to(0.5, "%.1f", cpus), to(0.5, "%.1f", walls), to(0.5, "%.1f %%", shares),
	}
}

// quantile of a number of values, between two of them where it falls between.
func quantile(q float64, v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
