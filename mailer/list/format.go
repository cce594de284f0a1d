package list

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"

	"oshirase/mailer"
)

// Bounds of what a workbook says about how numbers look.
const (
	maxFormat  = 255    // octets of a format's code, as Excel has it
	maxFormats = 256    // that cells use; numbers in others are shown plain
	maxStyles  = 65_536 // of cells
	keptTexts  = 4096   // numbers of which it is known how they look
)

// formats shows numbers as the workbook shows them: customer numbers with their zeros,
// days as days. What a code means is left to a library, which is given codes and numbers
// alone, in a workbook of our own making.
type formats struct {
	styles []int          // format of each style of cells; 0 is plain
	at     map[int]string // the cell that has a format
	book   *excelize.File // nil: no format is in use
	known  map[formatted]string
}

type formatted struct {
	format int
	number string
}

// readFormats reads the part of styles; a workbook need not have it.
func (w *workbook) readFormats(name string, date1904 bool) (*formats, error) {
	f := &formats{at: map[int]string{}, known: map[formatted]string{}}
	if w.parts[name] == nil {
		return f, nil
	}
	codes := map[int]string{}
	ofCells := false
	err := w.each(name, func(_ *decoder, e *xml.StartElement) error {
		id, err := strconv.Atoi(attr(e, "numFmtId"))
		switch e.Name.Local {
		case "numFmt":
			if code := attr(e, "formatCode"); err == nil && len(code) <= maxFormat && len(codes) < maxStyles {
				codes[id] = code
			}
		case "cellXfs":
			ofCells = true
		case "cellStyleXfs", "cellStyles", "dxfs":
			ofCells = false
		case "xf":
			if !ofCells {
				break
			}
			if len(f.styles) == maxStyles {
				return mailer.Invalid("list.styles", "most", maxStyles)
			}
			if code := codes[id]; err != nil || id == 49 || strings.EqualFold(code, "general") || code == "@" {
				id = 0 // of texts, or nothing in particular
			}
			f.styles = append(f.styles, id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, f.build(codes, date1904)
}

// build makes a workbook with a cell for each format.
func (f *formats) build(codes map[int]string, date1904 bool) error {
	var cells, fmts, xfs strings.Builder
	for _, id := range f.styles {
		if _, known := f.at[id]; known || id == 0 || len(f.at) == maxFormats {
			continue
		}
		n := len(f.at) + 1
		f.at[id] = fmt.Sprintf("A%d", n)
		fmt.Fprintf(&cells, `<row r="%d"><c r="A%d" s="%d"><v>0</v></c></row>`, n, n, n)
		fmt.Fprintf(&xfs, `<xf numFmtId="%d"/>`, id)
		if code, ok := codes[id]; ok {
			fmt.Fprintf(&fmts, `<numFmt numFmtId="%d" formatCode="`, id)
			if err := xml.EscapeText(&fmts, []byte(code)); err != nil {
				return err
			}
			fmts.WriteString(`"/>`)
		}
	}
	if len(f.at) == 0 {
		return nil
	}
	const (
		head = `<?xml version="1.0" encoding="UTF-8"?>`
		ns   = ` xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
		rel  = `http://schemas.openxmlformats.org/officeDocument/2006/relationships`
	)
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, p := range [][2]string{
		{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>`},
		{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="` + rel + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
		{"xl/workbook.xml", fmt.Sprintf(`<workbook%s xmlns:r="%s"><workbookPr date1904="%t"/><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>`, ns, rel, date1904)},
		{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="` + rel + `/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="` + rel + `/styles" Target="styles.xml"/></Relationships>`},
		{"xl/worksheets/sheet1.xml", `<worksheet` + ns + `><sheetData>` + cells.String() + `</sheetData></worksheet>`},
		{"xl/styles.xml", fmt.Sprintf(`<styleSheet%s><numFmts count="%d">%s</numFmts><cellXfs count="%d"><xf numFmtId="0"/>%s</cellXfs></styleSheet>`, ns, len(codes), fmts.String(), len(f.at)+1, xfs.String())},
	} {
		part, err := z.Create(p[0])
		if err == nil {
			_, err = part.Write([]byte(head + p[1]))
		}
		if err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	var err error
	f.book, err = excelize.OpenReader(&out, excelize.Options{CultureInfo: excelize.CultureNameJaJP, ShortDatePattern: "yyyy/m/d"})
	return err
}

// number is a number as the cell shows it; text that is none stays as it is.
func (f *formats) number(text, style string) string {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) || strings.ContainsAny(text, "_xXpP") {
		return text
	}
	plain := strconv.FormatFloat(n, 'f', -1, 64)
	if digits := len(plain) - strings.Count(plain, "."); digits > 15 && !exact(text) {
		plain = strconv.FormatFloat(n, 'G', 15, 64) // as many digits as spreadsheets keep
	}
	s, err := strconv.Atoi(style)
	if err != nil || s < 0 || s >= len(f.styles) || f.at[f.styles[s]] == "" {
		return plain
	}
	key := formatted{f.styles[s], plain}
	if shown, ok := f.known[key]; ok {
		return shown
	}
	shown := f.show(f.at[key.format], plain)
	if len(f.known) == keptTexts {
		clear(f.known)
	}
	f.known[key] = shown
	return shown
}

// exact reports whether a whole number has no more than the 15 digits that spreadsheets
// keep, and zeros behind them.
func exact(text string) bool {
	return !strings.ContainsAny(text, ".Ee") && len(strings.TrimRight(strings.TrimLeft(text, "+-0"), "0")) <= 15
}

// show asks the library. A code that it trips over is shown plain, as are codes that it
// does not know.
func (f *formats) show(cell, number string) (shown string) {
	defer func() {
		if recover() != nil {
			shown = number
		}
	}()
	if err := f.book.SetCellDefault("S", cell, number); err != nil {
		return number
	}
	shown, err := f.book.GetCellValue("S", cell)
	if err != nil {
		return number
	}
	return shown
}
