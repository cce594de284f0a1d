// Package list reads affected-customer lists: CSV and TSV in UTF-8 or CP932, and
// XLSX. It yields rows that are safe to write a notice from, and says of every
// other row where and why it was refused.
//
// It streams: memory does not grow with the list. It knows nothing of the ledger
// and merges nothing: who is one person is decided where the rows are stored.
// Reasons and errors never contain a value of the list, which is personal.
package list

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/text/unicode/norm"

	"oshirase/mailer"
)

// The encodings of lists, as options and reports name them.
const (
	Auto  = "auto"
	UTF8  = "utf-8"
	CP932 = "cp932"
	XLSX  = "xlsx" // in reports only
)

// Options say how a list is read. The zero Options find out what they can and
// know no exposures.
type Options struct {
	// Encoding is auto, utf-8 or cp932; empty is auto. XLSX files ignore it.
	Encoding string
	// Columns maps a field (see Fields) to the header of its column, instead of
	// the headers that are understood.
	Columns map[string]string
	// Exposures are the exposure IDs of the incident; nil takes any.
	Exposures []string
	// Default are the exposures that every row has, besides those of its own cell.
	Default []string
	// ShiftThreshold is the share of shifted rows above which the list is
	// refused at its end; 0 is DefaultShiftThreshold, a negative one never refuses.
	ShiftThreshold float64
	// TempDir is the folder for what does not fit into memory of an XLSX file, under a key
	// that is in memory alone: one that only its owner reads. Empty is the system's own.
	TempDir string
	// KeepRaw keeps the cells of each row as the file has them, in Row.Raw, for who
	// may refuse the row later (see Refuse). It costs a copy of each row.
	KeepRaw bool
}

// Reader reads one list. Only Progress may be called by other goroutines.
type Reader struct {
	opt       Options
	file      *os.File
	info      mailer.ListInfo
	src       source
	columns   *columns
	exposures *exposureReader
	shift     *shiftDetector
	hash      hash.Hash
	bom       bool
	mended    bool // the list is an errors file of ours
	crlf      bool
	delim     byte
	size      int64
	read      atomic.Int64
	err       error // what Next returns from now on

	text []byte // the decoded values of the current row
	span [][2]int
}

// source yields the records of a file, the header being the first.
type source interface {
	// next returns the next record; its fields are valid until the call after it.
	next() (record, error)
	close() error
}

// record is one row of the file before anything in it was judged.
type record struct {
	number int64
	fields [][]byte // in the list's encoding
	bad    error    // why the record itself is malformed; nil: it is not
	column int      // where, counted from 0
}

// Open opens a list and reads its header. The file is read once in advance to
// tell its encoding. Errors are mailer.ErrInvalid where the list or an option is at
// fault.
func Open(path string, opt Options) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open list: %w", err)
	}
	r := &Reader{opt: opt, file: f, hash: sha256.New()}
	r.info.Name = filepath.Base(path)
	if err := mailer.CheckLine("name", r.info.Name); err != nil {
		return nil, errors.Join(fmt.Errorf("list: %w", err), f.Close())
	}
	if err := r.open(); err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("list %s: %w", r.info.Name, err)
	}
	return r, nil
}

func (r *Reader) open() error {
	st, err := r.file.Stat()
	if err != nil {
		return err
	}
	switch {
	case st.IsDir():
		return mailer.Invalid("list.directory")
	case !st.Mode().IsRegular():
		return mailer.Invalid("list.irregular")
	case st.Size() == 0:
		return mailer.Invalid("list.empty")
	}
	r.size = st.Size()
	if r.exposures, err = newExposureReader(r.opt.Exposures, r.opt.Default); err != nil {
		return err
	}
	if r.shift, err = newShiftDetector(r.opt.ShiftThreshold); err != nil {
		return err
	}
	kind, err := sniffKind(r.file)
	if err != nil {
		return err
	}
	if kind == XLSX {
		return r.openXLSX()
	}
	return r.openText()
}

func (r *Reader) openText() error {
	if err := checkFirstLine(r.file); err != nil {
		return err
	}
	enc, bom, err := chooseEncoding(r.file, r.opt.Encoding)
	if err != nil {
		return err
	}
	r.info.Encoding, r.bom = enc, bom
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s := newScanner(countingReader{r.file, r.hash, &r.read}, ',')
	if bom {
		if err := s.skip(len(utf8BOM)); err != nil {
			return err
		}
	}
	line, err := s.peekLine()
	if err != nil {
		return err
	}
	r.crlf = strings.HasSuffix(line, "\r\n")
	if strings.Contains(strings.TrimRight(line, "\r\n"), "\r") {
		return mailer.Invalid("list.cr")
	}
	s.delim = sniffDelimiter(filepath.Ext(r.info.Name), line)
	r.src, r.delim = s, s.delim
	return r.readHeader()
}

// readHeader takes the first record that is not blank for the header.
func (r *Reader) readHeader() error {
	for {
		rec, err := r.src.next()
		if errors.Is(err, io.EOF) {
			return mailer.Invalid("list.blank")
		}
		if err != nil {
			return err
		}
		if blank(rec.fields) {
			continue
		}
		if rec.bad != nil {
			return mailer.Invalid("list.header-row", "row", rec.number, "cause", rec.bad)
		}
		if r.mended = errorsHeader(rec.fields, r.decoder()); r.mended {
			unguard(rec.fields, r.decoder())
		}
		r.columns, err = readColumns(rec, r.decoder(), r.opt.Columns)
		return err
	}
}

func (r *Reader) decoder() decodeFunc {
	if r.info.Encoding == CP932 {
		return decodeCP932
	}
	return decodeUTF8
}

// Next returns the next good row. A refused row is a *Rejected, which wraps a
// *mailer.RowError: call Next again. io.EOF ends the list; where rows look shifted
// an error does instead (see Shift). Any other error is final too.
//
// The rows are numbered as spreadsheets number them: the header is 1 (unless
// blank lines precede it), blank rows count in the numbers though not in
// Info().Rows, and a line break inside quotes does not begin a new row. The
// exposures of a row may be shared with other rows: do not change them.
func (r *Reader) Next() (mailer.Row, error) {
	for r.err == nil {
		rec, err := r.src.next()
		if err != nil {
			r.finish(err)
			break
		}
		if blank(rec.fields) {
			continue
		}
		if r.mended {
			unguard(rec.fields, r.decoder())
		}
		row, rowErr := r.row(rec)
		if rowErr == errBlankRow {
			continue
		}
		r.info.Rows++
		if rowErr != nil {
			r.shift.skip()
			return mailer.Row{}, r.rejected(rec, rowErr)
		}
		r.shift.add(&row)
		if r.opt.KeepRaw {
			row.Raw = cloneCells(rec.fields)
		}
		return row, nil
	}
	return mailer.Row{}, r.err
}

func (r *Reader) finish(err error) {
	if !errors.Is(err, io.EOF) {
		r.err = fmt.Errorf("list %s: %w", r.info.Name, err)
		return
	}
	r.info.SHA256 = hex.EncodeToString(r.hash.Sum(nil))
	switch {
	case r.info.Rows == 0:
		r.err = fmt.Errorf("list %s: %w", r.info.Name, mailer.Invalid("list.no-rows"))
	case r.shift.finish():
		r.err = shiftedError(&r.shift.report)
	default:
		r.err = io.EOF
	}
}

// Info is what is known of the list; complete once Next has come to the end.
func (r *Reader) Info() mailer.ListInfo { return r.info }

// Shift is what the comparison of names with addresses came to; complete once
// Next has come to the end.
func (r *Reader) Shift() mailer.Shift { return r.shift.report }

// Progress tells how many bytes of how many were read. An XLSX file counts as
// read in the proportion of its rows.
func (r *Reader) Progress() (read, total int64) { return r.read.Load(), r.size }

// Mapping tells the field that each header was taken for; headers of attributes
// and of an errors file are absent.
func (r *Reader) Mapping() map[string]string {
	m := map[string]string{}
	for i, c := range r.columns.kinds {
		if c.field >= 0 {
			m[r.columns.headers[i]] = Fields[c.field]
		}
	}
	return m
}

// Close closes the file and removes what was unpacked of it.
func (r *Reader) Close() error {
	var err error
	if r.src != nil {
		err = r.src.close()
		r.src = closedSource{}
	}
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
		r.file = nil
	}
	return err
}

type closedSource struct{}

func (closedSource) next() (record, error) { return record{}, os.ErrClosed }
func (closedSource) close() error          { return nil }

// countingReader hashes and counts what is read through it.
type countingReader struct {
	r    io.Reader
	hash hash.Hash
	n    *atomic.Int64
}

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.hash.Write(p[:n])
	c.n.Add(int64(n))
	return n, err
}

// fold brings headers and IDs to the form in which they are compared: NFKC, lower
// case, no blanks.
func fold(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(s))), "")
}
