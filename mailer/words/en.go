package words

import (
	"maps"

	"oshirase/mailer"
)

// areas are the parts of the catalogue; each has a file of its own.
var areas = []map[mailer.Code]phrase{
	enMailer,
	enList,
	enTemplates,
	enConfig,
	enSink,
	enStore,
	enProof,
	enKeys,
	enCampaign,
	enIntake,
	enSend,
	enSMTP,
	enSSHSig,
	enPerson,
}

// english has a phrase for every code that a package below cmd uses, and no other (a
// test compares).
var english = gather(areas)

func gather(areas []map[mailer.Code]phrase) map[mailer.Code]phrase {
	all := map[mailer.Code]phrase{}
	for _, area := range areas {
		maps.Copy(all, area)
	}
	return all
}
