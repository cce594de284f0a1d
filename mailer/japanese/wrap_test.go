package japanese

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		limit    int
		keep     []string
		want     string
	}{
		{"short lines stay", "短い行です。\n次の行です。", 72, nil, "短い行です。\n次の行です。"},
		{"blank lines fold", "\n\nあ\n\n\n\nい  \n\n", 72, nil, "あ\n\nい"},
		{
			"behind a comma", "お客さまには多大なご迷惑とご心配をおかけいたしますことを、深くお詫び申し上げます。", 72, nil,
			"お客さまには多大なご迷惑とご心配をおかけいたしますことを、\n深くお詫び申し上げます。",
		},
		{"behind a particle", "弊協会の講座をご利用いただいた情報が漏えいした可能性", 32, nil, "弊協会の講座をご利用いただいた\n情報が漏えいした可能性"},
		{"no full stop begins a line", "あいうえおかきくけこ。", 20, nil, "あいうえおかきくけ\nこ。"},
		{"no bracket ends a line", "あいうえおかきくけ「こ」です", 20, nil, "あいうえおかきくけ\n「こ」です"},
		{"a date stays whole", "漢字漢字漢字漢字2021年10月14日以降", 20, nil, "漢字漢字漢字漢\n字2021年10月14日以降"},
		{"an era date stays whole", "あいうえおかは令和3年10月14日に", 20, nil, "あいうえおかは\n令和3年10月14日に"},
		{"a number stays whole", "あいうえおのは最大460,395件です", 20, nil, "あいうえおのは\n最大460,395件です"},
		{"an address stays whole", "次のページを https://www.minato-jutaku.example/notice/ です", 20, nil, "次のページを\nhttps://www.minato-jutaku.example/notice/\nです"},
		{"a word to keep", "漢字漢字漢字株式会社ひかり決済漢字", 24, []string{"株式会社ひかり決済"}, "漢字漢字漢字\n株式会社ひかり決済漢字"},
		{"お stays with its noun", "あいうえおかきの お客さま", 18, nil, "あいうえおかきの\nお客さま"},
		{"items hang", "・カード会社と連携し、取引の監視を続けています。", 32, nil, "・カード会社と連携し、\n　取引の監視を続けています。"},
		{"numbered items hang", "（12）一部のアプリケーションに対する不正な命令", 32, nil, "（12）一部のアプリケーションに\n　対する不正な命令"},
		{"brackets do not", "（一部のアプリケーションに対する不正な命令）", 32, nil, "（一部のアプリケーションに対する\n不正な命令）"},
		{"indents stay", "　ご利用明細に身に覚えのないご請求がないか", 26, nil, "　ご利用明細に身に\n　覚えのないご請求がないか"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Wrap(tt.in, tt.limit, tt.keep); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// Whatever the text, no character is lost, no line begins or ends as none may,
// and a line is too wide only where nothing in it may be broken.
func FuzzWrap(f *testing.F) {
	f.Add("弊協会が決済を委託している株式会社ひかり決済（以下「ひかり決済」といいます。）のシステムにおいて不正アクセスが発生し、判明いたしました。", 72)
	f.Add("・2021年10月14日から2022年1月25日まで、460,395件 https://www.hikari-pay.example/a?b=c", 30)
	f.Add("。。。「「「（（（", 6)
	f.Add("　　　\n・\n※ ", 4)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 8 || limit > 200 || len(s) > 4096 || !utf8.ValidString(s) {
			return // no text of a notice
		}
		got := Wrap(s, limit, nil)
		bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if bare(got) != bare(s) {
			t.Fatalf("characters changed:\n%q\n%q", s, got)
		}
		whole := make(map[string]bool)
		for line := range strings.Lines(s) {
			whole[strings.TrimSpace(line)] = true
		}
		for _, line := range strings.Split(got, "\n") {
			text := strings.TrimSpace(line)
			if text == "" || Width(line) <= limit || whole[text] {
				continue
			}
			runes := []rune(text)
			breaks := 0
			for i, k := range strengths(runes, nil) {
				if i > 0 && k != forbidden {
					breaks++
				}
			}
			if breaks > 0 && Width(string(runes[:1])) < limit-8 && fits(runes, limit-4) {
				t.Fatalf("a line is %d wide beyond %d and could be broken: %q", Width(line), limit, line)
			}
		}
	})
}

// fits reports whether a break stands early enough to keep within the limit.
func fits(runes []rune, limit int) bool {
	for i, k := range strengths(runes, nil) {
		if i > 0 && k != forbidden && Width(string(runes[:i])) <= limit {
			return true
		}
	}
	return false
}
