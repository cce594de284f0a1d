package list

import (
	"bytes"
	"errors"
	"io"
	"os"
	"unicode/utf8"

	"oshirase/mailer"
)

var utf8BOM = []byte("\xEF\xBB\xBF")

// sniffKind looks at the first bytes: XLSX, or text, or what cannot be read.
func sniffKind(f *os.File) (string, error) {
	head := make([]byte, 8)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return XLSX, nil
	case bytes.HasPrefix(head, []byte("\xD0\xCF\x11\xE0")):
		return "", mailer.Invalid("list.old-excel")
	case bytes.HasPrefix(head, []byte("\xFF\xFE")), bytes.HasPrefix(head, []byte("\xFE\xFF")):
		return "", errUTF16
	case bytes.HasPrefix(head, []byte("%PDF")):
		return "", mailer.Invalid("list.pdf")
	}
	return "text", nil
}

var (
	errUTF16  = mailer.Invalid("list.utf16")
	errBinary = mailer.Invalid("list.binary")
	errJIS    = mailer.Invalid("list.jis")
	errEUC    = mailer.Invalid("list.euc")
	errNoText = mailer.Invalid("list.no-text")
)

// chooseEncoding reads the whole file: a byte order mark decides, then strict
// UTF-8, then CP932; an option overrides all of them. Detectors that guess from
// letter frequencies are wrong on short lists.
func chooseEncoding(f *os.File, option string) (enc string, bom bool, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", false, err
	}
	stats, err := scanText(f)
	if err != nil {
		return "", false, err
	}
	switch option {
	case "", Auto:
	case CP932:
		if stats.bom {
			return "", false, mailer.Invalid("list.bom")
		}
		return CP932, false, nil
	case UTF8:
		return UTF8, stats.bom, nil
	default:
		return "", false, mailer.Invalid("list.encoding", "encoding", option)
	}
	switch {
	case stats.jis && stats.lines == 0: // seven bits throughout
		return "", false, errJIS
	case stats.bom, stats.lines == stats.utf8:
		return UTF8, stats.bom, nil
	case stats.eucOnly:
		return "", false, errEUC
	case stats.cp932 < stats.utf8 || stats.utf8*2 > stats.lines:
		// UTF-8 with some broken rows: as CP932 they would all be rubbish.
		return UTF8, false, nil
	case stats.cp932*2 < stats.lines:
		return "", false, errNoText
	}
	return CP932, false, nil
}

// textStats counts the lines of a text that are not ASCII, and those of them that
// are well-formed in each encoding.
type textStats struct {
	bom                bool
	lines, utf8, cp932 int64
	jis                bool // has an escape sequence of ISO-2022-JP
	eucOnly            bool // all lines are well-formed EUC-JP and have no byte below A1
}

func scanText(r io.Reader) (textStats, error) {
	st := textStats{eucOnly: true}
	buf := make([]byte, firstBuffer)
	end := 0
	for first := true; ; first = false {
		n, err := io.ReadFull(r, buf[end:])
		end += n
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return st, err
		}
		data := buf[:end]
		if bytes.IndexByte(data[end-n:], 0) >= 0 {
			return st, errBinary
		}
		if first {
			st.bom = bytes.HasPrefix(data, utf8BOM)
		}
		last := err != nil
		if !last {
			// Only whole lines are judged; the rest moves to the front.
			k := bytes.LastIndexByte(data, '\n')
			if k < 0 {
				if len(buf) > maxRecord {
					return st, errHugeRow
				}
				buf = append(buf, make([]byte, len(buf))...)
				continue
			}
			data = data[:k+1]
		}
		st.judge(data)
		if last {
			st.eucOnly = st.eucOnly && st.lines > 0
			return st, nil
		}
		end = copy(buf, buf[len(data):end])
	}
}

func (st *textStats) judge(data []byte) {
	if bytes.Contains(data, []byte("\x1B$")) {
		st.jis = true
	}
	if st.lines == st.utf8 && utf8.Valid(data) {
		// No byte of UTF-8 Japanese is needed line by line before a line fails.
		n := nonASCIILines(data)
		st.lines += n
		st.utf8 += n
		st.cp932 += n // not judged: it decides only once some line is no UTF-8
		st.eucOnly = st.eucOnly && n == 0
		return
	}
	for len(data) > 0 {
		line := data
		if k := bytes.IndexByte(data, '\n'); k >= 0 {
			line = data[:k]
			data = data[k+1:]
		} else {
			data = nil
		}
		if isASCII(line) {
			continue
		}
		st.lines++
		if utf8.Valid(line) {
			st.utf8++
		}
		if wellFormedCP932(line) {
			st.cp932++
		}
		st.eucOnly = st.eucOnly && onlyEUC(line)
	}
}

func nonASCIILines(data []byte) (n int64) {
	for len(data) > 0 {
		k := bytes.IndexByte(data, '\n')
		if k < 0 {
			k = len(data) - 1
		}
		if !isASCII(data[:k+1]) {
			n++
		}
		data = data[k+1:]
	}
	return n
}

func isASCII(b []byte) bool {
	for len(b) >= 8 {
		if (b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7])&0x80 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// onlyEUC reports whether all bytes beyond ASCII stand in pairs of A1–FE, as in
// EUC-JP. Text in CP932 has kanji and kana that begin with 81–9F.
func onlyEUC(line []byte) bool {
	for i := 0; i < len(line); i++ {
		if line[i] < 0x80 {
			continue
		}
		if i+1 == len(line) || line[i] < 0xA1 || line[i] == 0xFF || line[i+1] < 0xA1 || line[i+1] == 0xFF {
			return false
		}
		i++
	}
	return true
}

// checkFirstLine looks at the first line alone, so that a file that is no list is not
// read to its end for its encoding.
func checkFirstLine(f *os.File) error {
	head := make([]byte, maxRecord+64)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head = head[:n]
	line, whole := bytes.TrimLeft(bytes.TrimPrefix(head, utf8BOM), "\r\n"), err != nil
	if k := bytes.IndexAny(line, "\n\x00"); k >= 0 { // NUL: of another encoding, as will be said
		line, whole = line[:k], true
	}
	if !whole {
		return errHugeRow
	}
	commas, tabs, quoted := 0, 0, false
	for _, c := range line {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ',':
			commas++
		case c == '\t':
			tabs++
		}
	}
	if max(commas, tabs) >= maxColumns {
		return mailer.Invalid("list.columns", "row", 1, "most", maxColumns)
	}
	return nil
}
