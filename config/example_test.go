package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"oshirase/mailer"
)

var update = flag.Bool("update", false, "write example.toml anew from the comments and defaults")

// required has values for the keys that have no default.
var required = map[string]any{
	"relay.name":    "main",
	"relay.address": "mail.example:587",
	"schedule.name": "weekdays",
	"schedule.cron": "0 9 * * 1-5",
}

func TestExampleIsMadeFromTheComments(t *testing.T) {
	var w writer
	w.docs = fieldDocs(t)
	if missing := w.undocumented(reflect.TypeFor[Config]()); len(missing) > 0 {
		t.Fatalf("fields without a comment: %s", strings.Join(missing, ", "))
	}
	c := Default()
	c.Relays = []Relay{DefaultRelay()}
	c.Schedules = []Schedule{{}}
	c.DomainGroups = builtInGroups()
	w.comment("# ", "Every key of oshirase.toml with its default. Made by `oshirase config example`.\nA key that is left out has its default.")
	w.table("", reflect.ValueOf(*c))
	if *update {
		if err := os.WriteFile("example.toml", w.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(w.String(), string(Example())); diff != "" {
		t.Errorf("example.toml is not up to date; run go test ./config -run Example -update (-want +got):\n%s", diff)
	}
}

func TestExampleLoads(t *testing.T) {
	got, err := Load("example.toml") // the file: with -update it is newer than what is embedded
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	relay := DefaultRelay()
	relay.Name, relay.Address = "main", "mail.example:587"
	want.Relays = []Relay{relay}
	want.Schedules = []Schedule{{Name: "weekdays", Cron: "0 9 * * 1-5"}}
	want.DomainGroups = builtInGroups()
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().String() == ".dir" || p.Last().String() == ".doc"
	}, cmp.Ignore()), cmp.AllowUnexported(Config{})); diff != "" {
		t.Errorf("the example is not the default (-want +got):\n%s", diff)
	}
}

// writer writes the example.
type writer struct {
	bytes.Buffer
	silent bool              // no comments: they stand above already
	docs   map[string]string // Type.Field → comment
}

func (w *writer) comment(prefix, text string) {
	if w.silent {
		return
	}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		w.WriteString(strings.TrimRight(prefix+line, " ") + "\n")
	}
}

// table writes a struct: its keys first, then its tables.
func (w *writer) table(name string, v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("toml")
		if key == "" || isTable(f.Type) {
			continue
		}
		if !w.silent {
			w.WriteByte('\n')
		}
		w.comment("# ", lowerKeys(w.docs[t.Name()+"."+f.Name], f.Name, key))
		value := v.Field(i).Interface()
		if r, ok := required[name+"."+key]; ok {
			value = r
		}
		fmt.Fprintf(w, "%s = %s\n", key, literal(value))
	}
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("toml")
		if key == "" || !isTable(f.Type) {
			continue
		}
		if f.Type.Kind() != reflect.Slice {
			w.headed(key, "["+key+"]", v.Field(i))
			continue
		}
		for k := range v.Field(i).Len() {
			w.silent = k > 0
			w.headed(key, "[["+key+"]]", v.Field(i).Index(k))
		}
		w.silent = false
	}
}

// headed writes a table with its head.
func (w *writer) headed(key, head string, v reflect.Value) {
	w.WriteByte('\n')
	w.comment("# ", lowerKeys(w.docs[v.Type().Name()], v.Type().Name(), head))
	w.WriteString(head + "\n")
	w.table(key, v)
}

// builtInGroups are the domain groups that a config without any has.
func builtInGroups() []DomainGroup {
	var groups []DomainGroup
	for _, g := range mailer.JapaneseProviders {
		groups = append(groups, DomainGroup{Name: g.Name, Domains: g.Domains, Connections: g.Connections, PerSecond: g.PerSecond})
	}
	return groups
}

// lowerKeys writes a field's comment as one about its key.
func lowerKeys(doc, field, key string) string {
	if rest, ok := strings.CutPrefix(doc, field+" "); ok {
		return key + " " + rest
	}
	return doc
}

func isTable(t reflect.Type) bool {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

func literal(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case Duration:
		return strconv.Quote(v.String())
	case []string:
		parts := make([]string, len(v))
		for i, text := range v {
			parts[i] = literal(text)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []Duration:
		parts := make([]string, len(v))
		for i, d := range v {
			parts[i] = literal(d)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// undocumented lists the keys without a comment, over all tables.
func (w *writer) undocumented(t reflect.Type) (missing []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("toml") == "" {
			continue
		}
		if isTable(f.Type) {
			elem := f.Type
			if elem.Kind() == reflect.Slice {
				elem = elem.Elem()
			}
			if w.docs[elem.Name()] == "" {
				missing = append(missing, elem.Name())
			}
			missing = append(missing, w.undocumented(elem)...)
			continue
		}
		if w.docs[t.Name()+"."+f.Name] == "" {
			missing = append(missing, t.Name()+"."+f.Name)
		}
	}
	return missing
}

// fieldDocs reads the comments of the types of config.go and of their fields.
func fieldDocs(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, spec := range gen.Specs {
			ts := spec.(*ast.TypeSpec)
			docs[ts.Name.Name] = gen.Doc.Text()
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range st.Fields.List {
				for _, name := range f.Names {
					docs[ts.Name.Name+"."+name.Name] = f.Doc.Text()
				}
			}
		}
	}
	return docs
}
