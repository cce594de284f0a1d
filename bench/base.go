package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// floor is how much of the speed of base the program keeps at least.
const floor = 0.95

// sample is what one turn took of each program.
type sample struct{ base, present cost }

// work is something that both programs do.
type work struct {
	name    string
	n       int // rows or messages
	samples []sample
}

// besideBase has base and the program do the same in turn, in folders of their own
// and with one receiver, the program's: so both see the same machine and the ratio
// of a turn is of neighbours.
func (b *bench) besideBase(ctx context.Context) error {
	rounds := cmp.Or(b.rounds, 5)
	near := setup{connections: b.near, durability: "full", people: b.loopback}
	chunking := near
	chunking.chunking = true
	list := fmt.Sprintf("%d rows of 7 columns", b.imported)
	works := []*work{
		{name: "run, loopback", n: b.loopback},
		{name: "run, loopback, chunking", n: b.loopback},
		{name: "import", n: b.imported},
		{name: "import of the same list again", n: b.imported},
		{name: "check", n: b.imported},
	}
	for round := range rounds {
		took := make([]sample, len(works))
		for turn := range 2 {
			isBase := (round+turn)%2 == 0
			costs, err := b.allWork(ctx, near, chunking, isBase)
			if err != nil {
				return err
			}
			for i, c := range costs {
				if isBase {
					took[i].base = c
				} else {
					took[i].present = c
				}
			}
		}
		for i, s := range took {
			works[i].samples = append(works[i].samples, s)
		}
	}
	t := &table{title: fmt.Sprintf("present against base, %d rounds in turn: %d messages over %d connections, durability full; %s; medians. Speed: base's time to present's, of each round; above 1 is faster",
		rounds, b.loopback, b.near, list)}
	t.add("what", "base/s", "present/s", "speed", "least to most", "CPU µs base", "present", "CPU, base to present", "least to most", "peak MiB base", "present")
	var below []string
	for _, w := range works {
		cells, speed := w.cells()
		t.add(append([]string{w.name}, cells...)...)
		if speed < floor {
			below = append(below, w.name)
		}
	}
	t.print()
	if len(below) > 0 {
		fmt.Printf("  below %.2f of base: %s\n", floor, strings.Join(below, "; "))
	} else {
		fmt.Printf("  nothing is below %.2f of base\n", floor)
	}
	return nil
}

// allWork has one program do all, in the order of works.
func (b *bench) allWork(ctx context.Context, near, chunking setup, isBase bool) (costs []cost, err error) {
	list := setup{relay: "127.0.0.1:2525", connections: 1, durability: "full", people: b.imported}
	what := "present"
	if isBase {
		what = "base"
		near.program, chunking.program, list.program = b.base, b.base, b.base
	}
	for _, s := range []setup{near, chunking} {
		st, err := b.campaign(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		costs = append(costs, st.sent)
	}
	read, err := b.readList(ctx, list)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return append(costs, read...), nil
}

// readList imports a list, imports it again, and checks a campaign to all that are
// in it, which also shows that nobody came twice.
func (b *bench) readList(ctx context.Context, s setup) ([]cost, error) {
	f, err := b.makeFolder(ctx, s)
	if err != nil {
		return nil, err
	}
	defer f.remove()
	list, err := b.list(s.people)
	if err != nil {
		return nil, err
	}
	first, err := f.load(ctx, list, s.people)
	if err != nil {
		return nil, err
	}
	again, err := f.importList(ctx, nil, merchant, list)
	if err != nil {
		return nil, err
	}
	_, checked, err := f.check(ctx, merchant, s.people)
	return []cost{first, again, checked}, err
}

// cells are what the samples come to, and the median of their speeds.
func (w *work) cells() (cells []string, speed float64) {
	var speeds, cpus []float64
	var base, present struct{ wall, cpu, peak []float64 }
	for _, s := range w.samples {
		speeds = append(speeds, s.base.wall.Seconds()/s.present.wall.Seconds())
		cpus = append(cpus, s.base.cpu.Seconds()/s.present.cpu.Seconds())
		base.wall = append(base.wall, s.base.wall.Seconds())
		base.cpu = append(base.cpu, s.base.cpu.Seconds())
		base.peak = append(base.peak, float64(s.base.peak))
		present.wall = append(present.wall, s.present.wall.Seconds())
		present.cpu = append(present.cpu, s.present.cpu.Seconds())
		present.peak = append(present.peak, float64(s.present.peak))
	}
	seconds := func(v []float64) time.Duration { return time.Duration(quantile(0.5, v) * float64(time.Second)) }
	return []string{
		perSecond(w.n, seconds(base.wall)), perSecond(w.n, seconds(present.wall)), fmt.Sprintf("%.3f", quantile(0.5, speeds)), spread(speeds),
		micros(w.n, seconds(base.cpu)), micros(w.n, seconds(present.cpu)), fmt.Sprintf("%.3f", quantile(0.5, cpus)), spread(cpus),
		mib(int64(quantile(0.5, base.peak))), mib(int64(quantile(0.5, present.peak))),
	}, quantile(0.5, speeds)
}

func spread(v []float64) string { return fmt.Sprintf("%.3f to %.3f", quantile(0, v), quantile(1, v)) }
