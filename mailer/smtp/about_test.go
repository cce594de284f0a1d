package smtp

import (
	"bufio"
	"strings"
	"testing"

	"oshirase/mailer"
)

// replies are refusals of recipients as relays and providers write them, with whom
// they are about. Addresses and hosts are invented.
var replies = []struct {
	point mailer.Point
	want  subject
	text  string
}{
	// Postfix, which with smtpd_delay_reject says everything at RCPT
	{mailer.AtRcpt, aboutUs, "554 5.7.1 <p001@mail.example>: Relay access denied"},
	{mailer.AtRcpt, aboutUs, "454 4.7.1 <p001@mail.example>: Relay access denied"},
	{mailer.AtRcpt, aboutUs, "554 5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied"},
	{mailer.AtRcpt, aboutUs, "450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.7]"},
	{mailer.AtRcpt, aboutUs, "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.7]"},
	{mailer.AtRcpt, aboutUs, "550 5.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.7]"},
	{mailer.AtRcpt, aboutUs, "553 5.7.1 <b-x@shop.example>: Sender address rejected: not owned by user oshirase"},
	{mailer.AtRcpt, aboutUs, "553 5.7.1 <b-x@shop.example>: Sender address rejected: not logged in"},
	{mailer.AtRcpt, aboutUs, "450 4.1.8 <b-x@shop.example>: Sender address rejected: Domain not found"},
	{mailer.AtRcpt, aboutUs, "550 5.1.8 <b-x@shop.example>: Sender address rejected: Domain not found"},
	{mailer.AtRcpt, aboutUs, "450 4.7.1 <localhost>: Helo command rejected: Host not found"},
	{mailer.AtRcpt, aboutUs, "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"},
	{mailer.AtRcpt, aboutUs, "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.7"},
	{mailer.AtRcpt, aboutUs, "550 5.7.23 <p001@mail.example>: Recipient address rejected: Message rejected due to: SPF fail - not authorized. Please see http://spf"},
	{mailer.AtRcpt, aboutUs, "550 5.7.1 <p001@mail.example>: Recipient address rejected: Please see http://www.openspf.net/Why?s=mfrom;id=b-x@shop.example;ip=192.0.2.7"},
	{mailer.AtRcpt, aboutPerson, "550 5.1.1 <p001@mail.example>: Recipient address rejected: User unknown in local recipient table"},
	{mailer.AtRcpt, aboutPerson, "554 5.7.1 <p001@mail.example>: Recipient address rejected: Access denied"},
	{mailer.AtRcpt, aboutPerson, "550 5.1.1 <p001@mail.example>: Recipient address rejected: undeliverable address: host mx.mail.example[192.0.2.9] said: 550 no"},
	{mailer.AtRcpt, unclear, "450 4.2.0 <p001@mail.example>: Recipient address rejected: Greylisted, see http://postgrey.example"},
	{mailer.AtRcpt, aboutPerson, "450 4.1.2 <p001@mail.example>: Recipient address rejected: Domain not found"},
	{mailer.AtRcpt, aboutUs, "530 5.7.0 Must issue a STARTTLS command first"},
	{mailer.AtMail, unclear, "452 4.3.1 Insufficient system storage"},
	{mailer.AtData, unclear, "554 5.7.1 <DATA>: Data command rejected: Access denied"},
	// Sendmail
	{mailer.AtRcpt, aboutUs, "550 5.7.1 <p001@mail.example>... Relaying denied"},
	{mailer.AtRcpt, aboutUs, "550 5.7.1 <p001@mail.example>... Relaying denied. IP name lookup failed [192.0.2.7]"},
	{mailer.AtRcpt, aboutUs, "550 5.7.1 <p001@mail.example>... Relaying denied. Proper authentication required."},
	{mailer.AtRcpt, aboutUs, "553 5.1.8 <b-x@shop.example>... Domain of sender address b-x@shop.example does not exist"},
	{mailer.AtRcpt, aboutPerson, "550 5.1.1 <p001@mail.example>... User unknown"},
	{mailer.AtRcpt, aboutPerson, "552 5.2.2 <p001@mail.example>... Mailbox full"},
	{mailer.AtRcpt, aboutUs, "451 4.1.8 Domain of sender address b-x@shop.example does not resolve"},
	{mailer.AtRcpt, unclear, "550 5.7.1 Access denied"},
	{mailer.AtRcpt, aboutUs, "553 5.3.0 <p001@mail.example>... Rejected: 192.0.2.7 listed at dnsbl.example. See http://dnsbl.example/x"},
	// Exim
	{mailer.AtRcpt, aboutUs, "550 relay not permitted"},
	{mailer.AtRcpt, aboutUs, "550 Sender verify failed"},
	{mailer.AtRcpt, aboutUs, "550-Verification failed for <b-x@shop.example>\n550 Sender verify failed"},
	{mailer.AtRcpt, aboutPerson, "550 Unrouteable address"},
	{mailer.AtRcpt, unclear, "550 Administrative prohibition"},
	{mailer.AtRcpt, aboutUs, "550 authentication required"},
	// qmail
	{mailer.AtRcpt, aboutUs, "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"},
	{mailer.AtRcpt, aboutPerson, "550 sorry, no mailbox here by that name. (#5.1.1)"},
	{mailer.AtDot, unclear, "554 mail server permanently rejected message (#5.3.0)"},
	// Exchange and Exchange Online
	{mailer.AtRcpt, aboutUs, "550 5.7.1 Unable to relay"},
	{mailer.AtRcpt, aboutUs, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"},
	{mailer.AtDot, aboutUs, "550 5.7.60 SMTP; Client does not have permissions to send as this sender"},
	{mailer.AtDot, aboutUs, "554 5.2.252 SendAsDenied; oshirase@shop.example not allowed to send as notice@shop.example; STOREDRV.Submission"},
	{mailer.AtRcpt, aboutUs, "550 5.7.64 TenantAttribution; Relay Access Denied"},
	{mailer.AtRcpt, aboutUs, "550 5.7.606 Access denied, banned sending IP [192.0.2.7]. To request removal from this list please visit the portal"},
	{mailer.AtRcpt, aboutUs, "550 5.7.511 Access denied, banned sender[192.0.2.7]. To request removal from this list please forward this message"},
	{mailer.AtDot, aboutUs, "550 5.7.509 Access denied, sending domain shop.example does not pass DMARC verification and has a policy of reject"},
	{mailer.AtRcpt, aboutUs, "550 5.7.705 Access denied, tenant has exceeded threshold"},
	{mailer.AtDot, aboutPerson, "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed"},
	{mailer.AtRcpt, aboutPerson, "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"},
	{mailer.AtRcpt, aboutPerson, "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"},
	{mailer.AtRcpt, aboutPerson, "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302)."},
	{mailer.AtRcpt, aboutUs, "550 5.7.1 Unfortunately, messages from [192.0.2.7] weren't sent. Part of their network is on our block list (S3140)."},
	// Google
	{mailer.AtRcpt, aboutPerson, "550-5.1.1 The email account that you tried to reach does not exist. Please try\n550 5.1.1 double-checking the recipient's email address"},
	{mailer.AtDot, aboutUs, "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\n550 5.7.26 Gmail requires all senders to authenticate"},
	{mailer.AtMail, aboutUs, "550-5.7.1 Invalid credentials for relay [192.0.2.7]. The IP address you've\n550 5.7.1 registered does not match the domain"},
	{mailer.AtRcpt, aboutPerson, "452-4.2.2 The email account that you tried to reach is over quota."},
	{mailer.AtDot, unclear, "421-4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP address.\n421 4.7.28 rate limited"},
	{mailer.AtDot, aboutUs, "550 5.4.5 Daily user sending quota exceeded."},
	{mailer.AtDot, unclear, "550-5.7.1 Our system has detected that this message is likely unsolicited mail."},
	// Amazon SES
	{mailer.AtDot, aboutUs, "554 Message rejected: Email address is not verified. The following identities failed the check in region"},
	{mailer.AtDot, unclear, "454 Throttling failure: Maximum sending rate exceeded."},
	{mailer.AtDot, unclear, "454 Throttling failure: Daily message quota exceeded."},
	{mailer.AtDot, aboutUs, "554 Sending paused for this account. For more information, please check the inbox"},
	{mailer.AtRcpt, aboutUs, "535 Authentication Credentials Invalid"},
	// Japan
	{mailer.AtRcpt, aboutPerson, "550 Unknown user p001@mail.example"},
	{mailer.AtRcpt, aboutPerson, "550 <p001@mail.example>: User unknown"},
	{mailer.AtRcpt, aboutPerson, "552 Too much mail data p001@mail.example"},
	{mailer.AtRcpt, aboutPerson, "550 Invalid recipient: <p001@mail.example>"},
	{mailer.AtDot, aboutUs, "550 5.7.1 can't determine Purported Responsible Address"},
	{mailer.AtDot, aboutPerson, "554 delivery error: dd This user doesn't have a mail.example account (p001@mail.example) [-5]"},
	{mailer.AtRcpt, unclear, "550 can't accept user... (#5.7.1)"},
	{mailer.AtRcpt, aboutUs, "550 5.7.1 送信者のアドレスは許可されていません"},
	{mailer.AtRcpt, aboutPerson, "550 5.1.1 宛先のメールアドレスが存在しません"},
	{mailer.AtRcpt, unclear, "421 Service not available"},
	{mailer.AtRcpt, unclear, "452 4.3.2 Connection rate limit exceeded."},
	// Others
	{mailer.AtRcpt, aboutUs, "550 5.1.0 <b-x@shop.example> sender rejected : SPF check failed"},
	{mailer.AtRcpt, aboutPerson, "550 Blocked by recipient's personal block list"},
	{mailer.AtRcpt, aboutUs, "554 5.7.1 Rejected: 192.0.2.7 has a poor reputation on the Example list"},
	{mailer.AtRcpt, aboutPerson, "556 5.1.10 Recipient address has null MX"},
	{mailer.AtRcpt, unclear, "571 Delivery not authorized, message refused"},
	{mailer.AtRcpt, aboutPerson, "550 <spf.dkim.relay.denied@mail.example>: User unknown"},
	{mailer.AtMail, aboutUs, "552 5.3.4 Message too big for system"},
}

func parsed(t testing.TB, text string) reply {
	t.Helper()
	r, err := readReply(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")))
	if err != nil && strings.HasPrefix(text[3:], "-") { // a line of several
		r, err = readReply(bufio.NewReader(strings.NewReader(text[:3] + " " + text[4:] + "\r\n")))
	}
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return r
}

// TestAbout: whom a refusal is about, in either case and whatever address it repeats.
func TestAbout(t *testing.T) {
	for _, tc := range replies {
		text := tc.text
		r := parsed(t, text)
		for _, said := range []string{r.text, strings.ToUpper(r.text), "<relay-denied@spamhaus.example>: " + r.text} {
			r.text = said
			if got := about(tc.point, r); got != tc.want {
				t.Errorf("%q at %s: %d, want %d", text, tc.point, got, tc.want)
				break
			}
		}
	}
	if len(replies) < 80 {
		t.Errorf("only %d", len(replies))
	}
}

// FuzzAbout: nothing that came is about us below 400, everything final at MAIL is, and
// addresses in the text decide nothing.
func FuzzAbout(f *testing.F) {
	for _, tc := range replies {
		r := parsed(f, tc.text)
		f.Add(r.code, r.enhanced, r.text, string(tc.point))
	}
	f.Fuzz(func(t *testing.T, code int, enhanced, text, point string) {
		r := reply{code: code, enhanced: enhanced, text: text}
		got := about(mailer.Point(point), r)
		if code < 400 && got != unclear {
			t.Errorf("%d is about %d", code, got)
		}
		if code >= 500 && mailer.Point(point) == mailer.AtMail && got != aboutUs {
			t.Errorf("%d at MAIL is about %d", code, got)
		}
		r.text = "<user.unknown@relay-denied.example> " + text
		if with := about(mailer.Point(point), r); with != got {
			t.Errorf("%q is about %d, and with an address about %d", text, got, with)
		}
	})
}
