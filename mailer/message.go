package mailer

import (
	"context"
	"time"
)

// Header is what of a message's head differs between notices. Addresses are in
// the form in which they go on the wire (RFC 5321), the display name is text.
type Header struct {
	From      string // addr-spec
	FromName  string
	ReplyTo   string // addr-spec; empty: no field
	To        string // addr-spec as it is written: "a..b"@docomo.example with quotes
	Subject   string
	MessageID string // without angle brackets
	Date      time.Time
	Charset   Charset
}

// Charset is what a message is written in; empty is CharsetUTF8.
type Charset string

// The character sets.
const (
	CharsetUTF8 Charset = "utf-8"
	// CharsetISO2022JP (RFC 1468) is for readers of old; a message that it cannot hold
	// goes out in UTF-8.
	CharsetISO2022JP Charset = "iso-2022-jp"
)

// Message is what is handed to a relay: an envelope and the bytes of the body.
type Message struct {
	Sender    string // envelope sender (RFC 5321 Mailbox), without angle brackets
	Recipient string // envelope recipient, without angle brackets
	// Data is the message with CRLF line ends, not dot-stuffed, ending in CRLF.
	Data []byte
}

// Composer makes the bytes of a message (RFC 5322, MIME, DKIM).
type Composer interface {
	// Compose uses the memory of dst where the message fits.
	Compose(dst []byte, h *Header, n *Notice) ([]byte, error)
}

// Conn is one open connection to a relay, or whatever stands for one with a
// transport that has none. One goroutine uses it at a time.
type Conn interface {
	// Relay is the name of the relay in the config.
	Relay() string
	// Usable reports whether another message may be sent: the connection is whole
	// and has not carried as many as it may.
	Usable() bool
	// Send hands one message to the relay and says what came of it. It asks intend
	// once, before the last octet of the body can leave; a message that is refused
	// before needs none. Where intend returns false nothing of the message may leave
	// that a relay could take for one, the outcome is ignored, and Usable is false
	// from then on. Without a reply the outcome is Deferred as long as the last octet
	// cannot have left, and Unknown after that; it is never guessed.
	//
	// The message is the caller's again when Send has returned. A cancelled context
	// stops what has not left and leaves a grace to what is on the wire.
	Send(ctx context.Context, m *Message, intend func() bool) Outcome
	// Close takes leave of the relay, within two seconds. What is on the wire is cut.
	Close()
}
