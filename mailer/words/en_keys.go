package words

import "oshirase/mailer"

// enKeys is what goes wrong with keys, and with copies of them and of the database.
var enKeys = map[mailer.Code]phrase{
	"keyring.no-key": {text: "there is no such key"},
	"keyring.exists": {text: "there is a key of that id already"},
	"keyring.id":     {text: "{id:q} cannot name a key"},
	"keyring.value":  {text: "line {line} is not that of a key"},
	"keyring.large":  {text: "the value of key {key} is too large"},
	"keyring.folder": {text: "{what}: {cause}"},
	"keyring.type":   {"{path} is not what it has to be: a folder of plain files", "look at key.folder in the config"},
	"keyring.owner": {
		text: "{path} belongs to somebody else, who can read and exchange it",
		hint: "chown {path} to the user that runs this program",
	},
	"keyring.shown":   {"{path} can be read or changed by others (mode {mode})", "chmod {right} {path}"},
	"keyring.command": {"{command} {call}: {cause}", "look at key.command in the config; docs/keys.md says how it is called"},
	"keyring.slow":    {"{command} {call} did not end in time: {cause}", "run it by hand"},
	"keyring.endless": {"{command} {call} prints without end", "run it by hand"},
	"keyring.output":  {"the command does not give key {key} as it was given", "run it by hand; docs/keys.md says how it is called"},

	"incident.key-missing": {
		text: "the key of incident {incident} is missing: there is no key {key} where keys are kept, and this ledger does not say that it was destroyed",
		hint: "if the key folder moved, look at [key] in the config; if the file was lost, restore {key}.key from its copy; if this database is an older copy from before `destroy`, its personal data is gone for good",
	},
	"incident.key-damaged": {
		text: "the key of incident {incident} is damaged: key {key} does not open, though the master key is the right one",
		hint: "restore {key}.key from its copy",
	},
	"incident.key-another": {
		text: "key {key} is not that of incident {incident} of this ledger: it says it is that of {of}, ledger {ledger}",
		hint: "files of the key folder were exchanged: restore {key}.key from its copy",
	},
	"incident.key-unreadable": {text: "the key of incident {incident} cannot be read: key {key}: {cause}"},
	"incident.key-not-kept":   {text: "the key of the new incident {incident} could not be kept: {cause}"},

	"destroy.key-missing": {
		text: "there is no key {key} of incident {incident} where keys are kept: nothing was destroyed",
		hint: "look at [key] in the config: the key may live elsewhere; if it is known to be gone, as in an older copy of the database, add --key-gone",
	},
	"destroy.undone": {
		text: "incident {incident} is marked as destroyed, but its key {key} could not be deleted: {cause}",
		hint: "mend that and run the same command again: it goes on where it stopped",
	},
	"destroy.kept": {
		text: "incident {incident} is marked as destroyed and its key was deleted, but the keyring still has key {key}",
		hint: "delete it there by hand, then run the same command again",
	},
	"destroy.log": {
		text: "the key of incident {incident} is destroyed and nobody reads its personal data any more; but {cause}",
		hint: "end the programs that keep the database open for reading, then run the same command again",
	},
	"destroy.found": {
		text: "the key of incident {incident} is destroyed, but parts of it stand in {where}: somebody put it there",
		hint: "export what you need and destroy these files",
	},

	"rekey.underway": {
		text: "the master key is being changed: incident {incident} can be added when that is over",
		hint: "if `oshirase rekey` was cut off, run it again",
	},
	"rekey.not-kept": {
		text: "key {key} of incident {incident} could not be written: {cause}",
		hint: "nothing is lost: mend that and run the same command again",
	},

	"backup.exists":          {"{path} is there already; nothing was written", "name another folder, such as one of today's date"},
	"backup.other-key":       {"the folder has another key {key}", "name a new folder"},
	"backup.folder":          {"{folder}: {cause}", "name a folder that can be written"},
	"backup.beside-keys":     {"{folder} holds keys: whoever finds it would have both halves", "name another folder for the database"},
	"backup.beside-database": {"{folder} holds a database: whoever finds it would have both halves", "name another folder for the keys"},
	"backup.damaged":         {"the copy {path} is damaged, and so, it seems, is the database: {found}", "restore an older backup, and look at the disk"},
}
