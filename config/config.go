// Package config reads oshirase.toml, the one file that says how this
// installation runs, and the facts of incidents and merchants beside it.
//
// It is imported by cmd alone. It must not open the database, a relay or any
// other part of the house: packages take their own options, and cmd hands them
// what stands here.
package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"oshirase/mailer"
)

// Config is the whole of oshirase.toml. Every field is documented with its
// unit, its default and what its absence means; `oshirase config example` is
// made from these comments (run the tests of this package with -update).
//
// Paths may be relative: they are meant from the folder of the config file.
type Config struct {
	// Database is the SQLite file of the ledger. Default: oshirase.db. It is made
	// on first use; keep it on a local disk, never on a network share.
	Database string `toml:"database" json:"database"`
	// Incidents is the folder of the incidents' facts, one ID.toml each.
	// Default: incidents.
	Incidents string `toml:"incidents" json:"incidents"`
	// Merchants is the folder of the merchants' facts, one ID.toml each; parts
	// of a merchant's own notices may stand beside them as ID/PART.tmpl.
	// Default: merchants.
	Merchants string `toml:"merchants" json:"merchants"`

	Key      Key      `toml:"key" json:"key"`
	Approval Approval `toml:"approval" json:"approval"`
	Ledger   Ledger   `toml:"ledger" json:"ledger"`
	Relays   []Relay  `toml:"relay" json:"relay"`
	Sending  Sending  `toml:"sending" json:"sending"`
	// DomainGroups name mail domains that share one provider. Default: docomo, au,
	// softbank, gmail, yahoo-japan and outlook with their domains, without limits.
	// Given, they replace these.
	DomainGroups []DomainGroup `toml:"domain_group" json:"domain_group"`
	Schedules    []Schedule    `toml:"schedule" json:"schedule"`
	Journal      Journal       `toml:"journal" json:"journal"`
	Log          Log           `toml:"log" json:"log"`

	// dir is the folder that relative paths are meant from.
	dir string
	// doc knows the lines of the file, for errors; nil for Default.
	doc *document
}

// Key says where the keys are. The master key wraps the keys of the incidents,
// and they seal the personal data: it takes the database, the incident's key and
// the master key to read it. Keep a copy of each apart from the others.
type Key struct {
	// File holds the master key: 32 bytes in base64 or hex, readable by its
	// owner alone (mode 0600 or 0400), who is the user of the program or root.
	// Default: master.key. Not read where env is set.
	File string `toml:"file" json:"file"`
	// Env names an environment variable that holds the master key instead of a
	// file. Default: empty, the file is read.
	Env string `toml:"env" json:"env"`
	// Folder holds the keys of the incidents, one ID.key each, wrapped by the master
	// key. Default: keys. It is made with the first incident, for its owner alone;
	// several ledgers may share one. Not used where command is set.
	Folder string `toml:"folder" json:"folder"`
	// Command keeps the keys of the incidents instead of a folder: program and
	// arguments, called without a shell with get ID, put ID, delete ID or list behind
	// them, in the folder of the config file; see docs/keys.md. Default: empty, the folder is used.
	Command []string `toml:"command" json:"command"`
}

// Approval says what it takes to let a campaign go out.
type Approval struct {
	// People is how many different people must approve a campaign, each typing
	// the count. Default: 2. 1 lets one person send to everybody alone.
	People int `toml:"people" json:"people"`
	// Proof is what an approval has to prove: signature (by the SSH key that the
	// approver is registered with, over the sheet) or name. Default: signature. With
	// name, whoever runs the program can approve in any name.
	Proof string `toml:"proof" json:"proof"`
	// MakerMayApprove lets who created, checked or changed a campaign approve it too.
	// Default: false.
	MakerMayApprove bool `toml:"maker_may_approve" json:"maker_may_approve"`
	// CountTolerance is by what share of a declared count the lists may miss it: 0.01
	// is one in a hundred, 0 is nobody. Missed by more, a check finds an error until
	// somebody accepts that very difference (`oshirase campaign check ID
	// --accept-count REASON`). Default: 0.01.
	CountTolerance float64 `toml:"count_tolerance" json:"count_tolerance"`
}

// Policy is what this asks for; the ledger says what is in force.
func (a Approval) Policy() mailer.Policy {
	return mailer.Policy{People: a.People, Proof: mailer.PolicyProof(a.Proof), MakerMayApprove: a.MakerMayApprove}
}

// Ledger says how the database keeps what happened.
type Ledger struct {
	// Durability is what a commit survives: full (a power cut) or normal (a crash
	// of the program, faster; after a power cut the last commits may be missing,
	// and people may then get a second copy). Default: full.
	Durability string `toml:"durability" json:"durability"`
	// Unknown is what becomes of a delivery whose outcome is unknown (cut after
	// the final dot, or a crash): hold waits for a person (`oshirase resolve`),
	// resend sends again with the same Message-ID, so that a few people may get
	// two copies. Default: hold.
	Unknown string `toml:"unknown" json:"unknown"`
}

// Journal says where the signed checkpoints of what happened are kept.
type Journal struct {
	// Checkpoints are files to whose end each signed checkpoint is written, beside the
	// one that stands next to the database. Default: none. Let them be where whoever
	// has this machine cannot change them: they show what was taken back there.
	Checkpoints []string `toml:"checkpoints" json:"checkpoints"`
}

// Relay is an SMTP server that mail is handed to. Several may be given; mail is
// shared among them by weight, and one that fails is set aside and tried again.
type Relay struct {
	// Name is how status, logs and the ledger call the relay. Required, unique.
	Name string `toml:"name" json:"name"`
	// Address is HOST:PORT. Required. Usual ports: 25, 587 (STARTTLS), 465
	// (implicit TLS).
	Address string `toml:"address" json:"address"`
	// TLS is required (STARTTLS, or nothing is sent), implicit (TLS from the first
	// byte) or none (plain text: for a relay on this machine; `config check` warns
	// of any other). Default: required. Certificates are always verified.
	TLS string `toml:"tls" json:"tls"`
	// CAFile is a PEM file of the authorities that may have signed the relay's
	// certificate. Default: empty, those of the system.
	CAFile string `toml:"ca_file" json:"ca_file"`
	// ServerName is the name that the certificate must bear. Default: empty, the
	// host of the address.
	ServerName string `toml:"server_name" json:"server_name"`
	// EHLO is the name that we give ourselves: a host name that resolves to this
	// machine. Default: empty, the sender's own default, which does not tell the
	// name of this machine; set it where the relay checks it.
	EHLO string `toml:"ehlo" json:"ehlo"`
	// Username is the name for SMTP AUTH. Default: empty, no AUTH.
	Username string `toml:"username" json:"username"`
	// PasswordFile holds the password for SMTP AUTH on its first line, readable
	// by its owner alone. Default: empty.
	PasswordFile string `toml:"password_file" json:"password_file"`
	// PasswordEnv names an environment variable that holds the password instead
	// of a file. Default: empty.
	PasswordEnv string `toml:"password_env" json:"password_env"`
	// Connections is how many connections are open at once, at most. Default: 10.
	// After a crash at most as many deliveries are unknown; see intents.
	Connections int `toml:"connections" json:"connections"`
	// MessagesPerConnection closes a connection after so many messages. Default:
	// 1000. 0 is no limit; relays that have a limit of their own say 421.
	MessagesPerConnection int `toml:"messages_per_connection" json:"messages_per_connection"`
	// Idle closes a connection that was not used for so long. Default: 30s.
	Idle Duration `toml:"idle" json:"idle"`
	// DialTimeout bounds connecting, TLS, EHLO and AUTH together. Default: 30s.
	DialTimeout Duration `toml:"dial_timeout" json:"dial_timeout"`
	// CommandTimeout bounds the wait for the reply to MAIL, RCPT and DATA.
	// Default: 5m (RFC 5321, 4.5.3.2).
	CommandTimeout Duration `toml:"command_timeout" json:"command_timeout"`
	// DataTimeout bounds the wait for the reply to the final dot. Default: 10m
	// (RFC 5321, 4.5.3.2.6). Who gives up earlier does not know whether the relay
	// took the message: the delivery becomes unknown.
	DataTimeout Duration `toml:"data_timeout" json:"data_timeout"`
	// Pipelining sends commands in groups where the relay offers it (RFC 2920).
	// Default: true. Switch it off for a relay that offers it wrongly.
	Pipelining bool `toml:"pipelining" json:"pipelining"`
	// Chunking sends messages with BDAT where the relay offers it (RFC 3030).
	// Default: false, with DATA. It spares the wait for the reply to DATA on a
	// connection's first message.
	Chunking bool `toml:"chunking" json:"chunking"`
	// Intents is how many messages may be on the wire unanswered on one
	// connection, 1 to 16. Default: 1. More than one only where chunking and
	// pipelining are true and the relay offers both: each message then goes out
	// whole, without a wait for replies, which pays where the relay is far away.
	// After a crash at most connections × intents deliveries are unknown.
	Intents int `toml:"intents" json:"intents"`
	// Weight is the relay's share of the connections, in proportion to the other
	// relays' weights. Default: 1. 0 keeps the relay in the file unused.
	Weight int `toml:"weight" json:"weight"`
}

// Sending says in what portions, how fast and how long it is tried. Merchants
// and campaigns have windows and paces of their own, which apply beside these.
type Sending struct {
	// Batch is how many deliveries wait for the connections of a process, in leases of
	// 256 at most. Default: 500.
	Batch int `toml:"batch" json:"batch"`
	// BatchPause is the rest after each batch. Default: 0s, none.
	BatchPause Duration `toml:"batch_pause" json:"batch_pause"`
	// PerSecond is the limit in messages a second, all merchants and all workers
	// together. Default: 0, no limit.
	PerSecond int `toml:"per_second" json:"per_second"`
	// PerHour is the limit in messages an hour, all merchants and all workers
	// together. Default: 0, no limit. 3840 lets a call centre keep up with
	// 460,395 notices in ten days of twelve hours.
	PerHour int `toml:"per_hour" json:"per_hour"`
	// MinConnections is how many connections are used at least, over all relays,
	// when relays push back (421, 4.7.x, resets, slow replies). Default: 1. The
	// relays' own connections are the upper bound.
	MinConnections int `toml:"min_connections" json:"min_connections"`
	// Lease is how long a worker that no longer says anything keeps its batch.
	// Default: 60s. Working batches are renewed.
	Lease Duration `toml:"lease" json:"lease"`
	// Retry is the wait before each further attempt after a temporary refusal;
	// the last repeats. Default: 1m, 5m, 15m, 30m, 1h, 2h.
	Retry []Duration `toml:"retry" json:"retry"`
	// Deadline ends the attempts so long after the first. Default: 48h.
	Deadline Duration `toml:"deadline" json:"deadline"`
	// Grace is how late a campaign may start by itself when the program was down
	// at its time; later it waits for a person. Default: 1h.
	Grace Duration `toml:"grace" json:"grace"`
	// StopGrace is how long a stop waits for the replies to what is on the wire.
	// Default: 10s. What has no reply by then is unknown.
	StopGrace Duration `toml:"stop_grace" json:"stop_grace"`
}

// DomainGroup is a set of mail domains with a pace of their own: one slow
// provider then holds nobody else.
type DomainGroup struct {
	// Name is how status and logs call the group. Required, unique. The group
	// "others" takes no domains: it gives limits to all the rest.
	Name string `toml:"name" json:"name"`
	// Domains are its mail domains, each with its subdomains.
	Domains []string `toml:"domains" json:"domains"`
	// Connections is how many messages for the group may be on the wire at once.
	// Default: 0, no limit of its own.
	Connections int `toml:"connections" json:"connections"`
	// PerSecond is its limit in messages a second, all workers together. Default:
	// 0, no limit of its own.
	PerSecond int `toml:"per_second" json:"per_second"`
}

// Schedule is a cron entry of `oshirase serve`: at each of its times, what is
// due is sent, as `oshirase run` would. Without any entry, serve sends all the
// time. A campaign with a time of its own needs no entry.
type Schedule struct {
	// Name is how status and logs call the entry. Required, unique.
	Name string `toml:"name" json:"name"`
	// Cron is minute, hour, day of month, month and day of week, in Asia/Tokyo.
	// Required. "0 9 * * 1-5" is nine o'clock from Monday to Friday.
	Cron string `toml:"cron" json:"cron"`
	// Campaign is the ID of the one campaign that is sent. Default: empty, all
	// that are running.
	Campaign string `toml:"campaign" json:"campaign"`
}

// Log says what is written to standard error.
type Log struct {
	// Level is debug, info, warn or error. Default: info. Names and addresses of
	// recipients are masked at every level.
	Level string `toml:"level" json:"level"`
	// Format is text or json. Default: text.
	Format string `toml:"format" json:"format"`
}

// Duration is a time.Duration that is written as Go writes it: 90s, 1h30m.
type Duration time.Duration

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String leaves out what is zero: 1h instead of 1h0m0s.
func (d Duration) String() string {
	t := time.Duration(d)
	switch {
	case t == 0:
		return "0s"
	case t%time.Hour == 0:
		return fmt.Sprintf("%dh", t/time.Hour)
	case t%time.Minute == 0 && t < time.Hour:
		return fmt.Sprintf("%dm", t/time.Minute)
	}
	return t.String()
}

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration as time.ParseDuration does; a bare number has
// no unit and is refused.
func (d *Duration) UnmarshalText(b []byte) error {
	t, err := time.ParseDuration(string(b))
	if err != nil {
		return mailer.Invalid("config.duration", "value", string(b))
	}
	*d = Duration(t)
	return nil
}

// Default is the config of an empty file, in the current folder. It has no relay.
func Default() *Config {
	var retry []Duration
	for _, wait := range mailer.DefaultRetry() {
		retry = append(retry, Duration(wait))
	}
	return &Config{
		Database:  "oshirase.db",
		Incidents: "incidents",
		Merchants: "merchants",
		Key:       Key{File: "master.key", Folder: "keys", Command: []string{}},
		Approval:  Approval{People: 2, Proof: string(mailer.PolicySignature), CountTolerance: mailer.DefaultCountTolerance},
		Ledger:    Ledger{Durability: "full", Unknown: "hold"},
		Sending: Sending{
			Batch:          mailer.DefaultBatch,
			MinConnections: 1,
			Lease:          Duration(mailer.DefaultLease),
			Retry:          retry,
			Deadline:       Duration(mailer.DefaultDeadline),
			Grace:          Duration(mailer.DefaultGrace),
			StopGrace:      Duration(mailer.DefaultStopGrace),
		},
		Journal: Journal{Checkpoints: []string{}},
		Log:     Log{Level: "info", Format: "text"},
		dir:     ".",
	}
}

// DefaultRelay is what a [[relay]] without any key would be, if it were valid.
func DefaultRelay() Relay {
	return Relay{
		TLS:                   "required",
		Connections:           mailer.DefaultConnections,
		MessagesPerConnection: 1000,
		Idle:                  Duration(mailer.DefaultIdle),
		DialTimeout:           Duration(mailer.DefaultDialTimeout),
		CommandTimeout:        Duration(mailer.DefaultCommandTimeout),
		DataTimeout:           Duration(mailer.DefaultDataTimeout),
		Pipelining:            true,
		Intents:               mailer.DefaultIntents,
		Weight:                mailer.DefaultWeight,
	}
}

// Grouping is the table of domain groups, or the built-in one where the config
// has none.
func (c *Config) Grouping() (*mailer.Grouping, error) {
	if len(c.DomainGroups) == 0 {
		return mailer.NewGrouping(mailer.JapaneseProviders)
	}
	groups := make([]mailer.DomainGroup, len(c.DomainGroups))
	for i, g := range c.DomainGroups {
		groups[i] = mailer.DomainGroup{Name: g.Name, Domains: g.Domains, Connections: g.Connections, PerSecond: g.PerSecond}
	}
	return mailer.NewGrouping(groups)
}

// Path makes a path of the config file absolute or relative to the current
// folder; "" stays "".
func (c *Config) Path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// DatabasePath is the database as the current folder sees it.
func (c *Config) DatabasePath() string { return c.Path(c.Database) }

// CheckpointPaths are the files for checkpoints as the current folder sees them.
func (c *Config) CheckpointPaths() []string {
	paths := make([]string, len(c.Journal.Checkpoints))
	for i, p := range c.Journal.Checkpoints {
		paths[i] = c.Path(p)
	}
	return paths
}

// KeysPath is the folder of the incidents' keys as the current folder sees it.
func (c *Config) KeysPath() string { return c.Path(c.Key.Folder) }

// KeyCommand is the command that keeps the incidents' keys; empty: a folder does. A
// program that is a path is meant from the folder of the config file.
func (c *Config) KeyCommand() ([]string, error) {
	argv := slices.Clone(c.Key.Command)
	if len(argv) == 0 || !strings.Contains(argv[0], "/") {
		return argv, nil
	}
	var err error
	argv[0], err = filepath.Abs(c.Path(argv[0]))
	return argv, err
}

// Secrets are the environment variables that hold secrets.
func (c *Config) Secrets() (names []string) {
	for _, name := range append([]string{c.Key.Env}, c.passwordVariables()...) {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (c *Config) passwordVariables() (names []string) {
	for _, r := range c.Relays {
		names = append(names, r.PasswordEnv)
	}
	return names
}

// IncidentsPath is the incidents' folder as the current folder sees it.
func (c *Config) IncidentsPath() string { return c.Path(c.Incidents) }

// MerchantsPath is the merchants' folder as the current folder sees it.
func (c *Config) MerchantsPath() string { return c.Path(c.Merchants) }
