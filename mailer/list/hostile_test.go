package list

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"oshirase/mailer"
)

// parts are the files of a workbook, in order; a value may repeat what it has.
type bookPart struct {
	name, head, repeat string
	times              int
	tail               string
}

const (
	bookHead  = `<workbook xmlns:r="r"><sheets>`
	sheetHead = `<worksheet><sheetData>`
	sheetTail = `</sheetData></worksheet>`
)

// plainBook is a workbook of one sheet, with other parts beside it or in their place.
func plainBook(sheet bookPart, more ...bookPart) []bookPart {
	sheet.name = "xl/worksheets/sheet1.xml"
	return append([]bookPart{
		{name: "xl/workbook.xml", head: bookHead + `<sheet name="S" r:id="r1"/></sheets></workbook>`},
		{name: "xl/_rels/workbook.xml.rels", head: `<Relationships><Relationship Id="r1" Type="x/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`},
		sheet,
	}, more...)
}

// packBook writes a workbook that no program would.
func packBook(t testing.TB, parts []bookPart) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.xlsx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, p := range parts {
		w, err := z.Create(p.name)
		if err == nil {
			_, err = io.WriteString(w, p.head)
		}
		chunk := []byte(strings.Repeat(p.repeat, 1000))
		for n := 0; err == nil && n < p.times; n += 1000 {
			_, err = w.Write(chunk)
		}
		if err == nil {
			_, err = io.WriteString(w, p.tail)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// readHostile reads a list to its end and says how it ended, how many rows there were,
// and how much memory it took at most, in MB.
func readHostile(t testing.TB, path string) (rows, refused int, memory int64, end error) {
	t.Helper()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := Open(path, anyExposure)
	if err == nil {
		for !errors.Is(err, io.EOF) {
			var rej *Rejected
			if _, err = r.Next(); err == nil {
				rows++
			} else if errors.As(err, &rej) {
				refused++
			} else {
				break
			}
		}
		if cerr := r.Close(); cerr != nil {
			t.Error(cerr)
		}
	}
	runtime.ReadMemStats(&after)
	return rows, refused, int64(after.HeapSys+after.StackSys-before.HeapSys-before.StackSys) >> 20, err
}

func row(n int, cells string) string { return fmt.Sprintf(`<row r="%d">%s</row>`, n, cells) }

func text(s string) string { return `<c t="inlineStr"><is><t>` + s + `</t></is></c>` }

func TestHostileXLSX(t *testing.T) {
	good := sheetHead + row(1, text("email")) + row(2, text("a@example.jp"))
	var sheets, rels strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&sheets, `<sheet name="S%d" r:id="r%d"/>`, i, i)
		fmt.Fprintf(&rels, `<Relationship Id="r%d" Type="x/worksheet" Target="worksheets/sheet1.xml"/>`, i)
	}
	manySheets := plainBook(bookPart{head: good + sheetTail})
	manySheets[0].head = bookHead + sheets.String() + `</sheets></workbook>`
	manySheets[1].head = `<Relationships>` + rels.String() + `</Relationships>`
	empty := plainBook(bookPart{head: good + sheetTail})
	empty[0].head = bookHead + strings.Repeat(`<sheet name="S" state="hidden"/>`, 2) + `</sheets></workbook>`
	for name, tc := range map[string]struct {
		parts []bookPart
		code  mailer.Code
	}{
		"good":                         {plainBook(bookPart{head: good + sheetTail}), ""},
		"a thousand sheets of a part":  {manySheets, "list.workbook-part"},
		"two sheets of no part":        {empty, "list.workbook-part"},
		"a part twice":                 {plainBook(bookPart{head: good + sheetTail}, bookPart{name: "XL/Workbook.xml", head: "x"}), "list.part-twice"},
		"wide header":                  {plainBook(bookPart{head: sheetHead + `<row r="1">`, repeat: text("h"), times: 20_000, tail: `</row>` + sheetTail}), "list.columns"},
		"far column":                   {plainBook(bookPart{head: sheetHead + `<row r="1"><c r="XFD1" t="str"><v>h</v></c></row>` + sheetTail}), "list.columns"},
		"column beyond a sheet":        {plainBook(bookPart{head: sheetHead + `<row r="1"><c r="ZZZZZZZZZZ1" t="str"><v>h</v></c></row>` + sheetTail}), "list.damaged-sheet"},
		"cells without end":            {plainBook(bookPart{head: good + `<row r="3">`, repeat: `<c/>`, times: 5_000_000, tail: `</row>` + sheetTail}), "list.unpacked"},
		"rows without end":             {plainBook(bookPart{head: good, repeat: `<row/>`, times: 2_000_000, tail: sheetTail}), "list.damaged-sheet"},
		"blanks without end":           {plainBook(bookPart{head: good, repeat: ` `, times: 20_000_000, tail: sheetTail}), "list.token"},
		"a tag without end":            {plainBook(bookPart{head: good + `<row `, repeat: `a="b" `, times: 4_000_000, tail: sheetTail}), "list.token"},
		"a comment without end":        {plainBook(bookPart{head: good + `<!--`, repeat: `x`, times: 20_000_000, tail: `-->` + sheetTail}), "list.token"},
		"small comments without end":   {plainBook(bookPart{head: good, repeat: `<!--x-->`, times: 4_000_000, tail: sheetTail}), "list.unpacked"},
		"a cell without end":           {plainBook(bookPart{head: good + `<row r="3"><c t="inlineStr"><is><t>`, repeat: `x`, times: 20_000_000, tail: `</t></is></c></row>` + sheetTail}), "list.token"},
		"a cell of pieces without end": {plainBook(bookPart{head: good + `<row r="3"><c t="inlineStr"><is>`, repeat: `<r><t>x</t></r>`, times: 1_500_000, tail: `</is></c></row>` + sheetTail}), "list.unpacked"},
		"nothing before the rows":      {plainBook(bookPart{head: `<worksheet>`, repeat: `<x>`, times: 8_000_000, tail: sheetTail}), "list.unpacked"},
		"shared texts without end":     {plainBook(bookPart{head: good + sheetTail}, bookPart{name: "xl/sharedStrings.xml", head: `<sst>`, repeat: `<si><t>x</t></si>`, times: 1_500_000, tail: `</sst>`}), "list.workbook-part"},
		"a shared text that is not":    {plainBook(bookPart{head: good + row(3, `<c t="s"><v>7</v></c>`) + sheetTail}), "list.damaged-sheet"},
		"a negative shared text":       {plainBook(bookPart{head: good + row(3, `<c t="s"><v>-1</v></c>`) + sheetTail}), "list.damaged-sheet"},
		"styles without end":           {plainBook(bookPart{head: good + sheetTail}, bookPart{name: "xl/styles.xml", head: `<styleSheet><cellXfs>`, repeat: `<xf numFmtId="14"/>`, times: 100_000, tail: `</cellXfs></styleSheet>`}), "list.workbook-part"},
		"entities":                     {plainBook(bookPart{head: `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]>` + sheetHead + row(1, text("&b;")) + sheetTail}), "list.doctype"},
		"rows backwards":               {plainBook(bookPart{head: good + row(2, text("b@example.jp")) + sheetTail}), "list.damaged-sheet"},
		"a row beyond a sheet":         {plainBook(bookPart{head: good + row(1_048_577, text("b@example.jp")) + sheetTail}), "list.damaged-sheet"},
		"cells backwards":              {plainBook(bookPart{head: sheetHead + row(1, `<c r="B1" t="str"><v>x</v></c><c r="A1" t="str"><v>email</v></c>`) + sheetTail}), "list.damaged-sheet"},
		"broken off":                   {plainBook(bookPart{head: good}), "list.damaged-sheet"},
		"broken off in a row":          {plainBook(bookPart{head: good + `<row><c t="inlineStr"><is><t>b@exa`}), "list.damaged-sheet"},
		"another encoding":             {plainBook(bookPart{head: `<?xml version="1.0" encoding="UTF-16"?>` + good + sheetTail}), "list.damaged-sheet"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, _, memory, end := readHostile(t, packBook(t, tc.parts))
			if tc.code == "" && (!errors.Is(end, io.EOF) || rows != 1) {
				t.Errorf("%d rows, %v", rows, end)
			}
			if tc.code != "" && (mailer.CodeOf(end) != tc.code || !errors.Is(end, mailer.ErrInvalid)) {
				t.Errorf("%d rows, then %v, want %s", rows, end, tc.code)
			}
			if memory > 64 {
				t.Errorf("%d MB", memory)
			}
		})
	}
}

// TestHostileArchive: what is wrong with the archive, not with what is in it.
func TestHostileArchive(t *testing.T) {
	var many []bookPart
	for i := range maxParts + 1 {
		many = append(many, bookPart{name: fmt.Sprint(i)})
	}
	_, _, memory, end := readHostile(t, packBook(t, many))
	if mailer.CodeOf(end) != "list.parts" || memory > 64 {
		t.Errorf("many parts: %v, %d MB", end, memory)
	}
	// A directory that lies about how many entries it has, and how large they are.
	path := packBook(t, plainBook(bookPart{head: sheetHead + row(1, text("email")), repeat: row(2, text("a@example.jp")), times: 1000}))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte){
		"sizes":  func(b []byte) { copy(b[bytes.LastIndex(b, []byte("PK\x01\x02"))+24:], "\x10\x00\x00\x00") },
		"offset": func(b []byte) { copy(b[bytes.LastIndex(b, []byte("PK\x01\x02"))+42:], "\x00\x00\x00\x00") },
		"method": func(b []byte) { b[bytes.LastIndex(b, []byte("PK\x01\x02"))+10] = 99 },
		"count":  func(b []byte) { b[bytes.LastIndex(b, []byte("PK\x05\x06"))+10] ^= 1 },
	} {
		lie := bytes.Clone(b)
		change(lie)
		_, _, memory, end := readHostile(t, writeList(t, "a.xlsx", string(lie)))
		if end == nil || errors.Is(end, io.EOF) || memory > 64 {
			t.Errorf("%s: %v, %d MB", name, end, memory)
		}
	}
}

// TestLongCells: what is kept of a text that is too long does not pass for the whole.
func TestLongCells(t *testing.T) {
	for name, s := range map[string]string{
		"letters": strings.Repeat("字", 32_767), "blanks within": "a@example.jp" + strings.Repeat(" ", 30_000) + "x", "entities": strings.Repeat("&#x5b57;", 32_767),
		"in pieces": strings.Repeat("</t></is><is><t>字", 5000),
	} {
		path := packBook(t, plainBook(bookPart{head: sheetHead + row(1, text("email")+text("memo")) + row(2, text(s)+text("x")) + row(3, text("b@example.jp")+text(s)) + sheetTail}))
		rows, refused, _, end := readHostile(t, path)
		if rows != 0 || refused != 2 {
			t.Errorf("%s: %d rows, %d refused, %v", name, rows, refused, end)
		}
	}
}

func TestHostileCSV(t *testing.T) {
	wide := strings.Repeat("h,", 20_000) + "email\n"
	for name, tc := range map[string]struct {
		content string
		code    mailer.Code
		refused int
	}{
		"columns":         {wide, "list.columns", 0},
		"columns by tabs": {strings.ReplaceAll(wide, ",", "\t"), "list.columns", 0},
		"quoted columns":  {strings.Repeat(`"h",`, 300) + "email\n", "list.columns", 0},
		"257":             {strings.Repeat(",", 256) + "email\n", "list.columns", 0},
		"one line":        {strings.Repeat("h", 2<<20), "list.huge-row", 0},
		"a long header":   {"email," + strings.Repeat("h", 500) + "\na@example.jp,x\n", "list.header", 0},
		"a wide row":      {"email,memo\n" + strings.Repeat("x,", 400_000) + "\n" + `"` + strings.Repeat(`x","`, 200_000) + "\"\n", "", 2},
		"an open quote":   {"email,memo\n" + strings.Repeat("\"x,y\n", 50_000), "", 50_000},
	} {
		path := writeList(t, "a.csv", tc.content)
		_, refused, memory, end := readHostile(t, path)
		if tc.code != "" && mailer.CodeOf(end) != tc.code || tc.code == "" && !errors.Is(end, io.EOF) || refused != tc.refused {
			t.Errorf("%s: %d refused, %v", name, refused, end)
		}
		if memory > 64 {
			t.Errorf("%s: %d MB", name, memory)
		}
	}
}

// TestWideListIsNotRead: the first line says enough, however long the file is.
func TestWideListIsNotRead(t *testing.T) {
	path := writeList(t, "a.csv", "\n"+strings.Repeat("h,", 20_000)+"email\n")
	if err := os.Truncate(path, 1<<40); err != nil { // a hole: reading it would take minutes
		t.Skip("no file with a hole here:", err)
	}
	if _, err := Open(path, anyExposure); mailer.CodeOf(err) != "list.columns" {
		t.Errorf("Open: %v", err)
	}
	path = writeList(t, "b.csv", strings.Repeat("h", 2<<20))
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, anyExposure); mailer.CodeOf(err) != "list.huge-row" {
		t.Errorf("Open: %v", err)
	}
}

// TestHiddenListName: a list's name stands in sheets and tables.
func TestHiddenListName(t *testing.T) {
	path := writeList(t, "a\u202ecsv.csv", "email\na@example.jp\n")
	if _, err := Open(path, anyExposure); mailer.CodeOf(err) != "text.hidden" {
		t.Errorf("Open: %v", err)
	}
}

// FuzzSheet: whatever a sheet holds, it is read to its end or refused.
func FuzzSheet(f *testing.F) {
	f.Add(sheetHead + row(1, text("email")) + row(2, text("a@example.jp")) + sheetTail)
	f.Add(sheetHead + row(1, `<c r="B1" t="s"><v>0</v></c><c t="e"><f>1/0</f><v>#DIV/0!</v></c>`))
	f.Add(`<x:sheetData><x:row r="1"><x:c t="str"><x:v>email_x000D_</x:v></x:c></x:row></x:sheetData>`)
	f.Fuzz(func(t *testing.T, sheet string) {
		_, _, _, end := readHostile(t, packBook(t, plainBook(bookPart{head: sheet}, bookPart{name: "xl/sharedStrings.xml", head: "<sst><si><t>a</t><rPh><t>b</t></rPh></si></sst>"})))
		if !errors.Is(end, io.EOF) && !errors.Is(end, mailer.ErrInvalid) {
			t.Fatalf("ended by %v", end)
		}
	})
}
