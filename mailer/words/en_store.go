package words

import "oshirase/mailer"

// enStore is what the ledger refuses.
var enStore = map[mailer.Code]phrase{
	"ledger.disk-full":     {text: "the disk is full: free some space on the database's volume and run the command again"},
	"ledger.read-only":     {text: "the database is read-only: check the permissions of the file and of its directory"},
	"ledger.not-database":  {text: "the file is not an oshirase database (or it is damaged): check the database path, or restore a backup"},
	"ledger.locked":        {text: "another program keeps the database locked: wait for it or end it, then try again"},
	"ledger.io":            {text: "the disk reports an error: check the volume before going on"},
	"ledger.no-file":       {text: "the database file cannot be opened: check that it exists and who may read and write it"},
	"ledger.old-schema":    {text: "the schema is older than this program: open it writable once, so that it is brought up to date"},
	"ledger.newer-schema":  {text: "its schema is version {version} and this program knows {known}: use the newer program"},
	"ledger.durability":    {text: "durability \"{value}\": use full or normal"},
	"ledger.master-key":    {text: "the master key has {bytes} bytes of 32"},
	"ledger.no-directory":  {text: "directory {directory} does not exist: create it, or set another database path"},
	"ledger.not-directory": {text: "{directory} is not a directory"},
	"ledger.is-directory":  {text: "it is a directory: name a file in it"},
	"ledger.none": {
		text: "there is no ledger at {path}",
		hint: "look at database in the config, and at the folder that you are in; `oshirase apply` makes a new ledger there, an empty one",
	},
	"ledger.readers": {
		text: "the log of the database, where pages stand as they were before, could not be emptied: somebody reads it all the time",
		hint: "end the programs that keep the database open for reading, then run the command again",
	},
	"ledger.shown": {
		text: "{file} can be read or changed by others (mode {mode}): nothing is opened",
		hint: "chmod 600 {file}",
	},
	"ledger.wrong-key": {
		text: "wrong master key: this ledger is sealed under master key {wants:or}, and {given} was given",
		hint: "look at [key] in the config: after `oshirase rekey` it names the new file; or restore the key from its copy",
	},
	"ledger.secret-damaged": {
		text: "the master key is the right one, but the ledger's own secret is damaged",
		hint: "restore the database from a backup",
	},
	"ledger.not-found": {text: "not found: {what} \"{id}\""},

	"incident.key-destroyed": {
		text: "incident key destroyed: incident {incident}",
		hint: "the personal data of this incident was destroyed and cannot be read again; counts and references remain",
	},
	"incident.wrong-key": {
		text: "wrong master key: the key of incident {incident} is wrapped by master key {wants:or}, and {given} was given",
		hint: "if `oshirase rekey` was cut off, or this database is older than it, run it again with the newer key's file; else restore the key's file from the copy that belongs to this master key",
	},
	"apply.id":            {text: "\"{id}\" is no id: use lower-case letters, digits and hyphens"},
	"apply.moved":         {"what this would void is no longer what was shown, and nothing was changed", "run `oshirase apply` again, and look at it"},
	"apply.exposure-gone": {text: "exposure {exposure} is gone from the facts, but recipients have it: put it back"},

	"campaign.draft":     {text: "cannot {what}: campaign {campaign} is {phase}: run `campaign check` first"},
	"campaign.checked":   {text: "cannot {what}: campaign {campaign} is {phase}: run `campaign approve` first"},
	"campaign.approved":  {text: "cannot {what}: campaign {campaign} is {phase}: run `campaign start`"},
	"campaign.running":   {text: "cannot {what}: campaign {campaign} is {phase}: run `campaign pause` first"},
	"campaign.paused":    {text: "cannot {what}: campaign {campaign} is {phase}: run `campaign resume`"},
	"campaign.phase":     {text: "cannot {what}: campaign {campaign} is {phase}"},
	"campaign.becomes":   {text: "campaign {campaign} is {phase} and cannot become {to}"},
	"campaign.unchecked": {text: "campaign {campaign} has not been checked: run `campaign check` first"},
	"campaign.exposure":  {text: "incident {incident} has no exposure \"{exposure}\""},
	"recipient.none":     {text: "not found: the campaign selects no recipient with reference number {ref}"},
	"campaign.nobody":    {text: "not found: the campaign selects nobody"},
	"set.started":        {text: "campaign {campaign} has started: its time cannot change"},

	"check.another": {text: "another check of campaign {campaign} is under way: run it again"},
	"check.changed": {text: "list, facts or campaign {campaign} changed during the check: run it again"},
	"check.frozen":  {text: "the check of campaign {campaign} counted {sendable} notices, and {frozen} are frozen: run it again"},

	"approve.again":    {text: "{by} has approved campaign {campaign} already: another person must"},
	"approve.count":    {text: "{count} is not the number of notices that the check of campaign {campaign} counted: look at the check again"},
	"destroy.running":  {text: "campaign {campaign} is running: pause or cancel it first"},
	"resolve.as":       {text: "an unknown delivery is resolved as accepted or queued, not as \"{as}\""},
	"resolve.held-as":  {text: "a held delivery is decided as queued or cancelled, not as \"{as}\""},
	"resolve.not-held": {text: "not found: campaign {campaign} holds no delivery with reference number {ref} for a decision"},
	"resolve.none":     {text: "not found: campaign {campaign} has no unknown delivery with reference number {ref}"},
	"requeue.state":    {text: "what was rejected, has expired or is held is sent again, not what is \"{state}\""},
	"requeue.none": {
		text: "not found: campaign {campaign} has nothing of that state with reference number {ref}",
		hint: "look at `oshirase deliveries --campaign {campaign}`",
	},

	"lookup.one":        {text: "look up by exactly one of reference number, e-mail address, customer id, telephone number and kana"},
	"delivery.token":    {text: "not found: the token is not of this ledger"},
	"delivery.message":  {text: "not found: the Message-ID is not of this ledger"},
	"record.no-time":    {text: "record delivery {delivery}: a deferred outcome needs the time of the next attempt"},
	"record.no-refusal": {text: "record delivery {delivery}: it stays queued only where something refused it"},
	"record.no-outcome": {text: "record delivery {delivery}: \"{state}\" is no outcome"},

	"list.sent": {
		text: "list {list} stays: people of it were written to already",
		hint: "who was told by mistake needs a correction: `oshirase campaign create --stage correction`",
	},
	"list.named-later": {
		text: "list {list} stays: list {later}, which came later, names people whom it brought or changed",
		hint: "take the later list back first, and import it again afterwards",
	},

	"row.nobody":           {text: "nothing identifies this person: a customer_id, an e-mail address, or name and postal address is needed"},
	"row.no-exposure":      {text: "no exposure"},
	"row.unknown-exposure": {text: "the incident has no exposure {exposure}"},
	"row.two-people": {
		text: "an earlier row of this list has the same customer_id with another name and another e-mail address: two people with one number?",
	},
}
