package words

import (
	"maps"

	"oshirase/mailer"
)

// english has a phrase for every code that a package below cmd uses (a test
// compares).
var english = map[mailer.Code]phrase{
	"actor.missing": {"who does this? give a name", "say who you are with --by NAME"},
}

func init() {
	for _, area := range []map[mailer.Code]phrase{enSend, enSMTP} {
		maps.Copy(english, area)
	}
}
