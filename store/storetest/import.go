package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"oshirase/mailer"
)

func row(n int64, p mailer.Person, exposures ...string) mailer.Row {
	return mailer.Row{Number: n, Person: p, Exposures: exposures}
}

func (e *env) recipients(merchant string) []mailer.Recipient {
	e.tb.Helper()
	id := e.create(mailer.Campaign{Merchant: merchant})
	var out []mailer.Recipient
	must(e.tb, e.Recipients(context.Background(), id, func(page []mailer.Recipient) error {
		out = append(out, page...)
		return nil
	}))
	must(e.tb, e.Cancel(context.Background(), actor("test"), id))
	return out
}

func (s suite) TestImport(t *testing.T) {
	e := s.open(t)
	e.apply()
	rows := people(1500)
	res, rejected := e.load("shop", "one", rows)
	if res.Imported != 1500 || res.Updated+res.Duplicates+res.Rejected != 0 || len(rejected) != 0 || res.Rows != 1500 {
		t.Fatalf("first import: %+v, %v", res, rejected)
	}
	got := e.recipients("shop")
	if len(got) != 1500 {
		t.Fatalf("%d recipients", len(got))
	}
	refs := map[string]bool{}
	for i, r := range got {
		if fmt.Sprint(r.Person) != fmt.Sprint(rows[i].Person) || !slices.Equal(r.Exposures, []string{"A"}) || r.Merchant != "shop" {
			t.Fatalf("recipient %d: %+v", i, r)
		}
		if _, err := mailer.ParseRef(r.Ref); err != nil || refs[r.Ref] {
			t.Fatalf("reference number %q: %v, twice %v", r.Ref, err, refs[r.Ref])
		}
		refs[r.Ref] = true
	}
	id := e.create(mailer.Campaign{})
	e.check(id, nil)
	again, _ := e.load("shop", "one", rows)
	if again.List != res.List || again.Duplicates != 1500 || again.Imported+again.Updated != 0 {
		t.Errorf("same list again: %+v, first was %+v", again, res)
	}
	if c, err := e.Campaign(context.Background(), id); err != nil || c.Phase != mailer.PhaseChecked {
		t.Errorf("the same list again voided the campaign: %+v %v", c, err)
	}
	// The same people of another merchant are other recipients.
	if other, _ := e.load("club", "one", rows[:10]); other.Imported != 10 || other.List == res.List {
		t.Errorf("other merchant: %+v", other)
	}
}

func (s suite) TestImportMerges(t *testing.T) {
	plain := mailer.Person{CustomerID: "7", Name: "山田 花子", Email: "hana@mail.example", Phone: "03-0000-0001"}
	with := func(f func(p *mailer.Person)) mailer.Person { p := plain; f(&p); return p }
	type list []mailer.Row
	tests := []struct {
		name      string
		before    list
		list      list
		want      mailer.ImportResult
		rejected  []refused // row and column
		people    []mailer.Person
		exposures []string // of the first
	}{
		{
			name: "second row adds its exposures", list: list{row(2, plain, "B1"), row(3, plain, "A", "B1"), row(4, plain, "A")},
			want: mailer.ImportResult{Rows: 3, Imported: 1, Updated: 1, Duplicates: 1}, people: []mailer.Person{plain}, exposures: []string{"A", "B1"},
		},
		{
			name: "later list adds exposures", before: list{row(2, plain, "B2")}, list: list{row(2, plain, "A"), row(3, plain, "B1")},
			want: mailer.ImportResult{Rows: 2, Updated: 2}, people: []mailer.Person{plain}, exposures: []string{"A", "B1", "B2"},
		},
		{
			name: "two people with one number", list: list{row(2, plain, "A"), row(3, with(func(p *mailer.Person) { p.Name, p.Email = "鈴木 一郎", "ichiro@mail.example" }), "B1")},
			want: mailer.ImportResult{Rows: 2, Imported: 1, Rejected: 1}, rejected: []refused{{row: 3, column: "customer_id"}}, people: []mailer.Person{plain}, exposures: []string{"A"},
		},
		{
			name: "one person written two ways", list: list{row(2, plain, "A"), row(3, with(func(p *mailer.Person) { p.Name, p.Email = "山田　花子", "HANA@mail.example" }), "B1")},
			want: mailer.ImportResult{Rows: 2, Imported: 1, Updated: 1}, people: []mailer.Person{plain}, exposures: []string{"A", "B1"},
		},
		{
			name: "later list mends the address", before: list{row(2, plain, "A")},
			list: list{row(2, with(func(p *mailer.Person) { p.Email, p.Phone = "new@mail.example", "" }), "A")},
			want: mailer.ImportResult{Rows: 1, Updated: 1}, people: []mailer.Person{with(func(p *mailer.Person) { p.Email = "new@mail.example" })}, exposures: []string{"A"},
		},
		{
			name: "without a number the e-mail address tells", list: list{
				row(2, mailer.Person{Name: "山田", Email: "a..b@Mail.example"}, "A"), row(3, mailer.Person{Email: "a..b@mail.example"}, "B1"),
			},
			want: mailer.ImportResult{Rows: 2, Imported: 1, Updated: 1}, people: []mailer.Person{{Name: "山田", Email: "a..b@Mail.example"}}, exposures: []string{"A", "B1"},
		},
		{
			name: "never merged on a name", list: list{
				row(2, mailer.Person{Name: "山田 花子", Address: "港区1", PostalCode: "105-0001"}, "A"),
				row(3, mailer.Person{Name: "山田 花子", Address: "港区2", PostalCode: "105-0001"}, "A"),
				row(4, mailer.Person{Name: "山田花子", Address: "港区１", PostalCode: "105-0001"}, "A"),
				row(5, mailer.Person{Name: "山田 花子"}, "A"),
			},
			want: mailer.ImportResult{Rows: 4, Imported: 2, Duplicates: 1, Rejected: 1}, rejected: []refused{{row: 5}},
			people:    []mailer.Person{{Name: "山田 花子", Address: "港区1", PostalCode: "105-0001"}, {Name: "山田 花子", Address: "港区2", PostalCode: "105-0001"}},
			exposures: []string{"A"},
		},
		{
			name: "numbers differ by case", list: list{row(2, mailer.Person{CustomerID: "ab"}, "A"), row(3, mailer.Person{CustomerID: "aB"}, "A"), row(4, mailer.Person{CustomerID: "ａｂ"}, "A")},
			want: mailer.ImportResult{Rows: 3, Imported: 2, Duplicates: 1}, people: []mailer.Person{{CustomerID: "ab"}, {CustomerID: "aB"}}, exposures: []string{"A"},
		},
		{
			name: "unknown and missing exposure", list: list{row(2, plain, "A", "Z"), row(3, plain), row(4, plain, "B2")},
			want: mailer.ImportResult{Rows: 3, Imported: 1, Rejected: 2}, rejected: []refused{{row: 2, column: "exposure"}, {row: 3, column: "exposure"}},
			people: []mailer.Person{plain}, exposures: []string{"B2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := s.open(t)
			e.apply()
			if tt.before != nil {
				e.load("shop", "before", tt.before)
			}
			got, rejected := e.load("shop", "list", tt.list)
			got.List = ""
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if len(rejected) != len(tt.rejected) {
				t.Fatalf("rejected %v, want %v", rejected, tt.rejected)
			}
			for i, r := range rejected {
				if r.row != tt.rejected[i].row || r.column != tt.rejected[i].column || r.reason == "" {
					t.Errorf("rejected %+v, want %+v", r, tt.rejected[i])
				}
			}
			rs := e.recipients("shop")
			if len(rs) != len(tt.people) {
				t.Fatalf("%d people, want %d", len(rs), len(tt.people))
			}
			for i, r := range rs {
				if fmt.Sprint(r.Person) != fmt.Sprint(tt.people[i]) {
					t.Errorf("person %d: %+v, want %+v", i, r.Person, tt.people[i])
				}
			}
			if !slices.Equal(rs[0].Exposures, tt.exposures) {
				t.Errorf("exposures %v, want %v", rs[0].Exposures, tt.exposures)
			}
		})
	}
}

// Duplicates far apart and close together give what a plain loop would give.
func (s suite) TestImportManyDuplicates(t *testing.T) {
	e := s.open(t)
	e.apply()
	var rows []mailer.Row
	for i := range 3000 {
		rows = append(rows, row(int64(i+2), person(i*7919%900), []string{"A", "B1", "B2"}[i%3]))
	}
	res, rejected := e.load("shop", "many", rows)
	have := map[string]map[string]bool{}
	want := mailer.ImportResult{List: res.List, Rows: 3000}
	for _, r := range rows {
		switch x := have[r.CustomerID]; {
		case x == nil:
			have[r.CustomerID] = map[string]bool{r.Exposures[0]: true}
			want.Imported++
		case x[r.Exposures[0]]:
			want.Duplicates++
		default:
			x[r.Exposures[0]] = true
			want.Updated++
		}
	}
	if res != want || len(rejected) != 0 {
		t.Errorf("got %+v (%v), want %+v", res, rejected, want)
	}
	for _, r := range e.recipients("shop") {
		if len(r.Exposures) != len(have[r.CustomerID]) {
			t.Fatalf("%s has %v, want %v", r.CustomerID, r.Exposures, have[r.CustomerID])
		}
	}
	if again, _ := e.load("shop", "many", rows); again.Duplicates != 3000 {
		t.Errorf("again: %+v", again)
	}
}

// With an error of the source, a cancelled context or a dry run nothing remains.
func (s suite) TestImportLeavesNothing(t *testing.T) {
	broken := errors.New("broken list")
	tests := []struct {
		name string
		dry  bool
		stop func(n int, cancel func()) error
		want error
	}{
		{"source fails", false, func(n int, _ func()) error {
			if n == 2000 {
				return broken
			}
			return nil
		}, broken},
		{"cancelled", false, func(n int, cancel func()) error {
			if n == 2000 {
				cancel()
			}
			return nil
		}, context.Canceled},
		{"dry run", true, func(n int, _ func()) error {
			if n == 3000 {
				return io.EOF
			}
			return nil
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := s.open(t)
			e.apply()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			n := 0
			res, err := e.Import(ctx, tester, mailer.Import{Incident: "pay", Merchant: "shop", DryRun: tt.dry}, func() (mailer.Row, error) {
				if n++; n > 100_000 {
					t.Error("the import goes on")
					return mailer.Row{}, io.EOF
				}
				return row(int64(n+1), person(n), "A"), tt.stop(n, cancel)
			})
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if tt.dry && res.Imported != 2999 {
				t.Errorf("dry run: %+v", res)
			}
			for _, table := range []string{"recipient", "recipient_exposure", "list", "population"} {
				var left int
				must(t, e.sql().Get(&left, `SELECT count(*) FROM `+table))
				if left != 0 {
					t.Errorf("%d rows left in %s", left, table)
				}
			}
		})
	}
}

// The people of a merchant came with several lists, and those of another merchant
// between them: a campaign selects exactly its own, in order, and a preview finds
// the first.
func (s suite) TestImportInTurns(t *testing.T) {
	const page = 1000 // of recipients, as the ledger reads them
	e := s.open(t)
	e.apply()
	rows := people(3 * page)
	e.load("club", "first", rows[:7])
	e.load("shop", "empty", nil)
	e.load("shop", "a", rows[:page])
	e.load("club", "b", rows[:20])
	e.load("shop", "c", rows[page-5:page+1])
	e.load("club", "d", rows)
	e.load("shop", "e", rows)
	for merchant, want := range map[string]int{"shop": len(rows), "club": len(rows)} {
		got := e.recipients(merchant)
		if len(got) != want {
			t.Errorf("%s: %d recipients, want %d", merchant, len(got), want)
		}
		seen := map[string]bool{}
		for i, r := range got {
			if r.Merchant != merchant || seen[r.CustomerID] || i > 0 && r.ID <= got[i-1].ID {
				t.Fatalf("%s: recipient %d is %s of %s, id %d", merchant, i, r.CustomerID, r.Merchant, r.ID)
			}
			seen[r.CustomerID] = true
		}
		id := e.create(mailer.Campaign{Merchant: merchant, Stage: mailer.StageFollowUp})
		for _, ref := range []string{"", got[want-1].Ref} {
			r, err := e.FindRecipient(context.Background(), tester, mailer.RecipientQuery{Campaign: id, Ref: ref, For: mailer.ActPreview})
			if err != nil || ref == "" && r.ID != got[0].ID || ref != "" && r.ID != got[want-1].ID {
				t.Errorf("%s: FindRecipient(%q) = %d, %v", merchant, ref, r.ID, err)
			}
		}
	}
	shop, club := e.recipients("shop"), e.create(mailer.Campaign{Merchant: "club"})
	if r, err := e.FindRecipient(context.Background(), tester, mailer.RecipientQuery{Campaign: club, Ref: shop[0].Ref, For: mailer.ActPreview}); !errors.Is(err, mailer.ErrNotFound) {
		t.Errorf("another merchant's recipient: %+v, %v", r, err)
	}
	none := e.create(mailer.Campaign{Exposures: []string{"B2"}})
	if r, err := e.FindRecipient(context.Background(), tester, mailer.RecipientQuery{Campaign: none, Ref: "", For: mailer.ActPreview}); !errors.Is(err, mailer.ErrNotFound) {
		t.Errorf("nobody is selected: %+v, %v", r, err)
	}
}
