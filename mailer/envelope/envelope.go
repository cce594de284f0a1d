// Package envelope says how notices of one merchant are addressed: who writes,
// who gets it, the Message-ID, the variable return path, and the commitment
// that an approval binds. The check and the sender share it, so that what is sent is what
// was approved. It composes nothing and sends nothing.
package envelope

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"oshirase/mailer"
)

// Envelope is what the messages of one campaign share outside the notice.
type Envelope struct {
	from, fromName, replyTo string
	fromDomain              string // for Message-IDs
	bounceDomain            string // for envelope senders
	charset                 mailer.Charset
}

// New addresses the notices of a merchant.
func New(m *mailer.Merchant) (Envelope, error) {
	from, err := mailer.ParseAddress(m.From)
	if err != nil {
		return Envelope{}, mailer.Invalid("envelope.from", "merchant", m.ID, "cause", err)
	}
	e := Envelope{
		from: from.Mailbox(), fromName: m.FromName, fromDomain: from.Domain,
		bounceDomain: m.BounceDomain, charset: m.Charset,
	}
	if e.fromName == "" {
		e.fromName = m.Name
	}
	if e.bounceDomain == "" {
		e.bounceDomain = from.Domain
	}
	// Facts are checked when they are read; a ledger may have older ones. That a sender
	// cannot be written must not show with the first person.
	if err := mailer.CheckDomain(e.bounceDomain); err != nil {
		return Envelope{}, mailer.Invalid("envelope.bounce-domain", "merchant", m.ID, "cause", err)
	}
	if err := mailer.CheckLine("from_name", e.fromName); err != nil {
		return Envelope{}, mailer.Invalid("envelope.from-name", "merchant", m.ID, "cause", err)
	}
	if e.charset == "" {
		e.charset = mailer.CharsetUTF8
	}
	if m.ReplyTo != "" {
		r, err := mailer.ParseAddress(m.ReplyTo)
		if err != nil {
			return Envelope{}, mailer.Invalid("envelope.reply-to", "merchant", m.ID, "cause", err)
		}
		e.replyTo = r.Mailbox()
	}
	return e, nil
}

// Header addresses a notice. The Message-ID follows from the delivery's name for it
// alone, so a second copy of one delivery, should policy ever allow it, has the same
// one. The token of the envelope sender stands in no field: who is shown a message
// must not be able to answer in the name of its recipient's server.
func (e *Envelope) Header(to mailer.Address, n *mailer.Notice, name string, date time.Time) *mailer.Header {
	return &mailer.Header{
		From: e.from, FromName: e.fromName, ReplyTo: e.replyTo,
		To: to.Mailbox(), Subject: n.Subject,
		MessageID: e.messageID(name), Date: date, Charset: e.charset,
	}
}

func (e *Envelope) messageID(name string) string { return name + "@" + e.fromDomain }

// MessageID is the Message-ID of a delivery, without angle brackets: what to
// look for in the log of a relay.
func MessageID(m *mailer.Merchant, name string) (string, error) {
	e, err := New(m)
	if err != nil {
		return "", err
	}
	return e.messageID(name), nil
}

// Sender is the envelope sender of a delivery: a variable return path whose
// token says nothing about the person.
func (e *Envelope) Sender(token string) string { return "b-" + token + "@" + e.bounceDomain }

// Commit is the commitment to a delivery, which approval binds: SHA-256 over a salt,
// who writes, to which address, and every character of the notice. Without the salt,
// which comes from the incident's key, nobody can try guesses on it.
func (e *Envelope) Commit(salt [16]byte, to mailer.Address, n *mailer.Notice) [32]byte {
	buf := hashBuffers.Get().(*[]byte)
	defer hashBuffers.Put(buf)
	b := append((*buf)[:0], salt[:]...)
	for _, s := range [...]string{e.from, e.fromName, e.replyTo, e.bounceDomain, string(e.charset), to.Mailbox(), n.Subject, n.Body} {
		b = AppendField(b, s)
	}
	*buf = b
	return sha256.Sum256(b)
}

var hashBuffers = sync.Pool{New: func() any { return new([]byte) }}

// AppendField appends a string with its length, so that no two sequences of
// fields hash alike.
func AppendField(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...)
}
