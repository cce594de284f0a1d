package campaign_test

import (
	"errors"
	"testing"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
	"oshirase/torture/mailertest"
)

// TestNotFoundIsNotUnaffected: where there is nobody to be found among, there is no
// answer; where there is, it says what was searched.
func TestNotFoundIsNotUnaffected(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	r := register(w)
	for _, q := range []mailer.Query{{CustomerID: "C001"}, {Email: "a@mail.example"}, {Ref: "33333-33333"}} {
		if _, err := r.LookUp(t.Context(), by, q); mailer.CodeOf(err) != campaign.CannotSay {
			t.Errorf("%+v among nobody: %v", q, err)
		}
	}
	if n := len(w.Acts(mailer.ActLookUp)); n != 3 {
		t.Errorf("%d look-ups are recorded", n)
	}
	w.Load("shop", 3)
	w.Load("sports", 2)
	found, err := r.LookUp(t.Context(), by, mailer.Query{CustomerID: "C009"})
	must(t, err)
	if len(found.Matches) > 0 || len(found.Searched) != 2 || found.Searched[0].Merchant != "sports" || found.Searched[0].People != 2 || found.Searched[1].People != 3 {
		t.Errorf("%+v", found)
	}
	if len(found.NotSearched) != 3 || found.NotSearched[0] != "donation" {
		t.Errorf("not searched: %v", found.NotSearched)
	}
	_, err = w.DB.DestroyKey(t.Context(), by, mailer.Destroy{Incident: "shop"})
	must(t, err)
	found, err = r.LookUp(t.Context(), by, mailer.Query{CustomerID: "C009"})
	if err != nil || !found.Searched[1].Destroyed {
		t.Errorf("%+v, %v", found, err)
	}
	_, err = w.DB.DestroyKey(t.Context(), by, mailer.Destroy{Incident: "pay"})
	must(t, err)
	if _, err := r.LookUp(t.Context(), by, mailer.Query{CustomerID: "C001"}); mailer.CodeOf(err) != campaign.CannotSayDestroyed {
		t.Errorf("with all keys destroyed: %v", err)
	}
	if found, err := r.LookUp(t.Context(), by, mailer.Query{Ref: "33333-33333"}); err != nil || len(found.Matches) > 0 {
		t.Errorf("a reference number needs no key: %v", err)
	}
}

// TestWhatMatchesNobodyIsRefused: half an address is nobody's, and its owner may be
// affected.
func TestWhatMatchesNobodyIsRefused(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 1)
	for _, tt := range []struct {
		q    mailer.Query
		code mailer.Code
	}{
		{mailer.Query{Email: "haruka.sato"}, "lookup.email"},
		{mailer.Query{Email: "haruka.sato@"}, "lookup.email"},
		{mailer.Query{Email: "haruka.sato@mail"}, "lookup.email"},
		{mailer.Query{Email: "@mail.example"}, "lookup.email"},
		{mailer.Query{Phone: "0000-1234"}, "lookup.phone"},
		{mailer.Query{Phone: "090-0000-12345"}, "lookup.phone"},
		{mailer.Query{Phone: "+81 90 0000 123"}, "lookup.phone"},
		{mailer.Query{CustomerID: "　"}, "lookup.blank"},
		{mailer.Query{Ref: "33333"}, "reference.length"},
		{mailer.Query{Ref: "33333-33334"}, "reference.checksum"},
	} {
		if _, err := register(w).LookUp(t.Context(), by, tt.q); mailer.CodeOf(err) != tt.code || !errors.Is(err, mailer.ErrInvalid) {
			t.Errorf("%+v: %v", tt.q, err)
		}
	}
	for _, phone := range []string{"+81 90 0000 0001", "+81 (0)90-0000-0001", "０３（００００）０００１"} {
		if _, err := register(w).LookUp(t.Context(), by, mailer.Query{Phone: phone}); err != nil {
			t.Errorf("%s: %v", phone, err)
		}
	}
}

// TestSimilarCustomers: two numbers that differ in case are two people; whoever asks
// for one is shown the other, apart.
func TestSimilarCustomers(t *testing.T) {
	t.Parallel()
	w := mailertest.New(t, 0)
	person := func(id, name string) mailer.Person {
		return mailer.Person{CustomerID: id, Name: name, Email: name + "@mail.example"}
	}
	w.Add(person("J10231", "haruka"), person("j10231", "natsuki"), person("J10232", "akiko"), person("00420", "fuyumi"))
	for _, tt := range []struct {
		id, matches, similar string
	}{
		{"J10231", "haruka", "natsuki"},
		{"j10231", "natsuki", "haruka"},
		{"Ｊ１０２３１", "haruka", "natsuki"},
		{"J-10232", "", "akiko"},
		{"j 10232", "", "akiko"},
		{"420", "", "fuyumi"},
		{"J10233", "", ""},
	} {
		found, err := register(w).LookUp(t.Context(), by, mailer.Query{CustomerID: tt.id})
		must(t, err)
		names := func(ms []mailer.Match) (s string) {
			for _, m := range ms {
				s += m.Name
			}
			return s
		}
		if names(found.Matches) != tt.matches || names(found.Similar) != tt.similar {
			t.Errorf("%s: %q, similar %q", tt.id, names(found.Matches), names(found.Similar))
		}
	}
}
