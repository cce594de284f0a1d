package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
)

// load writes a config file and loads it.
func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "oshirase.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestLoadFillsDefaults(t *testing.T) {
	c, err := load(t, `
[[relay]]
name = "a"
address = "127.0.0.1:2525"
tls = "none"
pipelining = false
messages_per_connection = 0

[[relay]]
name = "b"
address = "[::1]:25"

[sending]
retry = ["2m"]
`)
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Relays[0], c.Relays[1]
	if a.Pipelining || a.MessagesPerConnection != 0 || a.TLS != "none" {
		t.Errorf("what is written is not kept: %+v", a)
	}
	if a.Connections != 10 || a.Weight != 1 || a.DataTimeout.Std() != 10*time.Minute {
		t.Errorf("what is absent has no default: %+v", a)
	}
	if !b.Pipelining || b.TLS != "required" {
		t.Errorf("the second relay has no defaults: %+v", b)
	}
	if len(c.Sending.Retry) != 1 || c.Sending.Retry[0].Std() != 2*time.Minute {
		t.Errorf("retry is %v", c.Sending.Retry)
	}
	if c.Sending.Lease.Std() != time.Minute || c.Approval.People != 2 {
		t.Errorf("defaults are missing: %+v", c)
	}
}

func TestLoadErrors(t *testing.T) {
	relay := "[[relay]]\nname = \"a\"\naddress = \"mail.example:587\"\n"
	tests := []struct {
		name, text, want string // want: line and key
		code             mailer.Code
	}{
		{"unknown key", "databse = \"x\"\n", ":1: databse", "config.unknown-key"},
		{"unknown key in a table", "[log]\nlevel = \"info\"\ncolour = true\n", ":3: log.colour", "config.unknown-key"},
		{"unknown table", "[smtp]\nhost = \"x\"\n", ":1: smtp", "config.unknown-key"},
		{"two unknown keys", "a = 1\nb = 2\n", ":2: b", "config.unknown-key"},
		{"password in the file", relay + "password = \"hunter2\"\n", ":4: relay.password", "config.password-in-file"},
		{"syntax", "database = \n", ":1: ", "config.syntax"},
		{"twice", "[log]\nlevel = \"info\"\nlevel = \"warn\"\n", ":3: ", "config.syntax"},
		{"wrong type", "[approval]\npeople = \"two\"\n", ":2: ", "config.syntax"},
		{"duration without unit", "[sending]\nlease = \"60\"\n", ":2: sending.lease", "config.duration"},
		{"nobody approves", "[approval]\npeople = 0\n", ":2: approval.people", "config.small"},
		{"durability", "[ledger]\ndurability = \"fast\"\n", ":2: ledger.durability", "config.word"},
		{"unknown policy", "[ledger]\nunknown = \"drop\"\n", ":2: ledger.unknown", "config.word"},
		{"no key", "[key]\nfile = \"\"\n", ":2: key.file", "config.no-key"},
		{"no folder of keys", "[key]\nfolder = \"\"\n", ":2: key.folder", "config.no-keys"},
		{"no program", "[key]\ncommand = [\"\", \"x\"]\n", ":2: key.command", "config.no-program"},
		{"no database", "database = \"\"\n", ":1: database", "config.no-database"},
		{"relay without a name", "[[relay]]\naddress = \"mail.example:587\"\n", ":1: relay[0].name", "config.no-name"},
		{"relay without a port", "[[relay]]\nname = \"a\"\naddress = \"mail.example\"\n", ":3: relay[0].address", "config.address"},
		{"relay greets oddly", relay + "ehlo = \"mail_1.example\"\n", ":4: relay[0].ehlo", "config.ehlo"},
		{"relay's hidden name", "[[relay]]\nname = \"a\\u202eb\"\naddress = \"mail.example:25\"\n", ":2: relay[0].name", "text.hidden"},
		{"relay with port 0", "[[relay]]\nname = \"a\"\naddress = \"mail.example:0\"\n", ":3: relay[0].address", "config.address"},
		{"two relays of one name", relay + relay, ":5: relay[1].name", "config.twice"},
		{"TLS", relay + "tls = \"maybe\"\n", ":4: relay[0].tls", "config.word"},
		{"certificate without TLS", relay + "tls = \"none\"\nca_file = \"ca.pem\"\n", ":4: relay[0].tls", "config.certificate-without-tls"},
		{"name without password", relay + "username = \"u\"\n", ":4: relay[0].username", "config.half-login"},
		{"password without name", relay + "password_env = \"P\"\n", ":1: relay[0].username", "config.half-login"},
		{"two passwords", relay + "username = \"u\"\npassword_file = \"f\"\npassword_env = \"P\"\n", ":6: relay[0].password_env", "config.two-passwords"},
		{"no connections", relay + "connections = 0\n", ":4: relay[0].connections", "config.small"},
		{"no intents", relay + "intents = 0\n", ":4: relay[0].intents", "config.small"},
		{"a crowd approves", "[approval]\npeople = 1000\n", ":2: approval.people", "config.large"},
		{"a share beyond all", "[approval]\ncount_tolerance = 1.5\n", ":2: approval.count_tolerance", "config.share"},
		{"a share of nan", "[approval]\ncount_tolerance = nan\n", ":2: approval.count_tolerance", "config.share"},
		{"an absurd pace", "[sending]\nper_hour = 99999999999\n", ":2: sending.per_hour", "config.large"},
		{"a lease of ages", "[sending]\nlease = \"99999h\"\n", ":2: sending.lease", "config.large"},
		{"many connections", relay + "connections = 1000000\n", ":4: relay[0].connections", "config.large"},
		{"many intents", relay + "intents = 17\n", ":4: relay[0].intents", "config.large"},
		{"no time", relay + "data_timeout = \"0s\"\n", ":4: relay[0].data_timeout", "config.short"},
		{"batch", "[sending]\nbatch = 0\n", ":2: sending.batch", "config.small"},
		{"negative pause", "[sending]\nbatch_pause = \"-1s\"\n", ":2: sending.batch_pause", "config.negative"},
		{"negative grace", "[sending]\ngrace = \"-1s\"\n", ":2: sending.grace", "config.negative"},
		{"negative stop", "[sending]\nstop_grace = \"-1s\"\n", ":2: sending.stop_grace", "config.negative"},
		{"no retry", "[sending]\nretry = []\n", ":2: sending.retry", "config.no-retry"},
		{"retry at once", "[sending]\nretry = [\"1m\", \"0s\"]\n", ":2: sending.retry", "config.short"},
		{"cron with six fields", "[[schedule]]\nname = \"a\"\ncron = \"0 0 9 * * 1-5\"\n", ":3: schedule[0].cron", "config.cron"},
		{"cron with a zone", "[[schedule]]\nname = \"a\"\ncron = \"TZ=Asia/Tokyo\"\n", ":3: schedule[0].cron", "config.cron-zone"},
		{"cron with a descriptor", "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\n", ":3: schedule[0].cron", "config.cron"},
		{"cron that never comes", "[[schedule]]\nname = \"a\"\ncron = \"0 9 30 2 *\"\n", ":3: schedule[0].cron", "config.cron-never"},
		{"log level", "[log]\nlevel = \"loud\"\n", ":2: log.level", "config.word"},
		{"log format", "[log]\nformat = \"xml\"\n", ":2: log.format", "config.word"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.text)
			if err == nil {
				t.Fatal("no error")
			}
			if _, ok := errors.AsType[*Error](err); !ok || mailer.CodeOf(err) != tt.code || !strings.Contains(err.Error(), "oshirase.toml"+tt.want) {
				t.Errorf("got %v, want %s at %q", err, tt.code, tt.want)
			}
		})
	}
}

func TestLoadSaysAllAtOnce(t *testing.T) {
	_, err := load(t, "[approval]\npeople = 0\n[log]\nlevel = \"loud\"\n")
	if err == nil || !strings.Contains(err.Error(), "approval.people") || !strings.Contains(err.Error(), "log.level") {
		t.Errorf("got %v", err)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "oshirase.toml"))
	if _, ok := errors.AsType[*Error](err); !ok || mailer.CodeOf(err) != "config.no-file" {
		t.Errorf("got %v", err)
	}
}

func TestPathsAreMeantFromTheConfig(t *testing.T) {
	c, err := load(t, "database = \"data/ledger.db\"\nincidents = \"/srv/incidents\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.DatabasePath(), filepath.Join(c.dir, "data", "ledger.db"); got != want {
		t.Errorf("database %s, want %s", got, want)
	}
	if got := c.IncidentsPath(); got != "/srv/incidents" {
		t.Errorf("an absolute path became %s", got)
	}
	if got := c.Path(""); got != "" {
		t.Errorf("no path became %s", got)
	}
}

func TestDurationIsWrittenShort(t *testing.T) {
	tests := map[string]string{"0s": "0s", "90s": "1m30s", "60m": "1h", "48h": "48h", "1h30m": "1h30m0s", "500ms": "500ms", "5m": "5m"}
	for in, want := range tests {
		var d, again Duration
		if err := d.UnmarshalText([]byte(in)); err != nil {
			t.Fatal(err)
		}
		if got := d.String(); got != want {
			t.Errorf("%s is written %s, want %s", in, got, want)
		}
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%s does not read back: %v, %v", d, again, err)
		}
	}
}

// FuzzDecode: no input makes the reader panic, and what it finds wrong has the
// file's name and a line that the file has.
func FuzzDecode(f *testing.F) {
	f.Add(string(Example()))
	f.Add(incidentFile)
	f.Add("a = [2021-10-14, {b = 2021-10-15}]\n[[x.y]]\nid = 2021-10-14")
	f.Add("[[a]]\n[a.b]\n[[a.b.c]]\n\"id\" = 'x'")
	f.Fuzz(func(t *testing.T, text string) {
		for _, v := range []any{new(Config), new(mailer.Incident), new(mailer.Merchant), new(map[string]any)} {
			_, err := decode("f.toml", []byte(text), v)
			if err == nil {
				continue
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || e.File != "f.toml" || e.Line < 0 || e.Line > strings.Count(text, "\n")+2 {
				t.Errorf("%T: %#v", v, err)
			}
		}
	})
}
