// Package torture holds the program to its promises (docs/guarantees.md) from
// outside: real processes of the built command, a real database file, and a
// receiver that keeps its own count of who got what. Processes are killed,
// stopped and frozen, the relay refuses, cuts and goes away, the disk fills up,
// the power fails; afterwards the receiver's count and the ledger are compared
// person by person.
//
// It holds tests only. Each run prints its seed; -seed repeats its choices
// (which faults, after how many messages). What the scheduler of the machine
// does in between is not repeated.
package torture

import (
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/fnv"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var (
	seedFlag = flag.Uint64("seed", 0, "repeat the choices of a run; 0 takes a new seed")
	longFlag = flag.Bool("long", os.Getenv("TORTURE") == "long", "20,000 recipients and tens of faults (TORTURE=long)")
)

// binary is the built command, seed what the run draws its choices from.
var (
	program string
	seed    uint64
)

func TestMain(m *testing.M) {
	if path := os.Getenv(checkpointEnv); path != "" { // see power_test.go
		fmt.Fprintln(os.Stderr, checkpoints(path))
		os.Exit(1)
	}
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	seed = *seedFlag
	if seed == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		seed = binary.LittleEndian.Uint64(b[:]) >> 16
	}
	program = os.Getenv(programEnv) // set where the test runs itself; see disk_test.go
	if program == "" {
		dir, err := os.MkdirTemp("", "torture")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "oshirase")
		if out, err := exec.Command("go", "build", "-o", program, "oshirase/cmd/oshirase").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
	}
	// The processes mostly wait for each other: more at once than there are cores.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if os.Getenv(programEnv) == "" {
		fmt.Print(summary.table())
	}
	return code
}

// programEnv names the built command for a test binary that was started by this one.
const programEnv = "TORTURE_PROGRAM"

// newRand draws for one case, independently of which other cases run.
func newRand(name string) *mrand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return mrand.New(mrand.NewPCG(seed, h.Sum64()))
}

// tally is what one case did and found; a row of the summary.
type tally struct {
	name                                   string
	people                                 int
	kills, stops, freezes, pauses, outages int // what was done
	power                                  int // power cuts
	cuts                                   int // connections that the receiver cut or refused
	unknown, allowed                       int // found, and at most expected
	accepted, rejected, lost, copies       int
}

var summary report

type report struct {
	mu   sync.Mutex
	rows []tally
}

func (r *report) add(row tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

// table is what was done and found, one case a line.
func (r *report) table() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rows) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\ntorture, seed %d (repeat: go test ./torture -seed %d", seed, seed)
	if *longFlag {
		b.WriteString(" -long")
	}
	b.WriteString(")\n")
	line := "%-12s %7v %6v %6v %7v %7v %7v %6v %6v | %8v %8v %8v %8v %6v %6v\n"
	fmt.Fprintf(&b, line, "case", "people", "kill", "term", "freeze", "pause", "outage", "power", "cuts",
		"accepted", "rejected", "unknown", "at most", "lost", "copies")
	for _, t := range r.rows {
		fmt.Fprintf(&b, line, t.name, t.people, t.kills, t.stops, t.freezes, t.pauses, t.outages, t.power, t.cuts,
			t.accepted, t.rejected, t.unknown, t.allowed, t.lost, t.copies)
	}
	return b.String()
}
