package list

import (
	"bytes"
	"errors"
	"io"

	"oshirase/mailer"
)

const (
	// maxRecord bounds a row, in bytes: a longer one is no list of people.
	maxRecord = 1 << 20
	// maxBreaks bounds the line breaks inside one row. A quote that is not closed
	// within them is taken for a stray one, so that it costs its own line only.
	maxBreaks = 100

	firstBuffer = 256 << 10
)

var errHugeRow = mailer.Invalid("list.huge-row")

// scanner splits CSV and TSV into records (RFC 4180, with LF or CRLF). It works on
// bytes: in UTF-8 as in CP932 no byte of a longer character is a delimiter, a
// quote or a line end.
//
// A record with malformed quotes is given up at its first line end, marked bad,
// and its line is split at the delimiters alone: the rows behind it are read.
type scanner struct {
	r          io.Reader
	delim      byte
	buf        []byte
	start, end int // unread part of buf
	eof        bool
	number     int64
	fields     [][]byte
	scratch    []byte // values with doubled quotes, undoubled
}

func newScanner(r io.Reader, delim byte) *scanner {
	return &scanner{r: r, delim: delim, buf: make([]byte, firstBuffer)}
}

func (s *scanner) close() error { return nil }

// fill reads more behind the unread part, moving it to the front of the buffer.
func (s *scanner) fill() error {
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.start, s.end = 0, s.end-s.start
	}
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for empty := 0; empty < 100; empty++ {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		if errors.Is(err, io.EOF) {
			s.eof = true
			return nil
		}
		if err != nil {
			return err
		}
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

// skip passes over the first n bytes of the file.
func (s *scanner) skip(n int) error {
	for s.end-s.start < n {
		if s.eof {
			return io.ErrUnexpectedEOF
		}
		if err := s.fill(); err != nil {
			return err
		}
	}
	s.start += n
	return nil
}

// peekLine returns the first line that is not blank, with its line end, without
// consuming anything.
func (s *scanner) peekLine() (string, error) {
	for from := 0; ; {
		data := s.buf[s.start+from : s.end]
		k := bytes.IndexByte(data, '\n')
		if k >= 0 && len(bytes.TrimSpace(data[:k])) == 0 {
			from += k + 1
			continue
		}
		if k >= 0 {
			return string(data[:k+1]), nil
		}
		if s.eof {
			return string(data), nil
		}
		if s.end-s.start > maxRecord {
			return "", errHugeRow
		}
		if err := s.fill(); err != nil {
			return "", err
		}
	}
}

// next returns the next record, blank ones included.
func (s *scanner) next() (record, error) {
	seen := 0
	for {
		data := s.buf[s.start:s.end]
		k := bytes.IndexByte(data[seen:], '\n')
		if k < 0 && !s.eof {
			if len(data) > maxRecord {
				return record{}, errHugeRow
			}
			seen = len(data)
			if err := s.fill(); err != nil {
				return record{}, err
			}
			continue
		}
		if len(data) == 0 || s.eof && len(data) == 1 && data[0] == 0x1A { // Ctrl-Z ends files of old systems
			return record{}, io.EOF
		}
		line, size := data, len(data)
		if k >= 0 {
			line, size = data[:seen+k], seen+k+1
		}
		if len(line) > maxRecord {
			return record{}, errHugeRow
		}
		s.number++
		rec := record{number: s.number}
		if bytes.IndexByte(line, '"') < 0 {
			s.split(trimCR(line))
		} else {
			n, column, bad, err := s.quoted()
			if err != nil {
				return record{}, err
			}
			if bad == nil {
				size = n
			} else {
				// quoted may have moved the buffer.
				s.split(trimCR(s.buf[s.start : s.start+len(line)]))
				rec.bad, rec.column = bad, column
			}
		}
		s.start += size
		rec.fields = s.fields
		return rec, nil
	}
}

func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// split cuts a line at its delimiters.
func (s *scanner) split(line []byte) {
	s.fields = s.fields[:0]
	for {
		k := bytes.IndexByte(line, s.delim)
		if k < 0 {
			break
		}
		s.fields = append(s.fields, line[:k:k])
		line = line[k+1:]
		if len(s.fields) > maxColumns { // of no list; the rest stays in one piece
			break
		}
	}
	s.fields = append(s.fields, line[:len(line):len(line)])
}

// quoted reads a record that has quotes, over as many lines as they span. It
// returns the size of the record with its line end, or where and why it is
// malformed.
func (s *scanner) quoted() (size, column int, bad, err error) {
	for {
		size, bad, more := s.parse(s.buf[s.start:s.end])
		if more && s.end-s.start > 2*maxRecord {
			bad, more = badOpen, false
		}
		if !more {
			return size, len(s.fields), bad, nil
		}
		if err := s.fill(); err != nil {
			return 0, 0, nil, err
		}
	}
}

// Why a record is malformed.
var (
	badOpen   = mailer.Invalid("list.open-quote")
	badBehind = mailer.Invalid("list.behind-quote")
	badInside = mailer.Invalid("list.inside-quote")
)

// parse reads one record from the front of data; more asks for more data. With a
// reason, s.fields ends before the field that is malformed.
func (s *scanner) parse(data []byte) (size int, bad error, more bool) {
	s.fields, s.scratch = s.fields[:0], s.scratch[:0]
	breaks := 0
	for pos := 0; ; {
		if pos == len(data) || data[pos] != '"' {
			end, found := s.unquotedEnd(data[pos:])
			if !found && !s.eof {
				return 0, nil, true
			}
			value := data[pos : pos+end]
			pos += end
			if pos == len(data) || data[pos] == '\n' {
				value = trimCR(value)
			}
			if bytes.IndexByte(value, '"') >= 0 {
				return 0, badInside, false
			}
			s.add(value)
		} else {
			value, n, bad, more := s.quotedValue(data[pos:], &breaks)
			if bad != nil || more {
				return 0, bad, more
			}
			pos += n
			s.add(value)
		}
		if pos == len(data) {
			return pos, nil, false
		}
		pos++
		if data[pos-1] == '\n' {
			return pos, nil, false
		}
	}
}

// add takes a field; those beyond what any list has are left out.
func (s *scanner) add(value []byte) {
	if len(s.fields) <= maxColumns {
		s.fields = append(s.fields, value)
	}
}

// unquotedEnd finds the delimiter or line end behind a value.
func (s *scanner) unquotedEnd(data []byte) (int, bool) {
	for i, c := range data {
		if c == s.delim || c == '\n' {
			return i, true
		}
	}
	return len(data), false
}

// quotedValue reads the value whose opening quote is data[0]; size reaches to the
// delimiter or line feed behind it.
func (s *scanner) quotedValue(data []byte, breaks *int) (value []byte, size int, bad error, more bool) {
	from, pos := 1, 1
	mark := -1 // start of the value in scratch, where it has doubled quotes
	for {
		k := bytes.IndexByte(data[pos:], '"')
		rest := data[pos:]
		if k >= 0 {
			rest = rest[:k]
		}
		*breaks += bytes.Count(rest, []byte{'\n'})
		if *breaks > maxBreaks || pos > maxRecord || k < 0 && (s.eof || len(data) > maxRecord) {
			return nil, 0, badOpen, false
		}
		if k < 0 {
			return nil, 0, nil, true
		}
		pos += k + 1
		if pos < len(data) && data[pos] == '"' {
			if mark < 0 {
				mark = len(s.scratch)
			}
			s.scratch = append(s.scratch, data[from:pos]...)
			pos++
			from = pos
			continue
		}
		if pos == len(data) && !s.eof {
			return nil, 0, nil, true
		}
		break
	}
	value = data[from : pos-1]
	if mark >= 0 {
		s.scratch = append(s.scratch, value...)
		value = s.scratch[mark:]
	}
	if pos < len(data) && data[pos] == '\r' {
		if pos+1 == len(data) && !s.eof {
			return nil, 0, nil, true
		}
		if pos+1 == len(data) || data[pos+1] == '\n' {
			pos++
		}
	}
	if pos < len(data) && data[pos] != s.delim && data[pos] != '\n' {
		return nil, 0, badBehind, false
	}
	return value[:len(value):len(value)], pos, nil, false
}

// sniffDelimiter decides between comma and tab: by the extension, where the header
// line does not contradict it.
func sniffDelimiter(ext, header string) byte {
	tabs, commas := countByte(header, '\t'), countByte(header, ',')
	switch ext {
	case ".tsv", ".TSV", ".tab", ".TAB":
		if tabs > 0 || commas == 0 {
			return '\t'
		}
	case ".csv", ".CSV":
		if commas > 0 {
			return ','
		}
	}
	if tabs > commas {
		return '\t'
	}
	return ','
}

func countByte(s string, c byte) (n int) {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			n++
		}
	}
	return n
}

// blank reports whether nothing but ASCII blanks stands in a record. Full-width
// blanks alone are found when the row is read.
func blank(fields [][]byte) bool {
	for _, f := range fields {
		for _, c := range f {
			if c != ' ' && c != '\t' && c != '\r' {
				return false
			}
		}
	}
	return true
}
