package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"oshirase/mailer"
)

// Error is one thing wrong with a file.
type Error struct {
	File string
	Line int    // 0: the whole file
	Key  string // as it would be written in one line: relay[0].tls; may be empty
	Err  error  // what, and by its code what to do about it
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
	b.WriteString(": " + e.Err.Error())
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// document is a TOML file that was read: where its keys stand.
type document struct {
	file  string
	lines map[string]int // relay[0].tls → 17
}

// at places an error at a key, at the key's line, or at the line of the nearest
// table around it where the key is absent.
func (d *document) at(key string, err error) *Error {
	e := &Error{Key: key, Err: err}
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
	doc := &document{file: file, lines: map[string]int{}}
	quoted, err := doc.scan(data)
	if err != nil {
		return doc, err
	}
	dec := toml.NewDecoder(bytes.NewReader(quoted)).DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return doc, doc.explain(quoted, err)
	}
	return doc, nil
}

// explain turns the decoder's errors into ours.
func (d *document) explain(data []byte, err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		all := make([]error, len(strict.Errors))
		for i := range strict.Errors {
			line, _ := strict.Errors[i].Position()
			all[i] = &Error{
				File: d.file, Line: line, Key: strings.Join(strict.Errors[i].Key(), "."), Err: unknownKey(strict.Errors[i].Key()),
			}
		}
		return errors.Join(all...)
	}
	message := strings.TrimPrefix(err.Error(), "toml: ")
	e := &Error{File: d.file, Err: ownError(data, message)}
	if e.Err == nil {
		e.Err = mailer.Invalid("config.syntax", "cause", errors.New(message))
	}
	if de, ok := errors.AsType[*toml.DecodeError](err); ok {
		e.Line, _ = de.Position()
		e.Key = strings.Join(de.Key(), ".")
	}
	return e
}

// ownError finds the error of one of our own types behind the decoder's, which keeps
// its text alone; nil where the error is the decoder's own.
func ownError(data []byte, message string) error {
	p := unstable.Parser{}
	p.Reset(data)
	var found error
	var try func(n *unstable.Node)
	try = func(n *unstable.Node) {
		if n.Kind == unstable.String {
			for _, v := range []encoding.TextUnmarshaler{new(Duration), new(mailer.Date)} {
				if err := v.UnmarshalText(n.Data); err != nil && err.Error() == message {
					found = err
				}
			}
		}
		for it := n.Children(); it.Next(); {
			try(it.Node())
		}
	}
	for found == nil && p.NextExpression() {
		if n := p.Expression(); n.Kind == unstable.KeyValue {
			try(n.Value())
		}
	}
	return found
}

func unknownKey(key []string) error {
	switch last := key[len(key)-1]; {
	case len(key) > 1 && key[0] == "relay" && last == "password":
		return mailer.Invalid("config.password-in-file")
	case key[0] == "key" && (last == "value" || last == "key"):
		return mailer.Invalid("config.key-in-file")
	}
	return mailer.Invalid("config.unknown-key")
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
			dates = append(dates, localDates(n.Value(), data)...)
		}
	}
	if err := p.Error(); err != nil {
		message := strings.TrimPrefix(err.Error(), "toml: ")
		e := &Error{File: d.file}
		if pe, ok := errors.AsType[*unstable.ParserError](err); ok && len(pe.Highlight) > 0 {
			e.Line = 1 + bytes.Count(data[:cap(data)-cap(pe.Highlight)], []byte("\n"))
			message = pe.Message
		}
		e.Err = mailer.Invalid("config.syntax", "cause", errors.New(message))
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
