package words

import "oshirase/mailer"

// enCampaign is what mailer/campaign and mailer/envelope say.
var enCampaign = map[mailer.Code]phrase{
	"campaign.stage":     {`stage "{stage}": use first-warning, formal, follow-up or correction`, ""},
	"campaign.certainty": {`certainty "{certainty}": use possible or confirmed`, ""},
	"campaign.cause": {
		"a campaign of stage {stage} has no cause: only follow-ups and corrections repeat", "leave --cause out",
	},
	"campaign.per-hour": {"per-hour must not be negative; 0 is no limit", ""},

	"campaign.no-merchant":  {"{cause}", "load the merchant with `oshirase apply`"},
	"campaign.no-recipient": {"{cause}", "import a list for the campaign's incident and merchant, or look at --ref"},
	"campaign.test-refused": {"the relay {relay} did not accept the test message: {code} {text}", ""},
	"campaign.not-confirmed": {
		`--confirm "{confirm}" is not the incident "{incident}": nothing was destroyed`, "",
	},

	"envelope.bounce-domain": {"merchant {merchant}: bounce_domain: {cause}", ""},
	"envelope.from-name":     {"merchant {merchant}: {cause}", ""},
	"envelope.from":          {"merchant {merchant}: from: {cause}", ""},
	"envelope.reply-to":      {"merchant {merchant}: reply_to: {cause}", ""},
}
