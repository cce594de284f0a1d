package list

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"oshirase/mailer"
)

// workbook is an XLSX file. Its parts are unpacked as they are read, and nothing of
// them is written anywhere in clear.
type workbook struct {
	archive
	sheet   *sheet // nil before one was chosen
	strings *sharedStrings
	formats *formats
}

// maxSheets bounds the sheets of a workbook, whether they are shown or not.
const maxSheets = 255

// openXLSX opens the first visible sheet that has a header. Memory does not grow with
// the sheet, nor with what a hostile one claims.
func (r *Reader) openXLSX() error {
	r.info.Encoding = XLSX
	entries := signatures{}
	if _, err := io.Copy(io.MultiWriter(r.hash, &entries), r.file); err != nil {
		return err
	}
	if entries.found > maxParts {
		return mailer.Invalid("list.parts", "most", maxParts)
	}
	z, err := zip.NewReader(r.file, r.size)
	if err != nil {
		return mailer.Invalid("list.workbook", "cause", err)
	}
	w := &workbook{}
	r.src = w
	if w.archive, err = newArchive(z); err != nil {
		return err
	}
	sheets, err := w.open(r.opt.TempDir)
	if err != nil {
		return err
	}
	return r.firstSheet(w, sheets)
}

// firstSheet reads on in the first sheet that has a header.
func (r *Reader) firstSheet(w *workbook, sheets []sheetEntry) error {
	var first error
	for _, s := range sheets {
		p, err := w.part(s.part)
		if err == nil {
			w.sheet = newSheet(w, p, r)
			err = r.readHeader()
		}
		if err == nil {
			return nil
		}
		err = fmt.Errorf("sheet %q: %w", s.name, err)
		if errors.Is(err, errUnpacked) {
			return err
		}
		if first == nil {
			first = err
		}
		if err := w.closeSheet(); err != nil {
			return err
		}
	}
	if first == nil {
		first = mailer.Invalid("list.no-sheet")
	}
	return first
}

func (w *workbook) next() (record, error) { return w.sheet.next() }

func (w *workbook) closeSheet() error {
	if w.sheet == nil {
		return nil
	}
	err := w.sheet.part.Close()
	w.sheet = nil
	return err
}

func (w *workbook) close() error {
	err := w.closeSheet()
	if w.strings != nil {
		err = errors.Join(err, w.strings.close())
	}
	return err
}

// sheetEntry is a visible sheet as the workbook lists it.
type sheetEntry struct{ name, part string }

// open reads what the workbook has beside its sheets. tempDir is where texts go, sealed,
// of which there are too many for the memory.
func (w *workbook) open(tempDir string) ([]sheetEntry, error) {
	const main, rels = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
	kinds, targets, err := w.relations(rels)
	if err != nil {
		return nil, mailer.Invalid("list.workbook-part", "part", rels, "cause", err)
	}
	sheets, date1904, err := w.sheets(main, targets)
	if err != nil {
		return nil, mailer.Invalid("list.workbook-part", "part", main, "cause", err)
	}
	if w.formats, err = w.readFormats(kinds["styles"], date1904); err != nil {
		return nil, mailer.Invalid("list.workbook-part", "part", kinds["styles"], "cause", err)
	}
	if w.strings, err = w.readStrings(kinds["sharedstrings"], tempDir); err != nil {
		return nil, mailer.Invalid("list.workbook-part", "part", kinds["sharedstrings"], "cause", err)
	}
	return sheets, nil
}

// relations tells which part is of which kind, and which has which ID.
func (w *workbook) relations(name string) (kinds, targets map[string]string, err error) {
	kinds, targets = map[string]string{"styles": "xl/styles.xml", "sharedstrings": "xl/sharedstrings.xml"}, map[string]string{}
	err = w.each(name, func(_ *decoder, e *xml.StartElement) error {
		if e.Name.Local != "Relationship" {
			return nil
		}
		if len(targets) == maxParts {
			return mailer.Invalid("list.parts", "most", maxParts)
		}
		target := attr(e, "Target")
		if !strings.HasPrefix(target, "/") {
			target = "/xl/" + target
		}
		target = strings.ToLower(strings.TrimPrefix(path.Clean(target), "/"))
		targets[attr(e, "Id")] = target
		kinds[strings.ToLower(path.Base(attr(e, "Type")))] = target
		return nil
	})
	return kinds, targets, err
}

// sheets lists the visible sheets that have rows, and says how dates count.
func (w *workbook) sheets(name string, targets map[string]string) (all []sheetEntry, date1904 bool, err error) {
	used := map[string]bool{}
	err = w.each(name, func(_ *decoder, e *xml.StartElement) error {
		switch e.Name.Local {
		case "workbookPr":
			v := attr(e, "date1904")
			date1904 = v == "1" || v == "true"
		case "sheet":
			s := sheetEntry{attr(e, "name"), targets[attr(e, "id")]}
			switch {
			case len(used) == maxSheets:
				return mailer.Invalid("list.sheets", "most", maxSheets)
			case used[s.part]:
				return mailer.Invalid("list.sheet-twice")
			}
			used[s.part] = true
			if state := attr(e, "state"); (state == "" || state == "visible") && w.parts[s.part] != nil {
				all = append(all, s)
			}
		}
		return nil
	})
	return all, date1904, err
}
