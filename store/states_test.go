package store

import (
	"os"
	"slices"
	"strings"
	"testing"

	"oshirase/mailer"
)

var allPhases = []mailer.Phase{
	mailer.PhaseDraft, mailer.PhaseChecked, mailer.PhaseApproved, mailer.PhaseScheduled, mailer.PhaseOverdue, mailer.PhaseRunning, mailer.PhasePaused, mailer.PhaseFinished, mailer.PhaseCancelled,
}

// table reads the rows of the nth table of a Markdown file.
func table(t *testing.T, file string, nth int) [][]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var tables [][][]string
	inside := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		if !inside {
			tables = append(tables, nil)
			inside = true
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		last := len(tables) - 1
		tables[last] = append(tables[last], cells)
	}
	if nth >= len(tables) {
		t.Fatalf("%s has %d tables", file, len(tables))
	}
	return tables[nth][2:]
}

// TestStatesDocument: claimed stands in a table of its own, since no row is in it and
// no transition leads there.
func TestStatesDocument(t *testing.T) {
	var want [][]string
	for _, s := range mailer.States {
		var next []string
		for _, to := range mailer.States {
			if s.CanBecome(to) {
				next = append(next, string(to))
			}
		}
		row := append([]string{string(s), s.Japanese()}, next...)
		if s != mailer.StateClaimed {
			want = append(want, row)
			continue
		}
		if len(next) > 0 {
			t.Errorf("claimed may become %v, and is no state of a row", next)
		}
	}
	for _, s := range mailer.States {
		if s.CanBecome(mailer.StateClaimed) {
			t.Errorf("%s may become claimed, which is no state of a row", s)
		}
	}
	compare(t, table(t, "../docs/states.md", 0), want)
	shown := table(t, "../docs/states.md", 1)
	if len(shown) != 1 || shown[0][0] != string(mailer.StateClaimed) || shown[0][1] != mailer.StateClaimed.Japanese() {
		t.Errorf("the document shows %v", shown)
	}
}

func TestHeldDocument(t *testing.T) {
	doc := table(t, "../docs/states.md", 2)
	if len(doc) != len(mailer.HeldReasons) {
		t.Fatalf("the document has %d rows, the code %d", len(doc), len(mailer.HeldReasons))
	}
	for i, h := range mailer.HeldReasons {
		if doc[i][0] != string(h) || doc[i][1] != h.Japanese() {
			t.Errorf("the document says %v, the code %s %s", doc[i], h, h.Japanese())
		}
	}
}

func TestPhasesDocument(t *testing.T) {
	var want [][]string
	for _, p := range allPhases {
		row := []string{string(p), p.Japanese()}
		for _, to := range phases[p] {
			row = append(row, string(to))
		}
		want = append(want, row)
	}
	compare(t, table(t, "../docs/states.md", 3), want)
}

// compare holds rows of the document (name, Japanese, followers, who) against
// those of the code.
func compare(t *testing.T, doc, code [][]string) {
	t.Helper()
	if len(doc) != len(code) {
		t.Fatalf("the document has %d rows, the code %d", len(doc), len(code))
	}
	for i, c := range code {
		got := slices.Clone(doc[i][:2])
		if doc[i][2] != "–" {
			got = append(got, strings.Split(doc[i][2], ", ")...)
		}
		slices.Sort(got[2:])
		slices.Sort(c[2:])
		if !slices.Equal(got, c) {
			t.Errorf("the document says %v, the code %v", got, c)
		}
		if doc[i][3] == "" {
			t.Errorf("%s: nobody moves it", c[0])
		}
	}
}
