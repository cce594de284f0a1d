// Command bench compares the program with what the wire and SQLite allow, and
// prints the ratios. It runs the built program in processes of its own, as a
// user would, against the program's receiver in another process. It is no part
// of the program, and nothing imports it. See docs/performance.md.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// sizes say how much is measured.
type sizes struct {
	loopback int   // messages of each variant on the loopback
	rsa      int   // of the variant signed with RSA, which is a hundred times slower
	far      int   // messages with a round trip
	imported int   // rows for the comparison with sqlite3
	read     int   // messages of a run beside which something reads
	scale    []int // recipients of the campaigns whose cost per message is compared
}

var (
	short = sizes{loopback: 50_000, rsa: 6_000, far: 4_000, imported: 300_000, read: 200_000, scale: []int{10_000, 100_000}}
	full  = sizes{loopback: 200_000, rsa: 20_000, far: 10_000, imported: 2_415_750, read: 500_000, scale: []int{10_000, 100_000, 1_000_000}}
)

// bench is one run of the command.
type bench struct {
	sizes
	program string // the binary
	base    string // that of an earlier edition; empty: none
	dir     string // all files of the run
	near    int    // connections on the loopback
	away    int    // connections with a round trip
	trip    time.Duration
	rounds  int            // number of runs beside which something reads, and of turns with base
	turns   turns          // of campaigns under one pace
	variant *regexp.Regexp // of the ways to send, of what reads beside a run, of the tricks
}

// part is one thing that can be measured.
type part struct {
	name string
	do   func(*bench, context.Context) error
}

// parts stand in the order in which they are measured.
var parts = []part{
	{"send", (*bench).send},
	{"scale", (*bench).scales},
	{"import", (*bench).imports},
	{"base", (*bench).besideBase},
	{"fair", (*bench).fairTurns},
	{"beside", (*bench).besides},
	{"tricks", (*bench).withoutTricks},
}

// options are the flags that are not taken as they are.
type options struct {
	full                     bool
	only, variants, scale    string
	keep                     bool
	dir                      string
	loopback, rows, readSize int
}

// flags reads the command line.
func flags() (*bench, *options, error) {
	b, o := &bench{}, &options{}
	flag.BoolVar(&o.full, "full", os.Getenv("BENCH") == "full", "the large sizes (about 30 minutes); BENCH=full says the same")
	flag.StringVar(&o.only, "only", "", "what to measure: some of send, scale, import, base, fair, beside, tricks\n(default send,scale,import,fair; with -base base,fair)")
	flag.StringVar(&o.variants, "variants", "", "of send, beside and tricks, only what this `REGEXP` finds")
	flag.BoolVar(&o.keep, "keep", false, "keep the working folders")
	flag.StringVar(&o.dir, "dir", "", "folder on the disk to be measured `DIR` (default: the one for temporary files)")
	flag.StringVar(&b.program, "program", "", "measure this `BINARY` (default: build ./cmd/oshirase)")
	flag.StringVar(&b.base, "base", "", "measure this `BINARY` of an earlier edition in turn with the program, and print their ratios")
	flag.IntVar(&o.loopback, "messages", 0, "messages of each variant on the loopback (default 50000; full 200000)")
	flag.IntVar(&o.rows, "rows", 0, "rows for the comparisons of import with sqlite3 and of import and check with base (default 300000; full 2415750)")
	flag.StringVar(&o.scale, "scale", "", "recipients of the campaigns that are compared (default 10000,100000; full adds 1000000)")
	flag.IntVar(&o.readSize, "read-messages", 0, "messages of a run beside which something reads (default 200000; full 500000)")
	flag.IntVar(&b.rounds, "rounds", 0, "number of such runs, and of turns with base (default 2; with base, and of tricks, 5)")
	flag.IntVar(&b.turns.campaigns, "campaigns", 100, "campaigns under one pace, for fair")
	flag.DurationVar(&b.turns.tenth, "pace-time", 30*time.Second, "how long they are sent: a tenth of what all would take")
	flag.IntVar(&b.near, "connections", 50, "connections on the loopback")
	flag.IntVar(&b.away, "far-connections", 10, "connections with a round trip")
	flag.DurationVar(&b.trip, "round-trip", 20*time.Millisecond, "the round trip")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, nil, fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	return b, o, b.take(o)
}

// take makes of the options what is measured.
func (b *bench) take(o *options) (err error) {
	if b.sizes = short; o.full {
		b.sizes = full
	}
	b.loopback, b.read, b.imported = cmp.Or(o.loopback, b.loopback), cmp.Or(o.readSize, b.read), cmp.Or(o.rows, b.imported)
	if o.scale != "" {
		b.scale = nil
		for s := range strings.SplitSeq(o.scale, ",") {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 {
				return fmt.Errorf("-scale: %q is no number of recipients", s)
			}
			b.scale = append(b.scale, n)
		}
	}
	if o.only == "" {
		if o.only = "send,scale,import,fair"; b.base != "" {
			o.only = "base,fair"
		}
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			return fmt.Errorf("-only: %q is no part of the benchmark", name)
		}
	}
	if o.measures("base") && b.base == "" {
		return errors.New("-only base: say with -base which binary")
	}
	if b.variant, err = regexp.Compile(o.variants); err != nil {
		return fmt.Errorf("-variants: %w", err)
	}
	return nil
}

func (o *options) measures(part string) bool {
	return slices.Contains(strings.Split(o.only, ","), part)
}

// programs makes sure of the binaries.
func (b *bench) programs(ctx context.Context) (err error) {
	if b.base != "" {
		if b.base, err = filepath.Abs(b.base); err != nil {
			return err
		}
	}
	if b.program != "" {
		b.program, err = filepath.Abs(b.program)
		return err
	}
	b.program, err = b.build(ctx, "oshirase")
	return err
}

// build makes a binary of the program as it is here; with flags, otherwise.
func (b *bench) build(ctx context.Context, name string, flags ...string) (string, error) {
	program := filepath.Join(b.dir, name)
	args := append([]string{"build", "-o", program}, flags...)
	build := exec.CommandContext(ctx, "go", append(args, "oshirase/cmd/oshirase")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build the program: %w", err)
	}
	return program, nil
}

func run(ctx context.Context) error {
	b, o, err := flags()
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(o.dir, "oshirase-bench-"); err != nil {
		return err
	}
	if o.keep {
		fmt.Println("working folders:", b.dir)
	} else {
		defer os.RemoveAll(b.dir)
	}
	if err := b.programs(ctx); err != nil {
		return err
	}
	sync, err := syncTime(filepath.Join(b.dir, "sync"))
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d CPUs, %s, %s; an fsync takes %d µs\n", cpuModel(), runtime.NumCPU(), runtime.Version(),
		time.Now().UTC().Format("2006-01-02"), sync.Microseconds())
	began := time.Now()
	for _, part := range parts {
		if !o.measures(part.name) {
			continue
		}
		if err := part.do(b, ctx); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", part.name, err), ctx.Err())
		}
	}
	fmt.Printf("\ntook %s\n", time.Since(began).Round(time.Second))
	return nil
}

// syncTime is the median time that the disk takes for 4 KiB to be safe: what each
// commit waits for with durability full.
func syncTime(path string) (median time.Duration, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	page := make([]byte, 4096)
	took := make([]time.Duration, 100)
	for i := range took {
		began := time.Now()
		if _, err = f.Write(page); err != nil {
			return 0, err
		}
		if err = f.Sync(); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
