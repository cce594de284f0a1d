package keyring

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"oshirase/mailer"
)

// Command is a keyring that a command keeps, called as
//
//	ARGV… get|put|delete ID
//	ARGV… list
//
// without a shell. get prints the value, put reads it, as one line of base64; put makes
// or replaces a key, whole or not at all; list prints one id a line. Exit 0 is done, 2
// no such key (get may also print nothing), anything else a failure, of which the
// beginning of standard error is told.
type Command struct {
	argv []string
	dir  string
	// hidden are the names of environment variables that the command does not get.
	hidden  []string
	timeout time.Duration // of one call
}

// NewCommand is the keyring of a command that runs in a folder. hidden are environment
// variables that it must not see: the master key among them.
func NewCommand(argv []string, dir string, hidden ...string) *Command {
	return &Command{argv: argv, dir: dir, hidden: hidden, timeout: 30 * time.Second}
}

var _ Keyring = (*Command)(nil)

const (
	exitNoKey  = 2
	maxOutput  = 1 << 20 // bytes
	maxTold    = 300     // bytes of standard error
	waitForEnd = time.Second
)

// Get asks for a key.
func (c *Command) Get(ctx context.Context, id string) ([]byte, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	out, err := c.call(ctx, nil, "get", id)
	if err != nil {
		return nil, err
	}
	line := bytes.TrimSpace(out)
	if len(line) == 0 {
		return nil, ErrNoKey
	}
	value, err := base64.StdEncoding.DecodeString(string(line))
	if err != nil || len(value) > maxValue {
		return nil, mailer.NewError(mailer.ErrDamaged, "keyring.output", "key", id)
	}
	return value, nil
}

// Put asks first: the command itself would replace.
func (c *Command) Put(ctx context.Context, id string, value []byte) error {
	switch _, err := c.Get(ctx, id); {
	case err == nil:
		return ErrExists
	case !errors.Is(err, ErrNoKey):
		return err
	}
	return c.put(ctx, id, value)
}

// Replace asks first: the command itself would make a key.
func (c *Command) Replace(ctx context.Context, id string, value []byte) error {
	if _, err := c.Get(ctx, id); err != nil {
		return err
	}
	return c.put(ctx, id, value)
}

func (c *Command) put(ctx context.Context, id string, value []byte) error {
	line := base64.StdEncoding.EncodeToString(value) + "\n"
	if _, err := c.call(ctx, []byte(line), "put", id); err != nil {
		return err
	}
	// What it keeps is what opens everything: it has to show it.
	if kept, err := c.Get(ctx, id); err != nil {
		return err
	} else if !bytes.Equal(kept, value) {
		return mailer.NewError(mailer.ErrDamaged, "keyring.output", "key", id)
	}
	return nil
}

// Delete asks the command to forget a key.
func (c *Command) Delete(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	_, err := c.call(ctx, nil, "delete", id)
	return err
}

// List leaves out names that no key has: the command may keep more than keys.
func (c *Command) List(ctx context.Context) ([]string, error) {
	out, err := c.call(ctx, nil, "list")
	if err != nil {
		return nil, err
	}
	var ids []string
	for line := range strings.Lines(string(out)) {
		if id := strings.TrimSpace(line); ValidID(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// call runs the command once.
func (c *Command) call(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.argv[0], append(slices.Clone(c.argv[1:]), args...)...)
	stdout, stderr := bounded{most: maxOutput, cancel: cancel}, bounded{most: maxTold}
	cmd.Dir, cmd.Env = c.dir, c.environment()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &stdout, &stderr
	// A group of its own: what it started ends with it, and an interrupt at the
	// terminal does not tear a put in two.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = waitForEnd
	err := cmd.Run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case stdout.over:
		return nil, mailer.NewError(nil, "keyring.endless", "command", c.argv[0], "call", args[0])
	case ctx.Err() != nil:
		return nil, mailer.NewError(nil, "keyring.slow", "command", c.argv[0], "call", args[0], "cause", context.Cause(ctx))
	case ended && exit.ExitCode() == exitNoKey && len(args) > 1:
		return nil, ErrNoKey
	case err != nil:
		if said := printable(stderr.data); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return nil, mailer.NewError(nil, "keyring.command", "command", c.argv[0], "call", args[0], "cause", err)
	}
	return stdout.data, nil
}

func (c *Command) environment() []string {
	return slices.DeleteFunc(os.Environ(), func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return slices.Contains(c.hidden, name)
	})
}

// bounded keeps the first bytes that are written, and says whether there were more;
// with cancel the writer is then ended.
type bounded struct {
	data   []byte
	most   int
	over   bool
	cancel func()
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.most-len(b.data))
	b.data = append(b.data, p[:keep]...)
	if keep < len(p) && b.cancel != nil {
		b.over = true
		b.cancel()
	}
	return len(p), nil
}

// printable is what a terminal can be shown.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.TrimSpace(strings.ToValidUTF8(string(b), " ")))
}
