package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"oshirase/mailer"
)

// Load reads and validates a config file. Absent keys have their defaults. The
// errors, all at once, are *Error, each with its line and what to do.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{
			File: path, Problem: "no such config file",
			Advice: "make a working folder with `oshirase init DIR`, or name the file with --config FILE or OSHIRASE_CONFIG",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	c, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	return c, c.Validate()
}

func parse(path string, data []byte) (*Config, error) {
	c := Default()
	retry := c.Sending.Retry
	c.Sending.Retry = nil // the decoder would append to it
	doc, err := decode(path, data, c)
	if err != nil {
		return nil, err
	}
	if !doc.has("sending.retry") {
		c.Sending.Retry = retry
	}
	c.doc, c.dir = doc, filepath.Dir(path)
	for i := range c.Relays {
		fill(&c.Relays[i], DefaultRelay(), fmt.Sprintf("relay[%d]", i), doc)
	}
	return c, nil
}

// fill gives a relay the defaults of the keys that the file does not have; a
// zero that is written stays a zero, and is judged by Validate.
func fill(r *Relay, defaults Relay, table string, doc *document) {
	v, d := reflect.ValueOf(r).Elem(), reflect.ValueOf(defaults)
	for i := range v.NumField() {
		if !doc.has(join(table, v.Type().Field(i).Tag.Get("toml"))) {
			v.Field(i).Set(d.Field(i))
		}
	}
}

// Validate finds what is wrong in itself, without looking at other files.
func (c *Config) Validate() error {
	v := &validation{doc: c.doc}
	v.required("database", c.Database, "name the SQLite file of the ledger")
	v.required("incidents", c.Incidents, "name the folder of the incidents")
	v.required("merchants", c.Merchants, "name the folder of the merchants")
	if c.Key.File == "" && c.Key.Env == "" {
		v.add("key.file", "name a key file, or set key.env", "there is no master key")
	}
	v.atLeast("approval.people", c.Approval.People, 1)
	v.oneOf("ledger.durability", c.Ledger.Durability, "full", "normal")
	v.oneOf("ledger.unknown", c.Ledger.Unknown, "hold", "resend")
	v.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("log.format", c.Log.Format, "text", "json")
	c.validateRelays(v)
	c.validateSending(v)
	c.validateSchedules(v)
	c.validateDomainGroups(v)
	return errors.Join(v.errs...)
}

// maxIntents bounds what a cut can leave unknown on one connection.
const maxIntents = 16

func (c *Config) validateRelays(v *validation) {
	names := map[string]bool{}
	for i, r := range c.Relays {
		at := func(key string) string { return fmt.Sprintf("relay[%d].%s", i, key) }
		v.unique(at("name"), r.Name, names)
		if host, port, err := net.SplitHostPort(r.Address); err != nil || host == "" || !validPort(port) {
			v.add(at("address"), "write HOST:PORT, such as mail.example:587", "%q is not an address of a relay", r.Address)
		}
		v.oneOf(at("tls"), r.TLS, "required", "implicit", "none")
		if r.TLS == "none" && (r.CAFile != "" || r.ServerName != "") {
			v.add(at("tls"), "leave out ca_file and server_name, or use TLS", "there is no certificate to verify without TLS")
		}
		if r.PasswordFile != "" && r.PasswordEnv != "" {
			v.add(at("password_env"), "keep one of password_file and password_env", "there are two passwords")
		}
		if hasPassword := r.PasswordFile != "" || r.PasswordEnv != ""; hasPassword != (r.Username != "") {
			v.add(at("username"), "set username and one of password_file and password_env, or none of them",
				"a name and a password go together")
		}
		v.atLeast(at("connections"), r.Connections, 1)
		v.atLeast(at("messages_per_connection"), r.MessagesPerConnection, 0)
		v.atLeast(at("weight"), r.Weight, 0)
		v.atLeast(at("intents"), r.Intents, 1)
		if r.Intents > maxIntents {
			v.add(at("intents"), fmt.Sprintf("write %d or less", maxIntents), "%d is too large", r.Intents)
		}
		v.positive(at("idle"), r.Idle)
		v.positive(at("dial_timeout"), r.DialTimeout)
		v.positive(at("command_timeout"), r.CommandTimeout)
		v.positive(at("data_timeout"), r.DataTimeout)
	}
}

func (c *Config) validateSending(v *validation) {
	s := c.Sending
	v.atLeast("sending.batch", s.Batch, 1)
	v.atLeast("sending.per_second", s.PerSecond, 0)
	v.atLeast("sending.min_connections", s.MinConnections, 1)
	v.atLeast("sending.per_hour", s.PerHour, 0)
	v.positive("sending.lease", s.Lease)
	v.positive("sending.deadline", s.Deadline)
	if s.BatchPause < 0 {
		v.add("sending.batch_pause", `write 0s for none`, "%s is negative", s.BatchPause)
	}
	if s.Grace < 0 {
		v.add("sending.grace", `write 0s for none`, "%s is negative", s.Grace)
	}
	if s.StopGrace < 0 {
		v.add("sending.stop_grace", `write 0s for none`, "%s is negative", s.StopGrace)
	}
	if len(s.Retry) == 0 {
		v.add("sending.retry", `write at least one wait, such as ["5m"]`, "there is no wait before a further attempt")
	}
	for _, d := range s.Retry {
		v.positive("sending.retry", d)
	}
}

func (c *Config) validateSchedules(v *validation) {
	names := map[string]bool{}
	for i, s := range c.Schedules {
		at := func(key string) string { return fmt.Sprintf("schedule[%d].%s", i, key) }
		v.unique(at("name"), s.Name, names)
		if err := checkCron(s.Cron); err != nil {
			v.add(at("cron"), `write minute, hour, day of month, month and day of week, such as "0 9 * * 1-5"`, "%v", err)
		}
	}
}

func (c *Config) validateDomainGroups(v *validation) {
	for i, g := range c.DomainGroups {
		at := func(key string) string { return fmt.Sprintf("domain_group[%d].%s", i, key) }
		v.required(at("name"), g.Name, "give the group a name")
		v.atLeast(at("connections"), g.Connections, 0)
		v.atLeast(at("per_second"), g.PerSecond, 0)
	}
	if _, err := c.Grouping(); err != nil {
		v.add("domain_group", "each name and each domain stands once", "%v", err)
	}
}

func checkCron(spec string) error {
	if strings.Contains(spec, "=") {
		return fmt.Errorf("%q names a time zone: schedules are always in Asia/Tokyo", spec)
	}
	sched, err := cronParser.Parse(spec)
	if err != nil {
		return fmt.Errorf("%q: %w", spec, err)
	}
	if sched.Next(mailer.Date{Year: 2026, Month: 1, Day: 1}.Time()).IsZero() {
		return fmt.Errorf("%q never comes", spec)
	}
	return nil
}

// validation gathers what is wrong.
type validation struct {
	doc  *document
	errs []error
}

func (v *validation) add(key, advice, format string, args ...any) {
	v.errs = append(v.errs, v.doc.errorf(key, advice, format, args...))
}

func (v *validation) required(key, value, advice string) {
	if value == "" {
		v.add(key, advice, "it is empty")
	}
}

func (v *validation) unique(key, value string, seen map[string]bool) {
	v.required(key, value, "give it a name, for status and logs")
	if value != "" && seen[value] {
		v.add(key, "give each a name of its own", "%q is there twice", value)
	}
	seen[value] = true
}

func (v *validation) oneOf(key, value string, allowed ...string) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	v.add(key, "use "+strings.Join(allowed, " or "), "%q is not known", value)
}

func (v *validation) atLeast(key string, value, least int) {
	if value < least {
		v.add(key, fmt.Sprintf("write %d or more", least), "%d is too small", value)
	}
}

func (v *validation) positive(key string, d Duration) {
	if d <= 0 {
		v.add(key, `write a duration, such as "30s"`, "%s is too short", d)
	}
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// loopback reports whether an address is on this machine, by its text alone.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
