package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNumber(t *testing.T) {
	tests := map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 460395: "460,395", 2415750: "2,415,750",
		-1: "-1", -100: "-100", -1234567: "-1,234,567", -9223372036854775808: "-9,223,372,036,854,775,808",
	}
	for n, want := range tests {
		if got := number(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

func sampleTable() *table {
	t := newTable("状態", "件数", "ID").alignRight(1)
	t.add("受付済み", "460,395", "c-1")
	t.add("SMTP拒否", "7", "c-22")
	return t
}

func TestTableIsAlignedByWidth(t *testing.T) {
	var b bytes.Buffer
	sampleTable().aligned(&b)
	want := `状態         件数  ID
───────────────────────
受付済み  460,395  c-1
SMTP拒否        7  c-22
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestTableIsPlainWithoutTerminal(t *testing.T) {
	var b bytes.Buffer
	a := &app{stdout: &b}
	tab := sampleTable()
	tab.add("行\t中の", "改行\nも", "c-3")
	a.printTable(tab)
	want := "状態\t件数\tID\n受付済み\t460,395\tc-1\nSMTP拒否\t7\tc-22\n行 中の\t改行 も\tc-3\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestPrintJSONKeepsJapaneseAndSigns(t *testing.T) {
	var b bytes.Buffer
	a := &app{stdout: &b}
	if err := a.printJSON(map[string]string{"a": "<山﨑> & 髙"}); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"a\": \"<山﨑> & 髙\"\n}\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestProgressWithoutTerminal(t *testing.T) {
	now := time.Unix(0, 0)
	var b bytes.Buffer
	a := &app{stderr: &b, now: func() time.Time { return now }}
	p := a.newProgress("checking", "notices", 0)
	p.set(10, 0)
	now = now.Add(plainEvery)
	p.set(2000, 0)
	p.set(3000, 0) // too soon
	now = now.Add(plainEvery)
	p.set(230_000, 460_395)
	now = now.Add(plainEvery)
	p.set(230_115, 0) // the total stays
	p.end()
	want := "checking: 2,000 notices\nchecking: 230,000 of 460,395 notices (49 %)\nchecking: 230,115 of 460,395 notices (49 %)\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestProgressIsQuiet(t *testing.T) {
	now := time.Unix(0, 0)
	var b bytes.Buffer
	a := &app{stderr: &b, quiet: true, now: func() time.Time { return now }}
	p := a.newProgress("checking", "notices", 5)
	now = now.Add(time.Hour)
	p.set(5, 5)
	p.end()
	if b.Len() > 0 {
		t.Errorf("got %q", b.String())
	}
}

func TestProgressOfManyGoroutines(t *testing.T) {
	now := time.Unix(0, 0)
	var b bytes.Buffer
	a := &app{stderr: &b, now: func() time.Time { return now }}
	p := a.newProgress("sending", "notices", 1000)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 100 {
				p.set(999, 0) // the race detector looks on
			}
		})
	}
	wg.Wait()
	now = now.Add(plainEvery)
	p.set(1000, 0)
	if !strings.Contains(b.String(), "1,000 of 1,000") {
		t.Errorf("got %q", b.String())
	}
}
