package words

import "oshirase/mailer"

// enSink has the codes of package mailer/sink: those of its fault rules.
var enSink = map[mailer.Code]phrase{
	"sink.no-ca": {text: "the receiver has no TLS, and so no CA"},

	"fault.no-action":     {text: "no action: write POINT=PATTERN:ACTION"},
	"fault.rule":          {text: "fault {rule:q}: {cause}"},
	"fault.point":         {text: "no point {point:q}"},
	"fault.empty-pattern": {text: "empty pattern"},
	"fault.pattern":       {text: "{point} takes no pattern"},
	"fault.share":         {text: "p={value}: use a number from 0 to 1"},
	"fault.condition":     {text: "{condition}: use first=N, after=N, every=N or p=P"},
	"fault.no-condition":  {text: "no condition {condition:q}"},
	"fault.code":          {text: "no reply code {reply}"},
	"fault.reply":         {text: "CR or NUL in a reply: use raw"},
	"fault.take-drop":     {text: "take-drop is for dot"},
	"fault.wrong-cert":    {text: "wrong-cert is for starttls and connect"},
	"fault.without":       {text: "write ehlo:without EXTENSION"},
	"fault.raw":           {text: "raw: broken escape"},
	"fault.wait":          {text: "{action} needs a time such as 200ms"},
	"fault.action":        {text: "no action {action:q}"},
	"fault.rest":          {text: "{action} takes nothing behind it"},
}
