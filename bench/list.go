package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/japanese"
)

// Names whose readings fit the addresses: a list in which they did not would be
// refused as shifted.
var (
	surnames = [][3]string{
		{"佐藤", "サトウ", "sato"},
		{"鈴木", "スズキ", "suzuki"},
		{"髙橋", "タカハシ", "takahashi"},
		{"田中", "タナカ", "tanaka"},
		{"渡邊", "ワタナベ", "watanabe"},
		{"山﨑", "ヤマザキ", "yamazaki"},
		{"中村", "ナカムラ", "nakamura"},
		{"小林", "コバヤシ", "kobayashi"},
	}
	// Given names are put together of two parts, as many real ones are: what is looked
	// up by reading must not come to a few dozen values.
	givenFirst = strings.Fields(`健 ケン 由 ユ 明 アキ 大 ダイ 真 マ 直 ナオ 和 カズ 雅 マサ 裕 ヒロ 智 トモ 恵 ケイ 佳 ヨシ
		亜 ア 幸 ユキ 美 ミ 義 ヨシ 貴 タカ 春 ハル 夏 ナツ 千 チ 沙 サ 光 ミツ 正 マサ`)
	givenSecond = strings.Fields(`太 タ 子 コ 一 イチ 美 ミ 輔 スケ 香 カ 也 ヤ 代 ヨ 彦 ヒコ 恵 エ 樹 キ 里 リ 人 ト 江 エ 平 ヘイ 奈 ナ 司 ジ`)
	domains     = []string{"mail.example", "post.example", "keitai.example", "tayori.example", "people.example"}
)

const listColumns = "会員番号,氏名,フリガナ,メールアドレス,郵便番号,住所,電話番号"

// writeList writes n people as Excel in Japan saves them: CP932, CRLF. The same
// n gives the same list.
func writeList(path string, n int) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	enc := japanese.ShiftJIS.NewEncoder()
	known := make(map[string]string)
	text := func(s string) string { // of few different ones
		e, ok := known[s]
		if !ok && err == nil {
			e, err = enc.String(s)
			known[s] = e
		}
		return e
	}
	line := append([]byte(text(listColumns)), "\r\n"...)
	for i := range n {
		if _, werr := w.Write(line); werr != nil {
			return werr
		}
		s := surnames[i%len(surnames)]
		g, h := givenFirst[i/3*2%len(givenFirst):], givenSecond[i/5*2%len(givenSecond):]
		line = fmt.Appendf(line[:0], "%08d,", i+1)
		line = append(line, text(s[0]+" "+g[0]+h[0])...)
		line = append(line, ',')
		line = append(line, text(s[1]+" "+g[1]+h[1])...)
		line = append(line, ',')
		line = append(line, s[2]...)
		line = strconv.AppendInt(line, int64(i), 10)
		line = append(line, '@')
		line = append(line, domains[i%len(domains)]...)
		line = fmt.Appendf(line, ",000-%04d,", i%10000)
		line = append(line, text("星見県青葉市中央一丁目")...)
		line = fmt.Appendf(line, "%d-%d", i%30+1, i%17+1)
		line = fmt.Appendf(line, ",090-0%03d-%04d\r\n", i/10000%1000, i%10000) // no number of 090-0 is given to anybody
	}
	if _, werr := w.Write(line); werr != nil {
		return werr
	}
	return errors.Join(err, w.Flush())
}
