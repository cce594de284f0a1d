package main

import (
	"os"
	"os/user"
	"strings"

	"oshirase/mailer"
)

// actor is who stands behind this command: --by, else OSHIRASE_BY, else the user
// of the operating system. A name that was typed proves nothing.
func (a *app) actor() mailer.Actor {
	for _, name := range []string{a.by, os.Getenv("OSHIRASE_BY")} {
		if name = strings.TrimSpace(name); name != "" {
			return mailer.Actor{Name: name, Proof: mailer.ProofNone}
		}
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return mailer.Actor{Name: u.Username, Proof: mailer.ProofOSUser}
	}
	return mailer.Actor{}
}
