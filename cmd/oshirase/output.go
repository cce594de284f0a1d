package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rivo/uniseg"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"oshirase/mailer"
)

// printJSON writes a result as JSON, alone on standard output.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(jsonWriter{a.stdout})
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// printf writes a line for people to standard output.
func (a *app) printf(format string, args ...any) {
	fmt.Fprintf(a.out(), format, args...)
}

// terminal reports whether a stream is a terminal.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// number writes an integer as people read it: 460,395.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, digit := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// jst writes a time for people; no time is "".
func jst(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(mailer.JST).Format("2006-01-02 15:04:05")
}

// sortedKeys are the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// table is rows of text for people. On a terminal it is aligned, with the width
// that East Asian characters have there; elsewhere it is one line per row with
// tabs between the cells, for cut and awk.
type table struct {
	header []string
	right  map[int]bool // columns of numbers
	rows   [][]string
}

func newTable(header ...string) *table {
	return &table{header: header, right: map[int]bool{}}
}

// alignRight marks columns, from 0, as numbers.
func (t *table) alignRight(columns ...int) *table {
	for _, c := range columns {
		t.right[c] = true
	}
	return t
}

// lineOnly keeps a cell within its row.
var lineOnly = strings.NewReplacer("\t", " ", "\r", "", "\n", " ")

// add adds a row. What the cells hold of what nobody sees is made visible here, before
// its width counts.
func (t *table) add(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = mailer.Visible(lineOnly.Replace(cell))
	}
	t.rows = append(t.rows, row)
}

// addKnown adds a row of a name and a value, where there is a value.
func (t *table) addKnown(name, value string) {
	if value != "" {
		t.add(name, value)
	}
}

// printTable writes a table to standard output.
func (a *app) printTable(t *table) {
	if terminal(a.stdout) {
		t.aligned(a.stdout)
	} else {
		t.plain(a.stdout)
	}
}

func (t *table) plain(w io.Writer) {
	for _, row := range append([][]string{t.header}, t.rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
}

func (t *table) aligned(w io.Writer) {
	width := make([]int, len(t.header))
	all := append([][]string{t.header}, t.rows...)
	for _, row := range all {
		for i, cell := range row {
			width[i] = max(width[i], uniseg.StringWidth(cell))
		}
	}
	for n, row := range all {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", width[i]-uniseg.StringWidth(cell))
			if t.right[i] {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
		if n == 0 {
			rule := 2 * (len(width) - 1)
			for _, n := range width {
				rule += n
			}
			fmt.Fprintln(w, strings.Repeat("─", max(rule, 0)))
		}
	}
}

// progress shows on standard error how far something is: a bar on a terminal, a
// plain line every few seconds elsewhere, nothing with --quiet. It is safe for
// concurrent use.
type progress struct {
	a     *app
	label string
	unit  string

	mu          sync.Mutex
	done, total int64
	bar         *progressbar.ProgressBar
	next        time.Time // of the next plain line
}

// plainEvery is how often progress is said where there is no terminal.
const plainEvery = 5 * time.Second

// newProgress begins; unit is what is counted (rows, notices, bytes), and a
// total below 1 is not known.
func (a *app) newProgress(label, unit string, total int64) *progress {
	p := &progress{a: a, label: label, unit: unit, total: total, next: a.now().Add(plainEvery)}
	if a.quiet || !terminal(a.stderr) {
		return p
	}
	if total < 1 {
		total = -1
	}
	p.bar = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetDescription(label),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString(unit),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0), // else it draws on after it is cleared
	)
	return p
}

// set says how much is done of how much; a total below 1 leaves it as it was.
func (p *progress) set(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
	if total > 0 {
		p.total = total
	}
	switch {
	case p.a.quiet:
	case p.bar != nil:
		if total > 0 && p.bar.GetMax64() != total {
			p.bar.ChangeMax64(total)
		}
		_ = p.bar.Set64(done) // a bar that cannot be drawn is no reason to stop
	default:
		if now := p.a.now(); !now.Before(p.next) {
			p.next = now.Add(plainEvery)
			p.line()
		}
	}
}

// end clears the bar.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

func (p *progress) line() {
	if p.total > 0 {
		fmt.Fprintf(p.a.err(), "%s: %s of %s %s (%d %%)\n", p.label, number(p.done), number(p.total), p.unit, 100*p.done/p.total)
		return
	}
	fmt.Fprintf(p.a.err(), "%s: %s %s\n", p.label, number(p.done), p.unit)
}
