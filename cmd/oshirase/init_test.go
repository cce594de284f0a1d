package main

import (
	"encoding/csv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"

	"oshirase/config"
	"oshirase/mailer"
)

// initialised makes a working folder and returns it.
func initialised(t *testing.T, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "first")
	got := okJSON[map[string]string](t, t.TempDir(), append([]string{"init", dir}, args...)...)
	if len(got) != 1 || got["dir"] != dir {
		t.Fatalf("init printed %v, want dir %s", got, dir)
	}
	return dir
}

func TestInit(t *testing.T) {
	dir := initialised(t)
	c, err := config.Load(filepath.Join(dir, "oshirase.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if found := c.Check(); len(found) > 0 {
		t.Errorf("config check of a new folder finds %v", found)
	}
	if r := c.Relays[0]; r.Address != sinkAddress || r.TLS != "none" {
		t.Errorf("the relay is %s with tls %s", r.Address, r.TLS)
	}
	key, err := os.Stat(filepath.Join(dir, "master.key"))
	if err != nil || key.Mode().Perm() != 0o600 {
		t.Errorf("master key: %v, %v", key.Mode(), err)
	}
	a, err := c.MasterKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := config.Load(filepath.Join(initialised(t), "oshirase.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := other.MasterKey(); err != nil || string(a) == string(b) {
		t.Errorf("two folders have one key, %v", err)
	}
}

func TestInitRelay(t *testing.T) {
	tests := []struct {
		args         []string
		address, tls string
	}{
		{[]string{"--relay", "mail.example:587"}, "mail.example:587", "required"},
		{[]string{"--relay", "127.0.0.1:25"}, "127.0.0.1:25", "required"},
		{[]string{"--relay", "127.0.0.1:25", "--relay-tls", "none"}, "127.0.0.1:25", "none"},
		{[]string{"--relay-tls", "required"}, sinkAddress, "required"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			c, err := config.Load(filepath.Join(initialised(t, tt.args...), "oshirase.toml"))
			if err != nil {
				t.Fatal(err)
			}
			if r := c.Relays[0]; r.Address != tt.address || r.TLS != tt.tls {
				t.Errorf("the relay is %s with tls %s", r.Address, r.TLS)
			}
		})
	}
}

func TestInitNeverOverwrites(t *testing.T) {
	for _, name := range []string{"oshirase.toml", "master.key", "merchants/shop.toml", "lists/shop.csv"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			code, out, errs := oshirase(t, t.TempDir(), "init", dir, "--json")
			if code != exitFailed || out != "" || !strings.Contains(errs, path+" is already there; nothing was written") {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
			if got := tree(t, dir); len(got) != 1 || got[0] != name {
				t.Errorf("the folder now holds %v", got)
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
				t.Errorf("the file now holds %q, %v", data, err)
			}
		})
	}
}

// TestInitLeavesNothingBehind: a disk that fails half-way leaves an empty folder.
func TestInitLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	files := []newFile{
		{name: "a.toml", data: []byte("a"), mode: 0o600},
		{name: "b/c/d.toml", data: []byte("d"), mode: 0o600},
		{name: "a.toml/e.toml", data: []byte("e"), mode: 0o600}, // a file is no folder
	}
	if err := writeNew(dir, files); err == nil {
		t.Fatal("no error")
	}
	if got := tree(t, dir); len(got) > 0 {
		t.Errorf("the folder holds %v", got)
	}
}

func tree(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestInitSaysWhatIsNext(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "first")
	out := ok(t, t.TempDir(), "init", dir)
	for _, want := range []string{
		filepath.Join(dir, "lists", "housing.csv"), "cd " + dir, "oshirase sink --listen " + sinkAddress, "oshirase apply",
		"oshirase import", "campaign approve", "oshirase run",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output has no %q:\n%s", want, out)
		}
	}
}

// lists are the sample lists with whose people they hold.
var lists = map[string]struct{ merchant, encoding string }{
	"housing.csv":             {"housing", "cp932"},
	"donation.csv":            {"donation", "utf-8"},
	"sports.csv":              {"sports", "cp932"},
	"shop.csv":                {"shop", "cp932"},
	"processor-customers.csv": {"processor", "utf-8"},
	"processor-merchants.csv": {"processor", "utf-8"},
}

// TestDeclaredCountsEqualTheLists: a first check must have nothing to reconcile.
func TestDeclaredCountsEqualTheLists(t *testing.T) {
	dir := initialised(t)
	_, merchants, err := config.LoadFacts(filepath.Join(dir, "incidents"), filepath.Join(dir, "merchants"))
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]map[string]int64{}
	for name, list := range lists {
		rows := readSample(t, filepath.Join(dir, "lists", name), list.encoding)
		column := -1
		for i, header := range rows[0] {
			if header == "漏えい区分" || header == "exposure" {
				column = i
			}
		}
		if column < 0 {
			t.Fatalf("%s: no column of exposures in %v", name, rows[0])
		}
		if n := len(rows) - 1; n < 20 || n > 40 {
			t.Errorf("%s has %d rows", name, n)
		}
		for _, row := range rows[1:] {
			for _, id := range strings.Fields(row[column]) {
				if counted[list.merchant] == nil {
					counted[list.merchant] = map[string]int64{}
				}
				counted[list.merchant][id]++
			}
		}
	}
	if len(merchants) != 5 {
		t.Errorf("%d merchants", len(merchants))
	}
	for _, m := range merchants {
		if len(m.Declared) == 0 || len(m.Declared) != len(counted[m.ID]) {
			t.Errorf("%s declares %v, its lists have %v", m.ID, m.Declared, counted[m.ID])
		}
		for id, n := range m.Declared {
			if counted[m.ID][id] != n {
				t.Errorf("%s declares %d in %s, its lists have %d", m.ID, n, id, counted[m.ID][id])
			}
		}
	}
}

func readSample(t *testing.T, path, encoding string) [][]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if encoding == "cp932" {
		if utf8.Valid(data) {
			t.Errorf("%s is not in CP932", path)
		}
		if data, err = japanese.ShiftJIS.NewDecoder().Bytes(data); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(data), "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return rows
}

// TestSampleListsHoldTheHardCases: rare characters, legacy addresses, several
// exposures, no name, no address.
func TestSampleListsHoldTheHardCases(t *testing.T) {
	dir := initialised(t)
	var all strings.Builder
	for name, list := range lists {
		for i, row := range readSample(t, filepath.Join(dir, "lists", name), list.encoding) {
			all.WriteString(strings.Join(row, "|") + "\n")
			for _, cell := range row {
				if i == 0 || !strings.Contains(cell, "@") {
					continue
				}
				addr, err := mailer.ParseAddress(cell)
				if err != nil || !strings.HasSuffix(addr.Domain, ".example") {
					t.Errorf("%s: %s: %v", name, cell, err)
				}
			}
		}
	}
	for _, want := range []string{"髙橋", "山﨑", "𠮷田", "a..ito@", "|.yamada@", ".@keitai.example", "A B1", "A B2", "||"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no list holds %q", want)
		}
	}
}

func TestSampleFacts(t *testing.T) {
	dir := initialised(t)
	incidents, merchants, err := config.LoadFacts(filepath.Join(dir, "incidents"), filepath.Join(dir, "merchants"))
	if err != nil {
		t.Fatal(err)
	}
	if len(incidents) != 2 || incidents[0].ID != "pay" || incidents[1].ID != "shop" {
		t.Fatalf("incidents %v", incidents)
	}
	want := map[string]int64{"A": 460_395, "B1": 434, "B2": 109, "B3": 17, "B4": 33, "C": 38}
	for id, n := range want {
		if e, ok := incidents[0].Exposure(id); !ok || e.Count != n {
			t.Errorf("pay: exposure %s has %d, want %d", id, e.Count, n)
		}
	}
	if e, ok := incidents[1].Exposure("A"); !ok || e.Count != 18_136 || e.From.String() != "2020-04-27" || e.To.String() != "2021-12-22" {
		t.Errorf("shop: exposure %+v", e)
	}
	self, style := map[string]bool{}, map[mailer.DateStyle]bool{}
	for _, m := range merchants {
		self[m.SelfName], style[m.DateStyle] = true, true
		if w, err := mailer.ParseWindow(m.Window); err != nil || w.String() != "09:00-20:00" || m.Window.Hours == "" {
			t.Errorf("%s: window %s, %v: nobody is woken at night by a sample", m.ID, w, err)
		}
	}
	if len(self) != 4 || len(style) != 3 {
		t.Errorf("self-names %v, date styles %v", self, style)
	}
}
