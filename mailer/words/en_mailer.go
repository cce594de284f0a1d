package words

import "oshirase/mailer"

// enMailer has the codes of package mailer.
var enMailer = map[mailer.Code]phrase{
	"actor.unreadable": {
		"the name holds {character}, which its reader would not see", "type the name again, without invisible characters and variation selectors",
	},
	"actor.missing": {"who does this? give a name", "say who you are with --by NAME"},

	"address.empty":            {text: "no address"},
	"address.no-local":         {text: "nothing before the @"},
	"address.local-long":       {text: "local part longer than {max} characters"},
	"address.long":             {text: "address longer than {max} characters"},
	"address.control":          {text: "control character in address"},
	"address.blank":            {text: "blank in address"},
	"address.domain-ascii":     {text: "domain is not ASCII (write an international domain in its xn-- form)"},
	"address.local-ascii":      {text: "local part is not ASCII"},
	"address.display-name":     {text: "display name or angle brackets: write the address alone"},
	"address.no-at":            {text: "no @ in address"},
	"address.many":             {text: "more than one @, or more than one address"},
	"address.local-character":  {text: "character {character:q} in the local part"},
	"address.open-quote":       {text: "quote in address is not closed"},
	"address.behind-quote":     {text: "no @ behind the quoted local part"},
	"address.no-domain":        {text: "nothing behind the @"},
	"address.literal":          {text: "IP address instead of a domain"},
	"address.domain-long":      {text: "domain longer than {max} characters"},
	"address.no-dot":           {text: "domain has no dot"},
	"address.empty-label":      {text: "domain has an empty part (a dot too many)"},
	"address.label-long":       {text: "part of the domain longer than {max} characters"},
	"address.hyphen":           {text: "part of the domain begins or ends with a hyphen"},
	"address.domain-character": {text: "character {character:q} in the domain"},

	"date.form": {text: "{value:q} is not a date of the form 2021-10-14"},

	"reference.character": {text: "{value:q} is not a reference number: it has a character that none has"},
	"reference.length":    {text: "{value:q} is not a reference number: it has {length} characters of {want}"},
	"reference.checksum":  {text: "{value:q} is not a reference number: a character is wrong or two are exchanged"},

	"text.hidden":     {text: "{key} holds the character {char}, which nobody sees", hint: "delete it, or type the text anew: it came with a copy from a page or a document"},
	"text.line-break": {text: "{key} has more than one line"},
	"text.utf8":       {text: "{key} is not UTF-8"},

	"window.days":  {text: "window days {days:q}: use every-day or weekdays"},
	"window.hours": {text: "window {hours:q}: use always or HH:MM-HH:MM"},
	"window.order": {text: "window {hours:q}: it must open before it closes, on one day"},

	"group.name":   {text: "domain group {group:q}: the name is empty or stands twice"},
	"group.rest":   {text: "domain group {group:q} takes no domains: it is all the rest"},
	"group.domain": {text: "domain {domain} is in the groups {first} and {second}"},

	"facts.id":              {text: "id {id:q}: use lower-case letters, digits and hyphens"},
	"facts.missing":         {text: "{key} is missing"},
	"facts.attack-order":    {text: "attack_to {to} is before attack_from {from}"},
	"facts.no-exposure":     {text: "exposures: name at least one affected group"},
	"facts.correction-kind": {text: "{key} {kind:q}: use added, removed, misdirected or content"},

	"exposure.twice":     {text: "exposures: {exposure} stands twice"},
	"exposure.id":        {text: "{key}: id is missing"},
	"exposure.item":      {text: "exposure {exposure}: item {item:q} is not known"},
	"exposure.certainty": {text: "exposure {exposure}: certainty {certainty:q}: use possible or confirmed"},
	"exposure.period":    {text: "exposure {exposure}: give both from and to, or neither"},
	"exposure.order":     {text: "exposure {exposure}: to {to} is before from {from}"},
	"exposure.count":     {text: "exposure {exposure}: count is negative: 0 is not declared"},

	"desk.audience": {text: "{key} {audience:q}: use customers, merchants or press"},
	"desk.email":    {text: "{key}: {cause}"},
	"desk.days":     {text: "{key} {days:q}: use every-day or weekdays"},

	"merchant.address":    {text: "{key}: {cause}"},
	"merchant.selector":   {text: "{key} {selector:q}: use letters, digits, hyphens and dots"},
	"merchant.date-style": {text: "date_style {style:q}: use western, era or slash"},
	"merchant.charset":    {text: "charset {charset:q}: use utf-8 or iso-2022-jp"},
	"merchant.declared":   {text: "{key} is negative"},
	"merchant.rate":       {text: "{key}: use 0 to {most}, 0 being no limit"},
}
