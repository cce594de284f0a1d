package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"oshirase/config"
	"oshirase/mailer"
	"oshirase/mailer/words"
)

func newConfigCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Check the config, or show an example with every key",
		Long:    `config groups what is about oshirase.toml itself.`,
		Example: "  oshirase config check\n  oshirase config example > oshirase.toml",
		Args:    cobra.ArbitraryArgs,
		RunE:    needsCommand,
	}
	c.AddCommand(newConfigCheckCommand(a), newConfigExampleCommand(a))
	return c
}

// configCheckResult is the JSON of `config check`.
type configCheckResult struct {
	File     string           `json:"file"`
	Valid    bool             `json:"valid"`
	Findings []mailer.Finding `json:"findings"`
	Config   *config.Config   `json:"config,omitempty"` // with defaults; absent where the file is not valid
}

func newConfigCheckCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the config and the files it names",
		Long: `check reads the config and looks at everything it speaks of on this machine:
the database's folder, the master key and its mode, incidents, merchants,
certificates and passwords; and, where there is a ledger, whether the master key and
the keys of the incidents are those of it. It connects to nothing and changes nothing.

The config in force is printed with its defaults. Secrets are never shown: the
config holds only where they are.

Exit 0 where everything is well or there are only warnings, 1 where not.`,
		Example: "  oshirase config check\n  oshirase config check --config /etc/oshirase/oshirase.toml --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.checkConfig(cmd.Context()) },
	}
}

func (a *app) checkConfig(ctx context.Context) error {
	result := configCheckResult{File: a.configPath(), Findings: []mailer.Finding{}}
	cfg, err := a.config()
	if err != nil {
		if a.json {
			result.Findings = loadFindings(err)
			return errors.Join(a.printJSON(result), err)
		}
		return err
	}
	result.Config = cfg
	problems := cfg.Check()
	for _, p := range append(problems, a.checkKeys(ctx, cfg, problems)...) {
		result.Findings = append(result.Findings, configFinding(p))
	}
	wrong := 0
	for _, f := range result.Findings {
		if f.Severity == mailer.SeverityError {
			wrong++
		}
	}
	result.Valid = wrong == 0
	if a.json {
		err = a.printJSON(result)
	} else {
		err = a.printEffective(result)
	}
	if err == nil && wrong > 0 {
		err = withHint(fmt.Errorf("%s: %s found in what the config names", result.File, plural(wrong, "error")),
			"mend what is marked error above, then run `oshirase config check` again")
	}
	return err
}

// loadFindings are the errors of a config that does not load.
func loadFindings(err error) (all []mailer.Finding) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			all = append(all, loadFindings(e)...)
		}
		return all
	}
	return []mailer.Finding{configFinding(config.Problem{Severity: mailer.SeverityError, Rule: "config", Err: err})}
}

// configFinding puts a problem into words, with what to do about it in brackets.
func configFinding(p config.Problem) mailer.Finding {
	msg := words.Error(p.Err)
	if hints := words.Hints(p.Err); len(hints) > 0 {
		msg += " (" + strings.Join(hints, "; ") + ")"
	}
	return mailer.Finding{Severity: p.Severity, Rule: p.Rule, Message: msg}
}

// printEffective prints the config in force as TOML, then the findings.
func (a *app) printEffective(r configCheckResult) error {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(r.Config); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	a.printf("# %s in force, with defaults\n%s", r.File, b.Bytes())
	a.printf("\n")
	for _, f := range r.Findings {
		a.printf("%s: %s\n", f.Severity, f.Message)
	}
	if len(r.Findings) == 0 {
		a.printf("ok: %s and everything it names\n", r.File)
	}
	return nil
}

func newConfigExampleCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "example",
		Short: "Print a config with every key, its meaning and its default",
		Long: `example prints a config with every key, what it means, its unit and its default.
It loads as it stands; only the relay's address must be set.`,
		Example: "  oshirase config example > oshirase.toml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.printJSON(map[string]string{"toml": string(config.Example())})
			}
			_, err := a.stdout.Write(config.Example())
			return err
		},
	}
}

// plural writes a count and its noun: 1 error, 2 errors.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(int64(n)) + " " + noun + "s"
}
