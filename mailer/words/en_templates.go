package words

import "oshirase/mailer"

// enTemplates has the codes of package templates.
var enTemplates = map[mailer.Code]phrase{
	"templates.stage":     {text: "stage {stage:q} has no notice"},
	"templates.no-part":   {text: "merchant {merchant}: there is no part {part:q}; the parts are {parts}"},
	"templates.part":      {text: "merchant {merchant}: part {part:q}: {cause}"},
	"templates.merchant":  {text: "merchant {merchant}: {cause}"},
	"templates.source":    {"the source has {octets} octets, {most} are allowed", "a part is a paragraph or two"},
	"templates.define":    {"it defines {defines:q}: a part may say what it says itself, and nothing of others", "give that part a file or key of its own"},
	"templates.call":      {"line {line}: it calls {calls:q}: a part calls none of the others", ""},
	"templates.function":  {"line {line}: there is no function {function:q} for parts; there are {functions}", ""},
	"templates.node":      {"line {line}: {what:q} is nothing that a part may hold", ""},
	"templates.loops":     {"line {line}: a part has {loops} range at most, and {nested} within one another", ""},
	"templates.no-list":   {"range over a {type}: a part repeats over lists alone", ""},
	"templates.long-list": {"range over {length} values, {most} are allowed", ""},
	"templates.output":    {"the part says more than {most} octets", ""},
	"templates.lines":     {text: "part {part:q} has more than one line"},

	"templates.exposure":         {text: "facts and recipient do not fit: incident {incident} has no exposure {exposure:q}"},
	"templates.no-exposure":      {text: "facts and recipient do not fit: the recipient has no exposure"},
	"templates.no-corrections":   {text: "facts and recipient do not fit: incident {incident} has no corrections: fill in [[corrections]]"},
	"templates.which-correction": {text: "the notice does not concern the recipient: incident {incident} has corrections of several kinds, and the list names none for them in a column {column} or 訂正区分"},
	"templates.correction-kind":  {text: "facts and recipient do not fit: incident {incident} has no correction of the kind that the list names"},
}
