package main

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"oshirase/config"
	"oshirase/mailer"
	"oshirase/mailer/list"
	"oshirase/templates"
)

// TestSamplesGiveNoFinding: whoever tries the samples first sees notices that
// could go out as they are, at every stage, to everybody in the lists.
func TestSamplesGiveNoFinding(t *testing.T) {
	dir := initialised(t)
	incidents, merchants, err := config.LoadFacts(filepath.Join(dir, "incidents"), filepath.Join(dir, "merchants"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := templates.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range lists {
		incident := incidents[0]
		if l.merchant == "shop" {
			incident = incidents[1]
		}
		rows := readList(t, filepath.Join(dir, "lists", name), l.encoding, incident.ExposureIDs())
		for _, m := range merchants {
			if m.ID != l.merchant {
				continue
			}
			for _, stage := range mailer.Stages {
				t.Run(name+"/"+string(stage), func(t *testing.T) {
					noFinding(t, set, &mailer.Snapshot{
						Incident: incident, Merchant: m, Stage: stage,
						NoticeOn: mailer.Date{Year: 2022, Month: 9, Day: 1}, Templates: set.Digest(),
					}, rows)
				})
			}
		}
	}
}

func noFinding(t *testing.T, set *templates.Set, snap *mailer.Snapshot, rows []mailer.Row) {
	t.Helper()
	tmpl, err := set.Compile(snap)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tmpl.CheckFacts() {
		t.Errorf("facts: %s %s: %s", f.Severity, f.Rule, f.Message)
	}
	for i, row := range rows {
		r := mailer.Recipient{
			ID: int64(i + 1), Incident: snap.Incident.ID, Merchant: snap.Merchant.ID, Ref: "3F7KQ-9XTW4",
			Person: row.Person, Exposures: row.Exposures,
		}
		n, err := tmpl.Render(&r)
		if err != nil {
			t.Fatalf("row %d: %v", row.Number, err)
		}
		for _, f := range tmpl.CheckNotice(&r, &n) {
			t.Errorf("row %d: %s %s: %s", row.Number, f.Severity, f.Rule, f.Message)
		}
	}
}

// readList reads a sample list as import does; no row may be refused.
func readList(t *testing.T, path, encoding string, exposures []string) (rows []mailer.Row) {
	t.Helper()
	r, err := list.Open(path, list.Options{Exposures: exposures})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if got := r.Info().Encoding; got != encoding {
		t.Errorf("%s is read as %s, not %s", path, got, encoding)
	}
	return rows
}
