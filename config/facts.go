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
// at once, are *Error with file and line.
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
		return nil, &Error{File: file, Err: mailer.Invalid("config.facts-name", "name", name)}
	}
	if id() != name {
		return nil, doc.at("id", mailer.Invalid("config.facts-id", "id", id(), "name", name, "file", filepath.Base(file)))
	}
	if c, ok := v.(interface{ Validate() error }); ok {
		if err := c.Validate(); err != nil {
			return nil, doc.invalid(err)
		}
	}
	return doc, nil
}

// invalid places the errors of a fact's own Validate in its file, by the keys that
// they have for an argument.
func (d *document) invalid(err error) error {
	e, ok := err.(*mailer.Error)
	if joined, many := err.(interface{ Unwrap() []error }); !ok && many {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, d.invalid(e))
		}
		return errors.Join(errs...)
	}
	var key string
	if ok {
		key, _ = e.Arg("key").(string)
	}
	placed := d.at(key, mailer.Invalid("config.facts", "cause", err))
	placed.Key = "" // the words name it
	return placed
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
			return doc.at("parts."+name, mailer.Invalid("config.part-twice", "file", file))
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
			errs = append(errs, &Error{File: filepath.Join(dir, e.Name()), Err: mailer.Invalid("config.stray-parts", "name", e.Name())})
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
				errs = append(errs, docs[i].at("declared."+id, mailer.Invalid("config.declared", "exposure", id)))
			}
		}
	}
	return errors.Join(errs...)
}

func tomlFiles(dir, what string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: dir, Err: mailer.NotFound("config.no-folder", "facts", what)}
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
