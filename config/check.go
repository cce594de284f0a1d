package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"oshirase/mailer"
)

// Check looks at everything that the config speaks of on this machine: files,
// secrets, facts. It connects to nothing and changes nothing. The config is
// valid.
func (c *Config) Check() []mailer.Finding {
	k := &checking{c: c}
	k.database()
	if _, err := c.MasterKey(); err != nil {
		k.fail("key", err)
	}
	k.facts()
	k.relays()
	if c.Approval.People == 1 {
		k.warn("approval", "approval.people is 1: one person alone can send to everybody")
	}
	if c.Ledger.Unknown == "resend" {
		k.warn("ledger", "ledger.unknown is resend: after a crash a few people may get two copies")
	}
	if c.Ledger.Durability == "normal" {
		k.warn("ledger", "ledger.durability is normal: after a power cut a few people may get two copies")
	}
	if s := c.Sending; s.Retry[0] >= s.Deadline {
		k.warn("sending", "sending.retry waits %s first, but sending.deadline ends the attempts after %s: nothing is tried twice", s.Retry[0], s.Deadline)
	}
	return k.findings
}

type checking struct {
	c        *Config
	findings []mailer.Finding
}

// fail notes an error, each of the joined ones apart, with what to do.
func (k *checking) fail(rule string, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			k.fail(rule, e)
		}
		return
	}
	msg := err.Error()
	if e, ok := errors.AsType[*Error](err); ok && e.Advice != "" {
		msg += " (" + e.Advice + ")"
	}
	k.findings = append(k.findings, mailer.Finding{Severity: mailer.SeverityError, Rule: rule, Message: msg})
}

func (k *checking) warn(rule, format string, args ...any) {
	k.findings = append(k.findings, mailer.Finding{Severity: mailer.SeverityWarning, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

func (k *checking) database() {
	path := k.c.DatabasePath()
	dir, err := os.Stat(filepath.Dir(path))
	switch {
	case err != nil:
		k.fail("database", k.c.doc.errorf("database", "make the folder", "%v", err))
		return
	case !dir.IsDir():
		k.fail("database", k.c.doc.errorf("database", "name a file in a folder", "%s is not a folder", filepath.Dir(path)))
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		return // it is made on first use
	}
	if !info.Mode().IsRegular() {
		k.fail("database", k.c.doc.errorf("database", "name a file", "%s is not a file", path))
	} else if mode := info.Mode().Perm(); mode&0o077 != 0 {
		k.warn("database", "%s can be read by others (mode %04o): chmod 600 it", path, mode)
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
			k.fail("dkim", fmt.Errorf("merchant %s: dkim.key_file: %w", m.ID, err))
		} else if mode := info.Mode().Perm(); mode&0o077 != 0 {
			k.warn("dkim", "merchant %s: %s can be read by others (mode %04o): chmod 600 it", m.ID, m.DKIM.KeyFile, mode)
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
				k.fail("relay", k.c.doc.errorf(at("ca_file"), "name a PEM file", "%v", err))
			} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
				k.fail("relay", k.c.doc.errorf(at("ca_file"), "name a PEM file with CERTIFICATE blocks", "%s holds no certificate", r.CAFile))
			}
		}
		if r.Intents > 1 && (!r.Chunking || !r.Pipelining) {
			k.warn("relay", "relay %s: intents is %d, but one message at a time is sent without chunking and pipelining", r.Name, r.Intents)
		}
		if r.TLS == "none" && !loopback(r.Address) {
			k.warn("relay", "relay %s: tls is none, but %s is not this machine: notices travel unencrypted", r.Name, r.Address)
		}
	}
	if weight == 0 {
		k.fail("relay", k.c.doc.errorf("relay", "add a [[relay]] with name and address", "there is no relay to send through"))
	}
}
