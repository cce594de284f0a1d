package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"oshirase/mailer"
)

func TestEncodePerson(t *testing.T) {
	str := rapid.String()
	rapid.Check(t, func(t *rapid.T) {
		p := mailer.Person{
			CustomerID: str.Draw(t, "id"), Name: str.Draw(t, "name"), NameKana: str.Draw(t, "kana"), Email: str.Draw(t, "email"),
			PostalCode: str.Draw(t, "postal"), Address: str.Draw(t, "address"), Phone: str.Draw(t, "phone"),
			Attributes: rapid.MapOfN(str, str, 0, 4).Draw(t, "attributes"),
		}
		got, err := decodePerson(encodePerson(nil, &p))
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", p) {
			t.Fatalf("%q became %q: %v", p, got, err)
		}
	})
}

func FuzzDecodePerson(f *testing.F) {
	p := mailer.Person{CustomerID: "C1", Name: "髙﨑 一子", Email: "reader@mail.example", Attributes: map[string]string{"会員種別": "一般"}}
	f.Add(encodePerson(nil, &p))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePerson(b)
		if err != nil {
			return
		}
		again, err := decodePerson(encodePerson(nil, &p))
		if err != nil || fmt.Sprintf("%q", again) != fmt.Sprintf("%q", p) {
			t.Fatalf("%q became %q: %v", p, again, err)
		}
	})
}

// TestSealedPersonIsBound: to its incident, its merchant and its row.
func TestSealedPersonIsBound(t *testing.T) {
	k, err := Derive(secret(1))
	must(t, err)
	other, err := Derive(secret(2))
	must(t, err)
	p := mailer.Person{CustomerID: "C1", Name: "髙﨑 一子"}
	s := NewSealer(k, 1, 2, rand.Reader)
	key := s.PersonKey(&p)
	sealed, err := s.Seal(&p, key)
	must(t, err)
	for _, tt := range []struct {
		name               string
		keys               *Keys
		incident, merchant int64
		key                []byte
		opens              bool
	}{
		{"its row", k, 1, 2, key, true},
		{"another incident", k, 2, 2, key, false},
		{"another merchant", k, 1, 1, key, false},
		{"another row", k, 1, 2, s.CustomerKey("C2"), false},
		{"another key", other, 1, 2, key, false},
	} {
		got, err := tt.keys.OpenPerson(sealed, tt.incident, tt.merchant, tt.key)
		switch {
		case tt.opens && (err != nil || fmt.Sprint(got) != fmt.Sprint(p)):
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		case !tt.opens && !errors.Is(err, mailer.ErrDamaged):
			t.Errorf("%s: %+v, %v, want %v", tt.name, got, err, mailer.ErrDamaged)
		}
	}
}
