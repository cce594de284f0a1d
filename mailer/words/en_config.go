package words

import "oshirase/mailer"

// enConfig has the codes of package config.
var enConfig = map[mailer.Code]phrase{
	"config.no-file": {"no such config file", "make a working folder with `oshirase init DIR`, or name the file with --config FILE or OSHIRASE_CONFIG"},
	"config.syntax":  {text: "{cause}"},

	"config.unknown-key":      {"unknown key", "check the spelling; a key after a [table] line belongs to that table"},
	"config.password-in-file": {"unknown key", "secrets do not stand in the config: use password_file or password_env"},
	"config.key-in-file":      {"unknown key", "secrets do not stand in the config: use file or env"},

	"config.no-database":   {"it is empty", "name the SQLite file of the ledger"},
	"config.no-incidents":  {"it is empty", "name the folder of the incidents"},
	"config.no-merchants":  {"it is empty", "name the folder of the merchants"},
	"config.no-name":       {"it is empty", "give it a name, for status and logs"},
	"config.no-group-name": {"it is empty", "give the group a name"},
	"config.no-key":        {"there is no master key", "name a key file, or set key.env"},

	"config.word":     {"{word:q} is not known", "use {allowed:or}"},
	"config.small":    {"{value} is too small", "write {least} or more"},
	"config.large":    {"{value} is too large", "write {most} or less"},
	"config.share":    {"{value} is no share", "write a number from 0 to 1, such as 0.01 for one in a hundred"},
	"config.short":    {"{value} is too short", `write a duration, such as "30s"`},
	"config.negative": {"{value} is negative", "write 0s for none"},
	"config.twice":    {"{name:q} is there twice", "give each a name of its own"},
	"config.duration": {text: `{value:q} is not a duration: write a number with its unit, such as "90s" or "1h30m"`},
	"config.no-retry": {"there is no wait before a further attempt", `write at least one wait, such as ["5m"]`},
	"config.groups":   {"{cause}", "each name and each domain stands once"},

	"config.cron":       {"{cron:q}: {cause}", `write minute, hour, day of month, month and day of week, such as "0 9 * * 1-5"`},
	"config.cron-zone":  {"{cron:q} names a time zone: schedules are always in Asia/Tokyo", `write minute, hour, day of month, month and day of week, such as "0 9 * * 1-5"`},
	"config.cron-never": {"{cron:q} never comes", `write minute, hour, day of month, month and day of week, such as "0 9 * * 1-5"`},

	"config.address":                 {"{address:q} is not an address of a relay", "write HOST:PORT, such as mail.example:587"},
	"config.certificate-without-tls": {"there is no certificate to verify without TLS", "leave out ca_file and server_name, or use TLS"},
	"config.two-passwords":           {"there are two passwords", "keep one of password_file and password_env"},
	"config.half-login":              {"a name and a password go together", "set username and one of password_file and password_env, or none of them"},

	"config.key-unset":      {"the environment variable {variable} is not set", "export {variable} with 32 bytes in base64 or hex"},
	"config.key-variable":   {"{variable}: {cause}", "32 bytes in base64 or hex are wanted"},
	"config.no-key-file":    {"there is no key file {file}", "restore the key from its copy; `oshirase init` makes one for a new installation"},
	"config.key-unreadable": {"{cause}", "chmod 600 {file}"},
	"config.key-file":       {"{file}: {cause}", "the file holds 32 bytes in base64 or hex, and nothing else"},
	"config.no-key-text":    {text: "not a key in base64 or hex"},
	"config.key-size":       {text: "the key has {size} bytes, not {want}"},
	"config.password-unset": {"the environment variable {variable} is not set", "export it before starting"},
	"config.password-file":  {"{cause}", "write the password to {file} and chmod 600 it"},
	"config.password-empty": {"{file} is empty", "write the password to the first line of {file}"},
	"config.not-a-file":     {text: "{file} is not a file"},
	"config.secret-shown":   {text: "{file} can be read by others (mode {mode})"},
	"config.secret-large":   {text: "{file} is too large for a secret"},

	"config.facts":       {"{cause}", "mend the file and apply again"},
	"config.facts-name":  {"{name:q} cannot be an ID", "name the file with lower-case letters, digits and hyphens"},
	"config.facts-id":    {"the ID is {id:q}, but the file is called {file}", "write id = {name:q}, or rename the file"},
	"config.part-twice":  {"the part is also in {file}", "keep one of them"},
	"config.stray-parts": {"a folder of parts without a merchant", "write {name}.toml beside it, or rename the folder after its merchant"},
	"config.declared":    {"no incident has an exposure {exposure:q}", "use an exposure's ID as the incident's file has it"},
	"config.no-folder":   {"no such folder of {facts}", "look at the paths in the config, or make samples with `oshirase init DIR`"},

	"config.database-folder":  {"{cause}", "make the folder"},
	"config.database-in-file": {"{folder} is not a folder", "name a file in a folder"},
	"config.database-file":    {"{file} is not a file", "name a file"},
	"config.database-shown":   {text: "{file} can be read by others (mode {mode}): chmod 600 it"},
	"config.dkim-key":         {text: "merchant {merchant}: dkim.key_file: {cause}"},
	"config.dkim-shown":       {text: "merchant {merchant}: {file} can be read by others (mode {mode}): chmod 600 it"},
	"config.ca-file":          {"{cause}", "name a PEM file"},
	"config.no-certificate":   {"{file} holds no certificate", "name a PEM file with CERTIFICATE blocks"},
	"config.no-relay":         {"there is no relay to send through", "add a [[relay]] with name and address"},
	"config.idle-intents":     {text: "relay {relay}: intents is {intents}, but one message at a time is sent without chunking and pipelining"},
	"config.plain-text":       {text: "relay {relay}: tls is none, but {address} is not this machine: notices travel unencrypted"},
	"config.alone":            {text: "approval.people is 1: one person alone can send to everybody"},
	"config.resend":           {text: "ledger.unknown is resend: after a crash a few people may get two copies"},
	"config.durability":       {text: "ledger.durability is normal: after a power cut a few people may get two copies"},
	"config.retry-late":       {text: "sending.retry waits {wait} first, but sending.deadline ends the attempts after {deadline}: nothing is tried twice"},
}
