package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"oshirase/config"
	"oshirase/mailer"
	"oshirase/mailer/words"
	"oshirase/store"
)

// app is what all commands share: streams, clock, config. Commands read the
// clock and randomness from here and from nowhere else.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	random         io.Reader
	hurry          context.Context // ends with the second signal to stop; nil: never

	configFile string          // --config; empty: OSHIRASE_CONFIG or oshirase.toml
	json       bool            // --json
	quiet      bool            // --quiet
	by         string          // --by; see actor
	sign       []string        // --sign: files of keys
	keys       []mailer.Signer // that are at hand; see takeActor

	cfg     *config.Config
	db      *store.DB     // see store
	read    *store.Reader // see reader
	log     *slog.Logger
	closers []func() error
}

// config loads the config on first use.
func (a *app) config() (*config.Config, error) {
	if a.cfg != nil {
		return a.cfg, nil
	}
	cfg, err := config.Load(a.configPath())
	if err != nil {
		return nil, err
	}
	a.cfg = cfg
	return cfg, nil
}

// configPath is the config file that is meant.
func (a *app) configPath() string {
	if a.configFile != "" {
		return a.configFile
	}
	if env := os.Getenv("OSHIRASE_CONFIG"); env != "" {
		return env
	}
	return "oshirase.toml"
}

// logger writes to standard error as the config says; before the config is
// loaded it writes text from info upwards.
func (a *app) logger() *slog.Logger {
	if a.log != nil {
		return a.log
	}
	opts := &slog.HandlerOptions{Level: slog.LevelInfo}
	if a.cfg == nil {
		return slog.New(slog.NewTextHandler(a.err(), opts))
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.cfg.Log.Level)); err == nil {
		opts.Level = level
	}
	if a.cfg.Log.Format == "json" {
		a.log = slog.New(slog.NewJSONHandler(jsonWriter{a.stderr}, opts))
	} else {
		a.log = slog.New(slog.NewTextHandler(a.err(), opts))
	}
	return a.log
}

// onClose has something closed when the command is over, latest first.
func (a *app) onClose(f func() error) { a.closers = append(a.closers, f) }

func (a *app) close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// usageError is wrong usage: nothing was done.
type usageError struct {
	err     error
	command string // whose help to read; empty: oshirase
}

func usagef(format string, args ...any) error {
	return usageError{err: fmt.Errorf(format, args...)}
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func (e usageError) Hint() string {
	command := e.command
	if command == "" {
		command = "oshirase"
	}
	return "read `" + command + " --help`"
}

// checkError says that a check ran to its end and found errors. The findings
// are the command's result and have been printed.
type checkError struct {
	errors int
	hint   string
}

func (e checkError) Error() string {
	if e.errors == 1 {
		return "the check found 1 error"
	}
	return fmt.Sprintf("the check found %s errors", number(int64(e.errors)))
}

func (e checkError) Hint() string { return e.hint }

// hintError adds to an error what to do about it.
type hintError struct {
	err  error
	hint string
}

// withHint adds what to do about an error; a nil error stays nil.
func withHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return hintError{err: err, hint: fmt.Sprintf(format, args...)}
}

func (e hintError) Error() string { return e.err.Error() }
func (e hintError) Unwrap() error { return e.err }
func (e hintError) Hint() string  { return e.hint }

// printError writes what went wrong and what to do about it to standard error.
func (a *app) printError(err error) {
	msg := strings.TrimRight(words.Error(err), "\n")
	for _, line := range strings.Split(msg, "\n") {
		fmt.Fprintln(a.err(), "oshirase:", line)
	}
	for _, hint := range hints(err) {
		fmt.Fprintln(a.err(), "  hint:", hint)
	}
}

// hints gathers what to do about an error and what is joined in it, none twice;
// errors that say nothing themselves have theirs from what they are.
func hints(err error) []string {
	var found []string
	add := func(more ...string) {
		for _, hint := range more {
			if hint != "" && !slices.Contains(found, hint) {
				found = append(found, hint)
			}
		}
	}
	var walk func(error)
	walk = func(err error) {
		if e, ok := err.(*mailer.Error); ok {
			if advice := words.Hints(e); len(advice) > 0 {
				add(advice...)
				return
			}
		}
		if h, ok := err.(interface{ Hint() string }); ok && h.Hint() != "" {
			add(h.Hint())
			return
		}
		if e, ok := err.(*mailer.Error); ok {
			for _, hint := range words.Hints(e) {
				add(hint)
			}
			return
		}
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			walk(u.Unwrap())
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				walk(e)
			}
		}
	}
	walk(err)
	if len(found) == 0 {
		add(words.HintByKind(err))
	}
	return found
}
