package store

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"oshirase/mailer"
)

// mixed is a list with everything that an import tells apart: new and known
// people, changed ones, repeated rows, two people with one number, and rows that
// say too little.
func mixed(n int) []mailer.Row {
	var rows []mailer.Row
	for i := range n {
		p := person(i)
		exposures := []string{"A"}
		switch {
		case i%11 == 3:
			p = mailer.Person{Name: p.Name}
		case i%13 == 4:
			exposures = nil
		case i%17 == 5:
			exposures = []string{"A", "Z"}
		case i%19 == 6: // another number's second person
			p = person(i - 6)
			p.Name, p.Email = "鈴木 一郎", fmt.Sprintf("ichiro%d@mail.example", i)
		case i%7 == 2:
			p = person(i - 2)
			exposures = []string{"B1"}
		case i%23 == 7:
			p = person(i - 7)
			p.Attributes = map[string]string{"会員種別": "一般"}
		case i%5 == 1:
			exposures = []string{"B2", "A"}
		case i%29 == 8:
			p.CustomerID = ""
		}
		rows = append(rows, row(int64(i+2), p, exposures...))
	}
	return rows
}

// TestImportBulk: with the indexes dropped meanwhile, an import does what it does
// with them, whenever it drops them.
func TestImportBulk(t *testing.T) {
	known := people(300)
	for i := range known {
		known[i].Phone = "03-0000-9999"
	}
	rows := mixed(4000)
	type outcome struct {
		result   mailer.ImportResult
		rejected []refused
		people   map[string]string // by person
	}
	run := func(t *testing.T, after int64, before []mailer.Row) outcome {
		e := open(t)
		e.apply()
		if len(before) > 0 {
			e.load("shop", "before", before)
		}
		e.load("club", "others", people(20))
		e.bulkRows = cmp.Or(after, bulkRows)
		o := outcome{people: map[string]string{}}
		var err error
		o.result, err = e.Import(context.Background(), tester, mailer.Import{
			Incident: "pay", Merchant: "shop",
			Reject: func(r mailer.Row, column string, reason error) {
				if fmt.Sprint(r) != fmt.Sprint(rows[r.Number-2]) {
					t.Errorf("rejected %+v, which the list does not have", r)
				}
				o.rejected = append(o.rejected, refused{r.Number, column, reason.Error()})
			},
		}, source(rows))
		must(t, err)
		o.result.List = ""
		for _, r := range e.recipients("shop") {
			o.people[fmt.Sprint(r.Person)] = fmt.Sprint(r.Exposures)
		}
		if len(o.people) != len(e.recipients("shop")) {
			t.Error("one person twice")
		}
		indexes := []string{}
		must(t, e.r.Select(&indexes, `SELECT name FROM sqlite_master WHERE tbl_name = 'recipient' AND sql LIKE 'CREATE%INDEX%' ORDER BY name`))
		if !slices.Contains(indexes, "recipient_person") || !slices.Contains(indexes, "recipient_email") {
			t.Errorf("indexes left: %v", indexes)
		}
		var wrong []string
		must(t, e.r.Select(&wrong, `SELECT "table" FROM pragma_foreign_key_check UNION ALL SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'`))
		if len(wrong) > 0 {
			t.Errorf("database: %v", wrong)
		}
		var on bool
		must(t, e.w.Get(&on, `PRAGMA foreign_keys`))
		if !on {
			t.Error("references are no longer checked")
		}
		again, _ := e.load("shop", "again", rows)
		if again.Imported != 0 {
			t.Errorf("same list again: %+v", again)
		}
		return o
	}
	for name, before := range map[string][]mailer.Row{"empty": nil, "people before": known} {
		t.Run(name, func(t *testing.T) {
			want := run(t, 1<<40, before)
			if want.result.Imported == 0 || want.result.Updated == 0 || want.result.Duplicates == 0 || want.result.Rejected == 0 {
				t.Fatalf("the list tries too little: %+v", want.result)
			}
			for _, after := range []int64{1, 1000, 2000} {
				got := run(t, after, before)
				if got.result != want.result {
					t.Errorf("bulk after %d: %+v, want %+v", after, got.result, want.result)
				}
				if !inOrder(got.rejected) || !slices.Equal(got.rejected, want.rejected) {
					t.Errorf("bulk after %d: %d other rows rejected, or in another order, than the %d without", after, len(got.rejected), len(want.rejected))
				}
				if fmt.Sprint(got.people) != fmt.Sprint(want.people) {
					t.Errorf("bulk after %d: other people", after)
				}
			}
		})
	}
}

func inOrder(r []refused) bool {
	return slices.IsSortedFunc(r, func(a, b refused) int { return int(a.row - b.row) })
}

// TestImportBulkTakenBack: where the import fails late, the indexes are as before.
func TestImportBulkTakenBack(t *testing.T) {
	e := open(t)
	e.apply()
	e.load("shop", "before", people(100))
	rows := mixed(3000)
	next := source(rows)
	e.bulkRows = 1
	_, err := e.Import(context.Background(), tester, mailer.Import{Incident: "pay", Merchant: "shop"}, func() (mailer.Row, error) {
		r, err := next()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return r, err
	})
	if err == nil {
		t.Fatal("a broken list was taken")
	}
	var left []string
	must(t, e.r.Select(&left, `SELECT name FROM sqlite_master WHERE name IN ('recipient_person', 'recipient_email', 'import_waiting') ORDER BY name`))
	if !slices.Equal(left, []string{"recipient_email", "recipient_person"}) {
		t.Errorf("after a failed import: %v", left)
	}
	if res, _ := e.load("shop", "again", people(100)); res.Duplicates != 100 {
		t.Errorf("people from before: %+v", res)
	}
}

// TestImportLeavesNoLog: what a large import wrote is not kept twice.
func TestImportLeavesNoLog(t *testing.T) {
	e := open(t)
	e.apply()
	e.load("shop", "large", people(150_000))
	st, err := os.Stat(e.path + "-wal")
	must(t, err)
	if st.Size() > largeLog {
		t.Errorf("the write-ahead log has %d bytes", st.Size())
	}
}

func TestPersonFilter(t *testing.T) {
	f, err := newPersonFilter()
	must(t, err)
	defer func() { must(t, f.close()) }()
	s := newSealer(&incidentKeys{blind: masterKey(1)}, 1, 1, nil)
	const n = 200_000
	held := 0
	for i := range n {
		if !f.add(s.customerKey(fmt.Sprint(i))) {
			held++
		}
	}
	if held > 2 {
		t.Errorf("%d of %d new keys are held for known", held, n)
	}
	for i := range n {
		if f.add(s.customerKey(fmt.Sprint(i))) {
			t.Fatalf("key %d was forgotten", i)
		}
	}
}
