package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"oshirase/mailer"
)

const incidentFile = `id = "pay"
title = "不正アクセスによる個人情報漏えい"
attack_from = 2021-08-02
attack_to = "2022-01-25"
operator = { name = "株式会社ひかり決済" }

[[exposures]]
id = "A"
from = 2021-10-14 # an unquoted date
to = "2022-01-25"
items = ["card-number"]
certainty = "possible"
count = 460_395

[[exposures]]
id = "B1"
items = ["email"]
certainty = "confirmed"

[[timeline]]
on = 2021-12-14
text = "2021-12-14 は文中の日付"
`

const merchantFile = `id = "housing"
name = "一般社団法人みなと住宅支援協会"
from = "oshirase@minato-jutaku.example"
declared = { A = 3 }

[parts]
closing = "敬具"
`

// factsDir writes files, by their paths, and returns their folder.
func factsDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"incidents", "merchants"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func loadFacts(dir string) ([]mailer.Incident, []mailer.Merchant, error) {
	return LoadFacts(filepath.Join(dir, "incidents"), filepath.Join(dir, "merchants"))
}

func TestLoadFacts(t *testing.T) {
	dir := factsDir(t, map[string]string{
		"incidents/pay.toml":              incidentFile,
		"incidents/notes.txt":             "not a fact",
		"incidents/.pay.toml":             "of an editor",
		"merchants/housing.toml":          merchantFile,
		"merchants/housing/subject.tmpl":  "お知らせ\n",
		"merchants/housing/subject.tmpl~": "of an editor",
	})
	ins, ms, err := loadFacts(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(ins) != 1 || len(ms) != 1 {
		t.Fatalf("got %d incidents and %d merchants", len(ins), len(ms))
	}
	day := func(s string) mailer.Date {
		d, err := mailer.ParseDate(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	wantExposures := []mailer.Exposure{
		{ID: "A", From: day("2021-10-14"), To: day("2022-01-25"), Items: []mailer.Item{"card-number"}, Certainty: "possible", Count: 460395},
		{ID: "B1", Items: []mailer.Item{"email"}, Certainty: "confirmed"},
	}
	if diff := cmp.Diff(wantExposures, ins[0].Exposures); diff != "" {
		t.Errorf("exposures (-want +got):\n%s", diff)
	}
	if ins[0].AttackFrom != day("2021-08-02") || ins[0].AttackTo != day("2022-01-25") {
		t.Errorf("attack %v to %v", ins[0].AttackFrom, ins[0].AttackTo)
	}
	if got := ins[0].Timeline[0].Text; got != "2021-12-14 は文中の日付" {
		t.Errorf("a date in a text became %q", got)
	}
	if diff := cmp.Diff(map[string]string{"closing": "敬具", "subject": "お知らせ\n"}, ms[0].Parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

func TestLoadFactsErrors(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []string // file, line, key and code of each error
	}{
		{
			"unknown key",
			map[string]string{"incidents/pay.toml": strings.Replace(incidentFile, "count =", "cuont =", 1)},
			[]string{"incidents/pay.toml:13: exposures.cuont: config.unknown-key"},
		},
		{
			"broken syntax",
			map[string]string{"incidents/pay.toml": "id = \"pay\"\ntitle = \n"},
			[]string{"incidents/pay.toml:2: "},
		},
		{
			"no such day",
			map[string]string{"incidents/pay.toml": strings.Replace(incidentFile, "2021-10-14", "2021-02-30", 1)},
			[]string{"incidents/pay.toml:9: "},
		},
		{
			"wrong type",
			map[string]string{"incidents/pay.toml": strings.Replace(incidentFile, "460_395", `"many"`, 1)},
			[]string{"incidents/pay.toml:13: "},
		},
		{
			"id is not the file's name",
			map[string]string{"incidents/shop.toml": incidentFile},
			[]string{"incidents/shop.toml:1: id: config.facts-id (id=pay, name=shop, file=shop.toml)"},
		},
		{
			"name that is no id",
			map[string]string{"incidents/Pay 1.toml": incidentFile},
			[]string{"incidents/Pay 1.toml: config.facts-name (name=Pay 1)"},
		},
		{
			"unknown item",
			map[string]string{"incidents/pay.toml": strings.Replace(incidentFile, `"email"`, `"fax"`, 1)},
			[]string{"incidents/pay.toml:15: config.facts: exposure.item (key=exposures[1], exposure=B1, item=fax)"},
		},
		{
			"two errors at once",
			map[string]string{
				"incidents/pay.toml":     strings.Replace(incidentFile, `certainty = "possible"`, `certainty = "perhaps"`, 1),
				"merchants/housing.toml": strings.Replace(merchantFile, "oshirase@", "oshirase", 1),
			},
			[]string{"incidents/pay.toml:7: config.facts: exposure.certainty ", "merchants/housing.toml:3: config.facts: merchant.address (key=from): address.no-at"},
		},
		{
			"declared count of no exposure",
			map[string]string{"incidents/pay.toml": incidentFile, "merchants/housing.toml": strings.Replace(merchantFile, "A = 3", "Z = 3", 1)},
			[]string{"merchants/housing.toml:4: declared.Z: config.declared (exposure=Z)"},
		},
		{
			"part twice",
			map[string]string{"merchants/housing.toml": merchantFile, "merchants/housing/closing.tmpl": "x", "incidents/pay.toml": incidentFile},
			[]string{"merchants/housing.toml:7: parts.closing: config.part-twice "},
		},
		{
			"parts of nobody",
			map[string]string{"merchants/housing.toml": merchantFile, "merchants/huosing/closing.tmpl": "x", "incidents/pay.toml": incidentFile},
			[]string{"merchants/huosing: config.stray-parts"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := factsDir(t, tt.files)
			_, _, err := loadFacts(dir)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
		})
	}
}

func TestLoadFactsWithoutFolder(t *testing.T) {
	_, _, err := loadFacts(filepath.Join(t.TempDir(), "nowhere"))
	if err == nil || !strings.Contains(err.Error(), "config.no-folder (facts=incidents)") || !strings.Contains(err.Error(), "config.no-folder (facts=merchants)") {
		t.Errorf("got %v", err)
	}
}
