package templates

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"oshirase/mailer/check"
)

// TestRulesDoc keeps docs/rules.md in step with the rules; -update writes it.
func TestRulesDoc(t *testing.T) {
	file := filepath.Join("..", "docs", "rules.md")
	var b bytes.Buffer
	b.WriteString(rulesHead)
	seen := make(map[string]bool)
	for _, r := range Rules {
		if seen[r.Name] || r.Doc == "" || r.Severity == "" {
			t.Errorf("rule %q is named twice, or has no doc or severity", r.Name)
		}
		seen[r.Name] = true
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Name, r.Severity, r.Doc)
	}
	b.WriteString(campaignRulesHead)
	for _, r := range check.Rules {
		if seen[r.Name] || r.Doc == "" || r.Severity == "" {
			t.Errorf("rule %q is named twice, or has no doc or severity", r.Name)
		}
		seen[r.Name] = true
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Name, r.Severity, r.Doc)
	}
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s differs from the rules: go test ./templates -run RulesDoc -update", file)
	}
}

const rulesHead = `# What the checker looks for

` + "`campaign check`" + ` renders every notice and holds facts and texts against these rules. An error forbids approval; a warning
is for people to judge. Rules on facts speak once, rules on texts name the recipient. The law behind them (Act on the Protection of
Personal Information, Article 26(2), Enforcement Rules 8 and 10) is to be confirmed by counsel for each incident.

This table is written from the code: ` + "`go test ./templates -run RulesDoc -update`" + `.

| rule | severity | fires where |
|---|---|---|
`

const campaignRulesHead = `
## Of the campaign as a whole

| rule | severity | fires where |
|---|---|---|
`

// TestTemplatesDoc: every part, and everything that a part can ask for, is documented.
func TestTemplatesDoc(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "templates.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for _, p := range Parts {
		if !strings.Contains(doc, "| `"+p+"` |") {
			t.Errorf("docs/templates.md does not document the part %q", p)
		}
	}
	var names []string
	fields := reflect.TypeFor[base]()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.IsExported() {
			names = append(names, f.Name)
		}
	}
	methods := reflect.TypeFor[*Data]()
	for i := range methods.NumMethod() {
		if m := methods.Method(i).Name; m != "String" {
			names = append(names, m)
		}
	}
	for _, x := range []reflect.Type{reflect.TypeFor[exposure](), reflect.TypeFor[desk]()} {
		for i := range x.NumField() {
			names = append(names, x.Field(i).Name)
		}
	}
	for _, n := range names {
		if !strings.Contains(doc, "`."+n) {
			t.Errorf("docs/templates.md does not document .%s", n)
		}
	}
	for name := range funcs {
		if !strings.Contains(doc, "`"+name) {
			t.Errorf("docs/templates.md does not document the function %s", name)
		}
	}
}
