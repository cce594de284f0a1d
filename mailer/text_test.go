package mailer

import (
	"strings"
	"testing"
)

func TestHidden(t *testing.T) {
	for _, s := range []string{
		"山田 太郎　様", "葛\U000e0100城市", "辻\ufe00", "髙橋 﨑子", "𠮷田", "O'Brien, Jr.", "ﾔﾏﾀﾞ", "が", "か\u3099", "①㈱", "ー々〆〇・", "Ångström", "😀",
	} {
		if err := CheckLine("name", s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, r := range "\x00\t\n\x1b\x7f\u0085\u009b\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\u2800\u3164\ufeff\uffa0\ufff9\U000e0001\U000e0041\U000e007f" {
		if !Hidden(r) {
			t.Errorf("U+%04X passes", r)
		}
		if err := CheckLine("name", "a"+string(r)); err == nil {
			t.Errorf("U+%04X is taken", r)
		}
	}
	if err := checkText("outline", "一。\r\n二。\n\t三。", true); err != nil {
		t.Error(err)
	}
	if err := checkText("outline", "一。\u2028二。", true); CodeOf(err) != "text.hidden" {
		t.Error(err)
	}
}

func TestVisible(t *testing.T) {
	for s, want := range map[string]string{
		"山田\t太郎\n":                        "山田\t太郎\n",
		"\x1b[2J\x1b]0;x\x07":             "‹U+001B›[2J‹U+001B›]0;x‹U+0007›",
		"a\rb\u009b31m":                   "a‹U+000D›b‹U+009B›31m",
		"a\x9b31m":                        "a‹9B›31m",
		"550 \u202eabc\u2069":             "550 ‹U+202E›abc‹U+2069›",
		"佐\u200b藤\ufeff":                  "佐‹U+200B›藤‹U+FEFF›",
		"葛\U000e0100城 辻\ufe00 か\u3099":    "葛\U000e0100城 辻\ufe00 か\u3099",
		"a\U000e0100\U000e0101":           "a\U000e0100‹U+E0101›",
		" \ufe0f":                         " ‹U+FE0F›",
		"x\U000e0041":                     "x‹U+E0041›",
		"a" + strings.Repeat("\u0301", 8): "a" + strings.Repeat("\u0301", 6) + "‹U+0301›‹U+0301›",
		"Müller 김민수 ½ 😀":                  "Müller 김민수 ½ 😀",
	} {
		if got := Visible(s); got != want {
			t.Errorf("%q is shown as %q, want %q", s, got, want)
		}
	}
}

func TestCell(t *testing.T) {
	for _, s := range []string{
		"=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠a", " =1", "　=1", "'=1", "\"=1", "''=1", "\u200b=1", "\u202e=1", "−1", "﹦1", "’=1",
	} {
		got := Cell(s)
		if got[0] != '\'' || !Formula(s) {
			t.Errorf("%q stands as %q", s, got)
		}
		if !Formula("'" + s) { // else an errors file could not be read back
			t.Errorf("%q: what is written is not known again", s)
		}
	}
	for _, s := range []string{"", "10000001", "山田 太郎", "a=b", "a@b.example", "550 5.1.1 no", "'", "2021-10-14", "b-1"} {
		if got := Cell(s); got != s {
			t.Errorf("%q stands as %q", s, got)
		}
	}
}

func TestValidHello(t *testing.T) {
	for s, want := range map[string]bool{
		"mail.example": true, "mail": true, "[192.0.2.1]": true, "[IPv6:2001:db8::1]": true, "[IPv6:fe80::1%eth0]": false,
		"": false, "mail_1.example": false, "mail.example.": false, "例え.example": false, "[2001:db8::1]": false, "[IPv6:192.0.2.1]": false,
		"two words": false, "x\r\nMAIL": false, strings.Repeat("a", 64) + ".example": false, strings.Repeat("a.", 127): false,
	} {
		if ValidHello(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}
