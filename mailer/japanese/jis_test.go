package japanese

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
)

func TestJISTable(t *testing.T) {
	n := 0
	for r, code := range jisCodes() {
		if code == 0 {
			continue
		}
		n++
		hi, lo := code>>8, code&0xff
		if hi < 0x21 || hi > 0x74 || lo < 0x21 || lo > 0x7e || hi >= 0x29 && hi <= 0x2f {
			t.Errorf("%U has code %#04x", r, code)
		}
	}
	// JIS X 0208 has 6,879 characters; ten more are second spellings of some.
	if want := 6879 + 9; n < 6879 || n > want+1 {
		t.Errorf("%d characters", n)
	}
	if len(halfKana) != 0xff9f-0xff61+1 {
		t.Errorf("%d half-width kana", len(halfKana))
	}
}

func TestNormalizeJIS(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		ok       bool
	}{
		{"山田太郎 様", "山田太郎 様", true},
		{"ﾔﾏﾀﾞ ﾀﾛｳ", "ヤマダ タロウ", true},
		{"ﾊﾟﾋﾞｳﾞｶﾞｯﾂ｡｢｣､･ｰ", "パビヴガッツ。「」、・ー", true},
		{"ｱﾞﾞ", "ア゛゛", true},
		{"ﾞ", "゛", true},
		{"か\u3099は\u309a", "がぱ", true},
		{"あ\u3099", "", false},
		{"〜−—‖¢£¬¥‾", "〜−—‖¢£¬¥‾", true}, // written as the JIS characters that they stand for
		{"髙橋", "", false},
		{"①", "", false},
		{"㈱", "", false},
		{"﨑", "", false},
		{"𠮷野家", "", false},
		{"纊", "", false},
		{"é", "", false},
		{"\x1b$B", "", false},
		{"a\tb\nc", "a\tb\nc", true},
	} {
		got, ok := NormalizeJIS(tc.in)
		if ok != tc.ok || ok && got != tc.want {
			t.Errorf("%q: %q %v, want %q %v", tc.in, got, ok, tc.want, tc.ok)
		}
	}
}

func TestOutsideJIS(t *testing.T) {
	for in, want := range map[string]string{
		"山田太郎":           "",
		"ﾔﾏﾀﾞ｡":          "",
		"〜−—‖¢£¬¥‾":      "",
		"髙橋と髙田":          "髙",
		"①é𠮷":            "①é𠮷",
		"か\u3099あ\u3099": "\u3099",
		"a\x1b":          "",
	} {
		if got := string(OutsideJIS(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// What checks a text and what writes it use one table: a text without characters
// outside can be written, unless it holds control characters.
func FuzzOutsideJIS(f *testing.F) {
	f.Add("山田‾〜ｶﾞ")
	f.Add("髙\x1b\n")
	f.Fuzz(func(t *testing.T, s string) {
		_, ok := NormalizeJIS(s)
		control := strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 && r != '\n' && r != '\t' || r == 0x7f })
		if outside := OutsideJIS(s); ok != (len(outside) == 0 && !control) {
			t.Errorf("%q: written %v, outside %q", s, ok, outside)
		}
	})
}

// decodeJIS reads ISO-2022-JP as readers do.
func decodeJIS(t *testing.T, b []byte) string {
	t.Helper()
	out, err := japanese.ISO2022JP.NewDecoder().Bytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// sameJIS are spellings that decoders give for characters that we take.
var sameJIS = strings.NewReplacer("〜", "～", "−", "－", "—", "―", "‖", "∥", "¢", "￠", "£", "￡", "¬", "￢", "¥", "￥", "‾", "￣")

func TestAppendJIS(t *testing.T) {
	text := "ABC日本語def〜−—‖¢£¬¥かな漢字凜"
	out, n, err := AppendJIS(nil, text, 0)
	if err != nil || n != len(text) {
		t.Fatal(n, err)
	}
	if got := decodeJIS(t, out); got != sameJIS.Replace(text) {
		t.Errorf("read as %q", got)
	}
	for _, limit := range []int{8, 9, 10, 11, 20, 42} {
		var back strings.Builder
		for rest := text; rest != ""; {
			out, n, err := AppendJIS(nil, rest, limit)
			if err != nil || n == 0 || len(out) > limit {
				t.Fatalf("limit %d: %d octets for %d, %v", limit, len(out), n, err)
			}
			back.WriteString(decodeJIS(t, out)) // each starts and ends in ASCII
			rest = rest[n:]
		}
		if back.String() != sameJIS.Replace(text) {
			t.Errorf("limit %d: read as %q", limit, back.String())
		}
	}
	if _, _, err := AppendJIS(nil, "髙", 0); !errors.Is(err, ErrNotInJIS) {
		t.Error(err)
	}
}

func FuzzJIS(f *testing.F) {
	f.Add("山田ﾀﾛｳ〜 abc", 42)
	f.Add("か\u3099\n\x1b$B", 8)
	f.Fuzz(func(t *testing.T, in string, limit int) {
		s, ok := NormalizeJIS(in)
		if !ok {
			return
		}
		limit = 8 + max(limit, -limit)%100
		if limit < 8 {
			limit = 8
		}
		var back strings.Builder
		for rest := s; rest != ""; {
			out, n, err := AppendJIS(nil, rest, limit)
			if err != nil || n == 0 || len(out) > limit {
				t.Fatalf("%q: %d octets (limit %d) for %d, %v", rest, len(out), limit, n, err)
			}
			for _, c := range out {
				if c >= 0x80 {
					t.Fatalf("%q is not 7bit", out)
				}
			}
			back.WriteString(decodeJIS(t, out))
			rest = rest[n:]
		}
		if got := back.String(); got != sameJIS.Replace(s) {
			t.Errorf("%q read as %q", s, got)
		}
	})
}
