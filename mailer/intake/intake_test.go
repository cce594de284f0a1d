package intake_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"oshirase/mailer"
	"oshirase/mailer/intake"
	"oshirase/mailer/list"
	"oshirase/store"
	"oshirase/torture/mailertest"
)

var (
	must = mailertest.Must
	by   = mailertest.Actor("鈴木")
)

// file writes a list into a folder of the test's.
func file(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.csv")
	must(t, os.WriteFile(path, []byte(strings.Join(lines, "\r\n")+"\r\n"), 0o600))
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

// say gives words that no other place has.
func say(err error) string { return "<" + err.Error() + ">" }

func taker(ledger intake.Ledger) *intake.Intake { return &intake.Intake{Ledger: ledger, Words: say} }

const header = "会員番号,氏名,メールアドレス,漏えい区分"

// TestRefusedByListAndLedger: both come back by row and reason, and in the errors
// file with what stood in the row, in the list's own encoding and line ends.
func TestRefusedByListAndLedger(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	path := file(t, header,
		"D1,佐藤 花子,hanako@mail.example,A",
		"D2,髙橋 次郎,no-at-sign,A",
		"D3,鈴木 三郎,saburo@mail.example,A",
		"D4,田中 四郎,shiro@mail.example,A",
		`D3,"山本 ""五""郎",goro@mail.example,A`, // the ledger: another person with that number
	)
	errorsFile := filepath.Join(t.TempDir(), "refused.csv")
	res, err := taker(w.DB).Import(t.Context(), by, intake.Order{Path: path, Incident: "shop", Merchant: "shop", ErrorsFile: errorsFile})
	must(t, err)
	if res.Rows != 5 || res.Imported != 3 || res.Rejected != 2 || len(res.Errors) != 2 || res.ErrorsOmitted != 0 {
		t.Fatalf("%+v", res)
	}
	for i, want := range []struct {
		row    int64
		column string
	}{{3, "メールアドレス"}, {6, "会員番号"}} {
		if got := res.Errors[i]; got.Row != want.row || got.Column != want.column || got.Reason == "" || got.Err == nil {
			t.Errorf("%+v, want row %d, column %s", got, want.row, want.column)
		}
	}
	if r := res.Errors[1]; mailer.CodeOf(r.Err) != "row.two-people" || r.Reason != say(r.Err) {
		t.Errorf("%+v", r)
	}
	written := read(t, errorsFile)
	for _, want := range []string{
		"D2,髙橋 次郎,no-at-sign,A\r\n",
		`6,会員番号,<row.two-people>,D3,"山本 ""五""郎",goro@mail.example,A` + "\r\n",
	} {
		if !strings.Contains(written, want) {
			t.Errorf("the errors file has no %q:\n%s", want, written)
		}
	}
	if strings.Contains(written, "花子") || strings.Count(written, "\r\n") != 3 {
		t.Errorf("the errors file holds more than what was refused:\n%s", written)
	}
	if acts := w.Acts(mailer.ActImport); len(acts) != 2 || acts[1].By != by.Name || acts[1].Subject != res.List {
		t.Errorf("%+v", acts)
	}
}

// TestStrictTakesNothing, and says what was refused.
func TestStrictTakesNothing(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	path := file(t, header, "D1,佐藤 花子,hanako@mail.example,A", "D1,鈴木 三郎,saburo@mail.example,A")
	errorsFile := filepath.Join(t.TempDir(), "refused.csv")
	res, err := taker(w.DB).Import(t.Context(), by, intake.Order{Path: path, Incident: "shop", Merchant: "shop", Strict: true, ErrorsFile: errorsFile})
	if !errors.Is(err, intake.ErrStrict) || !errors.Is(err, mailer.ErrInvalid) {
		t.Fatal(err)
	}
	if res.List != "" || res.Imported != 0 || res.Rejected != 1 || len(res.Errors) != 1 || res.SHA256 == "" {
		t.Errorf("%+v", res)
	}
	if !strings.Contains(read(t, errorsFile), "鈴木 三郎") {
		t.Error("the errors file lacks the row")
	}
	if found, err := w.DB.Lookup(t.Context(), by, mailer.Query{CustomerID: "D1"}); err != nil || len(found) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if acts := w.Acts(mailer.ActImport); len(acts) > 1 {
		t.Errorf("%+v", acts)
	}
}

// TestDryRun changes nothing and leaves no list.
func TestDryRun(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	path := file(t, header, "D1,佐藤 花子,hanako@mail.example,A")
	res, err := taker(w.DB).Import(t.Context(), by, intake.Order{Path: path, Incident: "shop", Merchant: "shop", DryRun: true})
	if err != nil || res.List != "" || res.Imported != 1 || !res.DryRun {
		t.Errorf("%+v, %v", res, err)
	}
	if found, err := w.DB.Lookup(t.Context(), by, mailer.Query{CustomerID: "D1"}); err != nil || len(found) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestManyRefused: the result lists a thousand, the file has them all; those of the
// ledger too.
func TestManyRefused(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	lines := []string{header}
	for i := range 750 { // one that the list refuses, one that the ledger does
		lines = append(lines, fmt.Sprintf("D%d,佐藤 花子,d%d@mail.example,", i, i), fmt.Sprintf("D,鈴木 三郎%d,s%d@mail.example,A", i, i))
	}
	lines = append(lines, "D,佐藤 花子,d@mail.example,")
	errorsFile := filepath.Join(t.TempDir(), "refused.csv")
	res, err := taker(w.DB).Import(t.Context(), by, intake.Order{Path: file(t, lines...), Incident: "shop", Merchant: "shop", ErrorsFile: errorsFile})
	must(t, err)
	if res.Rejected != 1500 || len(res.Errors) != 1000 || res.ErrorsOmitted != 500 || res.Errors[0].Row != 2 {
		t.Errorf("%d, %d, %d", res.Rejected, len(res.Errors), res.ErrorsOmitted)
	}
	if n := strings.Count(read(t, errorsFile), "\r\n"); n != 1501 {
		t.Errorf("%d lines in the errors file", n)
	}
}

// TestNoIncident says what to do by its code.
func TestNoIncident(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	_, err := taker(w.DB).Import(t.Context(), by, intake.Order{Path: file(t, header, "D1,,a@mail.example,A"), Incident: "gone", Merchant: "shop"})
	if mailer.CodeOf(err) != "intake.no-incident" || !errors.Is(err, mailer.ErrNotFound) {
		t.Error(err)
	}
}

// TestErrorsFileReplacesNothing: not the list, not what a link leads to, not what an
// earlier import wrote; nothing is taken then, and nothing after a dry run either.
func TestErrorsFileReplacesNothing(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	path := file(t, header, "D1,佐藤 花子,hanako@mail.example,A", "D2,,no-at-sign,A")
	list := read(t, path)
	link := filepath.Join(t.TempDir(), "link.csv")
	must(t, os.Symlink(path, link))
	o := intake.Order{Path: path, Incident: "shop", Merchant: "shop"}
	for _, dry := range []bool{false, true} {
		for _, o.ErrorsFile = range []string{path, link} {
			o.DryRun = dry
			if _, err := taker(w.DB).Import(t.Context(), by, o); mailer.CodeOf(err) != "outfile.taken" {
				t.Errorf("%s: %v", o.ErrorsFile, err)
			}
		}
	}
	if read(t, path) != list || len(w.Acts(mailer.ActImport)) != 1 { // of New
		t.Errorf("something was written: %+v", w.Acts(mailer.ActImport))
	}
	o.ErrorsFile = filepath.Join(t.TempDir(), "refused.csv")
	if res, err := taker(w.DB).Import(t.Context(), by, o); err != nil || res.Rejected != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := os.Lstat(o.ErrorsFile); err == nil {
		t.Error("a dry run wrote the errors file")
	}
	o.DryRun = false
	_, err := taker(w.DB).Import(t.Context(), by, o)
	must(t, err)
	refused := read(t, o.ErrorsFile)
	if _, err := taker(w.DB).Import(t.Context(), by, o); mailer.CodeOf(err) != "outfile.taken" || read(t, o.ErrorsFile) != refused {
		t.Errorf("once more: %v", err)
	}
}

// TestErrorsFileTakenMeanwhile: the rows that were refused have nowhere to go, so
// nothing is taken.
func TestErrorsFileTakenMeanwhile(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	o := intake.Order{
		Path: file(t, header, "D1,佐藤 花子,hanako@mail.example,A", "D2,,no-at-sign,A"), Incident: "shop", Merchant: "shop",
		ErrorsFile: filepath.Join(t.TempDir(), "refused.csv"),
	}
	in := taker(w.DB)
	in.Progress = func(int64, int64) {
		if _, err := os.Lstat(o.ErrorsFile); err != nil {
			must(t, os.WriteFile(o.ErrorsFile, []byte("somebody else's"), 0o600))
		}
	}
	if _, err := in.Import(t.Context(), by, o); mailer.CodeOf(err) != "outfile.taken" || read(t, o.ErrorsFile) != "somebody else's" {
		t.Errorf("%v, %q", err, read(t, o.ErrorsFile))
	}
	if n := len(w.Acts(mailer.ActImport)); n != 1 {
		t.Errorf("%d imports recorded", n)
	}
}

// TestErrorsFileThatCannotBeWritten: nothing is taken.
func TestErrorsFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	_, err := taker(w.DB).Import(t.Context(), by, intake.Order{
		Path: file(t, header, "D1,佐藤 花子,hanako@mail.example,A"), Incident: "shop", Merchant: "shop",
		ErrorsFile: filepath.Join(t.TempDir(), "gone", "refused.csv"),
	})
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if found, err := w.DB.Lookup(t.Context(), by, mailer.Query{CustomerID: "D1"}); err != nil || len(found) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

// memory is a ledger that remembers one list.
type memory struct {
	*store.DB
	size          int64
	sum, how      string
	known         mailer.ImportedList
	asked, looked int // how often for the size, for the digest
	imported      int
}

func (m *memory) KnownSize(_ context.Context, incident, merchant string, size int64) (bool, error) {
	m.asked++
	return size == m.size && incident == "shop" && merchant == "shop", nil
}

func (m *memory) FindImported(_ context.Context, incident, merchant, sum, how string) (mailer.ImportedList, bool, error) {
	m.looked++
	found := sum == m.sum && how == m.how
	if !found {
		return mailer.ImportedList{}, false, nil
	}
	return m.known, true, nil
}

func (m *memory) Import(ctx context.Context, by mailer.Actor, o mailer.Import, rows func() (mailer.Row, error)) (mailer.ImportResult, error) {
	m.imported++
	res, err := m.DB.Import(ctx, by, o, rows)
	if err == nil {
		m.size, m.sum, m.how = o.Size, o.Info().SHA256, o.How
		m.known = mailer.ImportedList{ID: res.List, Info: o.Info(), Rejected: res.Rejected}
	}
	return res, err
}

// TestTheSameListAgain is not read: all of it is there. The act is recorded, and
// there is an errors file, without rows.
func TestTheSameListAgain(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	m := &memory{DB: w.DB}
	path := file(t, header, "D1,佐藤 花子,hanako@mail.example,A", "D2,鈴木 三郎,saburo@mail.example,A")
	o := intake.Order{Path: path, Incident: "shop", Merchant: "shop"}
	first, err := taker(m).Import(t.Context(), by, o)
	must(t, err)
	if m.imported != 1 || m.looked != 0 {
		t.Fatalf("imported %d times, digest asked for %d times", m.imported, m.looked)
	}
	o.ErrorsFile = filepath.Join(t.TempDir(), "refused.csv")
	again, err := taker(m).Import(t.Context(), by, o)
	must(t, err)
	if m.imported != 1 || m.looked != 1 {
		t.Errorf("imported %d times, digest asked for %d times", m.imported, m.looked)
	}
	want := first
	want.Imported, want.Duplicates = 0, 2
	if diff := cmp.Diff(want, again); diff != "" {
		t.Error(diff)
	}
	if s := read(t, o.ErrorsFile); strings.Count(s, "\n") != 1 {
		t.Errorf("the errors file:\n%s", s)
	}
	acts := w.Acts(mailer.ActImport)
	if last := acts[len(acts)-1]; len(acts) != 3 || last.By != by.Name || last.Subject != first.List || !strings.Contains(last.Detail, "2 rows") {
		t.Errorf("%+v", acts)
	}
	o.DryRun, o.ErrorsFile = true, ""
	if dry, err := taker(m).Import(t.Context(), by, o); err != nil || dry.List != "" || dry.Duplicates != 2 || len(w.Acts(mailer.ActImport)) != 3 {
		t.Errorf("%+v, %v", dry, err)
	}
}

// TestAnotherReadingOfTheList, another list of the same size, and one of which rows
// were refused, are read.
func TestAnotherReadingOfTheList(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	m := &memory{DB: w.DB}
	path := file(t, header, "D1,佐藤 花子,hanako@mail.example,A", "D2,鈴木 三郎,saburo@mail.example,A")
	o := intake.Order{Path: path, Incident: "shop", Merchant: "shop"}
	for i, other := range []func(){
		func() {},
		func() { o.Encoding = list.UTF8 },
		func() { o.Exposures = []string{"A"} },
		func() { o.Columns = map[string]string{"customer_id": "会員番号"} },
		func() {
			o.Path = file(t, header, "D1,佐藤 花子,hanako@mail.example,A", "D3,鈴木 三郎,saburo@mail.example,A")
		},
		func() { m.known.Rejected = 1 },
	} {
		other()
		if _, err := taker(m).Import(t.Context(), by, o); err != nil || m.imported != i+1 {
			t.Errorf("%d: imported %d times, %v", i, m.imported, err)
		}
	}
}
