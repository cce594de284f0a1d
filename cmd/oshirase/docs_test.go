package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func document(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(moduleRoot(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var documents = []string{
	"README.md", "README.ja.md", "SECURITY.md", "CHANGELOG.md", "docs/design.md", "docs/operating.md", "docs/developing.md", "docs/ledger.md",
	"docs/states.md", "docs/persons.md", "docs/sending.md", "docs/guarantees.md", "docs/rules.md", "docs/templates.md", "docs/performance.md", "docs/keys.md",
}

// TestReadmesNameEveryCommand: a command that is not in the tables is not found.
func TestReadmesNameEveryCommand(t *testing.T) {
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	for _, name := range []string{"README.md", "README.ja.md"} {
		text := document(t, name)
		for _, c := range a.rootCommand().Commands() {
			if !strings.Contains(text, "`"+c.Name()+" ") && !strings.Contains(text, "`"+c.Name()+"`") {
				t.Errorf("%s does not name %s", name, c.Name())
			}
		}
	}
}

// TestEachDependencyHasAReason: see "Dependencies" in docs/design.md.
func TestEachDependencyHasAReason(t *testing.T) {
	var modules []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z0-9.]+\.[a-z]+/\S+|[a-z.]+/[a-z]+) \|`).FindAllStringSubmatch(document(t, "docs/design.md"), -1) {
		modules = append(modules, row[1])
	}
	if len(modules) < 10 {
		t.Fatalf("only %d modules found in docs/design.md", len(modules))
	}
	reasoned := func(imported string) bool {
		for _, m := range modules {
			if imported == m || strings.HasPrefix(imported, m+"/") {
				return true
			}
		}
		return false
	}
	for _, file := range goFiles(t) {
		for _, imported := range imports(t, file) {
			host, _, _ := strings.Cut(imported, "/")
			if strings.Contains(host, ".") && !reasoned(imported) {
				t.Errorf("%s imports %s, which has no reason in docs/design.md", file, imported)
			}
		}
	}
}

// TestLinksOfTheDocsLead: relative links between documents name files.
func TestLinksOfTheDocsLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, name := range documents {
		for _, m := range link.FindAllStringSubmatch(document(t, name), -1) {
			target := filepath.Join(moduleRoot(t), filepath.Dir(filepath.FromSlash(name)), filepath.FromSlash(m[1]))
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}
