package words

import "oshirase/mailer"

// enPerson is what is refused of who acts, of persons, approvals and their policy.
var enPerson = map[mailer.Code]phrase{
	"person.unknown": {
		`nobody is registered as "{by}"`, "say who you are with --by ID; an admin registers people with `oshirase person add`",
	},
	"person.no-role":  {"{by} may not do this ({action}): it takes the role {roles:or}", "ask somebody in that role"},
	"person.merchant": {`{by} acts for other merchants than "{merchant}"`, ""},
	"person.unproved": {
		"{by} has a key or a user of this machine, and did not prove to be {by} by either", "give --sign KEYFILE, or run the command as that user",
	},
	"person.no-proof": {
		"a typed name is not enough for this ({action}): nothing proves that it is {by}", "have {by} registered with --ssh-key or --os-user",
	},
	"person.role":         {`"{role}" is no role, or stands twice: use admin, operator, approver, merchant, desk or auditor`, ""},
	"person.id":           {`"{id}" is no id: use lower-case letters, digits and hyphens`, ""},
	"person.no-roles":     {"{id} has no role", "give --role"},
	"person.no-merchants": {"{id} is there for a merchant, but for which", "give --merchant"},
	"person.gone":         {"{changes} people were registered, and none of them is in the ledger any more", "somebody changed the database: go back to a backup"},
	"person.exists":       {"{id} is registered already", "give --replace to have other facts stand from now on, or take another id"},
	"person.same-name":    {"{id} could be taken for {other}: their names or ids read alike", "tell them apart in the name, as in 佐藤（経理）"},
	"person.same-key":     {"{id} has the key of {other}: one key is one person's", ""},
	"person.same-os-user": {"{id} has the user of {other}: one user is one person's", ""},
	"person.last-approvers": {
		"fewer than {least} approvers with a key would be left, and nobody could change that any more", "add another one first, or use --replace",
	},
	"person.last-admin":  {"no admin who can prove it would be left", "add another one first, or use --replace"},
	"person.key-unknown": {"nobody is registered with the key {fingerprint}", "look at `oshirase person list`"},

	"amendment.none":     {"no change {id} waits for signatures", "look at `oshirase person pending`"},
	"amendment.stale":    {"what the sheet of the change {id} says that is now is not so any more", "propose the change again"},
	"amendment.done":     {"the change {id} does not wait for signatures", ""},
	"amendment.approver": {"{by} did not sign as an approver with a registered key", "give --by ID and --sign KEYFILE of an approver"},
	"amendment.again":    {"{by} has signed the change {id} already: another approver must", ""},

	"policy.people": {"{people} people cannot approve: 1 is the least", ""},
	"policy.proof":  {`proof "{proof}": use signature or name`, ""},
	"policy.same":   {"the policy of the config is in force already", ""},
	"policy.differs": {
		"the config asks for another approval policy ({config}) than the one in force ({force})",
		"set [approval] in the config back, or have two approvers sign the change: `oshirase policy set`",
	},

	"approve.stale": {
		"the signature is not one over what was checked last of campaign {campaign}", "print `oshirase campaign sheet` again, read it, and sign that",
	},
	"approve.named-twice": {"campaign {campaign} is named twice", ""},
	"approve.key": {
		"the key {fingerprint} is not the one that {by} is registered with", "an admin registers it: `oshirase person add ID --name NAME --role approver --ssh-key KEY.pub`",
	},

	"approvals.few":         {"campaign {campaign} has {approvals} approvals that stand, and {people} are needed", ""},
	"approvals.policy":      {"campaign {campaign}: no approval policy is in force", ""},
	"approvals.other-check": {"campaign {campaign}: the approval by {by} is of another check", "check the campaign again and have it approved"},
	"approvals.name":        {"campaign {campaign}: the approval by {by} was changed", "check the campaign again and have it approved"},
	"approvals.unsigned":    {"campaign {campaign}: {by} did not sign, and the policy asks for signatures", "give --sign KEYFILE, or --signature FILE made elsewhere"},
	"approvals.maker":       {"campaign {campaign}: {by} had a hand in it (created, checked or set it), and may not approve it", "somebody else approves; [approval] maker_may_approve allows it to everybody"},
	"approvals.member":      {"campaign {campaign}: {by} was no approver", ""},
	"approvals.key":         {"campaign {campaign}: the approval by {by} is by another key than the registered one", ""},
	"approvals.sheet":       {"campaign {campaign}: what {by} signed is not about this check", "check the campaign again and have it approved"},
	"approvals.signature":   {"campaign {campaign}: the signature by {by} does not verify", ""},
	"approvals.twice":       {"campaign {campaign}: {by} stands for two of the approvals", "another person must approve"},
}
