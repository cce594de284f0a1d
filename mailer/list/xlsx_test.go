package list

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"oshirase/mailer"
)

// writeBook saves a workbook that fill has filled.
func writeBook(t testing.TB, fill func(f *excelize.File)) string {
	t.Helper()
	f := excelize.NewFile()
	fill(f)
	path := filepath.Join(t.TempDir(), "a.xlsx")
	if err := errors.Join(f.SaveAs(path), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func setRows(t testing.TB, f *excelize.File, sheet string, rows ...[]any) {
	t.Helper()
	for i, row := range rows {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.SetSheetRow(sheet, cell, &row); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadsXLSX(t *testing.T) {
	path := writeBook(t, func(f *excelize.File) {
		if _, err := f.NewSheet("名簿"); err != nil {
			t.Fatal(err)
		}
		setRows(t, f, "Sheet1", []any{"この表について"})
		setRows(
			t, f, "名簿",
			[]any{"会員番号", "氏名", "メールアドレス", "登録日", "電話番号", ""},
			[]any{10000001, "髙橋 﨑子", "taro@example.jp", time.Date(2021, 10, 14, 0, 0, 0, 0, time.UTC), "0312345678"},
			[]any{},
			[]any{"00042", "𠮷田", "hana@example.jp"},
			[]any{12345678901, "x", "bad", nil, nil, nil, nil},
			[]any{123456789012, "二\n行", "c@example.jp"},
			[]any{5, "山", "d@example.jp", nil, nil, nil, "余"},
			[]any{6, "森", "e@example.jp", nil, nil, "余"},
		)
	})
	rows, refused, info := readAll(t, path, anyExposure)
	want := []mailer.Row{
		{Number: 2, Person: mailer.Person{CustomerID: "10000001", Name: "髙橋 﨑子", Email: "taro@example.jp", Phone: "0312345678", Attributes: map[string]string{"登録日": "2021/10/14"}}, Exposures: []string{"A"}},
		{Number: 4, Person: mailer.Person{CustomerID: "00042", Name: "𠮷田", Email: "hana@example.jp", Attributes: map[string]string{"登録日": ""}}, Exposures: []string{"A"}},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	wantRefused := []string{
		"5|メールアドレス|list.email: address.no-at",
		"6|氏名|list.line-break",
		"7||list.ragged (cells=7, header=5)",
		"8||list.ragged (cells=6, header=5)",
	}
	if diff := cmp.Diff(wantRefused, refused); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if info.Encoding != XLSX || info.Name != "a.xlsx" || len(info.SHA256) != 64 {
		t.Errorf("info %+v", info)
	}
}

func TestXLSXNumbersAreText(t *testing.T) {
	path := writeBook(t, func(f *excelize.File) {
		setRows(t, f, "Sheet1", []any{"会員番号", "点"}, []any{7, 1.5}, []any{123456789012, 0.1}, []any{1234567890123450, 3})
		style, err := f.NewStyle(&excelize.Style{CustomNumFmt: new("00000000")})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.SetCellStyle("Sheet1", "A2", "A2", style); err != nil {
			t.Fatal(err)
		}
	})
	rows, refused, _ := readAll(t, path, anyExposure)
	var got []string
	for _, r := range rows {
		got = append(got, r.CustomerID+" "+r.Attributes["点"])
	}
	if want := []string{"00000007 1.5", "123456789012 0.1", "1234567890123450 3"}; !cmp.Equal(got, want) || len(refused) > 0 {
		t.Errorf("got %q, refused %q, want %q", got, refused, want)
	}
}

func TestXLSXWithoutHeader(t *testing.T) {
	path := writeBook(t, func(f *excelize.File) { setRows(t, f, "Sheet1", []any{1, "山田"}) })
	if _, err := Open(path, Options{}); !errors.Is(err, mailer.ErrInvalid) || mailer.CodeOf(err) != "list.no-person-column" {
		t.Errorf("Open: %v", err)
	}
	hidden := writeBook(t, func(f *excelize.File) {
		if _, err := f.NewSheet("表"); err != nil {
			t.Fatal(err)
		}
		setRows(t, f, "Sheet1", []any{"email"}, []any{"hidden@example.jp"})
		setRows(t, f, "表", []any{"email"}, []any{"shown@example.jp"})
		f.SetActiveSheet(1)
		if err := f.SetSheetVisible("Sheet1", false); err != nil {
			t.Fatal(err)
		}
	})
	rows, _, _ := readAll(t, hidden, anyExposure)
	if len(rows) != 1 || rows[0].Email != "shown@example.jp" {
		t.Errorf("rows %v", rows)
	}
}

// rewrite copies a workbook and changes one of its parts, which it need not have.
func rewrite(t *testing.T, path, part string, change func([]byte) []byte) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	found := false
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == part {
			b, found = change(b), true
		}
		p, err := w.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		p, err := w.Create(part)
		if err == nil {
			_, err = p.Write(change(nil))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return writeList(t, "changed.xlsx", out.String())
}

// A sheet whose XML breaks off must not pass for a shorter list.
func TestXLSXDamaged(t *testing.T) {
	path := writeBook(t, func(f *excelize.File) {
		setRows(t, f, "Sheet1", []any{"email"}, []any{"a@example.jp"}, []any{"b@example.jp"}, []any{"c@example.jp"})
	})
	damaged := rewrite(t, path, "xl/worksheets/sheet1.xml", func(b []byte) []byte {
		return bytes.Replace(b, []byte(`<row r="3"`), []byte(`<row < r="3"`), 1)
	})
	r, err := Open(damaged, anyExposure)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, mailer.ErrInvalid) || !errors.Is(err, errDamaged) {
		t.Errorf("Next: %v", err)
	}
}

// Excel keeps how a name was typed beside it; that is no part of the name.
func TestXLSXPhoneticGuide(t *testing.T) {
	path := writeBook(t, func(f *excelize.File) { setRows(t, f, "Sheet1", []any{"会員番号", "氏名"}, []any{1, "山田"}) })
	guided := rewrite(t, path, "xl/sharedStrings.xml", func(b []byte) []byte {
		return bytes.Replace(b, []byte("<t>山田</t>"), []byte(`<t>山田</t><rPh sb="0" eb="2"><t>ヤマダ</t></rPh><phoneticPr fontId="1"/>`), 1)
	})
	rows, refused, _ := readAll(t, guided, anyExposure)
	if len(rows) != 1 || rows[0].Name != "山田" {
		t.Errorf("rows %v, refused %v", rows, refused)
	}
}

// TestXLSXLeavesNothingBehind: texts that do not fit into memory go to a folder of ours,
// sealed, into a file without a name.
func TestXLSXLeavesNothingBehind(t *testing.T) {
	system, ours := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", system)
	const rows = 12_000
	path := writeBook(t, func(f *excelize.File) {
		w, err := f.NewStreamWriter("Sheet1") // inline texts: the rest is rewritten below
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			cell, _ := excelize.CoordinatesToCellName(1, i+1)
			row := []any{i, strings.Repeat("字", 200) + fmt.Sprint(i)}
			if i == 0 {
				row = []any{"customer_id", "memo"}
			}
			if err := w.SetRow(cell, row); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	})
	path = shareTexts(t, path)
	opt := anyExposure
	opt.TempDir = ours
	r, err := Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	w := r.src.(*workbook)
	if w.strings.file == nil || w.strings.spilled < 6<<20 {
		t.Fatalf("%d octets in a file", w.strings.spilled)
	}
	raw := make([]byte, w.strings.spilled)
	if _, err := w.strings.file.ReadAt(raw, 0); err != nil || bytes.Contains(raw, []byte("字字字字")) {
		t.Errorf("the file is in clear (%v)", err)
	}
	for _, dir := range []string{system, ours} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("while it is read: %v %v", left, err)
		}
	}
	n := 0
	for row, err := r.Next(); !errors.Is(err, io.EOF); row, err = r.Next() {
		if n++; err != nil || row.CustomerID != fmt.Sprint(n) || row.Attributes["memo"] != strings.Repeat("字", 200)+fmt.Sprint(n) {
			t.Fatalf("row %d: %v %.20v", n, err, row)
		}
	}
	if err := r.Close(); err != nil || n != rows-1 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := os.WriteFile(filepath.Join(ours, spillName+"1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(ours); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(ours); err != nil || len(left) > 0 {
		t.Errorf("behind a sweep: %v %v", left, err)
	}
}

// shareTexts moves inline texts to the part of shared ones, as Excel has them.
func shareTexts(t *testing.T, path string) string {
	t.Helper()
	var shared strings.Builder
	n := 0
	shared.WriteString(`<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">`)
	inline := regexp.MustCompile(`t="inlineStr"><is>(.*?)</is>`)
	moved := rewrite(t, path, "xl/worksheets/sheet1.xml", func(b []byte) []byte {
		return inline.ReplaceAllFunc(b, func(m []byte) []byte {
			shared.WriteString("<si>" + string(inline.FindSubmatch(m)[1]) + "</si>")
			n++
			return fmt.Appendf(nil, `t="s"><v>%d</v>`, n-1)
		})
	})
	return rewrite(t, moved, "xl/sharedStrings.xml", func([]byte) []byte { return []byte(shared.String() + "</sst>") })
}

func TestXLSXErrorsFile(t *testing.T) {
	path := writeBook(t, func(f *excelize.File) {
		setRows(t, f, "Sheet1", []any{"会員番号", "メールアドレス"}, []any{"0001", "bad"})
	})
	out := filepath.Join(t.TempDir(), "errors.csv")
	writeErrors(t, path, out)
	got, err := os.ReadFile(out)
	want := "\ufeffエラー行,エラー列,エラー理由,会員番号,メールアドレス\r\n2,メールアドレス,list.email: address.no-at,0001,bad\r\n"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
