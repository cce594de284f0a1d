package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oshirase/mailer"
)

func changed(changes []mailer.Change) (ids []string) {
	for _, c := range changes {
		if c.Changed {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func TestApply(t *testing.T) {
	dir := initialised(t)
	first := okJSON[mailer.ApplyResult](t, dir, "apply")
	if got := strings.Join(changed(first.Incidents), " "); got != "pay shop" {
		t.Errorf("new incidents: %s", got)
	}
	if got := strings.Join(changed(first.Merchants), " "); got != "donation housing processor shop sports" {
		t.Errorf("new merchants: %s", got)
	}
	again := okJSON[mailer.ApplyResult](t, dir, "apply")
	if n := len(changed(again.Incidents)) + len(changed(again.Merchants)); n > 0 || len(again.Merchants) != 5 {
		t.Errorf("the same facts again changed %d: %+v", n, again)
	}

	path := filepath.Join(dir, "merchants", "housing.toml")
	edit(t, path, `date_style = "slash"`, `date_style = "era"`)
	third := okJSON[mailer.ApplyResult](t, dir, "apply")
	if got := strings.Join(changed(third.Merchants), " "); got != "housing" || len(changed(third.Incidents)) > 0 {
		t.Errorf("after an edit: %+v", third)
	}
}

func TestApplyIsAllOrNothing(t *testing.T) {
	dir := initialised(t)
	edit(t, filepath.Join(dir, "merchants", "shop.toml"), `date_style = "western"`, `date_style = "eastern"`)
	code, out, errs := oshirase(t, dir, "apply", "--json")
	if code != exitFailed || out != "" || !strings.Contains(errs, filepath.Join("merchants", "shop.toml")+":") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	edit(t, filepath.Join(dir, "merchants", "shop.toml"), `date_style = "eastern"`, `date_style = "western"`)
	if r := okJSON[mailer.ApplyResult](t, dir, "apply"); len(changed(r.Merchants)) != 5 {
		t.Errorf("the failed attempt left something: %+v", r)
	}
}

func TestApplyAnotherFolder(t *testing.T) {
	dir, other := initialised(t), initialised(t)
	ok(t, dir, "apply")
	edit(t, filepath.Join(other, "merchants", "shop.toml"), `self_name = "弊社"`, `self_name = "当社"`)
	r := okJSON[mailer.ApplyResult](t, dir, "apply", other)
	if got := strings.Join(changed(r.Merchants), " "); got != "shop" {
		t.Errorf("changed: %s", got)
	}
}

func TestApplyWithAnotherKey(t *testing.T) {
	dir, other := initialised(t), initialised(t)
	ok(t, dir, "apply")
	key, err := os.ReadFile(filepath.Join(other, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "master.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := oshirase(t, dir, "apply")
	if code != exitFailed || !strings.Contains(errs, "wrong master key") || !strings.Contains(errs, "hint:") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
}

// edit replaces what must be there.
func edit(t *testing.T, path, old, replacement string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), old, replacement, 1)
	if text == string(data) {
		t.Fatalf("%s has no %q", path, old)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReadYes(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "Yes\r\n": true, "y": true, "\n": false, "": false, "n\n": false, "yep\n": false, "はい\n": false} {
		if got, err := readYes(strings.NewReader(answer)); err != nil || got != want {
			t.Errorf("%q: %t, %v", answer, got, err)
		}
	}
}

func TestAround(t *testing.T) {
	for _, tt := range []struct{ text, other, want string }{
		{"9:00-17:00", "9:00-18:00", "9:00-17:00"},
		{"第三者が決済サーバに不正に侵入し、情報が漏えいしました。", "第三者が決済サーバに不正に侵入し、一部の情報が漏えいしました。", "…侵入し、情報が漏えいし…"},
		{"https://www.hikari-pay.example/news/20220228.html", "https://www.hikari-pay.example/news/20220301.html", "…ple/news/20220228.html"},
	} {
		if got := around(tt.text, tt.other); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
