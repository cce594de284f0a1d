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

// TestSimilarIDs: what people get wrong in a customer number does not lead elsewhere.
func TestSimilarIDs(t *testing.T) {
	s := sealer(t, 1)
	for _, alike := range [][]string{
		{"J10231", "j10231", "Ｊ１０２３１", "J-10231", " J 102 31 ", "j‐10231", "Jー10231", "J010231", "J1-0231", "J 10 231"},
		{"00420", "420", "0420", "４２０", "4-20"},
		{"100031", "10-0031", "100 031"},
		{"000", "0"},
		{"A-0012", "a12", "A12"},
		{"会員007", "会員7"},
	} {
		for _, id := range alike {
			if s.SimilarKey(id) != s.SimilarKey(alike[0]) || !SimilarID(id, alike[0]) {
				t.Errorf("%q is not like %q", id, alike[0])
			}
		}
	}
	for _, pair := range [][2]string{{"J10231", "J10213"}, {"J10231", "10231"}, {"1002", "102"}, {"A1", "A10"}, {"会員7", "7"}} {
		if SimilarID(pair[0], pair[1]) || s.SimilarKey(pair[0]) == s.SimilarKey(pair[1]) {
			t.Errorf("%q is like %q", pair[0], pair[1])
		}
	}
	for _, id := range []string{"", " ", "-"} {
		if s.SimilarKey(id) != 0 {
			t.Errorf("%q leads to somebody", id)
		}
	}
}
