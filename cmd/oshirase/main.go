// Command oshirase tells people by e-mail that their data was breached.
//
// The package holds flags, wiring, output and exit codes, one file per command.
// Rules live below: what this package decides is only what to call and how to
// say what came of it.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// The help lists commands in the order of the work. The switch is the library's
// global, so it is set once and not by each command line.
func init() { cobra.EnableCommandSorting = false }

// Lists are streamed, so little is live at a time, and a collector that waits until
// that has doubled runs all the time. It waits until it is five times as much, or
// until the heap is as large as it may become; GOGC and GOMEMLIMIT say otherwise.
const (
	gcPercent   = 400
	memoryLimit = 32 << 20 // bytes; kept to where that is possible
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	os.Exit(newApp(os.Stdin, os.Stdout, os.Stderr).runUnderSignals(os.Args[1:]))
}

// commands makes the commands, in the order of the help text.
func commands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newInitCommand(a),
		newApplyCommand(a),
		newImportCommand(a),
		newListsCommand(a),
		newPersonCommand(a),
		newPolicyCommand(a),
		newCampaignCommand(a),
		newRunCommand(a),
		newServeCommand(a),
		newStatusCommand(a),
		newLookupCommand(a),
		newDeliveriesCommand(a),
		newResolveCommand(a),
		newRequeueCommand(a),
		newRelayCommand(a),
		newAuditCommand(a),
		newVerifyCommand(a),
		newCheckpointCommand(a),
		newRestoreCommand(a),
		newDestroyCommand(a),
		newRekeyCommand(a),
		newBackupCommand(a),
		newDemoCommand(a),
		newSinkCommand(a),
		newConfigCommand(a),
		newVersionCommand(a),
	}
}

// run is the whole program; the result is the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newApp(stdin, stdout, stderr).run(ctx, args)
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *app {
	return &app{stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now, random: rand.Reader}
}

func (a *app) run(ctx context.Context, args []string) int {
	err := a.command(ctx, args)
	if err == nil {
		return exitDone
	}
	a.printError(err)
	return exitCode(err)
}

// command runs one command line and closes what it opened.
func (a *app) command(ctx context.Context, args []string) error {
	root := a.rootCommand()
	root.SetArgs(args)
	return errors.Join(root.ExecuteContext(ctx), a.close())
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "oshirase",
		Short: "Tell every affected person about a data breach, once, provably",
		Long: `oshirase reads lists of people affected by a data breach, composes and checks a
Japanese notice for each of them, has it approved, sends it in batches through an
SMTP relay, and keeps in a ledger what became of every single one.

A first try, without network:   oshirase demo
A working folder of your own:   oshirase init DIR

` + exitHelp(),
		Example: `  oshirase init first && cd first
  oshirase apply
  oshirase import --incident pay --merchant housing lists/housing.csv
  oshirase campaign create --incident pay --merchant housing --stage formal`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          needsCommand,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.out())
	root.SetErr(a.err())
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{err: err, command: c.CommandPath()}
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", a.configFile, "read the config from `FILE` (default oshirase.toml, or OSHIRASE_CONFIG)")
	flags.BoolVar(&a.json, "json", false, "print the result as JSON, alone on standard output")
	flags.BoolVarP(&a.quiet, "quiet", "q", a.quiet, "show no progress")
	flags.StringVar(&a.by, "by", a.by, "`PERSON` who acts, for the record (default: OSHIRASE_BY, else the user of the operating system)")
	flags.StringArrayVar(&a.sign, "sign", nil, "prove who acts by the SSH key in `KEYFILE` (or a .pub that ssh-agent has)")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(commands(a)...)
	a.asUsageErrors(root)
	return root
}

// needsCommand is what a command that only groups others does: it helps when it
// is called bare, and refuses words that it does not know.
func needsCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	msg := fmt.Sprintf("unknown command %q", strings.TrimSpace(c.CommandPath()+" "+args[0]))
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		msg += fmt.Sprintf(" (did you mean %q?)", near[0])
	}
	return usageError{err: errors.New(msg), command: c.CommandPath()}
}

// asUsageErrors makes wrong arguments and missing flags of every command exit
// with the code for wrong usage: cobra returns them as plain errors.
func (a *app) asUsageErrors(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err: err, command: c.CommandPath()}
			}
			return nil
		}
	}
	c.PreRunE = a.requireFlags(c.PreRunE)
	for _, sub := range c.Commands() {
		if sub.SuggestionsMinimumDistance == 0 {
			sub.SuggestionsMinimumDistance = 2
		}
		a.asUsageErrors(sub)
	}
	c.SuggestionsMinimumDistance = 2
}

// requireFlags checks the required flags and flag groups before cobra does, so
// that what they find is wrong usage.
func (a *app) requireFlags(next func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := c.ValidateRequiredFlags()
		if err == nil {
			err = c.ValidateFlagGroups()
		}
		if err == nil {
			err = emptyFlag(c)
		}
		if err != nil {
			return usageError{err: err, command: c.CommandPath()}
		}
		if err := a.takeActor(c.Flags().Changed("by")); err != nil {
			return err
		}
		if next != nil {
			return next(c, args)
		}
		return nil
	}
}
