package seal

import (
	"bytes"
	"errors"
	"testing"

	"oshirase/mailer"
)

// TestBind: each part of a row has its place in the code.
func TestBind(t *testing.T) {
	k := sealer(t, 1).keys
	row := Row{ID: 1, PersonKey: bytes.Repeat([]byte{2}, 16), Email: 3, Phone: 4, Kana: 5, Similar: 6, Sealed: bytes.Repeat([]byte{7}, 40)}
	code := k.Bind(&row)
	if k.Bind(&row) != code {
		t.Error("two codes of one row")
	}
	for name, change := range map[string]func(r *Row){
		"id":            func(r *Row) { r.ID = 2 },
		"person key":    func(r *Row) { r.PersonKey = bytes.Repeat([]byte{3}, 16) },
		"email":         func(r *Row) { r.Email = 0 },
		"phone":         func(r *Row) { r.Phone = 0 },
		"kana":          func(r *Row) { r.Kana = 0 },
		"similar":       func(r *Row) { r.Similar = 0 },
		"two exchanged": func(r *Row) { r.Kana, r.Similar = r.Similar, r.Kana },
		"sealed":        func(r *Row) { r.Sealed = bytes.Repeat([]byte{8}, 40) },
	} {
		other := row
		change(&other)
		if k.Bind(&other) == code {
			t.Errorf("%s is not bound", name)
		}
	}
}

// TestNamed: a mention is of one list and recipient, and of what stood there before; none
// is an exposure's.
func TestNamed(t *testing.T) {
	k := sealer(t, 1).keys
	was := bytes.Repeat([]byte{7}, 40)
	codes := map[Code]string{k.Exposed(1, 2, 0, ""): "exposure", k.Exposed(2, 1, 0, ""): "exposure turned round"}
	for name, code := range map[string]Code{
		"mention": k.Named(1, 2, was), "list": k.Named(2, 2, was), "recipient": k.Named(1, 1, was), "nothing else": k.Named(1, 2, nil),
		"something else": k.Named(1, 2, bytes.Repeat([]byte{8}, 40)),
	} {
		if other, taken := codes[code]; taken {
			t.Errorf("%s has the code of %s", name, other)
		}
		codes[code] = name
	}
}

// TestOpenRow: a row that is not the one of its code does not open.
func TestOpenRow(t *testing.T) {
	s := sealer(t, 1)
	p := mailer.Person{CustomerID: "C1", Name: "髙﨑 一子", Email: "a@mail.example"}
	row := Row{ID: 7, PersonKey: s.PersonKey(&p), Email: s.EmailKey(p.Email)}
	var err error
	row.Sealed, err = s.Seal(&p, row.PersonKey)
	must(t, err)
	bound := s.keys.Bind(&row).Short()
	if got, err := s.keys.OpenRow(&row, bound, s.incident, s.merchant); err != nil || got.Name != p.Name {
		t.Fatalf("%+v, %v", got, err)
	}
	row.ID++
	if _, err := s.keys.OpenRow(&row, bound, s.incident, s.merchant); !errors.Is(err, mailer.ErrDamaged) {
		t.Errorf("in another row: %v", err)
	}
}

// TestSalt: of each recipient and campaign its own, and of each incident.
func TestSalt(t *testing.T) {
	k := sealer(t, 1).keys
	other, err := Derive(bytes.Repeat([]byte{8}, 32))
	must(t, err)
	salt := k.Salt(1, 2)
	if salt == k.Salt(2, 1) || salt == k.Salt(1, 3) || salt == other.Salt(1, 2) || salt != k.Salt(1, 2) {
		t.Error("salts are not what they should be")
	}
}
