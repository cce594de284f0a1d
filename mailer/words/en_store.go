package words

import "oshirase/mailer"

// enStore is what the ledger refuses.
var enStore = map[mailer.Code]phrase{
	"row.nobody":           {text: "nothing identifies this person: a customer_id, an e-mail address, or name and postal address is needed"},
	"row.no-exposure":      {text: "no exposure"},
	"row.unknown-exposure": {text: "the incident has no exposure {exposure}"},
	"row.two-people": {
		text: "an earlier row of this list has the same customer_id with another name and another e-mail address: two people with one number?",
	},
}
