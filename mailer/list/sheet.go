package list

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"sync/atomic"

	"oshirase/mailer"
)

var errDamaged = mailer.Invalid("list.damaged-sheet")

const (
	maxSheetRow = 1_048_576 // of a sheet, as Excel has it
	// keptCell is how much of a cell's text is kept, in octets. What is cut is longer
	// than any value may be, and is refused for that.
	keptCell = 8 << 10
)

// sheet reads the rows of one sheet.
type sheet struct {
	book   *workbook
	part   *opened
	in     *decoder
	number int64
	width  int // of the header; 0 before it
	fields [][]byte
	text   []byte
	ends   []int // of each field in text; the cells of a row come in order
	read   *atomic.Int64
	size   int64 // of the file, for read
	done   bool
}

func newSheet(w *workbook, p *opened, r *Reader) *sheet {
	return &sheet{book: w, part: p, in: newDecoder(p), read: &r.read, size: r.size}
}

// next reads the next row that the sheet has; rows without a cell may be missing in it,
// and count in the numbers.
func (s *sheet) next() (record, error) {
	for !s.done {
		t, err := s.in.token()
		if errors.Is(err, io.EOF) { // before the rows have ended
			return record{}, errDamaged
		}
		if err != nil {
			return record{}, err
		}
		switch e := t.(type) {
		case xml.StartElement:
			if e.Name.Local == "row" {
				return s.row(&e)
			}
		case xml.EndElement:
			s.done = e.Name.Local == "sheetData"
		}
	}
	s.read.Store(s.size)
	return record{}, io.EOF
}

func (s *sheet) row(e *xml.StartElement) (record, error) {
	number := s.number + 1
	if r := attr(e, "r"); r != "" {
		n, err := strconv.ParseInt(r, 10, 32)
		if err != nil || n < number { // backwards: which row is meant is not certain
			return record{}, errDamaged
		}
		number = n
	}
	if s.number = number; number > maxSheetRow {
		return record{}, errDamaged
	}
	if s.part.size > 0 {
		s.read.Store(min(s.size, int64(float64(s.size)*float64(s.in.in.read)/float64(s.part.size))))
	}
	s.text, s.ends = s.text[:0], s.ends[:0]
	column := 0
	for {
		t, err := s.in.token()
		if errors.Is(err, io.EOF) {
			return record{}, errDamaged
		}
		if err != nil {
			return record{}, err
		}
		switch e := t.(type) {
		case xml.StartElement:
			if e.Name.Local != "c" {
				continue
			}
			if column, err = cellColumn(attr(&e, "r"), column); err != nil {
				return record{}, err
			}
			if err := s.cell(&e, column); err != nil {
				return record{}, err
			}
		case xml.EndElement:
			if e.Name.Local == "row" {
				return record{number: s.number, fields: s.cut()}, nil
			}
		}
	}
}

// cellColumn is the column, from 1, that a reference such as AB12 names, or the one
// behind the last.
func cellColumn(ref string, last int) (int, error) {
	n := 0
	for _, c := range []byte(ref) {
		switch {
		case c >= 'A' && c <= 'Z':
			n = n*26 + int(c-'A') + 1
		case c >= 'a' && c <= 'z':
			n = n*26 + int(c-'a') + 1
		}
		if n > 16_384 {
			return 0, errDamaged
		}
	}
	switch {
	case n == 0:
		return last + 1, nil
	case n <= last:
		return 0, errDamaged
	}
	return n, nil
}

// cell reads a cell and puts what it shows in its place. Columns beyond maxColumns are
// not told apart: there is one too many.
func (s *sheet) cell(e *xml.StartElement, column int) error {
	kind, style := attr(e, "t"), attr(e, "s")
	text, err := s.in.text("c", "v")
	if err != nil || len(text) == 0 {
		return err
	}
	from := len(s.text)
	switch kind {
	case "s":
		if s.text, err = s.book.strings.append(s.text, string(text)); err != nil {
			return err
		}
	case "b":
		s.text = append(s.text, map[string]string{"1": "TRUE", "0": "FALSE"}[string(text)]...)
	case "str", "inlineStr", "e", "d":
		s.text = appendUnescaped(s.text, text)
	default:
		s.text = append(s.text, s.book.formats.number(string(text), style)...)
	}
	if len(s.text) == from {
		return nil
	}
	column = min(column, maxColumns+1)
	for len(s.ends) < column-1 {
		s.ends = append(s.ends, from)
	}
	if len(s.ends) == column { // beyond all columns
		s.text = s.text[:from]
		return nil
	}
	s.ends = append(s.ends, len(s.text))
	return nil
}

// text collects the text within an element that has begun, up to its end: of the t
// within is, but for how a name is read (rPh), and of v. A formula is left out.
func (d *decoder) text(element string, value ...string) ([]byte, error) {
	var out []byte
	open, skip, formula := 0, 0, 0
	for {
		t, err := d.token()
		if errors.Is(err, io.EOF) {
			return nil, errDamaged
		}
		if err != nil {
			return nil, err
		}
		switch e := t.(type) {
		case xml.StartElement:
			switch name := e.Name.Local; {
			case name == "rPh":
				skip++
			case name == "f":
				formula++
			case name == "t", len(value) > 0 && name == value[0]:
				open++
			}
		case xml.EndElement:
			switch name := e.Name.Local; {
			case name == element:
				return out, nil
			case name == "rPh":
				skip--
			case name == "f":
				formula--
			case name == "t", len(value) > 0 && name == value[0]:
				open--
			}
		case xml.CharData:
			if open > 0 && skip == 0 && formula == 0 {
				out = appendCut(out, e)
			}
		}
	}
}

// appendCut appends what of a cell's text is kept, and marks what is not.
func appendCut(out, more []byte) []byte {
	const mark = "…"
	if len(out)+len(more) <= keptCell {
		return append(out, more...)
	}
	if len(out) >= keptCell { // marked already
		return out
	}
	out = append(out, more[:max(0, keptCell-len(mark)-len(out))]...)
	for len(out) > 0 && out[len(out)-1] >= 0x80 { // no half a character
		out = out[:len(out)-1]
	}
	for len(out) < keptCell {
		out = append(out, mark...)
	}
	return out
}

// cut makes fields of what the row has, as many as the header at least.
func (s *sheet) cut() [][]byte {
	s.fields = s.fields[:0]
	from := 0
	for _, end := range s.ends {
		s.fields = append(s.fields, s.text[from:end:end])
		from = end
	}
	for n := len(s.fields); n > s.width && trimBlanks(string(s.fields[n-1])) == ""; n-- {
		s.fields = s.fields[:n-1]
	}
	if s.width == 0 {
		s.width = len(s.fields)
	}
	for len(s.fields) < s.width { // cells that are empty at the end of a row are not stored
		s.fields = append(s.fields, nil)
	}
	return s.fields
}

// appendUnescaped appends a text in which characters that XML cannot hold are written as
// _x000D_ (ECMA-376 part 1, 22.9.2.19).
func appendUnescaped(out, text []byte) []byte {
	for len(text) > 0 {
		if len(text) >= 7 && text[0] == '_' && text[1] == 'x' && text[6] == '_' {
			if n, err := strconv.ParseUint(string(text[2:6]), 16, 16); err == nil {
				out = append(out, string(rune(n))...)
				text = text[7:]
				continue
			}
		}
		out, text = append(out, text[0]), text[1:]
	}
	return out
}
