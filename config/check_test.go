package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oshirase/mailer"
)

// working makes a working folder in which nothing is wrong, and loads it with
// more text at the end of its config.
func working(t *testing.T, more string) *Config {
	t.Helper()
	dir := factsDir(t, map[string]string{
		"incidents/pay.toml":     incidentFile,
		"merchants/housing.toml": merchantFile,
		"master.key":             string(FormatKey(testKey)),
		"oshirase.toml":          "[[relay]]\nname = \"main\"\naddress = \"mail.example:587\"\n" + more,
	})
	c, err := Load(filepath.Join(dir, "oshirase.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheckFindsNothing(t *testing.T) {
	if found := working(t, "").Check(); len(found) > 0 {
		t.Errorf("got %v", found)
	}
}

func TestCheck(t *testing.T) {
	write := func(name, text string, mode os.FileMode) func(*testing.T, *Config) {
		return func(t *testing.T, c *Config) {
			path := c.Path(name)
			if err := os.WriteFile(path, []byte(text), mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name     string
		more     string // config
		change   func(*testing.T, *Config)
		severity mailer.Severity
		want     string
	}{
		{"no folder for the database", "", func(_ *testing.T, c *Config) { c.Database = "nowhere/x.db" }, mailer.SeverityError, "config.database-folder"},
		{"a file for a folder", "", func(_ *testing.T, c *Config) { c.Database = "master.key/x.db" }, mailer.SeverityError, "config.database-"},
		{"a folder for a database", "", func(_ *testing.T, c *Config) { c.Database = "incidents" }, mailer.SeverityError, "config.database-file"},
		{"database for the group", "", write("oshirase.db", "", 0o640), mailer.SeverityWarning, "config.database-shown"},
		{"database for all", "", write("oshirase.db", "", 0o644), mailer.SeverityError, "config.database-open"},
		{"database that the group writes", "", write("oshirase.db", "", 0o660), mailer.SeverityError, "config.database-open"},
		{"key for all", "", write("master.key", "", 0o644), mailer.SeverityError, "mode=0644"},
		{"no facts", "", func(_ *testing.T, c *Config) { c.Merchants = "nowhere" }, mailer.SeverityError, "config.no-folder (facts=merchants)"},
		{"broken facts", "", write("incidents/pay.toml", "id = 1", 0o600), mailer.SeverityError, "pay.toml:1"},
		{"no DKIM key", "", write("merchants/housing.toml", merchantFile+"[dkim]\nkey_file = \"dkim.pem\"\n", 0o600), mailer.SeverityError, "config.dkim-key (merchant=housing)"},
		{"no relay", "weight = 0\n", nil, mailer.SeverityError, "config.no-relay"},
		{"no password", "username = \"u\"\npassword_file = \"nothing\"\n", nil, mailer.SeverityError, "nothing: no such file"},
		{"no certificates", "ca_file = \"ca.pem\"\n", nil, mailer.SeverityError, "ca.pem: no such file"},
		{"not certificates", "ca_file = \"oshirase.toml\"\n", nil, mailer.SeverityError, "config.no-certificate"},
		{"plain text to elsewhere", "tls = \"none\"\n", nil, mailer.SeverityWarning, "config.plain-text"},
		{"intents without chunking", "intents = 4\n", nil, mailer.SeverityWarning, "config.idle-intents"},
		{"one person", "[approval]\npeople = 1\n", nil, mailer.SeverityWarning, "config.alone"},
		{"resend", "[ledger]\nunknown = \"resend\"\n", nil, mailer.SeverityWarning, "config.resend"},
		{"normal durability", "[ledger]\ndurability = \"normal\"\n", nil, mailer.SeverityWarning, "config.durability"},
		{"retry after the deadline", "[sending]\ndeadline = \"1m\"\n", nil, mailer.SeverityWarning, "config.retry-late"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := working(t, tt.more)
			if tt.change != nil {
				tt.change(t, c)
			}
			found := c.Check()
			if len(found) != 1 || found[0].Severity != tt.severity || !strings.Contains(found[0].Err.Error(), tt.want) {
				t.Errorf("got %v, want one %s with %q", found, tt.severity, tt.want)
			}
		})
	}
}

func TestPlainTextOnThisMachineIsNoFinding(t *testing.T) {
	for _, address := range []string{"127.0.0.1:25", "[::1]:25", "localhost:25"} {
		c := working(t, "tls = \"none\"\n")
		c.Relays[0].Address = address
		if found := c.Check(); len(found) > 0 {
			t.Errorf("%s: %v", address, found)
		}
	}
}
