package words

import "oshirase/mailer"

// enSend is what mailer/send says.
var enSend = map[mailer.Code]phrase{
	"send.no-relay":          {"no relay", ""},
	"send.relay-twice":       {"two relays are named {relay}", ""},
	"send.relay-negative":    {"relay {relay}: connections, weight and times must not be negative", ""},
	"send.differs":           {"notice differs from the approved one", ""},
	"send.many-differ":       {"{count} notices differ from the approved ones, and are held", ""},
	"send.templates-changed": {"notice differs from the approved one: the built-in templates changed since the check", ""},
}
