package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
)

func (s suite) TestLookup(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(3)
	e.load("club", "list", people(2)[1:])
	d := claim(t, e.DB, id, 3).Deliveries
	must(t, e.Record(ctx, outcome(&d[1], mailer.StateDeferred, mailer.AtRcpt))[0])
	ref := d[1].Recipient.Ref
	tests := []struct {
		name string
		q    mailer.Query
		want string // merchants found
	}{
		{"reference number as it is said", mailer.Query{Ref: strings.ToLower(strings.Replace(ref, "-", " ", 1))}, "shop"},
		{"e-mail, over merchants", mailer.Query{Email: " READER1@mail.example"}, "club shop"},
		{"customer id, full width", mailer.Query{CustomerID: "Ｃ０００００１"}, "club shop"},
		{"customer id", mailer.Query{CustomerID: "C000002"}, "shop"},
		{"nobody", mailer.Query{Email: "nobody@mail.example"}, ""},
	}
	for _, tt := range tests {
		ms, err := e.Lookup(ctx, actor("窓口 田中"), tt.q)
		must(t, err)
		var got []string
		for _, m := range ms {
			got = append(got, m.Merchant)
			if m.Title != incident("pay").Title || m.Sender != merchant(m.Merchant).Name || m.Name == "" || len(m.Exposures) != 1 {
				t.Errorf("%s: %+v", tt.name, m)
			}
		}
		// Populations are asked in the order in which merchants were applied.
		if want := strings.Fields(tt.want); len(got) != len(want) || !sameSet(got, want) {
			t.Errorf("%s: found at %v, want %v", tt.name, got, want)
		}
	}
	ms, err := e.Lookup(ctx, actor("窓口 田中"), mailer.Query{Ref: ref})
	must(t, err)
	c := ms[0].Notices
	if len(c) != 1 || c[0].Campaign != id || c[0].State != mailer.StateDeferred || !c[0].NextAt.Equal(t0.Add(time.Hour)) ||
		len(c[0].Events) != 1 || c[0].Events[0].Code != 250 || c[0].Events[0].Point != mailer.AtRcpt || c[0].Events[0].Attempt != 1 {
		t.Errorf("history %+v", c)
	}
	var lines []mailer.Act
	must(t, e.EachAct(ctx, func(a mailer.Act) error {
		if a.Action == "lookup" {
			lines = append(lines, a)
		}
		return nil
	}))
	if len(lines) != len(tests)+1 || lines[0].By != "窓口 田中" || !strings.HasPrefix(lines[4].Detail, "0 matches") || !strings.Contains(lines[0].Detail, ref) {
		t.Errorf("audit %+v", lines)
	}
	_, err = e.Lookup(ctx, actor(""), mailer.Query{Ref: ref})
	wantErr(t, err, mailer.ErrInvalid, "actor.missing")
	_, err = e.Lookup(ctx, actor("田中"), mailer.Query{Ref: ref, Email: "a@b.example"})
	wantErr(t, err, mailer.ErrInvalid, "lookup.one")
	_, err = e.Lookup(ctx, actor("田中"), mailer.Query{Ref: "34679-ACDEF"})
	wantErr(t, err, mailer.ErrInvalid, "reference.")
}

func sameSet(a, b []string) bool {
	n := map[string]int{}
	for _, s := range a {
		n[s]++
	}
	for _, s := range b {
		n[s]--
	}
	for _, k := range n {
		if k != 0 {
			return false
		}
	}
	return true
}

func (s suite) TestFindToken(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	id := e.campaign(2)
	d := claim(t, e.DB, id, 2).Deliveries
	got, err := e.FindToken(ctx, d[1].Token)
	if err != nil || got.ID != d[1].ID || got.Campaign != id || got.Merchant != "shop" || got.Ref != d[1].Recipient.Ref || got.Person.Name != person(1).Name {
		t.Errorf("found %+v %v", got, err)
	}
	if got, err := e.FindMessage(ctx, d[1].MessageName); err != nil || got.ID != d[1].ID || got.MessageName != d[1].MessageName {
		t.Errorf("found by Message-ID %+v %v", got, err)
	}
	for _, tok := range []string{"", "nonsense", strings.Repeat("a", 26), d[1].MessageName} {
		_, err := e.FindToken(ctx, tok)
		wantErr(t, err, mailer.ErrNotFound, "")
	}
	_, err = e.FindMessage(ctx, d[1].Token)
	wantErr(t, err, mailer.ErrNotFound, "")
}

// TestLookupByPhoneAndKana: however they are written, at all merchants, and nobody
// else, though a short key leads to somebody.
func (s suite) TestLookupByPhoneAndKana(t *testing.T) {
	ctx := context.Background()
	e := s.open(t)
	e.apply()
	p := person(1)
	p.NameKana, p.Phone = "サトウ ハナコ", "090-0000-0001"
	q := person(2)
	q.NameKana, q.Phone = "サトウ タロウ", "090-0000-0002"
	e.load("shop", "shop", []mailer.Row{row(2, p, "A"), row(3, q, "A")})
	e.load("club", "club", []mailer.Row{row(2, p, "A")})
	for _, tt := range []struct {
		q    mailer.Query
		want int
	}{
		{mailer.Query{Phone: "+81 90 0000 0001"}, 2},
		{mailer.Query{Phone: "０９０ー００００ー０００２"}, 1},
		{mailer.Query{Phone: "090-0000-0003"}, 0},
		{mailer.Query{Kana: "さとうはなこ"}, 2},
		{mailer.Query{Kana: "ｻﾄｳ ﾀﾛｳ"}, 1},
		{mailer.Query{Kana: "サトウ"}, 0},
	} {
		found, err := e.Lookup(ctx, tester, tt.q)
		if err != nil || len(found) != tt.want {
			t.Errorf("%+v: %d found, %v, want %d", tt.q, len(found), err, tt.want)
		}
	}
	e.damaged = true
	// Somebody whose key was changed in the file is not passed over: it cannot be said
	// who that is.
	_, err := e.sql().Exec(`UPDATE recipient SET phone_key = (SELECT phone_key FROM recipient ORDER BY id LIMIT 1) WHERE id = 2`)
	must(t, err)
	found, err := e.Lookup(ctx, tester, mailer.Query{Phone: p.Phone})
	must(t, err)
	damaged := 0
	for i := range found {
		if found[i].Damaged {
			damaged++
		}
	}
	if len(found) != 3 || damaged != 1 {
		t.Errorf("%d found, %d of them damaged", len(found), damaged)
	}
}
