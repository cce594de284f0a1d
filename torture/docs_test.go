package torture

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestGuaranteesNameRealTests: each test that docs/guarantees.md names exists, be it
// one of the suite that every engine of the ledger passes; and each case of
// TestTorture is named there.
func TestGuaranteesNameRealTests(t *testing.T) {
	root := os.DirFS("..")
	doc, err := fs.ReadFile(root, "docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	if err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if suite := strings.HasPrefix(path, "store/storetest/"); err != nil || d.IsDir() || !suite && !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := fs.ReadFile(root, path)
		code.Write(b)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	cases := map[string]bool{}
	for _, m := range regexp.MustCompile("`(Test[A-Za-z]+)(?:/([a-z]+))?`").FindAllStringSubmatch(string(doc), -1) {
		if !regexp.MustCompile(`func (\(s suite\) )?` + m[1] + `\(t \*testing\.T\)`).MatchString(code.String()) {
			t.Errorf("no test is called %s", m[1])
		}
		if m[2] != "" {
			cases[m[2]] = true
		}
	}
	for _, c := range tortures {
		if !cases[c.name] {
			t.Errorf("docs/guarantees.md does not name TestTorture/%s", c.name)
		}
		delete(cases, c.name)
	}
	for name := range cases {
		t.Errorf("TestTorture has no case %s", name)
	}
}
