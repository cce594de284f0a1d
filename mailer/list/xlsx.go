package list

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/xuri/excelize/v2"

	"oshirase/mailer"
)

// Limits against workbooks that unpack to more than any list of people: a sheet
// of the most rows that Excel allows takes about 500 MB.
const (
	unzipLimit  = 2 << 30
	unzipMemory = 8 << 20 // parts beyond it are unpacked to a directory of our own
)

// sheetSource reads the rows of one sheet.
type sheetSource struct {
	rows   *excelize.Rows
	number int64
	last   int64 // number of the last row; 0 is not known
	width  int   // of the header; 0 before it
	fields [][]byte
	text   []byte
	size   int64
	read   *atomic.Int64
}

// openXLSX opens the first visible sheet that has a header. Memory does not grow
// with the sheet: large parts are unpacked to a directory that only this user can
// read, which Close removes.
func (r *Reader) openXLSX() error {
	if _, err := io.Copy(r.hash, r.file); err != nil {
		return err
	}
	last, err := lastRows(r.file, r.size)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "oshirase-list-")
	if err != nil {
		return err
	}
	book, err := excelize.OpenFile(r.file.Name(), excelize.Options{
		UnzipSizeLimit: unzipLimit, UnzipXMLSizeLimit: unzipMemory, TmpDir: dir,
		CultureInfo: excelize.CultureNameJaJP, ShortDatePattern: "yyyy/m/d",
	})
	if err != nil {
		return errors.Join(mailer.Invalid("list.workbook", "cause", err), os.RemoveAll(dir))
	}
	r.info.Encoding = XLSX
	w := &workbook{book: book, dir: dir}
	r.src = w
	var first error
	for _, name := range book.GetSheetList() {
		if visible, err := book.GetSheetVisible(name); err != nil || !visible {
			continue
		}
		rows, err := book.Rows(name)
		if err != nil {
			return fmt.Errorf("sheet %q: %w", name, err)
		}
		w.sheetSource = &sheetSource{rows: rows, last: last[name], size: r.size, read: &r.read}
		err = r.readHeader()
		if err == nil {
			return nil
		}
		if first == nil {
			first = fmt.Errorf("sheet %q: %w", name, err)
		}
		_ = rows.Close() // of a sheet that is not read on
	}
	if first == nil {
		first = mailer.Invalid("list.no-sheet")
	}
	return first
}

// workbook is the source of an XLSX file, with what must be cleaned up behind it.
type workbook struct {
	*sheetSource
	book *excelize.File
	dir  string
}

func (w *workbook) close() error {
	var err error
	if w.sheetSource != nil {
		err = w.rows.Close()
	}
	return errors.Join(err, w.book.Close(), os.RemoveAll(w.dir))
}

var errDamaged = mailer.Invalid("list.damaged-sheet")

func (s *sheetSource) next() (record, error) {
	if !s.rows.Next() {
		if err := s.rows.Error(); err != nil {
			return record{}, err
		}
		if s.number < s.last {
			return record{}, errDamaged
		}
		s.read.Store(s.size)
		return record{}, io.EOF
	}
	s.number++
	if s.last > 0 {
		s.read.Store(s.size / 100 * (s.number * 100 / s.last))
	}
	cells, err := s.rows.Columns()
	if err != nil {
		return record{}, fmt.Errorf("row %d: %w", s.number, err)
	}
	for len(cells) > s.width && trimBlanks(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	if s.width == 0 {
		s.width = len(cells)
	}
	s.fields, s.text = s.fields[:0], s.text[:0]
	for _, c := range cells {
		from := len(s.text)
		s.text = append(s.text, c...)
		s.fields = append(s.fields, s.text[from:len(s.text):len(s.text)])
	}
	for len(s.fields) < s.width { // cells that are empty at the end of a row are not stored
		s.fields = append(s.fields, nil)
	}
	return record{number: s.number, fields: s.fields}, nil
}

// lastRows tells the number of the last row of each sheet, by its name, as the
// file has it. The row iterator ends without an error where the XML is broken;
// the number shows whether it came to the end.
func lastRows(r io.ReaderAt, size int64) (map[string]int64, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, mailer.Invalid("list.workbook", "cause", err)
	}
	var book struct {
		Sheets []struct {
			Name string `xml:"name,attr"`
			ID   string `xml:"id,attr"`
		} `xml:"sheets>sheet"`
	}
	var rels struct {
		Relationship []struct {
			ID     string `xml:"Id,attr"`
			Target string `xml:"Target,attr"`
		}
	}
	for name, v := range map[string]any{"xl/workbook.xml": &book, "xl/_rels/workbook.xml.rels": &rels} {
		if err := readPart(z, name, func(r io.Reader) error {
			return xml.NewDecoder(io.LimitReader(r, 16<<20)).Decode(v)
		}); err != nil {
			return nil, mailer.Invalid("list.workbook-part", "part", name, "cause", err)
		}
	}
	targets := map[string]string{}
	for _, rel := range rels.Relationship {
		target := rel.Target
		if !strings.HasPrefix(target, "/") {
			target = "/xl/" + target
		}
		targets[rel.ID] = strings.TrimPrefix(path.Clean(target), "/")
	}
	last := map[string]int64{}
	for _, sheet := range book.Sheets {
		err := readPart(z, targets[sheet.ID], func(r io.Reader) error {
			n, err := lastRow(r)
			last[sheet.Name] = n
			return err
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, mailer.Invalid("list.sheet", "sheet", sheet.Name, "cause", err)
		}
	}
	return last, nil
}

func readPart(z *zip.Reader, name string, read func(io.Reader) error) error {
	f, err := z.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(read(io.LimitReader(f, unzipLimit)), f.Close())
}

// lastRow finds the last row element of a sheet without parsing the XML.
func lastRow(r io.Reader) (int64, error) {
	const overlap = 256 // longer than the start of a row element up to its number
	buf := make([]byte, firstBuffer)
	var count, last int64
	end := 0
	for {
		n, err := io.ReadFull(r, buf[end:])
		end += n
		atEOF := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !atEOF {
			return 0, err
		}
		limit := end - overlap // elements that begin behind it wait for more data
		if atEOF {
			limit = end
		}
		pos := 0
		for {
			k := bytes.Index(buf[pos:end], []byte("row "))
			if k < 0 || pos+k >= limit {
				break
			}
			pos += k + len("row ")
			if before := buf[max(0, pos-5)]; before != '<' && before != ':' {
				continue
			}
			count++
			if at := rowNumber(buf[pos:min(end, pos+overlap)]); at > last {
				last = at
			}
		}
		if atEOF {
			return max(count, last), nil
		}
		pos = max(pos, limit-1) // with the byte before an element that begins at limit
		end = copy(buf, buf[pos:end])
	}
}

// rowNumber reads the attribute r of a row element.
func rowNumber(attrs []byte) int64 {
	if k := bytes.IndexByte(attrs, '>'); k >= 0 {
		attrs = attrs[:k]
	}
	for _, prefix := range []string{`r="`, ` r="`} {
		k := bytes.Index(attrs, []byte(prefix))
		if k > 0 && prefix[0] != ' ' || k < 0 {
			continue
		}
		digits, _, _ := bytes.Cut(attrs[k+len(prefix):], []byte{'"'})
		if n, err := strconv.ParseInt(string(digits), 10, 64); err == nil {
			return n
		}
	}
	return 0
}
