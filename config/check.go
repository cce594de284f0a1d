package config

import (
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"oshirase/mailer"
)

// Problem is something that Check has to say.
type Problem struct {
	Severity mailer.Severity
	Rule     string // what it is about: database, key, facts, relay, …
	Err      error
}

// Check looks at everything that the config speaks of on this machine: files,
// secrets, facts. It connects to nothing and changes nothing. The config is
// valid.
func (c *Config) Check() []Problem {
	k := &checking{c: c}
	k.database()
	if _, err := c.MasterKey(); err != nil {
		k.fail("key", err)
	}
	k.facts()
	k.relays()
	if c.Approval.People == 1 {
		k.warn("approval", mailer.Invalid("config.alone"))
	}
	if c.Ledger.Unknown == "resend" {
		k.warn("ledger", mailer.Invalid("config.resend"))
	}
	if c.Ledger.Durability == "normal" {
		k.warn("ledger", mailer.Invalid("config.durability"))
	}
	if s := c.Sending; s.Retry[0] >= s.Deadline {
		k.warn("sending", mailer.Invalid("config.retry-late", "wait", s.Retry[0], "deadline", s.Deadline))
	}
	return k.found
}

type checking struct {
	c     *Config
	found []Problem
}

// fail notes an error, each of the joined ones apart.
func (k *checking) fail(rule string, err error) {
	if _, one := err.(*mailer.Error); !one {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				k.fail(rule, e)
			}
			return
		}
	}
	k.found = append(k.found, Problem{mailer.SeverityError, rule, err})
}

func (k *checking) warn(rule string, err error) {
	k.found = append(k.found, Problem{mailer.SeverityWarning, rule, err})
}

func (k *checking) database() {
	path := k.c.DatabasePath()
	dir, err := os.Stat(filepath.Dir(path))
	switch {
	case err != nil:
		k.fail("database", k.c.doc.at("database", mailer.Invalid("config.database-folder", "cause", err)))
		return
	case !dir.IsDir():
		k.fail("database", k.c.doc.at("database", mailer.Invalid("config.database-in-file", "folder", filepath.Dir(path))))
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		return // it is made on first use
	}
	if !info.Mode().IsRegular() {
		k.fail("database", k.c.doc.at("database", mailer.Invalid("config.database-file", "file", path)))
	} else if mode := info.Mode().Perm(); mode&0o026 != 0 {
		k.fail("database", k.c.doc.at("database", mailer.Invalid("config.database-open", "file", path, "mode", octal(mode))))
	} else if mode&0o077 != 0 {
		k.warn("database", mailer.Invalid("config.database-shown", "file", path, "mode", octal(mode)))
	}
}

func (k *checking) facts() {
	_, ms, err := LoadFacts(k.c.IncidentsPath(), k.c.MerchantsPath())
	if err != nil {
		k.fail("facts", err)
		return
	}
	for _, m := range ms {
		if m.DKIM.KeyFile == "" {
			continue
		}
		info, err := os.Stat(k.c.Path(m.DKIM.KeyFile))
		if err != nil {
			k.fail("dkim", mailer.Invalid("config.dkim-key", "merchant", m.ID, "cause", err))
		} else if mode := info.Mode().Perm(); mode&0o077 != 0 {
			k.warn("dkim", mailer.Invalid("config.dkim-shown", "merchant", m.ID, "file", m.DKIM.KeyFile, "mode", octal(mode)))
		}
	}
}

func (k *checking) relays() {
	weight := 0
	for i, r := range k.c.Relays {
		weight += r.Weight
		at := func(key string) string { return fmt.Sprintf("relay[%d].%s", i, key) }
		if _, err := k.c.RelayPassword(r); err != nil {
			k.fail("relay", err)
		}
		if r.CAFile != "" {
			pem, err := os.ReadFile(k.c.Path(r.CAFile))
			if err != nil {
				k.fail("relay", k.c.doc.at(at("ca_file"), mailer.Invalid("config.ca-file", "cause", err)))
			} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
				k.fail("relay", k.c.doc.at(at("ca_file"), mailer.Invalid("config.no-certificate", "file", r.CAFile)))
			}
		}
		if r.Intents > 1 && (!r.Chunking || !r.Pipelining) {
			k.warn("relay", mailer.Invalid("config.idle-intents", "relay", r.Name, "intents", r.Intents))
		}
		if host, _, _ := net.SplitHostPort(r.Address); r.TLS == "none" && !mailer.Loopback(host) {
			k.warn("relay", mailer.Invalid("config.plain-text", "relay", r.Name, "address", r.Address))
		}
	}
	if weight == 0 {
		k.fail("relay", k.c.doc.at("relay", mailer.Invalid("config.no-relay")))
	}
}
