package japanese

import "testing"

func TestOneNameInManyForms(t *testing.T) {
	for _, names := range [][]string{
		{"佐藤", "佐 藤", "佐　藤", " 佐藤\t", "佐\u00a0藤", "佐\u2003藤", "佐藤。", "佐・藤"},
		{"髙橋 一郎", "高橋一郎", "高橋ー郎", "高橋―郎", "高橋－郎", "高橋‐郎", "高橋−郎"},
		{"渡邊", "渡邉", "渡辺"},
		{"齋藤", "斎藤", "斉藤", "齊藤"},
		{"山﨑", "山崎"},
		{"sato", "ＳＡＴＯ", "SATO", "Ѕato", "sаtо", "s a t o", "SΑTΟ", "sat0", "sat〇", "Sato."},
		{"ИВАН", "иван"},
		{"Νana", "Nana", "nana"},
		{"Iida", "lida", "1ida", "|ida"},
		{"カトウ", "ｶﾄｳ", "力トウ", "カ卜ウ", "かとう", "ｶ卜ｳ"},
		{"へいた", "ヘイタ", "ﾍｲﾀ", "ヘイ夕"},
		{"ハニロエ", "八二口工", "ハニ囗工"},
		{"がくと", "ガクト", "か\u3099くと"},
		{"葛\U000e0100城", "葛城"}, // where it comes from elsewhere: Unreadable refuses it
		{"佐\u200b藤", "佐藤"},
	} {
		for _, n := range names[1:] {
			if FoldName(n) != FoldName(names[0]) {
				t.Errorf("%q and %q: %q and %q", names[0], n, FoldName(names[0]), FoldName(n))
			}
		}
	}
}

func TestOtherNames(t *testing.T) {
	names := []string{"佐藤", "佐々木", "鈴木", "高田", "髙木", "太田", "大田", "山田太郎", "山田次郎", "かとう", "がとう", "担当1", "担当2", "sato", "saito"}
	seen := map[string]string{}
	for _, n := range names {
		if other, ok := seen[FoldName(n)]; ok {
			t.Errorf("%q and %q are taken for one", other, n)
		}
		seen[FoldName(n)] = n
	}
	for _, n := range []string{"", " 　", "…", "\u200b"} {
		if f := FoldName(n); f != "" {
			t.Errorf("%q folds to %q", n, f)
		}
	}
}

func TestUnreadable(t *testing.T) {
	for _, n := range []string{
		"佐\u200b藤", "佐\u200d藤", "佐\ufeff藤", "佐\u00ad藤", "佐\u202e藤", "佐\u2066藤", "佐\x1b[2J藤", "佐\n藤", "佐\u2028藤", "佐\u0085藤",
		"佐\U000e0041藤", "葛\U000e0100城", "葛\ufe00城", "佐\u180b藤", "佐\u3164藤", "佐\uffa0藤", "佐\u034f藤", "佐\u2800藤", "佐\ue000藤", "佐\xff藤", "佐\ufffd藤", "佐\u061c藤",
	} {
		if _, bad := Unreadable(n); !bad {
			t.Errorf("%q is taken", n)
		}
	}
	for _, n := range []string{"佐藤 一郎", "髙橋　﨑", "Anne-Marie O’Neill", "José", "か\u3099", "𠮷野家", "担当（夜間）"} {
		if r, bad := Unreadable(n); bad {
			t.Errorf("%q is refused for %U", n, r)
		}
	}
}

func FuzzFoldName(f *testing.F) {
	f.Add("髙橋 一郎")
	f.Fuzz(func(t *testing.T, s string) {
		if fold := FoldName(s); FoldName(fold) != fold {
			t.Errorf("%q folds to %q, and that to %q", s, fold, FoldName(fold))
		}
	})
}
