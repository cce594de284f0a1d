package campaign

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	"oshirase/mailer"
)

// envelope is what the messages of one campaign share outside the notice.
type envelope struct {
	from, fromName, replyTo string
	fromDomain              string // for Message-IDs
	bounceDomain            string // for envelope senders
	charset                 string
}

func newEnvelope(m *mailer.Merchant) (envelope, error) {
	from, err := mailer.ParseAddress(m.From)
	if err != nil {
		return envelope{}, fmt.Errorf("merchant %s: from: %w", m.ID, err)
	}
	e := envelope{
		from: from.Mailbox(), fromName: m.FromName, fromDomain: from.Domain,
		bounceDomain: m.BounceDomain, charset: m.Charset,
	}
	if e.fromName == "" {
		e.fromName = m.Name
	}
	if e.bounceDomain == "" {
		e.bounceDomain = from.Domain
	}
	if e.charset == "" {
		e.charset = "utf-8"
	}
	if m.ReplyTo != "" {
		r, err := mailer.ParseAddress(m.ReplyTo)
		if err != nil {
			return envelope{}, fmt.Errorf("merchant %s: reply_to: %w", m.ID, err)
		}
		e.replyTo = r.Mailbox()
	}
	return e, nil
}

// header addresses a notice. The Message-ID follows from the token alone, so a
// second copy of one delivery, should policy ever allow it, has the same one.
func (e *envelope) header(to mailer.Address, n *mailer.Notice, token string, date time.Time) *mailer.Header {
	return &mailer.Header{
		From: e.from, FromName: e.fromName, ReplyTo: e.replyTo,
		To: to.Mailbox(), Subject: n.Subject,
		MessageID: e.messageID(token), Date: date, Charset: e.charset,
	}
}

func (e *envelope) messageID(token string) string { return token + "@" + e.fromDomain }

// MessageID is the Message-ID of a delivery, without angle brackets: what to
// look for in the log of a relay.
func MessageID(m *mailer.Merchant, token string) (string, error) {
	e, err := newEnvelope(m)
	if err != nil {
		return "", err
	}
	return e.messageID(token), nil
}

// sender is the envelope sender of a delivery: a variable return path whose
// token says nothing about the person.
func (e *envelope) sender(token string) string { return "b-" + token + "@" + e.bounceDomain }

// noticeHash is what approval binds: who writes, to which address, and every
// character of the notice.
func (e *envelope) noticeHash(to mailer.Address, n *mailer.Notice) [32]byte {
	buf := hashBuffers.Get().(*[]byte)
	defer hashBuffers.Put(buf)
	b := (*buf)[:0]
	for _, s := range [...]string{e.from, e.fromName, e.replyTo, e.bounceDomain, e.charset, to.Mailbox(), n.Subject, n.Body} {
		b = appendField(b, s)
	}
	*buf = b
	return sha256.Sum256(b)
}

var hashBuffers = sync.Pool{New: func() any { return new([]byte) }}

// appendField appends a string with its length, so that no two sequences of
// fields hash alike.
func appendField(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...)
}

// alreadyTold reports whether an earlier notice already said to the
// person all that this one would.
func alreadyTold(stage mailer.Stage, r *mailer.Recipient) bool {
	if stage != mailer.FirstWarning && stage != mailer.Formal {
		return false
	}
	for _, t := range r.Told {
		if t.Stage == stage && containsAll(t.Exposures, r.Exposures) {
			return true
		}
	}
	return false
}

func containsAll(have, want []string) bool {
	joined := " " + strings.Join(have, " ") + " "
	for _, w := range want {
		if !strings.Contains(joined, " "+w+" ") {
			return false
		}
	}
	return true
}
