package storetest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"

	"oshirase/mailer"
	"oshirase/store"
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

// bulkOutcome is what an import came to.
type bulkOutcome struct {
	result   mailer.ImportResult
	rejected []refused
	people   map[string]string // by person
}

// importBulk takes a list in, into a ledger that sorts its indexes at the end of an
// import once so many new people have come.
func (s suite) importBulk(t *testing.T, after int64, before, rows []mailer.Row) bulkOutcome {
	e := s.openWith(t, store.Options{Durability: "normal", BulkRows: after})
	e.apply()
	if len(before) > 0 {
		e.load("shop", "before", before)
	}
	e.load("club", "others", people(20))
	o := bulkOutcome{people: map[string]string{}}
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
	all := e.recipients("shop")
	for _, r := range all {
		o.people[fmt.Sprint(r.Person)] = fmt.Sprint(r.Exposures)
	}
	if len(o.people) != len(all) {
		t.Error("one person twice")
	}
	s.Sound(t, e.path)
	if again, _ := e.load("shop", "again", rows); again.Imported != 0 {
		t.Errorf("same list again: %+v", again)
	}
	return o
}

// TestImportBulk: with the indexes dropped meanwhile, an import does what it does
// with them, whenever it drops them.
func (s suite) TestImportBulk(t *testing.T) {
	known := people(300)
	for i := range known {
		known[i].Phone = "03-0000-9999"
	}
	rows := mixed(4000)
	for name, before := range map[string][]mailer.Row{"empty": nil, "people before": known} {
		t.Run(name, func(t *testing.T) {
			want := s.importBulk(t, 1<<40, before, rows)
			if want.result.Imported == 0 || want.result.Updated == 0 || want.result.Duplicates == 0 || want.result.Rejected == 0 {
				t.Fatalf("the list tries too little: %+v", want.result)
			}
			for _, after := range []int64{1, 1000, 2000} {
				got := s.importBulk(t, after, before, rows)
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
func (s suite) TestImportBulkTakenBack(t *testing.T) {
	e := s.openWith(t, store.Options{Durability: "normal", BulkRows: 1})
	e.apply()
	e.load("shop", "before", people(100))
	next := source(mixed(3000))
	_, err := e.Import(context.Background(), tester, mailer.Import{Incident: "pay", Merchant: "shop"}, func() (mailer.Row, error) {
		r, err := next()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return r, err
	})
	wantErr(t, err, io.ErrUnexpectedEOF, "")
	s.Sound(t, e.path)
	if res, _ := e.load("shop", "again", people(100)); res.Duplicates != 100 {
		t.Errorf("people from before: %+v", res)
	}
	// And the next large one does it again.
	if res, _ := e.load("shop", "next", mixed(3000)); res.Imported == 0 {
		t.Errorf("a list after a failed one: %+v", res)
	}
	s.Sound(t, e.path)
}
