package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Error is one thing wrong with a file, and what to do about it.
type Error struct {
	File    string
	Line    int    // 0: the whole file
	Key     string // as it would be written in one line: relay[0].tls; may be empty
	Problem string // English, one line
	Advice  string // what to do, one line; may be empty
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	b.WriteString(": " + e.Problem)
	return b.String()
}

// Hint is what to do about it.
func (e *Error) Hint() string { return e.Advice }

// document is a TOML file that was read: where its keys stand.
type document struct {
	file  string
	lines map[string]int // relay[0].tls → 17
	// ids finds a table by the value of its key id: "exposures B1" → exposures[1].
	ids map[string]string
}

// errorf is an error at a key, at the key's line, or at the line of the nearest
// table around it where the key is absent.
func (d *document) errorf(key, advice, format string, args ...any) *Error {
	e := &Error{Key: key, Problem: fmt.Sprintf(format, args...), Advice: advice}
	if d == nil {
		e.File = "config"
		return e
	}
	e.File = d.file
	for k := key; k != ""; k = parent(k) {
		if line, ok := d.lines[k]; ok {
			e.Line = line
			break
		}
	}
	return e
}

func (d *document) has(key string) bool {
	_, ok := d.lines[key]
	return ok
}

// parent cuts the last step off a key: relay[0].tls → relay[0] → relay → "".
func parent(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}

// decode reads data strictly into v: unknown keys, wrong types and broken
// syntax are refused, all unknown keys at once, each with its line.
func decode(file string, data []byte, v any) (*document, error) {
	doc := &document{file: file, lines: map[string]int{}, ids: map[string]string{}}
	quoted, err := doc.scan(data)
	if err != nil {
		return doc, err
	}
	dec := toml.NewDecoder(bytes.NewReader(quoted)).DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return doc, doc.explain(err)
	}
	return doc, nil
}

// explain turns the decoder's errors into ours.
func (d *document) explain(err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		all := make([]error, len(strict.Errors))
		for i := range strict.Errors {
			line, _ := strict.Errors[i].Position()
			all[i] = &Error{
				File: d.file, Line: line, Key: strings.Join(strict.Errors[i].Key(), "."),
				Problem: "unknown key", Advice: advise(strict.Errors[i].Key()),
			}
		}
		return errors.Join(all...)
	}
	e := &Error{File: d.file, Problem: strings.TrimPrefix(err.Error(), "toml: ")}
	if de, ok := errors.AsType[*toml.DecodeError](err); ok {
		e.Line, _ = de.Position()
		e.Key = strings.Join(de.Key(), ".")
	}
	return e
}

// advise says what to do about an unknown key.
func advise(key []string) string {
	switch last := key[len(key)-1]; {
	case len(key) > 1 && key[0] == "relay" && last == "password":
		return "secrets do not stand in the config: use password_file or password_env"
	case key[0] == "key" && (last == "value" || last == "key"):
		return "secrets do not stand in the config: use file or env"
	}
	return "check the spelling; a key after a [table] line belongs to that table"
}

// scan notes the line of each key and returns the document with its local dates
// (2021-10-14) quoted. mailer.Date must not know TOML, and go-toml hands
// dates to types of its own only; the quotes make them text. Lines stay the same.
func (d *document) scan(data []byte) ([]byte, error) {
	p := unstable.Parser{}
	p.Reset(data)
	var dates []int // offsets
	table := ""
	count := map[string]int{} // of the tables in each array of tables
	for p.NextExpression() {
		n := p.Expression()
		switch n.Kind {
		case unstable.Table:
			table = d.resolve(keyPath(n.Key()), count)
			d.note(table, n.Key(), &p)
		case unstable.ArrayTable:
			path := keyPath(n.Key())
			array := path[len(path)-1]
			outer := d.resolve(path[:len(path)-1], count)
			array = join(outer, array)
			table = fmt.Sprintf("%s[%d]", array, count[array])
			count[array]++
			d.note(array, n.Key(), &p)
			d.note(table, n.Key(), &p)
		case unstable.KeyValue:
			key := table
			for _, part := range keyPath(n.Key()) {
				key = join(key, part)
			}
			d.note(key, n.Key(), &p)
			if array, ok := strings.CutSuffix(table, "]"); ok && key == table+".id" {
				array = array[:strings.LastIndexByte(array, '[')]
				d.ids[array+" "+string(n.Value().Data)] = table
			}
			dates = append(dates, localDates(n.Value(), data)...)
		}
	}
	if err := p.Error(); err != nil {
		e := &Error{File: d.file, Problem: strings.TrimPrefix(err.Error(), "toml: ")}
		if pe, ok := errors.AsType[*unstable.ParserError](err); ok && len(pe.Highlight) > 0 {
			e.Line = 1 + bytes.Count(data[:cap(data)-cap(pe.Highlight)], []byte("\n"))
			e.Problem = pe.Message
		}
		return nil, e
	}
	out := make([]byte, 0, len(data)+2*len(dates))
	done := 0
	for _, at := range dates {
		out = append(out, data[done:at]...)
		out = append(out, '"')
		out = append(out, data[at:at+dateLength]...)
		out = append(out, '"')
		done = at + dateLength
	}
	return append(out, data[done:]...), nil
}

const dateLength = len("2021-10-14")

// note keeps the line of a key, the first time it is met.
func (d *document) note(key string, it unstable.Iterator, p *unstable.Parser) {
	if _, ok := d.lines[key]; ok || !it.Next() {
		return
	}
	d.lines[key] = p.Shape(it.Node().Raw).Start.Line
}

// resolve writes a table's path with the index of the last table in each array
// that it passes through: exposures.desk → exposures[2].desk.
func (d *document) resolve(path []string, count map[string]int) string {
	key := ""
	for _, part := range path {
		key = join(key, part)
		if n := count[key]; n > 0 {
			key = fmt.Sprintf("%s[%d]", key, n-1)
		}
	}
	return key
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

func keyPath(it unstable.Iterator) (path []string) {
	for it.Next() {
		path = append(path, string(it.Node().Data))
	}
	return path
}

// localDates finds the offsets of the local dates in a value, in order.
func localDates(n *unstable.Node, data []byte) (at []int) {
	switch n.Kind {
	case unstable.LocalDate:
		// The parser has not looked closer: 0000- is one, too. What is no date is
		// left as it is, and the decoder refuses it.
		if len(n.Data) == dateLength {
			return []int{cap(data) - cap(n.Data)}
		}
	case unstable.Array, unstable.InlineTable:
		for it := n.Children(); it.Next(); {
			at = append(at, localDates(it.Node(), data)...)
		}
	case unstable.KeyValue:
		return localDates(n.Value(), data)
	}
	return at
}
