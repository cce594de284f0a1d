package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oshirase/config"
	"oshirase/mailer"
)

const hostileText = "山\x1b[2J\x1b]0;x\a\u202e\u200b\u009b31m\U000e0041\x7f"

// TestTerminalSeesNoControls: whichever way text takes to a terminal, what of it nobody
// sees is shown, and does nothing.
func TestTerminalSeesNoControls(t *testing.T) {
	for name, show := range map[string]func(*app){
		"printf":        func(a *app) { a.printf("%s\n", hostileText) },
		"table":         func(a *app) { tab := newTable("名前"); tab.add(hostileText); a.printTable(tab) },
		"aligned":       func(a *app) { tab := newTable("名前"); tab.add(hostileText); tab.aligned(a.stdout) },
		"error":         func(a *app) { a.printError(errors.New(hostileText)) },
		"coded":         func(a *app) { a.printError(mailer.Invalid("facts.missing", "key", hostileText)) },
		"hint":          func(a *app) { a.printError(withHint(errors.New("x"), "%s", hostileText)) },
		"log":           func(a *app) { a.logger().Info("relay said", "text", hostileText) },
		"wrong command": func(a *app) { a.run(t.Context(), []string{hostileText}) },
		"wrong flag":    func(a *app) { a.run(t.Context(), []string{"lookup", "--" + hostileText}) },
		"help":          func(a *app) { a.run(t.Context(), []string{"help", hostileText}) },
	} {
		var b bytes.Buffer
		a := &app{stdout: &b, stderr: &b}
		show(a)
		if b.Len() == 0 {
			t.Errorf("%s: nothing is shown", name)
		}
		for _, r := range b.String() {
			if r != '\n' && mailer.Hidden(r) {
				t.Errorf("%s: U+%04X in %q", name, r, b.String())
				break
			}
		}
	}
}

// TestJSONIsExact: a program reads what there was, a terminal sees no control of it.
func TestJSONIsExact(t *testing.T) {
	type value struct {
		Text string `json:"text"`
	}
	want := value{hostileText + strings.Repeat("葛\U000e0100城", 3)}
	var direct, streamed, logged bytes.Buffer
	a := &app{stdout: &direct, stderr: &logged, cfg: &config.Config{Log: config.Log{Format: "json", Level: "info"}}}
	if err := a.printJSON(want); err != nil {
		t.Fatal(err)
	}
	long := value{strings.Repeat("あ", 1365) + strings.Repeat("\u202e", 4000)} // across the buffer's end
	err := streamJSON(&streamed, "all", func(fn func(value) error) error { return errors.Join(fn(want), fn(long)) })
	if err != nil {
		t.Fatal(err)
	}
	a.logger().LogAttrs(t.Context(), slog.LevelInfo, "x", slog.String("text", want.Text))
	var one value
	var all struct{ All []value }
	var line value
	if err := errors.Join(json.Unmarshal(direct.Bytes(), &one), json.Unmarshal(streamed.Bytes(), &all), json.Unmarshal(logged.Bytes(), &line)); err != nil {
		t.Fatal(err)
	}
	if one != want || len(all.All) != 2 || all.All[0] != want || all.All[1] != long || line != want {
		t.Errorf("read back %q, %d, %q", one.Text, len(all.All), line.Text)
	}
	for _, r := range direct.String() + streamed.String() + logged.String() {
		if r != '\n' && mailer.Hidden(r) {
			t.Errorf("U+%04X is not escaped", r)
		}
	}
}

// TestExportHoldsNoFormulas: customer numbers and replies come from strangers.
func TestExportHoldsNoFormulas(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ledger.csv")
	_, err := fileDeliveries(file, func(fn func(*mailer.DeliveryView) error) error {
		return fn(&mailer.DeliveryView{
			Ref: "33333-33333", CustomerID: "=HYPERLINK(\"https://evil.example\")", Email: "+a@mail.example", Relay: "＝1",
			Text: " @SUM(1)\u202e",
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"'=HYPERLINK(`, ",'+a@mail.example,", ",'＝1,", ",' @SUM(1)‹U+202E›"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}
