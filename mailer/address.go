package mailer

import (
	"net/netip"
	"strings"
)

// Limits of RFC 5321 section 4.5.3.1 and RFC 1035 section 2.3.4, in octets.
const (
	maxLocal   = 64
	maxDomain  = 253
	maxLabel   = 63
	maxMailbox = 254 // a path of 256 without its angle brackets
)

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
// Errors are ErrInvalid, with a code address.…, and never contain the address.
func ParseAddress(s string) (Address, error) {
	if s == "" {
		return Address{}, Invalid("address.empty")
	}
	if err := addressCharacters(s); err != nil {
		return Address{}, err
	}
	local, domain, err := splitAddress(s)
	if err != nil {
		return Address{}, err
	}
	if local == "" {
		return Address{}, Invalid("address.no-local")
	}
	if err := checkDomain(domain); err != nil {
		return Address{}, err
	}
	wire := len(local) // of the local part as it goes on the wire
	if !dotString(local) {
		wire = len(escapeLocal(local)) + len(`""`)
	}
	if wire > maxLocal {
		return Address{}, Invalid("address.local-long", "max", maxLocal)
	}
	if wire+len("@")+len(domain) > maxMailbox {
		return Address{}, Invalid("address.long", "max", maxMailbox)
	}
	return Address{Local: local, Domain: strings.ToLower(domain)}, nil
}

// addressCharacters refuses what no part of an address may hold.
func addressCharacters(s string) error {
	at := strings.LastIndexByte(s, '@')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c == 0x7F:
			return Invalid("address.control")
		case c == ' ':
			return Invalid("address.blank")
		case c >= 0x80 && i > at && at >= 0:
			return Invalid("address.domain-ascii")
		case c >= 0x80:
			return Invalid("address.local-ascii")
		}
	}
	return nil
}

// splitAddress takes apart local part and domain and unquotes the local part.
func splitAddress(s string) (local, domain string, err error) {
	if s[0] == '"' {
		return splitQuoted(s)
	}
	if strings.IndexByte(s, '<') >= 0 || strings.IndexByte(s, '>') >= 0 {
		return "", "", Invalid("address.display-name")
	}
	at := strings.IndexByte(s, '@')
	if at < 0 {
		return "", "", Invalid("address.no-at")
	}
	if strings.IndexByte(s[at+1:], '@') >= 0 {
		return "", "", Invalid("address.many")
	}
	local, domain = s[:at], s[at+1:]
	for i := 0; i < len(local); i++ {
		if c := local[i]; c != '.' && !isAtext(c) {
			return "", "", Invalid("address.local-character", "character", rune(c))
		}
	}
	return local, domain, nil
}

// splitQuoted reads a quoted local part (RFC 5321 Quoted-string).
func splitQuoted(s string) (local, domain string, err error) {
	var b []byte
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			if i++; i == len(s) {
				return "", "", Invalid("address.open-quote")
			}
			b = append(b, s[i])
		case '"':
			rest := s[i+1:]
			if rest == "" || rest[0] != '@' {
				return "", "", Invalid("address.behind-quote")
			}
			if strings.IndexByte(rest[1:], '@') >= 0 {
				return "", "", Invalid("address.many")
			}
			return string(b), rest[1:], nil
		default:
			b = append(b, c)
		}
	}
	return "", "", Invalid("address.open-quote")
}

// CheckDomain refuses what is no domain that mail can come from: host names of at least
// two labels are taken, in ASCII (an international one in its xn-- form), without a dot
// at the end. Errors are as those of ParseAddress.
func CheckDomain(d string) error {
	for i := range len(d) {
		if d[i] >= 0x80 {
			return Invalid("address.domain-ascii")
		}
	}
	return checkDomain(d)
}

// checkDomain holds a domain to a host name of at least two labels.
func checkDomain(d string) error {
	switch {
	case d == "":
		return Invalid("address.no-domain")
	case d[0] == '[':
		return Invalid("address.literal")
	case len(d) > maxDomain:
		return Invalid("address.domain-long", "max", maxDomain)
	case strings.IndexByte(d, '.') < 0:
		return Invalid("address.no-dot")
	}
	numeric := false // the last label
	for rest, more := d, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		switch {
		case label == "":
			return Invalid("address.empty-label")
		case len(label) > maxLabel:
			return Invalid("address.label-long", "max", maxLabel)
		case label[0] == '-' || label[len(label)-1] == '-':
			return Invalid("address.hyphen")
		}
		numeric = true
		for i := 0; i < len(label); i++ {
			c := label[i]
			if c != '-' && !isAlnum(c) {
				return Invalid("address.domain-character", "character", rune(c))
			}
			numeric = numeric && '0' <= c && c <= '9'
		}
	}
	if numeric { // no top-level domain is (RFC 3696)
		return Invalid("address.literal")
	}
	return nil
}

// ValidHello reports whether s may be said after EHLO: a host name, of one label too,
// or an address literal (RFC 5321 section 4.1.3).
func ValidHello(s string) bool {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		literal, v6 := strings.CutPrefix(s[1:len(s)-1], "IPv6:")
		ip, err := netip.ParseAddr(literal)
		return err == nil && ip.Is4() != v6 && ip.Zone() == ""
	}
	if len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if label[i] != '-' && !isAlnum(label[i]) {
				return false
			}
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isAtext is atext of RFC 5322 section 3.2.3.
func isAtext(c byte) bool { return atext[c] }

var atext = func() (set [256]bool) {
	for c := range set {
		set[c] = isAlnum(byte(c)) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", byte(c)) >= 0
	}
	return set
}()

// dotString reports whether a local part may stand without quotes.
func dotString(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != '.' && !isAtext(c) {
			return false
		}
	}
	return true
}

// Mailbox is the address as it goes on the wire (RFC 5321 Mailbox): the local
// part is quoted where it is no dot-string.
func (a Address) Mailbox() string {
	if dotString(a.Local) {
		return a.Local + "@" + a.Domain
	}
	return `"` + escapeLocal(a.Local) + `"@` + a.Domain
}

func escapeLocal(s string) string {
	if !strings.ContainsAny(s, `"\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Key is the form under which two spellings of one address are the same. The
// local part is lower-cased too: no provider in use tells the cases apart, and
// one person must not get two copies.
func (a Address) Key() string { return strings.ToLower(a.Local) + "@" + a.Domain }

// Mask shows enough of an address to tell it apart in a log, and not more:
// t***@example.jp.
func (a Address) Mask() string {
	if a.Local == "" {
		return "***@" + a.Domain
	}
	return a.Local[:1] + "***@" + a.Domain
}

const masked = "***"

// MaskText replaces every occurrence of the address, in any case and quoted or
// not, and of its local part within another address, in text from a relay. A
// local part of three characters or more is replaced also where it stands alone
// in brackets or quotes: <taro>, 'taro'.
func MaskText(text string, a Address) string {
	if a.Local == "" {
		return text
	}
	text = maskLocal(text, a.Local, a.Domain)
	if esc := escapeLocal(a.Local); esc != a.Local {
		text = maskLocal(text, esc, a.Domain)
	}
	return text
}

func maskLocal(text, local, domain string) string {
	low, local, domain := asciiLower(text), asciiLower(local), asciiLower(domain)
	var b strings.Builder
	done := 0
	for i := 0; ; {
		k := strings.Index(low[i:], local)
		if k < 0 {
			break
		}
		from := i + k
		to := from + len(local)
		i = from + 1
		quoted := from > done && low[from-1] == '"' && to < len(low) && low[to] == '"'
		if quoted {
			from, to = from-1, to+1
		}
		until, ok := maskedUntil(low, from, to, domain, len(local) >= 3, quoted)
		if !ok {
			continue
		}
		b.WriteString(text[done:from])
		b.WriteString(masked)
		done, i = until, until
	}
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

// maskedUntil decides how far the text from the local part at [from, to) on is
// masked, and whether it is at all.
func maskedUntil(low string, from, to int, domain string, long, quoted bool) (int, bool) {
	if to < len(low) && strings.IndexByte("@%=", low[to]) >= 0 {
		if domain != "" && strings.HasPrefix(low[to+1:], domain) {
			return to + 1 + len(domain), true
		}
		if low[to] == '@' && (from == 0 || low[from-1] != '.' && !isAtext(low[from-1])) {
			return to, true
		}
	}
	if quoted {
		return to, long
	}
	if long && from > 0 && to < len(low) {
		open := strings.IndexByte("<([{'`", low[from-1])
		return to, open >= 0 && ">)]}''"[open] == low[to]
	}
	return 0, false
}

// asciiLower keeps the length, which strings.ToLower does not promise.
func asciiLower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
