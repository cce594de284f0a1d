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
	"time"

	"oshirase/mailer"
)

// Load reads and validates a config file. Absent keys have their defaults. The
// errors, all at once, are *Error, each with its line.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: path, Err: mailer.NotFound("config.no-file")}
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
	v.required("database", c.Database, mailer.Invalid("config.no-database"))
	v.required("incidents", c.Incidents, mailer.Invalid("config.no-incidents"))
	v.required("merchants", c.Merchants, mailer.Invalid("config.no-merchants"))
	if c.Key.File == "" && c.Key.Env == "" {
		v.add("key.file", mailer.Invalid("config.no-key"))
	}
	if len(c.Key.Command) == 0 {
		v.required("key.folder", c.Key.Folder, mailer.Invalid("config.no-keys"))
	} else {
		v.required("key.command", c.Key.Command[0], mailer.Invalid("config.no-program"))
	}
	v.between("approval.people", c.Approval.People, 1, 100)
	v.oneOf("approval.proof", c.Approval.Proof, string(mailer.PolicySignature), string(mailer.PolicyName))
	if t := c.Approval.CountTolerance; !(t >= 0 && t <= 1) {
		v.add("approval.count_tolerance", mailer.Invalid("config.share", "value", t))
	}
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

func (c *Config) validateRelays(v *validation) {
	names := map[string]bool{}
	for i, r := range c.Relays {
		at := func(key string) string { return fmt.Sprintf("relay[%d].%s", i, key) }
		v.unique(at("name"), r.Name, names)
		if host, port, err := net.SplitHostPort(r.Address); err != nil || host == "" || !validPort(port) {
			v.add(at("address"), mailer.Invalid("config.address", "address", r.Address))
		}
		if r.EHLO != "" && !mailer.ValidHello(r.EHLO) {
			v.add(at("ehlo"), mailer.Invalid("config.ehlo", "ehlo", r.EHLO))
		}
		if err := mailer.CheckLine("name", r.Name); err != nil {
			v.add(at("name"), err)
		}
		v.oneOf(at("tls"), r.TLS, "required", "implicit", "none")
		if r.TLS == "none" && (r.CAFile != "" || r.ServerName != "") {
			v.add(at("tls"), mailer.Invalid("config.certificate-without-tls"))
		}
		if r.PasswordFile != "" && r.PasswordEnv != "" {
			v.add(at("password_env"), mailer.Invalid("config.two-passwords"))
		}
		if hasPassword := r.PasswordFile != "" || r.PasswordEnv != ""; hasPassword != (r.Username != "") {
			v.add(at("username"), mailer.Invalid("config.half-login"))
		}
		v.between(at("connections"), r.Connections, 1, 10_000)
		v.atLeast(at("messages_per_connection"), r.MessagesPerConnection, 0)
		v.atLeast(at("weight"), r.Weight, 0)
		v.between(at("intents"), r.Intents, 1, mailer.MaxIntents)
		v.positive(at("idle"), r.Idle)
		v.positive(at("dial_timeout"), r.DialTimeout)
		v.positive(at("command_timeout"), r.CommandTimeout)
		v.positive(at("data_timeout"), r.DataTimeout)
	}
}

func (c *Config) validateSending(v *validation) {
	s := c.Sending
	v.between("sending.batch", s.Batch, 1, 1_000_000)
	v.within("sending.per_second", s.PerSecond, mailer.MaxPerSecond)
	v.atLeast("sending.min_connections", s.MinConnections, 1)
	v.within("sending.per_hour", s.PerHour, mailer.MaxPerHour)
	v.positive("sending.lease", s.Lease)
	v.positive("sending.deadline", s.Deadline)
	if s.BatchPause < 0 {
		v.add("sending.batch_pause", mailer.Invalid("config.negative", "value", s.BatchPause))
	}
	if s.Grace < 0 {
		v.add("sending.grace", mailer.Invalid("config.negative", "value", s.Grace))
	}
	if s.StopGrace < 0 {
		v.add("sending.stop_grace", mailer.Invalid("config.negative", "value", s.StopGrace))
	}
	if len(s.Retry) == 0 {
		v.add("sending.retry", mailer.Invalid("config.no-retry"))
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
		if _, err := s.Times(); err != nil {
			v.add(at("cron"), err)
		}
	}
}

func (c *Config) validateDomainGroups(v *validation) {
	for i, g := range c.DomainGroups {
		at := func(key string) string { return fmt.Sprintf("domain_group[%d].%s", i, key) }
		v.required(at("name"), g.Name, mailer.Invalid("config.no-group-name"))
		v.atLeast(at("connections"), g.Connections, 0)
		v.within(at("per_second"), g.PerSecond, mailer.MaxPerSecond)
	}
	if _, err := c.Grouping(); err != nil {
		v.add("domain_group", mailer.Invalid("config.groups", "cause", err))
	}
}

// validation gathers what is wrong.
type validation struct {
	doc  *document
	errs []error
}

func (v *validation) add(key string, err error) { v.errs = append(v.errs, v.doc.at(key, err)) }

func (v *validation) required(key, value string, err error) {
	if value == "" {
		v.add(key, err)
	}
}

func (v *validation) unique(key, value string, seen map[string]bool) {
	v.required(key, value, mailer.Invalid("config.no-name"))
	if value != "" && seen[value] {
		v.add(key, mailer.Invalid("config.twice", "name", value))
	}
	seen[value] = true
}

func (v *validation) oneOf(key, value string, allowed ...string) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	v.add(key, mailer.Invalid("config.word", "word", value, "allowed", allowed))
}

func (v *validation) atLeast(key string, value, least int) {
	if value < least {
		v.add(key, mailer.Invalid("config.small", "value", value, "least", least))
	}
}

// within is a number from 0 on, which is no limit where it is a pace.
func (v *validation) within(key string, value, most int) { v.between(key, value, 0, most) }

func (v *validation) between(key string, value, least, most int) {
	v.atLeast(key, value, least)
	if value > most {
		v.add(key, mailer.Invalid("config.large", "value", value, "most", most))
	}
}

// longest is what a duration of a config can be meant to be.
const longest = Duration(365 * 24 * time.Hour)

func (v *validation) positive(key string, d Duration) {
	if d <= 0 {
		v.add(key, mailer.Invalid("config.short", "value", d))
	}
	if d > longest {
		v.add(key, mailer.Invalid("config.large", "value", d, "most", longest))
	}
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}
