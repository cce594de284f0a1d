package list

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"golang.org/x/text/encoding/japanese"

	"oshirase/mailer"
	"oshirase/mailer/outfile"
)

// Rejected is a row that was refused, with what stood in it.
type Rejected struct {
	Err    *mailer.RowError
	fields [][]byte // in the list's encoding
	column int      // that the error is about, -1 is the whole row
}

func (e *Rejected) Error() string { return e.Err.Error() }

func (e *Rejected) Unwrap() error { return e.Err }

// rejected keeps what the source is about to overwrite.
func (r *Reader) rejected(rec record, err *mailer.RowError) *Rejected {
	e := &Rejected{Err: err, column: -1, fields: cloneCells(rec.fields)}
	if err.Column != "" {
		e.column = slices.Index(r.columns.headers, err.Column)
	}
	return e
}

// cloneCells copies the cells of a row, into one piece of memory.
func cloneCells(cells [][]byte) [][]byte {
	size := 0
	for _, c := range cells {
		size += len(c)
	}
	all, out := make([]byte, 0, size), make([][]byte, len(cells))
	for i, c := range cells {
		from := len(all)
		all = append(all, c...)
		out[i] = all[from:len(all):len(all)]
	}
	return out
}

// Refuse makes a Rejected of a row that Next gave, for reasons that the list alone
// does not show. field is one of Fields, or empty for the whole row. The cells are
// those of row.Raw: without Options.KeepRaw an errors file gets none.
func (r *Reader) Refuse(row mailer.Row, field string, reason error) *Rejected {
	e := &Rejected{Err: &mailer.RowError{Row: row.Number, Column: field, Err: reason}, column: -1, fields: row.Raw}
	if at := r.columns.of(field); at >= 0 {
		e.Err.Column, e.column = r.columns.headers[at], at
	}
	return e
}

// ErrorWriter writes the rows that were refused to a file that can be mended and
// imported again: the columns of the list in the list's own encoding (XLSX: UTF-8
// with a byte order mark), behind three columns that say row, column and reason,
// which a Reader passes over. People mend it in spreadsheets, so a value that might be
// a formula has an apostrophe before it, which a Reader takes away again from a list with
// these three columns. The file appears under its name when it is closed.
type ErrorWriter struct {
	file    *outfile.File // nil once it is closed
	w       *bufio.Writer
	columns *columns
	delim   byte
	eol     string
	skip    []bool // columns of an errors file that was imported
	say     func(error) string
	decode  decodeFunc
	count   int64
}

// NewErrorWriter begins the errors file of a list. Nothing may stand at path, and
// nothing does before Close. say puts a reason into words.
func NewErrorWriter(path string, r *Reader, say func(error) string) (_ *ErrorWriter, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("errors file: %w", err)
		}
	}()
	f, err := outfile.Create(path)
	if err != nil {
		return nil, err
	}
	e := &ErrorWriter{say: say, decode: r.decoder(), file: f, w: bufio.NewWriter(f), columns: r.columns, delim: r.delim, eol: "\n"}
	if r.info.Encoding == XLSX {
		e.delim, e.eol = ',', "\r\n"
	}
	if r.crlf {
		e.eol = "\r\n"
	}
	if r.bom || r.info.Encoding == XLSX {
		_, _ = e.w.Write(utf8BOM) // a bufio.Writer keeps its error until Flush
	}
	for i, h := range r.columns.headers {
		e.skip = append(e.skip, h != "" && r.columns.kinds[i].field == ignored)
	}
	head := [][]byte{[]byte(headerErrorRow), []byte(headerErrorColumn), []byte(headerErrorReason)}
	if r.info.Encoding == CP932 {
		for i, h := range head {
			if head[i], err = japanese.ShiftJIS.NewEncoder().Bytes(h); err != nil {
				return nil, errors.Join(err, e.Abort())
			}
		}
	}
	if err := e.record(head, r.columns.raw); err != nil {
		return nil, errors.Join(err, e.Abort())
	}
	return e, nil
}

// Write adds a row; err is what Next returned for it.
func (e *ErrorWriter) Write(err error) error {
	var rej *Rejected
	if !errors.As(err, &rej) {
		return fmt.Errorf("errors file: not a refused row: %w", err)
	}
	var column []byte
	if rej.column >= 0 {
		column = e.columns.raw[rej.column]
	}
	e.count++
	return e.record([][]byte{strconv.AppendInt(nil, rej.Err.Row, 10), column, []byte(e.say(rej.Err.Err))}, rej.fields)
}

func (e *ErrorWriter) record(head, fields [][]byte) error {
	n := 0
	put := func(f []byte) {
		if n++; n > 1 {
			_ = e.w.WriteByte(e.delim)
		}
		e.value(f)
	}
	for _, f := range head {
		put(f)
	}
	for i, f := range fields {
		if i < len(e.skip) && e.skip[i] {
			continue
		}
		put(f)
	}
	_, err := e.w.WriteString(e.eol)
	return err
}

// formula reports whether a spreadsheet might take a value for a formula.
func formula(f []byte, decode decodeFunc) bool {
	if len(f) == 0 || f[0] >= '0' && f[0] <= '9' || f[0] >= 'A' && f[0] <= 'z' {
		return false
	}
	text, err := decode(nil, f)
	if err != nil {
		text = f
	}
	return mailer.Formula(string(text))
}

// unguard takes away the apostrophes that an ErrorWriter put before values.
func unguard(fields [][]byte, decode decodeFunc) {
	for i, f := range fields {
		if len(f) > 0 && f[0] == '\'' && formula(f[1:], decode) {
			fields[i] = f[1:]
		}
	}
}

// value writes a value, in quotes where it needs them.
func (e *ErrorWriter) value(f []byte) {
	if formula(f, e.decode) {
		f = append([]byte{'\''}, f...)
	}
	if bytes.IndexByte(f, e.delim) < 0 && bytes.IndexByte(f, '"') < 0 && bytes.IndexByte(f, '\n') < 0 && bytes.IndexByte(f, '\r') < 0 {
		_, _ = e.w.Write(f)
		return
	}
	_ = e.w.WriteByte('"')
	for _, c := range f {
		if c == '"' {
			_ = e.w.WriteByte('"')
		}
		_ = e.w.WriteByte(c)
	}
	_ = e.w.WriteByte('"')
}

// Count is the number of rows written.
func (e *ErrorWriter) Count() int64 { return e.count }

// Close finishes the file and puts it in its place, also where no row was refused.
func (e *ErrorWriter) Close() error { return e.end(e.w.Flush()) }

// Abort gives the file up; nothing is left of it. It does nothing after Close.
func (e *ErrorWriter) Abort() error {
	if err := e.end(errAborted); err != nil && !errors.Is(err, errAborted) {
		return err
	}
	return nil
}

var errAborted = errors.New("given up")

func (e *ErrorWriter) end(err error) error {
	if e.file == nil {
		return nil
	}
	if err = e.file.Finish(err); err != nil {
		err = fmt.Errorf("errors file: %w", err)
	}
	e.file = nil
	return err
}

var _ io.Closer = (*ErrorWriter)(nil)
