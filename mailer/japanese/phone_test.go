package japanese

import (
	"slices"
	"testing"
)

func TestFindPhones(t *testing.T) {
	for text, want := range map[string][]string{
		"電話：0120-000-620（通話料無料）":               {"0120-000-620"},
		"03(0000)7346、0300007346":              {"03(0000)7346", "0300007346"},
		"03（0000）7346":                         {"03（0000）7346"},
		"090-0000-0000 080-0000-0000":          {"090-0000-0000", "080-0000-0000"},
		"2021-10-14":                           nil,
		"https://www.example.jp/0120-000-620/": nil,
		"012345678901":                         nil, // too long
		"0120-1":                               nil, // too short
	} {
		if got := FindPhones(text); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestFoldPhone(t *testing.T) {
	for in, want := range map[string]string{
		"03-0000-7346": "03-0000-7346",
		"０３ー００００−７３４６": "03-0000-7346",
		"03‐0000―7346": "03-0000-7346",
		"内線１２":         "内線12",
	} {
		if got := FoldPhone(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
		if digits := PhoneDigits(FoldPhone(in)); in != "内線１２" && digits != "0300007346" {
			t.Errorf("%s: digits %s", in, digits)
		}
	}
	if !Hyphenated("0120-000-620") || Hyphenated("0120000620") || Hyphenated("x0120-000-620") {
		t.Error("hyphenated is not what it says")
	}
}
