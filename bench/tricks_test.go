package main

import (
	"os/exec"
	"testing"
	"time"
)

// TestPlainWaysCompile: every trick still stands where its plain way replaces it,
// and the program builds without any.
func TestPlainWaysCompile(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := make(map[string]string)
	args := []string{"build", "-overlay", ""}
	for i := range tricks {
		if err := tricks[i].replaced(root, dir, replace); err != nil {
			t.Error(err)
		}
		args = append(args, "oshirase/"+tricks[i].pkg)
	}
	if len(replace) < 4 {
		t.Fatalf("only %d files are replaced", len(replace))
	}
	if args[2], err = writeOverlay(dir, replace); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Errorf("without tricks: %v\n%s", err, out)
	}
}

func TestPlainWayOfNothing(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"nowhere to be found", "package smtp"} { // not there, and in many files
		tr := trick{pkg: "mailer/smtp", plain: []edit{{pattern, ""}}}
		if path, err := tr.overlay(root, t.TempDir()); err == nil {
			t.Errorf("%q is replaced: %s", pattern, path)
		}
	}
}

func TestBenchTime(t *testing.T) {
	got, err := benchTime("goos: linux\nBenchmarkRecord/50-2   \t     200\t      1500.5 ns/op\t 66 deliveries/s\nPASS\n", 200)
	if want := 300_100 * time.Nanosecond; got != want || err != nil {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, out := range []string{"PASS\n", "BenchmarkA 1 2 ns/op\nBenchmarkB 1 2 ns/op\n"} {
		if got, err := benchTime(out, 1); err == nil {
			t.Errorf("%q took %v", out, got)
		}
	}
}

// TestCells: a ratio is of neighbours, not of medians.
func TestCells(t *testing.T) {
	s := func(base, present time.Duration) sample {
		return sample{cost{base, 2 * base, 2 << 20}, cost{present, base, 4 << 20}}
	}
	w := &work{n: 100, samples: []sample{s(1*time.Second, 2*time.Second), s(9*time.Second, 9*time.Second), s(4*time.Second, 2*time.Second)}}
	cells, speed := w.cells()
	want := []string{"25", "50", "1.000", "0.500 to 2.000", "80000.0", "40000.0", "2.000", "2.000 to 2.000", "2", "4"}
	if speed != 1 {
		t.Errorf("speed %v", speed)
	}
	for i := range want {
		if i >= len(cells) || cells[i] != want[i] {
			t.Fatalf("cells %q, want %q", cells, want)
		}
	}
}
