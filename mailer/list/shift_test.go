package list

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"oshirase/mailer"
)

// people draws people; the addresses of about half of them hold their names.
func people(rng *rand.Rand, n int) []mailer.Row {
	families := strings.Fields("佐藤:サトウ:sato 鈴木:スズキ:suzuki 高橋:タカハシ:takahashi 田中:タナカ:tanaka 伊藤:イトウ:itoh " +
		"渡辺:ワタナベ:watanabe 山本:ヤマモト:yamamoto 中村:ナカムラ:nakamura 小林:コバヤシ:kobayashi 加藤:カトウ:katou " +
		"大野:オオノ:ohno 藤井:フジイ:fujii 坂本:サカモト:sakamoto 石井:イシイ:ishii 千葉:チバ:chiba 河野:コウノ:kouno " +
		"井上:イノウエ:inoue 土屋:ツチヤ:tsuchiya 本間:ホンマ:honma 清水:シミズ:shimizu")
	given := strings.Fields("タロウ:taro ハナコ:hanako シンイチ:shinichi ジュンコ:junko ユウキ:yuki ケンジ:kenji マイ:mai " +
		"リョウタ:ryota チヒロ:chihiro ショウヘイ:shohei アヤ:aya ミツコ:mitsuko")
	rows := make([]mailer.Row, n)
	for i := range rows {
		f := strings.Split(families[rng.IntN(len(families))], ":")
		g := strings.Split(given[rng.IntN(len(given))], ":")
		local := fmt.Sprintf("user%d", rng.IntN(1e6))
		switch rng.IntN(6) {
		case 0:
			local = g[1] + "." + f[2]
		case 1:
			local = fmt.Sprintf("%s%02d", f[2], rng.IntN(100))
		case 2:
			local = fmt.Sprintf("%s_%s", g[1], f[2][:1])
		}
		rows[i] = mailer.Row{Number: int64(i + 2), Person: mailer.Person{
			Name: f[0] + " 太郎", NameKana: f[1] + " " + g[0], Email: local + "@example.jp",
		}}
	}
	return rows
}

// moveAddresses puts the address of each row from the given one on k rows further down.
func moveAddresses(rows []mailer.Row, from, k int) {
	emails := make([]string, len(rows))
	for i := range rows {
		emails[i] = rows[i].Email
	}
	for i := from; i < len(rows); i++ {
		if j := i + k; j >= from && j < len(rows) {
			rows[j].Email = emails[i]
		}
	}
}

func detect(t *testing.T, rows []mailer.Row, threshold float64) (mailer.Shift, bool) {
	t.Helper()
	d, err := newShiftDetector(threshold)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		d.add(&rows[i])
	}
	refused := d.finish()
	return d.report, refused
}

func withoutKana(rows []mailer.Row) []mailer.Row {
	for i := range rows {
		rows[i].NameKana = ""
	}
	return rows
}

func unsplitKana(rows []mailer.Row) []mailer.Row {
	for i := range rows {
		rows[i].NameKana = strings.ReplaceAll(rows[i].NameKana, " ", "")
	}
	return rows
}

func TestShiftIsFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		n, from int
		by      int
		change  func([]mailer.Row) []mailer.Row
	}{
		{"down by one", 300, 0, 1, nil},
		{"up by one", 300, 0, -1, nil},
		{"down by three", 300, 0, 3, nil},
		{"up by two", 300, 0, -2, nil},
		{"small list", 80, 0, 1, nil},
		{"the last part only", 3000, 2850, 1, nil},
		{"kanji only", 300, 0, 1, withoutKana},
		{"kana without a blank", 300, 0, -1, unsplitKana},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows := people(rand.New(rand.NewPCG(1, 2)), c.n)
			if c.change != nil {
				rows = c.change(rows)
			}
			if rep, refused := detect(t, rows, 0); refused || rep.Own < rep.Voting/5 {
				t.Fatalf("refused before it was shifted: %+v", rep)
			}
			moveAddresses(rows, c.from, c.by)
			rep, refused := detect(t, rows, 0)
			if !refused || rep.Offset != c.by || rep.Shifted < minVotes {
				t.Errorf("refused %v, %+v", refused, rep)
			}
			if rep.From < int64(c.from-5) || rep.From > int64(c.from+20) {
				t.Errorf("it starts at row %d, found from row %d", c.from+2, rep.From)
			}
			if _, refused := detect(t, rows, -1); refused {
				t.Error("refused although the threshold says never")
			}
		})
	}
}

func TestShiftOfShortList(t *testing.T) {
	names := strings.Fields("佐藤花子:sato 鈴木一郎:suzuki 髙橋健:takahashi 田中恵:tanaka 渡邊修:watanabe 山本直:yamamoto 中村光:nakamura 小林薫:kobayashi")
	rows := make([]mailer.Row, len(names))
	for i, n := range names {
		name, local, _ := strings.Cut(n, ":")
		rows[i] = mailer.Row{Number: int64(i + 2), Person: mailer.Person{Name: name, Email: local + "@example.jp"}}
	}
	if rep, refused := detect(t, rows, 0); refused || rep.Own != 8 {
		t.Errorf("refused %v, %+v", refused, rep)
	}
	moveAddresses(rows, 0, 1)
	if rep, refused := detect(t, rows, 0); !refused || rep.Offset != 1 || rep.Shifted != 6 || rep.From != 3 { // the first row keeps its own
		t.Errorf("refused %v, %+v", refused, rep)
	}
}

func TestNoFalseAlarm(t *testing.T) {
	given := strings.Fields("タロウ:taro ハナコ:hanako シンイチ:shinichi ジュンコ:junko ケンジ:kenji")
	for _, c := range []struct {
		name string
		make func(*rand.Rand) []mailer.Row
	}{
		{"addresses without names", func(rng *rand.Rand) []mailer.Row {
			rows := people(rng, 5000)
			for i := range rows {
				b := make([]byte, 8)
				for k := range b {
					b[k] = byte('a' + rng.IntN(26))
				}
				rows[i].Email = string(b) + "@example.jp"
			}
			return rows
		}},
		{"names and addresses drawn independently", func(rng *rand.Rand) []mailer.Row {
			rows, others := people(rng, 20000), people(rng, 20000)
			for i := range rows {
				rows[i].Email = others[i].Email
			}
			return rows
		}},
		{"families side by side", func(rng *rand.Rand) []mailer.Row {
			rows := people(rng, 4000)
			for i := range rows {
				if i%4 == 0 {
					continue
				}
				g := strings.Split(given[rng.IntN(len(given))], ":")
				family, _, _ := strings.Cut(rows[i-1].NameKana, " ")
				rows[i].Name, rows[i].NameKana = rows[i-1].Name, family+" "+g[0]
				switch rng.IntN(3) {
				case 0:
					rows[i].Email = rows[i-1].Email
				case 1:
					rows[i].Email = g[1] + "@example.jp"
				}
			}
			return rows
		}},
		{"one surname throughout", func(rng *rand.Rand) []mailer.Row {
			rows := people(rng, 2000)
			for i := range rows {
				rows[i].Name, rows[i].NameKana = "佐藤 様", "サトウ "+strings.Split(given[rng.IntN(len(given))], ":")[0]
				rows[i].Email = []string{"sato@example.jp", "abc@example.jp", "hanako.sato@example.jp"}[rng.IntN(3)]
			}
			return rows
		}},
		{"no names", func(rng *rand.Rand) []mailer.Row {
			rows := people(rng, 500)
			for i := range rows {
				rows[i].Name, rows[i].NameKana = "", ""
			}
			return rows
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(5) {
				rows := c.make(rand.New(rand.NewPCG(seed, 7)))
				if rep, refused := detect(t, rows, 0); refused {
					t.Errorf("seed %d: refused: %+v", seed, rep)
				}
				for ; len(rows) > 12; rows = rows[12:] { // and none in a short list
					if rep, refused := detect(t, rows[:12], 0); refused {
						t.Errorf("seed %d: refused from row %d on: %+v", seed, rows[0].Number, rep)
					}
				}
			}
		})
	}
}

func TestReaderRefusesShiftedList(t *testing.T) {
	rows := people(rand.New(rand.NewPCG(3, 4)), 200)
	moveAddresses(rows, 0, 1)
	var b strings.Builder
	b.WriteString("customer_id,name,name_kana,email\n")
	for i, r := range rows {
		fmt.Fprintf(&b, "%d,%s,%s,%s\n", i, r.Name, r.NameKana, r.Email)
	}
	r, err := Open(writeList(t, "a.csv", b.String()), anyExposure)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for ; err == nil; n++ {
		_, err = r.Next()
	}
	shifted, ok := errors.AsType[*mailer.Error](err)
	if !ok || shifted.Code != "list.shifted-down" || !errors.Is(err, mailer.ErrInvalid) || errors.Is(err, io.EOF) {
		t.Fatalf("Next: %v", err)
	}
	if s := r.Shift(); n != 201 || s.Offset != 1 || shifted.Arg("rows") != 1 || shifted.Arg("from") != s.From || shifted.Arg("shifted") != s.Shifted || r.Info().SHA256 == "" {
		t.Errorf("after %d rows: %v, report %+v, info %+v", n, err, s, r.Info())
	}
}

func TestRomaji(t *testing.T) {
	for _, c := range [][]string{
		{"オオノ", "ono", "ohno", "oono", "Ono"},
		{"いとう", "ito", "itou", "itoh", "itoo"},
		{"シンイチ", "shinichi", "sinichi", "sin-ichi"},
		{"ジュンコ", "junko", "zyunko", "jyunko"},
		{"ホンマ", "honma", "homma"},
		{"チバ", "chiba", "tiba"},
		{"ｼｮｳﾍｲ", "shohei", "shouhei", "syohei", "shohhei"},
		{"イッテツ", "ittetsu", "ittetu"},
		{"ハットリ", "hattori"},
		{"ツヅキ", "tsuduki", "tuzuki", "tsudzuki"},
		{"オオハシ", "ohashi", "ohhashi", "oohashi"},
		{"リョウ", "ryo", "ryou", "ryoh"},
		{"トフ", "tofu", "tohu"},
		{"フミヲ", "fumio", "fumiwo"},
	} {
		want, ok := romanize(normName(c[0]))
		if !ok {
			t.Errorf("romanize(%q) fails", c[0])
		}
		for _, s := range c[1:] {
			got := strings.ReplaceAll(localWords(s+"@example.jp"), ".", "")
			if got != want {
				t.Errorf("%s: %q reads %q, want %q", c[0], s, got, want)
			}
		}
	}
	for _, s := range []string{"山田", "ﾀﾛｳ!", "田ろう"} {
		if got, ok := romanize(s); ok {
			t.Errorf("romanize(%q) = %q", s, got)
		}
	}
}

func normName(s string) string {
	family, _ := splitName(s)
	return family
}

func TestSurnames(t *testing.T) {
	n := surnames()
	if len(n.readings) < 250 {
		t.Errorf("%d surnames", len(n.readings))
	}
	for name, want := range map[string]string{"佐々木花子": "sasaki", "五十嵐": "igarasi", "𠮷田太郎": "yosida", "森田": "morita", "森太郎": "mori"} {
		got := n.readings[name]
		if got == nil {
			got = n.prefix(name)
		}
		if len(got) == 0 || got[0] != want {
			t.Errorf("%s reads %v, want %s", name, got, want)
		}
	}
	if got := n.prefix("森"); got != nil {
		t.Errorf("森 alone has the prefix %v", got)
	}
}
