package words

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"oshirase/mailer"
)

// above are the packages that speak in words; all others speak in codes. bench and
// torture are no part of the program.
var above = []string{"cmd", "web", "bench", "torture"}

// TestCatalogue holds the catalogue against every error that is made below cmd: its
// code stands in the catalogue, and each argument that the phrase or the advice names
// is given wherever the error is made. Nothing else stands in the catalogue.
func TestCatalogue(t *testing.T) {
	used := map[mailer.Code]bool{}
	for _, use := range uses(t) {
		if use.fault != "" {
			t.Errorf("%s: %s", use.at, use.fault)
			continue
		}
		used[use.code] = true
		p, known := english[use.code]
		if !known {
			t.Errorf("%s: the catalogue has no %s: put it into the file of its area", use.at, use.code)
			continue
		}
		for _, m := range placeholder.FindAllStringSubmatch(p.text+p.hint, -1) {
			if !slices.Contains(use.args, m[1]) {
				t.Errorf("%s: the phrase of %s speaks of {%s}, but the error has %v", use.at, use.code, m[1], use.args)
			}
		}
	}
	if len(used) < 50 {
		t.Fatalf("only %d codes found: the test looks in the wrong place", len(used))
	}
	total := 0
	for _, area := range areas {
		total += len(area)
	}
	if total != len(english) {
		t.Errorf("%d phrases for %d codes: one stands in two areas", total, len(english))
	}
	for _, code := range slices.Sorted(maps.Keys(english)) {
		if !used[code] {
			t.Errorf("%s: no error has this code", code)
		}
		if p := english[code]; p.text == "" || strings.Contains(p.text+p.hint, "\n") {
			t.Errorf("%s: a phrase is one line: %q", code, p)
		}
	}
}

// use is one place where an error is made.
type use struct {
	at    token.Position
	code  mailer.Code
	args  []string
	fault string // why the place cannot be judged; empty: it can
}

// uses finds the calls of mailer.Invalid, Conflict, NotFound and NewError, and the
// literals of mailer.Error, in all packages below cmd. Codes are literals or constants
// of type mailer.Code, names of arguments literals, and nothing is spread with … :
// who makes errors in a helper of its own hands it finished ones.
func uses(t *testing.T) (all []use) {
	t.Helper()
	files := token.NewFileSet()
	var parsed []*ast.File
	constants := map[string]mailer.Code{} // by name: unique enough, a code is only ever found by it
	err := fs.WalkDir(os.DirFS(filepath.Join("..", "..")), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || slices.Contains(above, name)) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(files, filepath.Join("..", "..", filepath.FromSlash(name)), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed = append(parsed, f)
		collectConstants(f, constants)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			if u, ok := judge(f, n, constants); ok {
				u.at = files.Position(n.Pos())
				all = append(all, u)
			}
			return true
		})
	}
	return all
}

// makers are the functions that make errors, with the place of the code.
var makers = map[string]int{"Invalid": 0, "Conflict": 0, "NotFound": 0, "NewError": 1}

// judge looks at one node; ok: it makes an error.
func judge(f *ast.File, n ast.Node, constants map[string]mailer.Code) (u use, ok bool) {
	switch n := n.(type) {
	case *ast.CallExpr:
		name, ok := ofMailer(f, n.Fun)
		at, makes := makers[name]
		if !ok || !makes {
			return use{}, false
		}
		if f.Name.Name == "mailer" && forwards(n, at) {
			return use{}, false // Invalid and the like themselves
		}
		if n.Ellipsis.IsValid() {
			return use{fault: "arguments are spread: give them one by one"}, true
		}
		u.code, u.fault = codeOf(n.Args[at], constants)
		u.takeArgs(n.Args[at+1:])
		return u, true
	case *ast.CompositeLit:
		if name, ok := ofMailer(f, n.Type); !ok || name != "Error" || f.Name.Name == "mailer" {
			return use{}, false
		}
		return judgeLiteral(n, constants), true
	}
	return use{}, false
}

// judgeLiteral looks at a mailer.Error that is written out, field by field.
func judgeLiteral(n *ast.CompositeLit, constants map[string]mailer.Code) use {
	u := use{fault: "it has no code"}
	for _, e := range n.Elts {
		field, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return use{fault: "write the names of the fields"}
		}
		switch name, _ := field.Key.(*ast.Ident); name.Name {
		case "Code":
			u.code, u.fault = codeOf(field.Value, constants)
		case "Err":
			u.args = append(u.args, "cause")
		case "Args":
			args, ok := field.Value.(*ast.CompositeLit)
			if !ok {
				return use{fault: "write the arguments out"}
			}
			u.takeArgs(args.Elts)
		}
	}
	return u
}

// takeArgs reads names and values in turn.
func (u *use) takeArgs(args []ast.Expr) {
	for i := 0; i < len(args); i += 2 {
		name, ok := text(args[i])
		if !ok || i+1 == len(args) {
			u.fault = "arguments are names and values in turn, and names are literals"
		}
		u.args = append(u.args, name)
	}
}

// forwards reports whether a call in package mailer passes on what it was given.
func forwards(n *ast.CallExpr, at int) bool {
	id, ok := n.Args[at].(*ast.Ident)
	return ok && id.Name == "code" && n.Ellipsis.IsValid()
}

// ofMailer is the name that an expression has in package mailer.
func ofMailer(f *ast.File, e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name, f.Name.Name == "mailer"
	case *ast.SelectorExpr:
		pkg, ok := e.X.(*ast.Ident)
		return e.Sel.Name, ok && pkg.Name == "mailer"
	}
	return "", false
}

func codeOf(e ast.Expr, constants map[string]mailer.Code) (code mailer.Code, fault string) {
	if s, ok := text(e); ok {
		return mailer.Code(s), ""
	}
	var name string
	switch e := e.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name = e.Sel.Name
	}
	if code, ok := constants[name]; ok {
		return code, ""
	}
	return "", "the code is neither a literal nor a constant of type mailer.Code"
}

// collectConstants notes the constants that are declared as codes.
func collectConstants(f *ast.File, found map[string]mailer.Code) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, spec := range g.Specs {
			s, ok := spec.(*ast.ValueSpec)
			if !ok || s.Type == nil {
				continue
			}
			if name, ok := ofMailer(f, s.Type); !ok || name != "Code" {
				continue
			}
			for i, v := range s.Values {
				if code, ok := text(v); ok {
					found[s.Names[i].Name] = mailer.Code(code)
				}
			}
		}
	}
}

func text(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}
