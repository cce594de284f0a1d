package smtp

import (
	"strings"

	"oshirase/mailer"
)

// Whom a refusal is about: the person, or us. What is about us must not count against
// a person, and is never certain to be said by the code alone: relays say "5.7.1" of
// both. So the words decide, the specific before the general, and what they leave open
// stays open: the sender has rules of its own for that (mailer/send/brake.go).
//
// Where the words come from: Postfix (smtpd_check.c and access(5)), Sendmail
// (cf/README), Exim (the default ACLs), qmail and its patches, Exchange and Exchange
// Online (the list of NDR codes), Google Workspace ("SMTP errors and codes"), Amazon
// SES ("SMTP response codes"), the carriers of Japan. Codes: RFC 3463, 4954, 5248, 7372,
// 7505 and the registry "SMTP Enhanced Status Codes".

// subject is whom a refusal is about.
type subject int

const (
	unclear subject = iota // of both, or of the message
	aboutPerson
	aboutUs
)

// about says whom a refusal at a point is about. What comes at MAIL or before is about us:
// nobody else was spoken of. A temporary one at MAIL may be about nobody at all.
func about(p mailer.Point, r reply) subject {
	if r.code < 400 {
		return unclear
	}
	if r.code >= 500 && (p == mailer.AtMail || p == mailer.AtConnect) {
		return aboutUs
	}
	switch r.code {
	case 530, 534, 535, 538: // RFC 4954 section 4, 6; 530 also RFC 3207 section 4
		return aboutUs
	}
	text := foldReply(r.text)
	if r.code < 500 && has(text, passing) && !has(text, looked) {
		return unclear // too much, greylisting: it is tried again
	}
	if s := byCode(r); s != unclear {
		return s
	}
	// Postfix names what it looked at, whatever it found there: "<addr>: Recipient
	// address rejected: Access denied". What a policy server adds stands behind.
	if _, why, ok := strings.Cut(text, "recipient address rejected"); ok {
		if ofUs(why) {
			return aboutUs
		}
		return aboutPerson
	}
	switch {
	case has(text, personFirst):
		return aboutPerson
	case ofUs(text):
		return aboutUs
	case has(text, person):
		return aboutPerson
	}
	return byClass(r.enhanced)
}

// byCode knows enhanced codes that leave no doubt.
func byCode(r reply) subject {
	_, rest, _ := strings.Cut(r.enhanced, ".") // 4.7.25 is as 5.7.25
	switch rest {
	case "1.7", "1.8": // the sender's mailbox, the sender's system
		return aboutUs
	case "7.8", "7.9", "7.11", // RFC 4954, 5248: credentials, mechanism, encryption
		"7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26", "7.27", "7.29", // RFC 7372, 7505 and the registry
		"7.57", "7.60", "7.64": // Exchange: not authenticated, send as denied, no tenant
		return aboutUs
	case "7.28": // a flood of mail: for now it asks for less
		if r.code >= 500 {
			return aboutUs
		}
		return unclear
	case "7.2", "7.17", "7.18": // a mailing list's members only; the mailbox has another owner (RFC 7293)
		return aboutPerson
	case "7.12", "7.13": // by the registry of us, but relays say it of mailboxes too
		return unclear
	}
	if detail, ok := strings.CutPrefix(rest, "7."); ok && len(detail) == 3 {
		switch {
		case detail >= "501" && detail <= "799": // Exchange Online: banned senders and addresses, DMARC, limits of ours
			return aboutUs
		case detail >= "120" && detail <= "139": // Exchange: a group or mailbox that takes mail of its own people only
			return aboutPerson
		}
	}
	return unclear
}

// byClass goes by what an enhanced code is about in general (RFC 3463 section 3).
func byClass(enhanced string) subject {
	_, rest, _ := strings.Cut(enhanced, ".")
	kind, detail, _ := strings.Cut(rest, ".")
	switch {
	case kind == "1" && detail != "0" && detail != "7" && detail != "8", kind == "2" && detail != "0":
		return aboutPerson
	}
	return unclear
}

// foldReply is a reply's text to be looked at: in lower case, without what it repeats
// of addresses (they may spell anything), its words one blank apart.
func foldReply(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' })
	var b strings.Builder
	b.WriteByte(' ')
	for _, w := range words {
		for at := strings.IndexByte(w, '@'); at >= 0; at = strings.IndexByte(w, '@') {
			from := strings.LastIndexAny(w[:at], around) + 1
			to := at + 1 + strings.IndexAny(w[at+1:]+"<", around)
			w = w[:from] + w[to:]
		}
		b.WriteString(w)
		b.WriteByte(' ')
	}
	return b.String()
}

// around is what stands around an address in a reply.
const around = `<>()[];:,="'/?&`

func has(text string, phrases []string) bool {
	for _, p := range phrases {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// word finds a word that is none of another's letters: "spf" and no "spfx".
func word(text, w string) bool {
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
	for at := 0; ; {
		i := strings.Index(text[at:], w)
		if i < 0 {
			return false
		}
		i += at
		end := i + len(w)
		if (i == 0 || !letter(text[i-1])) && (end == len(text) || !letter(text[end])) {
			return true
		}
		at = end
	}
}

// ofUs finds words about relaying, our host, our sender, our authentication.
func ofUs(text string) bool {
	if has(text, us) {
		return true
	}
	for _, w := range usWords {
		if word(text, w) {
			return true
		}
	}
	return (word(text, "relay") || word(text, "relaying") || word(text, "relayed")) && has(text, refusing)
}

var (
	// passing is what a temporary reply says that asks for patience, no more.
	passing = []string{
		"greylist", "graylist", "grey-list", "gray-list", "too many", "too much", " rate ", "rate limit", "rate-limit", "ratelimit",
		"slow down", "throttl", "try again later", "try later", "temporarily deferred",
	}
	// looked is what Postfix calls that at which it looked: then it refuses, patient or not.
	looked = []string{"client host rejected", "sender address rejected", "helo command rejected", "relay access denied"}
	// personFirst has the words of us in it, and is of the person.
	personFirst = []string{
		"blocked by recipient", "blocked by the recipient", "recipient has blocked", "recipient blocked", "refused by recipient",
		"rejected by recipient", "rejected by the recipient", "refused by the recipient", "recipient's mailbox", "not authorized to send to the recipient", "notauthorizedforgroup", "resolver.rst",
	}
	// person says that the mailbox is not there, full, or closed.
	person = []string{
		"user unknown", "unknown user", "unknown recipient", "unknown local", "no such user", "no such recipient", "no such mailbox",
		"no such address", "no such person", "user not found", "user doesn't exist", "doesn't have a", "does not exist", "doesn't exist",
		"not exist", "mailbox unavailable", "mailbox not found", "mailbox full", "mailbox is full", "mailbox disabled", "no mailbox",
		"recipient not found", "recipient unknown", "invalid recipient", "invalid mailbox", "invalid address", "bad recipient",
		"recipient rejected", "address rejected", "address unknown", "unknown address", "unrouteable address", "unroutable address",
		"over quota", "overquota", "quota exceeded", "exceeded quota", "quota full", "out of storage", "storage allocation",
		"account disabled", "account is disabled", "account has been disabled", "account inactive", "inactive user", "user disabled",
		"user is inactive", "no longer", "not our customer", "not a known user", "no account", "too much mail data", "not a valid mailbox",
		"宛先", "存在しません", "受信拒否", "容量",
	}
	us = []string{
		// our host
		"client host", "helo command rejected", "ehlo command rejected", "helo rejected", "cannot find your", "can't find your",
		"cannot resolve your", "your hostname", "your reverse", "reverse dns", "reverse lookup", "reverse hostname", "rdns", "ptr record",
		"no ptr", "spamhaus", "spamcop", "barracudacentral", "dnsbl", "blackhole", "block list", "blocklist", "block-list", "blacklist",
		"black list", "blocked using", "blocked by rbl", "your ip", "sending ip", "source ip", "ip address is", "ip address has", "ip address was",
		" ip is ", " ip was ", " ip has ", "ip reputation", "poor reputation", "bad reputation", "low reputation", "your host", "your server",
		"your mail server", "your network", "connecting host", "connecting ip", "banned send", "banned host", "bad host", "host not allowed",
		"unauthorized host", "rcpthosts", "sender reputation", "open relay",
		// our sender
		"sender address", "sender rejected", "sender denied", "sender refused", "sender verif", "verify sender", "sender not ", "sender is not",
		"sender domain", "domain of sender", "sender's domain", "invalid sender", "bad sender", "unknown sender", "envelope sender", "envelope from",
		"mail from", "mailfrom", "from address", "from header", "return path", "return-path", "reverse-path", "reverse path", "not owned by",
		"send as", "sendas", "sendonbehalf", "purported responsible", "your domain", "unverified address: sender", "email address is not verified",
		"sending domain", "not allowed to send", "not permitted to send", "not authorized to send", "unauthorized sender",
		// our authentication, and what we may send
		"authentication required", "authentication is required", "authentication needed", "requires authentication", "require authentication",
		"not authenticated", "unauthenticated", "must authenticate", "authenticate first", "please authenticate", "auth first", "auth required",
		"must be authenticated", "authentication fail", "login required", "log in first", "must issue a starttls", "starttls first", "tls required",
		"sending quota", "sending limit", "message quota", "sending paused", "account is blocked from sending", "outbound spam",
		"送信元", "差出人", "送信者", "認証", "中継",
	}
	usWords = []string{"spf", "dkim", "dmarc", "rbl", "ptr", "senderid", "openspf"}
	// refusing goes with relay.
	refusing = []string{
		"denied", "not permitted", "prohibited", "unable", "not allowed", "rejected", "refused", "forbidden", "do not", "don't", "cannot",
		"can't", "disabled", "not authorized", "not authorised", "not supported", "no relay", "will not", "won't", "isn't allowed", "not be relayed",
	}
)
