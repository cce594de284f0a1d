package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"oshirase/mailer"
)

// LoadFacts reads all incidents and merchants: incidents/ID.toml,
// merchants/ID.toml and the parts of a merchant's own notices,
// merchants/ID/PART.tmpl. They come in the order of their IDs. The errors, all
// at once, name file and line and say what to do.
func LoadFacts(incidents, merchants string) ([]mailer.Incident, []mailer.Merchant, error) {
	ins, err1 := loadIncidents(incidents)
	ms, docs, err2 := loadMerchants(merchants)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	if err := checkDeclared(ins, ms, docs); err != nil {
		return nil, nil, err
	}
	return ins, ms, nil
}

func loadIncidents(dir string) ([]mailer.Incident, error) {
	files, err := tomlFiles(dir, "incidents")
	if err != nil {
		return nil, err
	}
	var all []mailer.Incident
	var errs []error
	for _, file := range files {
		var in mailer.Incident
		if _, err := loadFact(file, &in, func() string { return in.ID }); err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, in)
	}
	return all, errors.Join(errs...)
}

func loadMerchants(dir string) ([]mailer.Merchant, []*document, error) {
	files, err := tomlFiles(dir, "merchants")
	if err != nil {
		return nil, nil, err
	}
	var all []mailer.Merchant
	var docs []*document
	var errs []error
	known := map[string]bool{}
	for _, file := range files {
		var m mailer.Merchant
		known[stem(file)] = true
		doc, err := loadFact(file, &m, func() string { return m.ID })
		if err == nil {
			err = addParts(&m, doc, filepath.Join(dir, m.ID))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, m)
		docs = append(docs, doc)
	}
	errs = append(errs, strayParts(dir, known))
	return all, docs, errors.Join(errs...)
}

// loadFact reads one file into v and holds its ID against the file's name.
func loadFact(file string, v any, id func() string) (*document, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read facts: %w", err)
	}
	doc, err := decode(file, data, v)
	if err != nil {
		return nil, err
	}
	name := stem(file)
	if !mailer.ValidID(name) {
		return nil, &Error{
			File: file, Problem: fmt.Sprintf("%q cannot be an ID", name),
			Advice: "name the file with lower-case letters, digits and hyphens",
		}
	}
	if id() != name {
		return nil, doc.errorf("id", fmt.Sprintf("write id = %q, or rename the file", name), "the ID is %q, but the file is called %s", id(), filepath.Base(file))
	}
	if c, ok := v.(interface{ Validate() error }); ok {
		if err := c.Validate(); err != nil {
			return nil, doc.invalid(err)
		}
	}
	return doc, nil
}

// invalid places the errors of a fact's own Validate in its file: a message
// begins with the key that it is about (date_style "x": …, desks[0].days …), or
// with the exposure (exposure B1: …).
func (d *document) invalid(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, d.invalid(e))
		}
		return errors.Join(errs...)
	}
	msg := strings.ReplaceAll(": "+err.Error(), ": "+mailer.ErrInvalid.Error()+": ", ": ")[2:]
	word, rest, _ := strings.Cut(msg, " ")
	key := strings.TrimSuffix(word, ":")
	if id, _, ok := strings.Cut(rest, ":"); ok && key == "exposure" {
		key = d.ids["exposures "+id]
	}
	e := d.errorf(key, "mend the file and apply again", "%s", msg)
	e.Key = "" // the message names it
	return e
}

// addParts adds a merchant's parts that stand in files of their own.
func addParts(m *mailer.Merchant, doc *document, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read parts: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".tmpl")
		if !ok || e.IsDir() {
			continue
		}
		file := filepath.Join(dir, e.Name())
		if _, twice := m.Parts[name]; twice {
			return doc.errorf("parts."+name, "keep one of them", "the part is also in %s", file)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read part: %w", err)
		}
		if m.Parts == nil {
			m.Parts = map[string]string{}
		}
		m.Parts[name] = string(text)
	}
	return nil
}

// strayParts refuses folders of parts that belong to no merchant: a typing
// error there would silently send the built-in wording.
func strayParts(dir string, known map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read merchants: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() && !known[e.Name()] && !strings.HasPrefix(e.Name(), ".") {
			errs = append(errs, &Error{
				File: filepath.Join(dir, e.Name()), Problem: "a folder of parts without a merchant",
				Advice: fmt.Sprintf("write %s.toml beside it, or rename the folder after its merchant", e.Name()),
			})
		}
	}
	return errors.Join(errs...)
}

// checkDeclared refuses declared counts of exposures that no incident has.
func checkDeclared(ins []mailer.Incident, ms []mailer.Merchant, docs []*document) error {
	exposures := map[string]bool{}
	for i := range ins {
		for _, id := range ins[i].ExposureIDs() {
			exposures[id] = true
		}
	}
	var errs []error
	for i, m := range ms {
		for _, id := range sortedKeys(m.Declared) {
			if !exposures[id] {
				errs = append(errs, docs[i].errorf("declared."+id, "use an exposure's ID as the incident's file has it", "no incident has an exposure %q", id))
			}
		}
	}
	return errors.Join(errs...)
}

func tomlFiles(dir, what string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{
			File: dir, Problem: "no such folder of " + what,
			Advice: "look at the paths in the config, or make samples with `oshirase init DIR`",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

func stem(file string) string { return strings.TrimSuffix(filepath.Base(file), ".toml") }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
