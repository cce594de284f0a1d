package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// trick is code that stands in the program for its speed alone: a plainer way
// would do the same. So that each can be held against the plainer way and none of
// that stands in the program, the benchmark builds it with a few lines replaced
// (go build -overlay).
type trick struct {
	name string
	ways string // the trick's and the plain one
	pkg  string // its folder
	// plain are the replacements; each pattern is in one file of the package.
	plain []edit
	// bench finds the package's Go benchmark that shows it, of n turns; empty: the
	// check of a list.
	bench string
	n     int
}

var tricks = []trick{
	{
		name:  "collector",
		ways:  "garbage is collected at five times what is live, within the memory limit; or at twice",
		pkg:   "cmd/oshirase",
		plain: []edit{{`gcPercent += 400`, "gcPercent   = 100"}},
	},
	{
		name: "Gosched",
		ways: "a group commit lets those join whom the one before has woken; or not",
		pkg:  "store", bench: "^BenchmarkRecord/50$", n: 60_000,
		plain: []edit{{`for range 16 \{`, "for range 0 {"}},
	},
	{
		name: "one call",
		ways: "a batch of records is one statement outside a transaction; or a call each for begin, statement and commit (BenchmarkStatement shows the view with its trigger)",
		pkg:  "store", bench: "^BenchmarkRecord/50$", n: 60_000,
		plain: []edit{{`err = db\.eng\.Apply\(ctx, nil, steps, entry\)`, "err = db.eng.Write(ctx, func(tx *sqlx.Tx) error { return db.eng.Apply(ctx, tx, steps, entry) })"}, {`\n\)\n\n// Group commit`, "\n\n\t\"github.com/jmoiron/sqlx\"\n)\n\n// Group commit"}},
	},
	{
		name: "sorted indexes",
		ways: "a large import sorts its indexes at the end; or keeps them while it appends",
		pkg:  "store", bench: "^BenchmarkImport$", n: 1_000_000,
		plain: []edit{{`im\.nextID-im\.firstID < max\(im\.db\.bulkRows, im\.firstID\)`, "true"}},
	},
	{
		name: "Bloom filter",
		ways: "meanwhile persons known already are in a Bloom filter; or in a map",
		pkg:  "store", bench: "^BenchmarkImport$", n: 300_000,
		plain: []edit{
			{`func \(f personFilter\) add\(key \[\]byte\) bool \{`, `var knownPersons map[string]struct{}

func (f personFilter) add(key []byte) bool {
	if knownPersons == nil {
		knownPersons = make(map[string]struct{})
	}
	n := len(knownPersons)
	if knownPersons[string(key)] = struct{}{}; true {
		return len(knownPersons) > n
	}`},
			{`n := binary\.LittleEndian\.Uint32\(key\) % filterBlocks`, "n = int(binary.LittleEndian.Uint32(key) % filterBlocks)"},
		},
	},
	{
		name: "mmap",
		ways: "the filter is mapped memory; or of the Go heap",
		pkg:  "store", bench: "^BenchmarkImport$", n: 300_000,
		plain: []edit{
			{`b, err := syscall\.Mmap\(.*\)`, "var err error\n\tb := make([]byte, filterBlocks*32)"},
			{`b := \*f\n\t\*f = nil\n\treturn syscall\.Munmap\(b\)`, "_ = syscall.Munmap\n\t*f = nil\n\treturn nil"},
		},
	},
	{
		name: "base64",
		ways: "base64 takes six octets at a time; or is encoding/base64",
		pkg:  "mailer/smtp", bench: "^BenchmarkComposeNotice$", n: 100_000,
		plain: []edit{{`func appendBase64Lines\(dst, text \[\]byte\) \[\]byte \{`, `func appendBase64Lines(dst, text []byte) []byte {
	dst = slices.Grow(dst, base64Size(len(text)))
	for len(text) > 0 {
		n := min(base64Line, len(text))
		dst = append(base64.StdEncoding.AppendEncode(dst, text[:n]), '\r', '\n')
		text = text[n:]
	}
	if true {
		return dst
	}`}},
	},
	{
		name: "UTF-8",
		ways: "UTF-8 is checked two characters at a time; or by unicode/utf8",
		pkg:  "mailer/smtp", bench: "^BenchmarkComposeNotice$", n: 100_000,
		plain: []edit{{`func validUTF8\(s string\) bool \{`, "func validUTF8(s string) bool {\n\tif true {\n\t\treturn utf8.ValidString(s)\n\t}"}},
	},
	{
		name: "subject",
		ways: "the encoded subject of the message before is kept; or encoded anew",
		pkg:  "mailer/smtp", bench: "^BenchmarkComposeNotice$", n: 100_000,
		plain: []edit{{`last != nil && last\.text == text`, "false && last != nil && last.text == text"}},
	},
	{
		name: "slots",
		ways: "name and reference are put between texts that are rendered once; or their parts are executed for each reader",
		pkg:  "templates", bench: "^BenchmarkRender$", n: 200_000,
		plain: []edit{{
			`func \(s \*segment\) own\(r \*mailer\.Recipient\) \(string, bool\) \{`,
			"func (s *segment) own(r *mailer.Recipient) (string, bool) {\n\tif true {\n\t\treturn \"\", false\n\t}",
		}},
	},
}

// withoutTricks measures each trick in turn with its plainer way.
func (b *bench) withoutTricks(ctx context.Context) error {
	rounds := cmp.Or(b.rounds, 5)
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	t := &table{title: fmt.Sprintf("tricks: each with its plainer way in turn, %d rounds, medians. Worth: the plain way's time to the trick's, of each round; where 1 lies within, it is not shown to be worth anything", rounds)}
	t.add("trick", "shown by", "plain/s", "trick/s", "worth", "least to most", "CPU µs plain", "trick", "CPU, plain to trick", "least to most", "peak MiB plain", "trick")
	var ways []string
	for i := range tricks {
		tr := &tricks[i]
		if !b.variant.MatchString(tr.name) {
			continue
		}
		w, err := b.without(ctx, root, tr, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", tr.name, err)
		}
		cells, _ := w.cells()
		t.add(append([]string{tr.name, cmp.Or(strings.Trim(tr.bench, "^$"), "a check")}, cells...)...)
		ways = append(ways, fmt.Sprintf("  %s: %s", tr.name, tr.ways))
	}
	t.print()
	fmt.Println(strings.Join(ways, "\n"))
	return nil
}

// without measures one trick. Its plainer way is in the place of base.
func (b *bench) without(ctx context.Context, root string, tr *trick, rounds int) (*work, error) {
	overlay, err := tr.overlay(root, b.dir)
	if err != nil {
		return nil, err
	}
	w := &work{name: tr.name, n: cmp.Or(tr.n, b.imported)}
	of, err := b.checks(ctx, overlay)
	if tr.bench != "" {
		of, err = b.goBenchmarks(ctx, root, tr, overlay)
	}
	if err != nil {
		return nil, err
	}
	for round := range rounds {
		var s sample
		for turn := range 2 {
			isPlain := (round+turn)%2 == 0
			c, err := of(isPlain)
			if err != nil {
				return nil, err
			}
			if isPlain {
				s.base = c
			} else {
				s.present = c
			}
		}
		w.samples = append(w.samples, s)
	}
	return w, nil
}

// checks checks a campaign with the program, and with one that is built plainly.
func (b *bench) checks(ctx context.Context, overlay string) (func(isPlain bool) (cost, error), error) {
	plain, err := b.build(ctx, "oshirase-plain", "-overlay", overlay)
	return func(isPlain bool) (cost, error) {
		s := setup{relay: "127.0.0.1:2525", connections: 1, durability: "full", people: b.imported}
		if isPlain {
			s.program = plain
		}
		costs, err := b.readList(ctx, s)
		if err != nil {
			return cost{}, err
		}
		return costs[len(costs)-1], nil
	}, err
}

// goBenchmarks runs a benchmark of a package, and of one that is built plainly.
func (b *bench) goBenchmarks(ctx context.Context, root string, tr *trick, overlay string) (func(isPlain bool) (cost, error), error) {
	folder := filepath.Join(root, filepath.FromSlash(tr.pkg))
	compile := func(name string, flags ...string) (string, error) {
		path := filepath.Join(b.dir, name)
		cmd := exec.CommandContext(ctx, "go", append(append([]string{"test", "-c", "-o", path}, flags...), ".")...)
		cmd.Dir, cmd.Stderr = folder, os.Stderr
		return path, cmd.Run()
	}
	trick, err := compile("trick.test")
	plain, perr := compile("plain.test", "-overlay", overlay)
	return func(isPlain bool) (cost, error) {
		program := trick
		if isPlain {
			program = plain
		}
		cmd := exec.CommandContext(ctx, program, "-test.run", "^$", "-test.bench", tr.bench, "-test.benchtime", fmt.Sprintf("%dx", tr.n))
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "TMPDIR="+b.dir)
		out, c, err := watched(cmd)
		if err != nil {
			return c, err
		}
		c.wall, err = benchTime(string(out), tr.n)
		return c, err
	}, errors.Join(err, perr)
}

var perOp = regexp.MustCompile(`(?m)^Benchmark\S+\s+\d+\s+([0-9.]+) ns/op`)

// benchTime is the time of n turns in what a Go benchmark prints.
func benchTime(out string, n int) (time.Duration, error) {
	found := perOp.FindAllStringSubmatch(out, -1)
	if len(found) != 1 {
		return 0, fmt.Errorf("%d benchmarks ran where one should: %q", len(found), out)
	}
	ns, err := strconv.ParseFloat(found[0][1], 64)
	return time.Duration(ns * float64(n)), err
}

func moduleRoot(ctx context.Context) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(mod))), err
}

// overlay writes what go build takes for the plain way, and the files that it
// names, into dir.
func (tr *trick) overlay(root, dir string) (path string, err error) {
	replace := make(map[string]string)
	if err := tr.replaced(root, dir, replace); err != nil {
		return "", err
	}
	return writeOverlay(dir, replace)
}

func writeOverlay(dir string, replace map[string]string) (path string, err error) {
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// replaced writes the changed files into dir and enters them in replace, by their
// paths; files that stand there already are changed further.
func (tr *trick) replaced(root, dir string, replace map[string]string) error {
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(tr.pkg), "*.go"))
	if err != nil {
		return err
	}
	for _, e := range tr.plain {
		re := regexp.MustCompile(e.pattern)
		found := 0
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(cmp.Or(replace[file], file))
			if err != nil {
				return err
			}
			n := len(re.FindAllIndex(text, -1))
			if found += n; n == 0 {
				continue
			}
			if replace[file] == "" {
				replace[file] = filepath.Join(dir, strings.ReplaceAll(tr.pkg, "/", "-")+"-"+filepath.Base(file)+".plain")
			}
			if err := os.WriteFile(replace[file], re.ReplaceAllLiteral(text, []byte(e.with)), 0o600); err != nil {
				return err
			}
		}
		if found != 1 {
			return fmt.Errorf("%s has %s %d times and not once: the trick has changed, and so must its plain way", tr.pkg, e.pattern, found)
		}
	}
	return nil
}
