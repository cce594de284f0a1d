// Command bench compares the program with what the wire and SQLite allow, and
// prints the ratios. It runs the built program in processes of its own, as a
// user would, against the program's receiver in another process. It is no part
// of the program, and nothing imports it. See docs/performance.md.
package main

import (
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
	dir     string // all files of the run
	near    int    // connections on the loopback
	away    int    // connections with a round trip
	trip    time.Duration
	rounds  int            // number of runs beside which something reads
	variant *regexp.Regexp // of the ways to send, and of what reads beside a run
}

func run(ctx context.Context) error {
	b := &bench{sizes: short}
	isFull := flag.Bool("full", os.Getenv("BENCH") == "full", "the large sizes (about 30 minutes); BENCH=full says the same")
	only := flag.String("only", "send,scale,import", "what to measure: some of send, scale, import, beside")
	variants := flag.String("variants", "", "of send and beside, only the variants that this `REGEXP` finds")
	keep := flag.Bool("keep", false, "keep the working folders")
	dir := flag.String("dir", "", "folder on the disk to be measured `DIR` (default: the one for temporary files)")
	flag.StringVar(&b.program, "program", "", "measure this `BINARY` (default: build ./cmd/oshirase)")
	loopback := flag.Int("messages", 0, "messages of each variant on the loopback (default 50000; full 200000)")
	rows := flag.Int("rows", 0, "rows for the comparison with sqlite3 (default 300000; full 2415750)")
	scale := flag.String("scale", "", "recipients of the campaigns that are compared (default 10000,100000; full adds 1000000)")
	beside := flag.Int("read-messages", 0, "messages of a run beside which something reads (default 200000; full 500000)")
	flag.IntVar(&b.rounds, "rounds", 2, "number of such runs")
	flag.IntVar(&b.near, "connections", 50, "connections on the loopback")
	flag.IntVar(&b.away, "far-connections", 10, "connections with a round trip")
	flag.DurationVar(&b.trip, "round-trip", 20*time.Millisecond, "the round trip")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if *isFull {
		b.sizes = full
	}
	if *loopback > 0 {
		b.loopback = *loopback
	}
	if *beside > 0 {
		b.read = *beside
	}
	if *rows > 0 {
		b.imported = *rows
	}
	if *scale != "" {
		b.scale = nil
		for s := range strings.SplitSeq(*scale, ",") {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 {
				return fmt.Errorf("-scale: %q is no number of recipients", s)
			}
			b.scale = append(b.scale, n)
		}
	}
	parts := strings.Split(*only, ",")
	for _, p := range parts {
		if !slices.Contains([]string{"send", "scale", "import", "beside"}, p) {
			return fmt.Errorf("-only: %q is none of send, scale, import, beside", p)
		}
	}
	var err error
	if b.variant, err = regexp.Compile(*variants); err != nil {
		return fmt.Errorf("-variants: %w", err)
	}
	if b.dir, err = os.MkdirTemp(*dir, "oshirase-bench-"); err != nil {
		return err
	}
	if *keep {
		fmt.Println("working folders:", b.dir)
	} else {
		defer os.RemoveAll(b.dir)
	}
	if b.program == "" {
		b.program = filepath.Join(b.dir, "oshirase")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.program, "oshirase/cmd/oshirase")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build the program: %w", err)
		}
	} else if b.program, err = filepath.Abs(b.program); err != nil {
		return err
	}
	sync, err := syncTime(filepath.Join(b.dir, "sync"))
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d CPUs, %s, %s; an fsync takes %d µs\n", cpuModel(), runtime.NumCPU(), runtime.Version(),
		time.Now().UTC().Format("2006-01-02"), sync.Microseconds())
	began := time.Now()
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{{"send", b.send}, {"scale", b.scales}, {"import", b.imports}, {"beside", b.besides}} {
		if !slices.Contains(parts, part.name) {
			continue
		}
		if err := part.do(ctx); err != nil {
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
