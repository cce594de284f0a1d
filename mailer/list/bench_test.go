package list

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// sample is a list of n rows of seven columns.
func sample(n int) string {
	var b strings.Builder
	b.WriteString("会員番号,氏名,フリガナ,メールアドレス,郵便番号,住所,電話番号\r\n")
	for i := range n {
		fmt.Fprintf(&b, "%08d,山田 太郎,ヤマダ タロウ,taro.yamada%d@example.jp,150-%04d,東京都渋谷区神南一丁目%d番%d号,03-%04d-%04d\r\n",
			i, i, i%10000, i%9+1, i%20+1, i%10000, (i*7)%10000)
	}
	return b.String()
}

func benchmarkReader(b *testing.B, content string, rows int) {
	path := writeList(b, "a.csv", content)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(path, anyExposure)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, io.EOF) || r.Info().Rows != int64(rows) {
			b.Fatal(err, r.Info().Rows)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkReaderUTF8(b *testing.B) { benchmarkReader(b, sample(50_000), 50_000) }

func BenchmarkReaderCP932(b *testing.B) {
	benchmarkReader(b, toCP932(b, sample(50_000)), 50_000)
}

// BenchmarkScanner splits without judging anything.
func BenchmarkScanner(b *testing.B) {
	content := toCP932(b, sample(50_000))
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		s := newScanner(strings.NewReader(content), ',')
		n := 0
		for ; ; n++ {
			if _, err := s.next(); err != nil {
				break
			}
		}
		if n != 50_001 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(50_001*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
