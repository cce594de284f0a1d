// Package templates renders the Japanese notices and checks them.
//
// A notice is composed of parts (salutation, apology, outline, …), each a
// text/template over the facts of the incident, the sender and the reader. Which
// parts stand in a notice follows from its stage; what a part says follows from
// the stage, from who sends it and from what leaked of this very reader. A
// merchant may replace single parts. docs/templates.md lists parts and data,
// docs/rules.md what the checker looks for.
//
// The package does no I/O and knows neither ledger nor relays.
package templates

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/template"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

//go:embed parts/*.tmpl
var parts embed.FS

// revision goes up whenever Go code of this package changes what a notice says;
// the parts themselves are covered by their bytes.
const revision = "2"

// Set holds the built-in parts. It is safe for concurrent use.
type Set struct {
	root   *template.Template
	digest string
}

// New parses the built-in parts.
func New() (*Set, error) {
	root := template.New("notice").Option("missingkey=error").Funcs(funcs).Funcs(template.FuncMap{"bounded": bounded})
	h := sha256.New()
	h.Write([]byte(revision))
	files, err := fs.Glob(parts, "parts/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("list built-in parts: %w", err)
	}
	for _, f := range files {
		b, err := parts.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read built-in part: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n%s", f, len(b), b)
		if _, err := root.New(strings.TrimSuffix(path.Base(f), ".tmpl")).Parse(string(b)); err != nil {
			return nil, fmt.Errorf("parse built-in part: %w", err)
		}
	}
	for _, name := range Parts {
		if root.Lookup(name) == nil {
			return nil, fmt.Errorf("built-in part %q is missing", name)
		}
	}
	return &Set{root: root, digest: hex.EncodeToString(h.Sum(nil))}, nil
}

// Digest identifies the built-in notices.
func (s *Set) Digest() string { return s.digest }

// columns is the widest line that a notice has: 36 full-width characters.
const columns = 72

// Template renders and checks the notices of one snapshot. It is safe for
// concurrent use.
type Template struct {
	snap  *mailer.Snapshot
	root  *template.Template
	facts *base
	// words are names that no line break may part.
	words    []string
	personal personalRules

	// What depends on more than the snapshot and less than the person is kept
	// per variant. The map is replaced, never changed, so that readers need no lock.
	variants atomic.Pointer[map[string]*variant]
	mu       sync.Mutex // of writers
}

// maxVariants bounds what is kept; notices beyond it are composed anew.
const maxVariants = 4096

// Compile prepares the notices of a snapshot. The snapshot must not change
// afterwards. An error names the part and line.
func (s *Set) Compile(snap *mailer.Snapshot) (mailer.Template, error) {
	if _, ok := layouts[snap.Stage]; !ok {
		return nil, mailer.Invalid("templates.stage", "stage", snap.Stage)
	}
	root, err := s.root.Clone()
	if err != nil {
		return nil, fmt.Errorf("clone parts: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(snap.Merchant.Parts)) {
		if !slices.Contains(Parts, name) {
			return nil, mailer.Invalid("templates.no-part", "merchant", snap.Merchant.ID, "part", name, "parts", Parts)
		}
		if err := replace(root, name, snap.Merchant.Parts[name]); err != nil {
			return nil, mailer.Invalid("templates.part", "merchant", snap.Merchant.ID, "part", name, "cause", err)
		}
	}
	t := &Template{snap: snap, root: root, facts: newBase(snap), personal: newPersonalRules()}
	t.words = t.facts.words()
	t.variants.Store(&map[string]*variant{})
	if err := t.probe(); err != nil {
		return nil, mailer.Invalid("templates.merchant", "merchant", snap.Merchant.ID, "cause", err)
	}
	return t, nil
}

// replace puts a merchant's part in the place of the built-in one.
func replace(root *template.Template, name, source string) error {
	tree, err := parsePart(root, name, source)
	if err != nil {
		return err
	}
	_, err = root.AddParseTree(name, tree)
	return err
}

// probe renders a notice for each exposure alone, so that a field that a
// replaced part misspells is found before any recipient is looked at.
func (t *Template) probe() error {
	if len(t.snap.Merchant.Parts) == 0 {
		return nil
	}
	for _, id := range t.snap.Incident.ExposureIDs() {
		r := &mailer.Recipient{
			Ref:       probeRef,
			Person:    mailer.Person{Name: "山田太郎", Attributes: map[string]string{}},
			Exposures: []string{id},
		}
		if len(t.snap.Incident.Corrections) > 0 {
			r.Attributes[correctionAttribute] = string(t.snap.Incident.Corrections[0].Kind)
		}
		_, err := t.compose(r)
		// Attributes differ from list to list, and are judged on real recipients.
		if err != nil && !strings.Contains(err.Error(), "map has no entry for key") && !errors.Is(err, errFacts) {
			return err
		}
	}
	return nil
}

// probeRef is a well-formed reference number that no one has.
const probeRef = "33333-33333"

// Render renders the notice of one recipient. An error names the part and line.
func (t *Template) Render(r *mailer.Recipient) (mailer.Notice, error) {
	v, err := t.variant(r)
	if err != nil {
		return mailer.Notice{}, err
	}
	return t.fill(v, r)
}

var pages = sync.Pool{New: func() any { return new(page) }}

// fill renders what is personal and joins it with what is not.
func (t *Template) fill(v *variant, r *mailer.Recipient) (mailer.Notice, error) {
	buf, _ := pages.Get().(*page)
	defer pages.Put(buf)
	var data *Data // made where a part is executed
	need := func() *Data {
		if data == nil {
			data = &Data{base: v.base, person: person{r: r}}
		}
		return data
	}
	n := mailer.Notice{Subject: v.subject}
	if v.subjectPart != nil {
		s, err := t.execute(buf, v.subjectPart, need())
		if err != nil {
			return mailer.Notice{}, err
		}
		if n.Subject, err = oneLine(s); err != nil {
			return mailer.Notice{}, err
		}
	}
	var b strings.Builder
	b.Grow(v.size + 256)
	for i := range v.segments {
		s := &v.segments[i]
		text := s.text
		if own, ok := s.own(r); ok {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(s.before)
			b.WriteString(own)
			b.WriteString(s.after)
			b.WriteByte('\n')
			continue
		}
		if s.part != nil {
			var err error
			if text, err = t.execute(buf, s.part, need()); err != nil {
				return mailer.Notice{}, err
			}
		}
		if text == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(text)
		b.WriteByte('\n')
	}
	n.Body = b.String()
	return n, nil
}

// execute renders one part and lays out its lines.
func (t *Template) execute(buf *page, part *template.Template, data *Data) (string, error) {
	buf.Reset()
	if err := part.Execute(buf, data); err != nil {
		return "", fmt.Errorf("render part %q: %w", part.Name(), err)
	}
	limit := columns
	if unwrapped[part.Name()] {
		limit = 1 << 20
	}
	return japanese.Wrap(buf.String(), limit, t.words), nil
}

func oneLine(s string) (string, error) {
	if strings.ContainsAny(s, "\r\n") {
		return "", mailer.Invalid("templates.lines", "part", "subject")
	}
	return strings.TrimSpace(s), nil
}
