package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"oshirase/config"
	"oshirase/mailer"
)

// oshirase runs the program in the folder dir as somebody at a shell would.
func oshirase(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(dir)
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// ok runs the program, wants exit code 0, and returns its standard output.
func ok(t *testing.T, dir string, args ...string) string {
	t.Helper()
	code, out, errs := oshirase(t, dir, args...)
	if code != exitDone {
		t.Fatalf("oshirase %s: exit code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// okJSON runs the program with --json and decodes its standard output, which
// must hold nothing else.
func okJSON[T any](t *testing.T, dir string, args ...string) (v T) {
	t.Helper()
	out := ok(t, dir, append(args, "--json")...)
	dec := json.NewDecoder(strings.NewReader(out))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("oshirase %s: %v in\n%s", strings.Join(args, " "), err, out)
	}
	if dec.More() {
		t.Fatalf("oshirase %s: more than one JSON value in\n%s", strings.Join(args, " "), out)
	}
	return v
}

func TestExitCodesOfWrongUsage(t *testing.T) {
	t.Setenv("OSHIRASE_CONFIG", "")
	tests := []struct {
		args []string
		code int
		want string // on standard error
	}{
		{[]string{"vesion"}, exitUsage, `did you mean "version"?`},
		{[]string{"version", "--bogus"}, exitUsage, "unknown flag: --bogus"},
		{[]string{"version", "extra"}, exitUsage, "read `oshirase version --help`"},
		{[]string{"config", "chekc"}, exitUsage, `unknown command "oshirase config chekc"`},
		{[]string{"init"}, exitUsage, "accepts 1 arg(s)"},
		{[]string{"init", "x", "--relay", "nonsense"}, exitUsage, "HOST:PORT"},
		{[]string{"init", "x", "--relay-tls", "perhaps"}, exitUsage, "use required, implicit or none"},
		{[]string{"config", "check"}, exitFailed, "no such config file"},
		{[]string{"config", "check", "--config", "gone.toml"}, exitFailed, "gone.toml"},
		{[]string{"apply"}, exitFailed, "oshirase init DIR"},
		{[]string{}, exitDone, ""},
		{[]string{"config"}, exitDone, ""},
		{[]string{"help", "init"}, exitDone, ""},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			code, out, errs := oshirase(t, t.TempDir(), tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d\n%s", code, tt.code, errs)
			}
			if !strings.Contains(errs, tt.want) {
				t.Errorf("standard error has no %q:\n%s", tt.want, errs)
			}
			if tt.code != exitDone {
				if out != "" {
					t.Errorf("standard output is not empty:\n%s", out)
				}
				if !strings.HasPrefix(errs, "oshirase: ") || !strings.Contains(errs, "\n  hint: ") {
					t.Errorf("no error with a hint:\n%s", errs)
				}
			}
		})
	}
}

func TestRequiredFlagsAreWrongUsage(t *testing.T) {
	a := &app{stderr: &bytes.Buffer{}}
	c := &cobra.Command{
		Use: "x", RunE: func(*cobra.Command, []string) error { return nil },
		SilenceErrors: true, SilenceUsage: true,
	}
	c.Flags().String("who", "", "")
	c.Flags().Bool("one", false, "")
	c.Flags().Bool("other", false, "")
	if err := c.MarkFlagRequired("who"); err != nil {
		t.Fatal(err)
	}
	c.MarkFlagsMutuallyExclusive("one", "other")
	(&app{}).asUsageErrors(c)
	for _, args := range [][]string{{}, {"--who", "me", "--one", "--other"}} {
		c.SetArgs(args)
		err := c.Execute()
		if exitCode(err) != exitUsage {
			t.Errorf("%v: %v has exit code %d", args, err, exitCode(err))
		}
		a.printError(err)
	}
}

// TestHelpOfEveryCommand: whoever reads --help finds what the command is for,
// a longer text, and an example that begins with the program's name.
func TestHelpOfEveryCommand(t *testing.T) {
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" || !strings.HasPrefix(c.Example, "  oshirase ") {
			t.Errorf("%s lacks a short text, a long text or an example", c.CommandPath())
		}
		if !c.Runnable() {
			t.Errorf("%s does nothing when it is called bare: give it RunE: needsCommand", c.CommandPath())
		}
		if c.Args == nil {
			t.Errorf("%s does not say which arguments it takes", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(a.rootCommand())
}

func TestExitCode(t *testing.T) {
	tests := []struct {
		err  error
		code int
		hint string
	}{
		{errors.New("x"), exitFailed, ""},
		{usagef("x"), exitUsage, "read `oshirase --help`"},
		{fmt.Errorf("campaign: %w", checkError{errors: 2, hint: "mend it"}), exitCheck, "mend it"},
		{withHint(errors.New("x"), "do %s", "this"), exitFailed, "do this"},
		{fmt.Errorf("open: %w", mailer.ErrWrongKey), exitFailed, "restore the key"},
		{fmt.Errorf("send: %w", &mailer.RelayDown{Err: errors.New("refused")}), exitFailed, "nothing is lost"},
		{fmt.Errorf("send: %w", context.Canceled), exitInterrupted, "stays recorded"},
		{personError{map[string]mailer.Wait{"c-1": {Reason: mailer.WaitVoided}}}, exitPerson, "status"},
		{interruptedError{3}, exitInterrupted, "next run"},
		{fmt.Errorf("load: %w", &config.Error{File: "f", Err: mailer.Invalid("config.no-relay")}), exitFailed, "[[relay]]"},
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.code {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.code)
		}
		if got := strings.Join(hints(tt.err), "\n"); !strings.Contains(got, tt.hint) || got != "" && tt.hint == "" {
			t.Errorf("%v: hint %q, want %q", tt.err, got, tt.hint)
		}
	}
	if withHint(nil, "x") != nil {
		t.Error("a hint made an error out of nothing")
	}
}

func TestErrorsAreOneLineEach(t *testing.T) {
	var b bytes.Buffer
	a := &app{stderr: &b}
	a.printError(errors.Join(
		&config.Error{File: "c.toml", Line: 3, Key: "a", Err: mailer.Invalid("config.negative", "value", "-1s")},
		&config.Error{File: "c.toml", Line: 4, Key: "b", Err: mailer.Invalid("config.negative", "value", "-2s")},
	))
	want := "oshirase: c.toml:3: a: -1s is negative\noshirase: c.toml:4: b: -2s is negative\n  hint: write 0s for none\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestVersion(t *testing.T) {
	v := okJSON[versionResult](t, t.TempDir(), "version")
	if v.Version == "" || !strings.HasPrefix(v.Go, "go") {
		t.Errorf("got %+v", v)
	}
	if out := ok(t, t.TempDir(), "version"); !strings.HasPrefix(out, "oshirase ") {
		t.Errorf("got %q", out)
	}
}

// TestErrorsAreInWords: codes are for programs; people read words, and the advice
// of the catalogue.
func TestErrorsAreInWords(t *testing.T) {
	var b bytes.Buffer
	a := &app{stderr: &b}
	a.printError(fmt.Errorf("import list: %w", mailer.NotFound("intake.no-incident", "cause", errors.New(`not found: incident "x"`))))
	want := "oshirase: import list: not found: incident \"x\"\n  hint: load the incident with `oshirase apply`\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
