package words

import "oshirase/mailer"

// enIntake is what mailer/intake says.
var enIntake = map[mailer.Code]phrase{
	"intake.no-incident": {"{cause}", "load the incident with `oshirase apply`"},
	"intake.strict": {
		"rows were refused, and --strict takes all or nothing",
		"mend the rows, or leave --strict out to take the good ones; nothing was imported",
	},
}
