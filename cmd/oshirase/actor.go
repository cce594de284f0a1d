package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/term"

	"oshirase/mailer"
	"oshirase/mailer/authority"
	"oshirase/mailer/sshsig"
)

// actor is who stands behind this command: --by, else OSHIRASE_BY, else the user
// of the operating system. A name that was typed proves nothing by itself; beside it
// stand the user and the keys at hand, which may.
func (a *app) actor() mailer.Actor {
	who := mailer.Actor{Proof: mailer.ProofNone, OSUser: osUser(), Keys: a.keys}
	for _, name := range []string{a.by, os.Getenv("OSHIRASE_BY")} {
		if who.Name = strings.TrimSpace(name); who.Name != "" {
			return who
		}
	}
	if who.Name = who.OSUser; who.Name != "" {
		who.Proof = mailer.ProofOSUser
	}
	return who
}

// osUser is the user whose process this is, by its number and never by the environment;
// empty: the machine has no name for it.
func osUser() string {
	u, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		return ""
	}
	return u.Username
}

// takeActor reads what the flags say of who acts: a name that can be read, and keys.
func (a *app) takeActor(byGiven bool) error {
	if byGiven && strings.TrimSpace(a.by) == "" {
		return usageError{err: errors.New("--by: give the name of the person who acts")}
	}
	if byGiven {
		if err := authority.ValidName(a.by); err != nil {
			return usageError{err: fmt.Errorf("--by: %w", err)}
		}
	}
	files := sshsig.Keys{Agent: os.Getenv("SSH_AUTH_SOCK"), Passphrase: a.passphrase()}
	for _, file := range a.sign {
		key, err := files.Open(file)
		if err != nil {
			return fmt.Errorf("--sign: %w", err)
		}
		a.keys = append(a.keys, key)
	}
	return nil
}

// takeSignature has a signature that was made elsewhere stand for the key at hand.
func (a *app) takeSignature(file string) error {
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("--signature: %w", err)
	}
	key, err := sshsig.Detached(b)
	if err != nil {
		return fmt.Errorf("--signature: %s: %w", file, err)
	}
	a.keys = []mailer.Signer{key}
	return nil
}

// passphrase asks for that of a key on the terminal; nil: there is none.
func (a *app) passphrase() func(file string) ([]byte, error) {
	in, ok := a.stdin.(*os.File)
	if !ok || !terminal(a.stdin) || !terminal(a.stderr) {
		return nil
	}
	return func(file string) ([]byte, error) {
		fmt.Fprintf(a.stderr, "passphrase of %s: ", file)
		b, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(a.stderr)
		return b, err
	}
}
