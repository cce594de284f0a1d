package store

import (
	"os"
	"regexp"
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
	must(t, err)
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

func TestStatesDocument(t *testing.T) {
	var want [][]string
	for _, s := range mailer.States {
		var next []string
		for _, to := range mailer.States {
			if s.CanBecome(to) {
				next = append(next, string(to))
			}
		}
		want = append(want, append([]string{string(s), s.Japanese()}, next...))
	}
	compare(t, table(t, "../docs/states.md", 0), want)
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
	compare(t, table(t, "../docs/states.md", 1), want)
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

// The CHECK constraints name exactly the states and phases of the code.
func TestStatesSchema(t *testing.T) {
	e := open(t)
	for _, tt := range []struct {
		table, column string
		want          []string
	}{
		{"delivery", "state", texts(mailer.States)},
		{"campaign", "phase", texts(allPhases)},
		{"campaign", "stage", texts(mailer.Stages)},
	} {
		var schema string
		must(t, e.r.Get(&schema, `SELECT sql FROM sqlite_master WHERE name = ?`, tt.table))
		m := regexp.MustCompile(`CHECK \(` + tt.column + ` (?:IN \(|= )([^)]*)\)`).FindStringSubmatch(schema)
		if m == nil {
			t.Fatalf("%s.%s has no CHECK", tt.table, tt.column)
		}
		got := regexp.MustCompile(`'[a-z-]+'`).FindAllString(m[1], -1)
		for i := range got {
			got[i] = got[i][1 : len(got[i])-1]
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s.%s allows %v, the code has %v", tt.table, tt.column, got, tt.want)
		}
	}
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return out
}
