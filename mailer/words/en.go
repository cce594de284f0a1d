package words

import "oshirase/mailer"

// english has a phrase for every code that a package below cmd uses, and no other (a
// test compares). Each area has a file of its own.
var english = gather(
	map[mailer.Code]phrase{
		"actor.missing": {"who does this? give a name", "say who you are with --by NAME"},
	},
	enCampaign,
	enIntake,
)

// gather puts the areas together; a code that stands twice is a mistake.
func gather(areas ...map[mailer.Code]phrase) map[mailer.Code]phrase {
	all := map[mailer.Code]phrase{}
	for _, area := range areas {
		for code, p := range area {
			if _, twice := all[code]; twice {
				panic("two phrases for " + code)
			}
			all[code] = p
		}
	}
	return all
}

func init() {
	for code, p := range enStore {
		english[code] = p
	}
}
