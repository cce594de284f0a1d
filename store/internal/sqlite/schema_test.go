package sqlite

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"oshirase/mailer"
)

// TestSchemaVersion: the newest migration is the one that the program says it knows.
func TestSchemaVersion(t *testing.T) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	must(t, err)
	newest := 0
	for _, f := range files {
		number, _, _ := strings.Cut(filepath.Base(f), "_")
		n, err := strconv.Atoi(number)
		must(t, err)
		newest = max(newest, n)
	}
	if newest != schemaVersion {
		t.Errorf("the newest migration is %d, schemaVersion %d", newest, schemaVersion)
	}
}

// TestStatesSchema: the CHECK constraints name what the code has. Claimed is no state
// of a row; some are there for what is still to come.
func TestStatesSchema(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	states := slices.DeleteFunc(slices.Clone(mailer.States), func(s mailer.State) bool { return s == mailer.StateClaimed })
	for _, tt := range []struct {
		table, column string
		code          []string
		coming        []string
	}{
		{"delivery", "state", texts(states...), nil},
		{"delivery", "held", texts(mailer.HeldReasons...), []string{"refreeze"}}, // the store's own, while a check is under way
		{"campaign", "phase", texts(mailer.PhaseDraft, mailer.PhaseChecked, mailer.PhaseApproved, mailer.PhaseScheduled, mailer.PhaseOverdue,
			mailer.PhaseRunning, mailer.PhasePaused, mailer.PhaseFinished, mailer.PhaseCancelled), nil},
		{"campaign", "stage", texts(mailer.Stages...), nil},
		{"exposure", "certainty", texts(mailer.CertaintyPossible, mailer.CertaintyConfirmed), []string{"leaked"}},
		{"finding", "severity", texts(mailer.SeverityError, mailer.SeverityWarning, mailer.SeverityInfo), nil},
		{"act", "proof", texts(mailer.ProofProgram, mailer.ProofOSUser, mailer.ProofNone, mailer.ProofSSHKey), nil},
		{"wait", "scope", texts(mailer.WaitCampaign, mailer.WaitGroup, mailer.WaitRelay), nil},
	} {
		var schema string
		must(t, db.r.Get(&schema, `SELECT sql FROM sqlite_master WHERE name = ?`, tt.table))
		m := regexp.MustCompile(`CHECK \(` + tt.column + ` (?:IN \(|= )([^)]*)\)`).FindStringSubmatch(schema)
		if m == nil {
			t.Errorf("%s.%s has no CHECK", tt.table, tt.column)
			continue
		}
		got := regexp.MustCompile(`'[a-z-]+'`).FindAllString(m[1], -1)
		for i := range got {
			got[i] = strings.Trim(got[i], "'")
		}
		want := append(tt.code, tt.coming...)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s.%s allows %v, the code has %v", tt.table, tt.column, got, want)
		}
	}
}

func texts[T ~string](all ...T) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return out
}
