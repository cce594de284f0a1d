package words

import "oshirase/mailer"

// enCampaign is what mailer/campaign and mailer/envelope say.
var enCampaign = map[mailer.Code]phrase{
	"campaign.stage":     {`stage "{stage}": use first-warning, formal, follow-up or correction`, ""},
	"campaign.certainty": {`certainty "{certainty}": use possible or confirmed`, ""},
	"campaign.cause": {
		"a campaign of stage {stage} has no cause: only follow-ups and corrections repeat", "leave --cause out",
	},
	"campaign.per-hour": {"per-hour {per_hour}: use 0 to {most} messages an hour, 0 being no limit", ""},
	"campaign.reason":   {"the reason must be one line of at most {most} characters, without hidden ones", ""},
	"campaign.at-past":  {"at {at} has passed", "give a time to come, or none to start by hand"},

	"campaign.no-merchant":  {"{cause}", "load the merchant with `oshirase apply`"},
	"campaign.no-recipient": {"{cause}", "import a list for the campaign's incident and merchant, or look at --ref"},
	"campaign.test-refused": {"the relay {relay} did not accept the test message: {code} {text}", ""},
	"campaign.not-confirmed": {
		`--confirm "{confirm}" is not the incident "{incident}": nothing was destroyed`, "",
	},

	"lookup.blank": {"nothing to look for", ""},
	"lookup.email": {"this is no whole e-mail address ({cause}), and would match nobody", "ask for the whole address, or look up by another mark"},
	"lookup.phone": {"this telephone number has {digits} digits, and would match nobody", "numbers have 10 digits, mobile ones 11, the first of them a 0"},
	"lookup.nobody-imported": {
		"cannot say: no list was taken in, so nobody can be found; this does not mean that the person is not affected",
		"look at database in the config, or take the lists in with `oshirase import`",
	},
	"lookup.keys-destroyed": {
		"cannot say: the personal data of {populations} was destroyed; this does not mean that the person is not affected",
		"look up by the reference number in the notice",
	},

	"envelope.bounce-domain": {"merchant {merchant}: bounce_domain: {cause}", ""},
	"envelope.from-name":     {"merchant {merchant}: {cause}", ""},
	"envelope.from":          {"merchant {merchant}: from: {cause}", ""},
	"envelope.reply-to":      {"merchant {merchant}: reply_to: {cause}", ""},
}
