package words

import "oshirase/mailer"

// enSMTP is what mailer/smtp says: relays' options, DKIM keys, and what cannot be made
// into a message.
var enSMTP = map[mailer.Code]phrase{
	"smtp.address":        {"relay {relay}: address \"{address}\": use host:port", ""},
	"smtp.port":           {"relay {relay}: port \"{port}\"", ""},
	"smtp.messages":       {"relay {relay}: messages must not be negative", ""},
	"smtp.intents":        {"relay {relay}: intents: use 1 to {most}", ""},
	"smtp.times":          {"relay {relay}: times must not be negative", ""},
	"smtp.ehlo":           {"relay {relay}: ehlo \"{ehlo}\" is neither a host name nor an address literal", ""},
	"smtp.ca-without-tls": {"relay {relay}: a CA or server name without TLS", ""},
	"smtp.open-password":  {"relay {relay}: a password without TLS; only a relay on this machine may have that", ""},
	"smtp.ca":             {"relay {relay}: read CA", ""},
	"smtp.no-certificate": {"no certificate in CA file {file}", ""},
	"smtp.tls":            {"relay {relay}: tls \"{tls}\": use required, implicit or none", ""},

	"smtp.talkative":    {"the relay sent more than {octets} octets before the first message", "it is no mail server, or one that means harm: look at its address"},
	"smtp.no-mechanism": {"relay {relay} offers no way to authenticate that we know", "without a user name none is needed; else ask the relay's operator for SCRAM or PLAIN"},
	"smtp.challenge":    {"the relay asks for more in AUTH than any mechanism does", ""},
	"smtp.iterations":   {"the relay asks for a SCRAM iteration count below {least} or above {most}", "have the relay's operator store the password anew with 4096 to 600000 iterations"},

	"smtp.dkim-incomplete": {"DKIM needs a domain, a selector and a key", ""},
	"smtp.dkim-read":       {"read DKIM key", ""},
	"smtp.dkim-key":        {"read DKIM key {file}", ""},
	"smtp.dkim-pem":        {"no PEM block", ""},
	"smtp.dkim-block":      {"PEM block \"{type}\" is no unencrypted private key (PKCS #1 or #8)", ""},
	"smtp.dkim-bits":       {"RSA key of {bits} bits: verifiers refuse less than 1024, use 2048", ""},
	"smtp.dkim-type":       {"DKIM has no keys of type {type}: use RSA or Ed25519", ""},

	"smtp.header-control":    {"header {field}: control character {char}", ""},
	"smtp.header-utf8":       {"header {field}: not UTF-8", ""},
	"smtp.header-no-address": {"header {field}: no address", ""},
	"smtp.header-too-long":   {"header {field}: address too long", ""},
	"smtp.header-local-part": {"header {field}: local part is neither a dot-string nor quoted", ""},
	"smtp.header-domain":     {"header {field}: domain is no host name", ""},
	"smtp.header-message-id": {"header {field}: not of the form left@right", ""},
	"smtp.header-char":       {"header {field}: character {char}", ""},
	"smtp.header-empty":      {"header {field}: empty", ""},
	"smtp.header-zero":       {"header {field}: zero", ""},

	"smtp.charset":      {"charset \"{charset}\": use utf-8 or iso-2022-jp", ""},
	"smtp.body-utf8":    {"body is not UTF-8", ""},
	"smtp.body-nul":     {"NUL in body", ""},
	"smtp.message-end":  {"message does not end in CRLF", ""},
	"smtp.message-line": {"message has a line of {octets} octets, {most} are allowed", ""},
	"smtp.message-crlf": {"message has a line that does not end in CRLF", ""},
}
