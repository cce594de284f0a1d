package store

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// notPortable are words of one engine's dialect, which belong behind the seam.
var notPortable = regexp.MustCompile(`(?i)\?[0-9]|\binsert\s+or\b|\breplace\s+into\b|\bupdate\s+or\b|\bifnull\s*\(|\biif\s*\(|\bgroup_concat\b|` +
	`\bjson_(each|extract|array|object|group_array|valid|type)\b|\bunhex\b|\blast_insert_rowid\b|\browid\b|\bindexed\s+by\b|\bpragma\b|` +
	`\bsqlite_|->>|->\s*[?']|\bglob\b|\bstrftime\b|\bdatetime\s*\(|\bunixepoch\b|\btotal\s*\(|\bvacuum\b|\battach\b|\btemp\.|\bautoincrement\b|\bcollate\b|` +
	`\bILIKE\b|\bunnest\b|::[a-z]|\$[0-9]|=\s*any\b|\bfor\s+update\b`)

// literals calls fn with every string of a Go file, and with every method that it calls.
func literals(t *testing.T, name string, src any, text func(pos token.Position, s string), call func(pos token.Position, method string)) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				s, err := strconv.Unquote(n.Value)
				if err != nil {
					t.Fatal(err)
				}
				text(set.Position(n.Pos()), s)
			}
		case *ast.SelectorExpr:
			call(set.Position(n.Pos()), n.Sel.Name)
		}
		return true
	})
}

// TestStatementsArePortable: SQL in this package is in the dialect that all engines
// share (see internal/engine).
func TestStatementsArePortable(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	statements := 0
	for _, f := range files {
		if f.IsDir() || !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		literals(t, f.Name(), nil, func(pos token.Position, s string) {
			if strings.Contains(s, "SELECT ") || strings.Contains(s, "UPDATE ") || strings.Contains(s, "INSERT ") || strings.Contains(s, "DELETE ") {
				statements++
			}
			if word := notPortable.FindString(s); word != "" {
				t.Errorf("%s: %q is not in the dialect that engines share", pos, word)
			}
		}, func(pos token.Position, method string) {
			if method == "LastInsertId" {
				t.Errorf("%s: LastInsertId is SQLite's: use RETURNING", pos)
			}
		})
	}
	if statements < 100 {
		t.Errorf("only %d statements seen: the test looks in the wrong place", statements)
	}
}

// TestNotPortable: the words are found in every spelling, and nothing else is.
func TestNotPortable(t *testing.T) {
	for s, want := range map[string]bool{
		`SELECT a FROM b WHERE c = ?1`: true, `INSERT OR IGNORE INTO a`: true, `insert  or replace into a`: true, `SELECT ifnull(a, 0)`: true,
		`SELECT group_concat(a)`: true, `FROM json_each(?)`: true, `SELECT last_insert_rowid()`: true, `FROM a INDEXED BY b`: true,
		`PRAGMA foreign_keys`: true, `SELECT a ->> 'b'`: true, `SELECT name FROM sqlite_master`: true, `INSERT INTO temp.step`: true,
		`SELECT id FROM a WHERE id = ANY($1)`: true, `SELECT id FROM a FOR UPDATE SKIP LOCKED`: true, `SELECT a::text`: true,
		`INSERT INTO a (b) VALUES (?) ON CONFLICT (b) DO NOTHING RETURNING c`: false, `SELECT coalesce(a, 0), string_agg(b, ',') FROM c WHERE d IN (?, ?)`: false,
		`UPDATE a SET b = b + ? WHERE c = ?`: false,
	} {
		if got := notPortable.MatchString(s); got != want {
			t.Errorf("%s: found %v", s, got)
		}
	}
}
