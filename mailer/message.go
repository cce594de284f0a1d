package mailer

import "time"

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
	Charset   string // utf-8 or iso-2022-jp
}

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
