package list

import (
	"fmt"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

// TestXLSXShowsNumbersAsTheLibrary: cells are read by us, and look as the library that
// reads whole workbooks shows them.
func TestXLSXShowsNumbersAsTheLibrary(t *testing.T) {
	values := []any{
		0, 1, -1, 7, 1.5, 0.1, -0.25, 44483, 44483.75, 12345678901, 123456789012345678, 1234567890123450, 1e15, 1e21, 0.000001, 100.0 / 3,
		time.Date(2021, 10, 14, 9, 30, 0, 0, time.UTC), true, false, "文字", "00012", "=1", "_x0041_",
	}
	var styles []excelize.Style
	for id := range 59 {
		styles = append(styles, excelize.Style{NumFmt: id})
	}
	for _, code := range []string{"00000000", "yyyy年m月d日", "[$-411]ggge年m月d日", "#,##0.00", "0.00E+00", `"No."0`, "@", "m/d;@", "[h]:mm", "0;-0;;@", "???", "[Red]0"} {
		styles = append(styles, excelize.Style{CustomNumFmt: &code})
	}
	path := writeBook(t, func(f *excelize.File) {
		set := func(row, column int, v any, style int) {
			cell, err := excelize.CoordinatesToCellName(column, row)
			if err == nil {
				err = f.SetCellValue("Sheet1", cell, v)
			}
			if err == nil && style > 0 {
				err = f.SetCellStyle("Sheet1", cell, cell, style)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		set(1, 1, "email", 0)
		for k := range values {
			set(1, k+2, fmt.Sprint("c", k), 0)
		}
		for i := range styles {
			id, err := f.NewStyle(&styles[i])
			if err != nil {
				t.Fatal(err)
			}
			set(i+2, 1, "a@example.jp", 0)
			for k, v := range values {
				style := id
				if _, text := v.(string); text {
					style = 0 // texts stand as they are
				}
				set(i+2, k+2, v, style)
			}
		}
	})
	book, err := excelize.OpenFile(path, excelize.Options{CultureInfo: excelize.CultureNameJaJP, ShortDatePattern: "yyyy/m/d"})
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	want, err := book.GetRows("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(path, anyExposure)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, row := range want[1:] {
		rec, err := r.src.next()
		if err != nil {
			t.Fatal(err)
		}
		for k, cell := range row {
			if k < len(rec.fields) && string(rec.fields[k]) != cell {
				t.Errorf("style %d, %v: shown %q, want %q", i, values[k-1], rec.fields[k], cell)
			}
		}
	}
}
