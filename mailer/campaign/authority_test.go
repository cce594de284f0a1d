package campaign_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// askNobody are use cases that run and serve have, or that are nobody's to refuse.
var askNobody = map[string]bool{
	"Register.Pending": true, "Register.NotRunning": true,
}

// TestEveryUseCaseAsksWhoActs: each exported method that takes an Actor asks the
// authority before anything else can happen, itself or through a method of its struct.
func TestEveryUseCaseAsksWhoActs(t *testing.T) {
	seen := 0
	for _, dir := range []string{".", filepath.Join("..", "intake")} {
		asks := map[string]bool{}      // functions that ask
		calls := map[string][]string{} // methods on one receiver, by caller
		var cases []string
		for _, f := range parseDir(t, dir) {
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				name := nameOf(fn)
				ast.Inspect(fn, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok {
						return true
					}
					switch c := call.Fun.(type) {
					case *ast.Ident:
						asks[name] = asks[name] || c.Name == "mayWith"
					case *ast.SelectorExpr:
						on, _ := c.X.(*ast.Ident)
						if on != nil && on.Name == "authority" && (c.Sel.Name == "May" || c.Sel.Name == "Any") {
							asks[name] = true
						}
						if on != nil {
							calls[name] = append(calls[name], strings.Split(name, ".")[0]+"."+c.Sel.Name)
						}
					}
					return true
				})
				if fn.Recv != nil && fn.Name.IsExported() && takesActor(fn) {
					cases = append(cases, name)
				}
			}
		}
		for _, name := range cases {
			seen++
			if !asks[name] && !asksBelow(name, asks, calls, 4) && !askNobody[name] {
				t.Errorf("%s: %s does not ask who acts: begin with mayWith, authority.May or authority.Any", dir, name)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d use cases seen: the test looks in the wrong place", seen)
	}
}

func asksBelow(name string, asks map[string]bool, calls map[string][]string, depth int) bool {
	for _, c := range calls[name] {
		if asks[c] || depth > 0 && asksBelow(c, asks, calls, depth-1) {
			return true
		}
	}
	return false
}

func parseDir(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
			must(t, err)
			files = append(files, f)
		}
	}
	return files
}

func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	return typ.(*ast.Ident).Name + "." + fn.Name.Name
}

func takesActor(fn *ast.FuncDecl) bool {
	for _, p := range fn.Type.Params.List {
		if sel, ok := p.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Actor" {
			return true
		}
	}
	return false
}
