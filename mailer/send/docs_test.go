package send

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSendingNamesWhatThereIs: the functions and files that docs/sending.md names are
// in the code.
func TestSendingNamesWhatThereIs(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "sending.md"))
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	files := map[string]bool{}
	for _, dir := range []string{".", "../smtp", "../../store"} {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			text, err := os.ReadFile(filepath.Clean(p))
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(p)] = true
			source.Write(text)
		}
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile("`([A-Z]?[A-Za-z.]+)`").FindAllSubmatch(doc, -1) {
		names[string(m[1])] = true
	}
	for _, m := range regexp.MustCompile(`[A-Z]->>[A-QS-Z]: ([A-Za-z]+)[:(,\n]`).FindAllSubmatch(doc, -1) {
		names[string(m[1])] = true
	}
	if len(names) < 30 {
		t.Errorf("only %d names found", len(names))
	}
	for name := range names {
		last := name[strings.LastIndexByte(name, '.')+1:]
		switch {
		case last == "go":
			if !files[name] {
				t.Errorf("there is no file %s", name)
			}
		case !regexp.MustCompile(`\b` + last + `\(|type ` + last + ` `).MatchString(source.String()):
			t.Errorf("nothing is called %s", name)
		}
	}
}
