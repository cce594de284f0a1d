package words

import "oshirase/mailer"

// enSend is what mailer/send says.
var enSend = map[mailer.Code]phrase{
	"send.no-relay":       {"no relay", ""},
	"send.relay-twice":    {"two relays are named {relay}", ""},
	"send.relay-negative": {"relay {relay}: connections, weight and times must not be negative", ""},
	"send.differs":        {"notice differs from the approved one", ""},
	"send.many-differ":    {"{count} notices are not what was approved, or cannot be read, and are held", ""},

	"send.damaged": {"what the ledger has of this person is not as it was written", "run `oshirase verify`: it names all that does not fit"},

	// Why the program paused a campaign.
	"halt.sender": {
		"relay {relay} refuses the sender ({reply}): nobody was counted as refused",
		"mend the relay's rules, the account or the sender's domain, see `oshirase relay check`, then `oshirase campaign resume ID`",
	},
	"halt.groups": {
		"relay {relay} refuses us ({reply}) at the domain groups {groups}: nobody was counted as refused",
		"mend what the relay says against us, see `oshirase relay check`, then `oshirase campaign resume ID`",
	},
	"halt.row": {
		"relay {relay} refused us {count} times in a row ({reply}): nobody was counted as refused",
		"mend what the relay says against us, see `oshirase relay check`, then `oshirase campaign resume ID`",
	},
	"halt.first": {
		"the first {count} replies were refusals, the last by relay {relay} ({reply})",
		"look at `oshirase deliveries`; if the people are not at fault, `oshirase requeue --campaign ID --state rejected`; then `oshirase campaign resume ID`",
	},
	"halt.compose": {
		"{count} notices could not be composed: they are held, nobody was counted as refused",
		"look at `oshirase deliveries` and at the merchant's addresses, mend them, and check the campaign again",
	},

	"send.templates-changed": {"notice differs from the approved one: the built-in templates changed since the check", ""},
}
