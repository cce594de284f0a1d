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
