package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"

	"oshirase/config"
	"oshirase/mailer"
)

func newApplyCommand(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "apply [DIR]",
		Short: "Load incidents and merchants, and say what changed",
		Long: `apply reads the facts of all incidents and merchants and takes them over into the
database: all of them, or none where one has an error. It makes the database where
there is none, and says so.

With DIR, DIR/incidents and DIR/merchants are read instead of the folders in the
config. What has no file any more stays in the database.

It shows every fact that changes, and which campaigns are void then: those whose
notices would no longer be what was checked. They go back to draft. What no notice
says (hours of the press desk, default windows and paces) leaves them alone. Where a
campaign would be void, apply asks at a terminal, and does nothing elsewhere unless
--yes is given.`,
		Example: "  oshirase apply\n  oshirase apply --yes\n  oshirase apply /srv/facts --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			incidents, merchants := cfg.IncidentsPath(), cfg.MerchantsPath()
			if len(args) == 1 {
				incidents, merchants = filepath.Join(args[0], "incidents"), filepath.Join(args[0], "merchants")
			}
			ins, ms, err := config.LoadFacts(incidents, merchants)
			if err != nil {
				return err
			}
			if _, err := a.newStore(cmd.Context()); err != nil {
				return err
			}
			f, err := a.facts(cmd.Context())
			if err != nil {
				return err
			}
			plan, err := f.Plan(cmd.Context(), a.actor(), ins, ms)
			if err != nil {
				return err
			}
			if !a.json {
				a.printDiff(plan.Diff)
				a.printVoids(plan.Voids, "無効になる配信")
			}
			if err := a.agreed(&plan, yes); err != nil {
				return err
			}
			result, err := f.Apply(cmd.Context(), a.actor(), ins, ms, &plan)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(result)
			}
			a.printApplied(&result)
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "void what has to be, without a question")
	return c
}

// agreed asks where something that was checked or approved would be void; without a
// terminal to ask at, somebody has to have said --yes.
func (a *app) agreed(plan *mailer.ApplyResult, yes bool) error {
	if len(plan.Voids) == 0 || yes {
		return nil
	}
	void := fmt.Errorf("%s would be void; nothing was changed", plural(len(plan.Voids), "campaign"))
	if a.json || !terminal(a.stdin) || !terminal(a.stderr) {
		return withHint(void, "run `oshirase apply` at a terminal to see them, or say `oshirase apply --yes`")
	}
	fmt.Fprint(a.stderr, "反映すると、上の配信の検査と承認は無効になります。反映しますか？ [y/N] ")
	if yes, err := readYes(a.stdin); err != nil || !yes {
		return errors.Join(err, withHint(errors.New("not agreed to; nothing was changed"), "type y to agree"))
	}
	return nil
}

// readYes reads one line: y or yes is consent, everything else, and nothing, is not.
func readYes(from io.Reader) (bool, error) {
	line, err := bufio.NewReader(from).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// printDiff shows what changes, cut to what a terminal has.
func (a *app) printDiff(diff []mailer.FactChange) {
	if len(diff) == 0 {
		return
	}
	t := newTable("項目", "変更前", "変更後")
	for _, d := range diff {
		t.add(d.ID+" "+d.Path, around(d.Old, d.New), around(d.New, d.Old))
	}
	a.printTable(t)
	a.printf("\n")
}

// around is where a text begins to differ from another, with what stands around it.
func around(text, other string) string {
	const before, columns = 4, 24
	r, o := []rune(text), []rune(other)
	width := uniseg.StringWidth(text)
	if width <= columns {
		return text
	}
	shown := columns/2 - 1
	if width == len(r) {
		shown = columns - 2
	}
	at := 0
	for at < min(len(r), len(o)) && r[at] == o[at] {
		at++
	}
	from := max(0, min(at-before, len(r)-shown))
	cut := string(r[from:min(len(r), from+shown)])
	if from > 0 {
		cut = "…" + cut
	}
	if from+shown < len(r) {
		cut += "…"
	}
	return cut
}

func (a *app) printVoids(voids []mailer.Voided, head string) {
	if len(voids) == 0 {
		return
	}
	t := newTable(head, "状況", "送信対象").alignRight(2)
	for _, v := range voids {
		t.add(v.Campaign, v.Phase.Japanese(), number(v.Sendable))
	}
	a.printTable(t)
	a.printf("\n")
}

func (a *app) printApplied(r *mailer.ApplyResult) {
	t := newTable("種類", "ID", "変更")
	for _, c := range r.Incidents {
		t.add("事案", c.ID, changedJapanese(c))
	}
	for _, c := range r.Merchants {
		t.add("加盟店", c.ID, changedJapanese(c))
	}
	a.printTable(t)
	if n := len(r.Voids); n > 0 {
		a.printf("%d件の配信の検査と承認を無効にしました。campaign check からやり直してください。\n", n)
	}
}

func changedJapanese(c mailer.Change) string {
	if c.Changed {
		return "反映しました"
	}
	return "変更なし"
}
