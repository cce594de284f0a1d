package seal

import (
	"bytes"
	"testing"
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
