package seal

import (
	"bytes"
	"testing"

	"oshirase/mailer"
)

func sealer(t *testing.T, merchant int64) *Sealer {
	t.Helper()
	keys, err := Derive(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return NewSealer(keys, 1, merchant, bytes.NewReader(make([]byte, 1<<16)))
}

// TestBlindKeys: spellings of one value lead to the same people, other values and
// other merchants to others, and nothing to nobody.
func TestBlindKeys(t *testing.T) {
	s, other := sealer(t, 1), sealer(t, 2)
	for name, key := range map[string]struct {
		of    func(*Sealer, string) int64
		alike []string
		not   string
	}{
		"email": {(*Sealer).EmailKey, []string{"Taro@Mail.example", "Taro@mail.example"}, "jiro@mail.example"},
		"phone": {(*Sealer).PhoneKey, []string{"090-0000-1234", "０９０（００００）１２３４", "+81 90-0000-1234", "+81 (0)90 0000 1234", " 09000001234 "}, "090-0000-1235"},
		"kana":  {(*Sealer).KanaKey, []string{"サトウ タロウ", "さとう　たろう", "ｻﾄｳ ﾀﾛｳ", "サトウ・タロウ"}, "サトウ ジロウ"},
	} {
		want := key.of(s, key.alike[0])
		if want == 0 || key.of(other, key.alike[0]) == want || key.of(s, key.not) == want {
			t.Errorf("%s: the key of %q is nobody's own", name, key.alike[0])
		}
		for _, v := range key.alike {
			if key.of(s, v) != want {
				t.Errorf("%s: %q leads elsewhere", name, v)
			}
		}
		for _, v := range []string{"", " ", "　"} {
			if key.of(s, v) != 0 {
				t.Errorf("%s: %q leads to somebody", name, v)
			}
		}
	}
}

func TestKeysDifferInKind(t *testing.T) {
	s := sealer(t, 1)
	p := mailer.Person{CustomerID: "09000001234"}
	if bytes.Equal(s.PersonKey(&p), s.SumKey(p.CustomerID, "")) {
		t.Error("a customer number is found as a list")
	}
}
