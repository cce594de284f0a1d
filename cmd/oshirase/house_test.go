package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "oshirase"

// mayImport says which packages of the house a package may import; tests of a
// package may import what they like from below cmd. See docs/design.md.
var mayImport = map[string][]string{
	"mailer":           {},
	"mailer/japanese":  {},
	"mailer/journal":   {},
	"mailer/sshsig":    {"mailer"},
	"mailer/authority": {"mailer", "mailer/japanese", "mailer/sshsig"},
	"mailer/approval":  {"mailer", "mailer/japanese", "mailer/sshsig"},
	"mailer/words":     {"mailer"},
	"mailer/envelope":  {"mailer"},
	"mailer/outfile":   {"mailer"},
	"mailer/list":      {"mailer", "mailer/japanese", "mailer/outfile"},
	"mailer/intake":    {"mailer", "mailer/list", "mailer/outfile", "mailer/authority"},
	"mailer/check":     {"mailer", "mailer/envelope", "mailer/journal"},
	"mailer/send":      {"mailer", "mailer/envelope"},
	"mailer/campaign":  {"mailer", "mailer/check", "mailer/envelope", "mailer/approval", "mailer/authority", "mailer/sshsig"},
	"mailer/smtp":      {"mailer", "mailer/japanese"},
	"mailer/sink":      {"mailer", "mailer/outfile"},
	"mailer/bounce":    {"mailer", "mailer/japanese"},
	"mailer/letter":    {"mailer", "mailer/japanese"},
	"mailer/evidence":  {"mailer", "mailer/journal"},
	"templates":        {"mailer", "mailer/japanese"},

	"store/seal":              {"mailer"},
	"store/internal/engine":   {"mailer"},
	"store/internal/sqlite":   {"mailer", "store/internal/engine"},
	"store/internal/postgres": {"mailer", "store/internal/engine"},
	"store/keyring":           {"mailer"},
	"store": {
		"mailer", "mailer/journal", "mailer/approval", "mailer/japanese", "mailer/sshsig", "store/seal", "store/keyring",
		"store/internal/engine", "store/internal/sqlite",
	},
	"store/storetest": {"mailer", "mailer/journal", "store", "store/keyring"},

	"config":  {"mailer"},
	"torture": {}, // tests only: they drive the built command
	// For tests alone: a ledger with facts.
	"torture/mailertest": {"mailer", "mailer/check", "config", "store", "templates"},
	"web":                {"mailer", "mailer/campaign", "mailer/intake", "mailer/words"},
	"bench":              {"mailer", "mailer/smtp", "mailer/sink"},
	"cmd/oshirase": {
		"mailer", "mailer/words", "mailer/list", "mailer/intake", "mailer/send", "mailer/campaign",
		"mailer/smtp", "mailer/sink", "mailer/sshsig", "mailer/authority", "mailer/bounce", "mailer/letter", "mailer/journal", "mailer/evidence",
		"mailer/outfile", "templates", "store", "store/keyring", "config", "web",
	},
}

// TestImportsRunDownwards holds every package against the rules of the house.
func TestImportsRunDownwards(t *testing.T) {
	for _, file := range goFiles(t) {
		pkg := path.Dir(file)
		allowed, known := owner(pkg)
		if !known {
			t.Errorf("%s: the house has no room for package %s: say in docs/design.md and here what it may import", file, pkg)
			continue
		}
		for _, imported := range imports(t, file) {
			inner, ours := strings.CutPrefix(imported, module+"/")
			test := strings.HasSuffix(file, "_test.go")
			switch {
			case ours && inner != pkg && !slices.Contains(allowed, inner) && !test:
				t.Errorf("%s imports %s: imports run downwards only", file, imported)
			case ours && inner == "torture/mailertest" && !test:
				t.Errorf("%s imports %s: it is for tests alone", file, imported)
			case ours && strings.HasPrefix(inner, "cmd/") && inner != pkg:
				t.Errorf("%s imports a command", file)
			case !ours && pkg == "mailer" && strings.Contains(imported, ".") && !test:
				t.Errorf("%s imports %s: mailer has the standard library only", file, imported)
			}
		}
	}
}

// TestMailerDoesNoIO: the domain has no files, no network, no clock of its own.
func TestMailerDoesNoIO(t *testing.T) {
	for _, file := range goFiles(t) {
		if path.Dir(file) != "mailer" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, imported := range imports(t, file) {
			switch imported {
			case "os", "net", "net/http", "database/sql", "log", "log/slog", "io/fs", "os/exec":
				t.Errorf("%s imports %s: the domain does no I/O", file, imported)
			}
		}
	}
}

// owner finds the rule for a package; a package inside another one (testdata
// tools, internal parts) has the rule of the one around it.
func owner(pkg string) (allowed []string, known bool) {
	for p := pkg; p != "."; p = path.Dir(p) {
		if p == "mailer" && pkg != "mailer" {
			break // packages below mailer have rules of their own
		}
		if allowed, known = mayImport[p]; known {
			return allowed, true
		}
	}
	return nil, false
}

// goFiles lists the Go files of the module, by slash paths from its root.
func goFiles(t *testing.T) (files []string) {
	t.Helper()
	root := os.DirFS(moduleRoot(t))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := path.Base(name); d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "testdata") {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".go") {
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d Go files found: the test looks in the wrong place", len(files))
	}
	return files
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return root
}

func imports(t *testing.T, file string) (paths []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(moduleRoot(t), filepath.FromSlash(file)), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}
