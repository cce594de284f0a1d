package templates

import (
	"testing"
)

// The built-in notices have nothing that the checker could say against.
func TestBuiltInNoticesAreClean(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			tmpl := compile(t, s.snap)
			for _, f := range tmpl.CheckFacts() {
				t.Errorf("facts: %s %s: %s", f.Severity, f.Rule, f.Message)
			}
			n, err := tmpl.Render(s.to)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range tmpl.CheckNotice(s.to, &n) {
				t.Errorf("notice: %s %s: %s", f.Severity, f.Rule, f.Message)
			}
			// Looked at as a whole, as a text from elsewhere is, it is clean too.
			n.Body += "\n"
			for _, f := range tmpl.CheckNotice(s.to, &n) {
				t.Errorf("whole: %s %s: %s", f.Severity, f.Rule, f.Message)
			}
		})
	}
}
