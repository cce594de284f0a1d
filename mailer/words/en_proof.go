package words

import "oshirase/mailer"

// enProof is what is said where the ledger is not as the program wrote it.
var enProof = map[mailer.Code]phrase{
	"ledger.altered": {
		text: "the ledger was changed by something other than oshirase: {what} {id}",
		hint: "nothing is sent from it: run `oshirase verify`, keep all files as they are, and find out who had access",
	},
	"recipient.damaged": {
		text: "the row of this person is not as oshirase wrote it",
		hint: "run `oshirase verify`: it names all that does not fit",
	},
	"reply.damaged": {
		text: "what the relay said about delivery {delivery} does not open: it was changed",
		hint: "run `oshirase verify`: it names all that does not fit",
	},
	"campaign.unapproved": {
		text: "campaign {campaign} may be sent by what the database says, and nobody approved what it says now",
		hint: "nothing of it is sent: run `oshirase verify`, and find out who had access to the database",
	},
	"ledger.no-checkpoint": {
		text: "there is no checkpoint beside the ledger ({path}): it was put here from elsewhere, or the file was lost",
		hint: "who was told after it was copied would be told again: put the checkpoint back, or decide by `oshirase restore accept`",
	},
	"ledger.checkpoint": {
		text: "{path} is not a checkpoint of this ledger, or was changed",
		hint: "put the right one back, or decide by `oshirase restore accept`",
	},
	"ledger.older": {
		text: "the ledger is older than its checkpoint of {at}: it was put back from a copy",
		hint: "who was told after it was copied would be told again: put the newer one back, or decide by `oshirase restore accept`",
	},
	"restore.newest": {text: "the ledger is as new as all that is known of it: there is nothing to accept"},
	"restore.reason": {text: "give the reason: it is recorded"},
}
