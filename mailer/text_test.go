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
	if err := CheckProse("outline", "一。\r\n二。\n\t三。"); err != nil {
		t.Error(err)
	}
	if err := CheckProse("outline", "一。\u2028二。"); CodeOf(err) != "text.hidden" {
		t.Error(err)
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
