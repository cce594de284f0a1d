package smtp

import (
	"net"
	"strings"
	"time"

	"oshirase/mailer"
)

// dialOctets is what a relay may send until its dialogue is ours: greeting, EHLO twice,
// AUTH, and the handshake of TLS with its certificates. A talkative one needs 2 KB of
// replies and 10 KB of certificates.
const dialOctets = 128 << 10

// guarded is the TCP connection under go-mail while it dials. go-mail reads replies of
// any length and renews its deadline between two steps; here both have one end. The
// limit is on what comes over the wire, so it holds within TLS too.
type guarded struct {
	net.Conn
	left  int // octets that may still be read
	until time.Time
	free  bool // the dialogue is ours: Conn bounds each reply itself
}

func newGuarded(conn net.Conn, timeout time.Duration) (*guarded, error) {
	g := &guarded{Conn: conn, left: dialOctets, until: time.Now().Add(timeout)}
	return g, conn.SetDeadline(g.until)
}

func (g *guarded) Read(p []byte) (int, error) {
	if g.free {
		return g.Conn.Read(p)
	}
	if g.left == 0 {
		return 0, mailer.NewError(nil, "smtp.talkative", "octets", dialOctets)
	}
	n, err := g.Conn.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// SetDeadline takes no later end than that of the dial as a whole.
func (g *guarded) SetDeadline(t time.Time) error { return g.Conn.SetDeadline(g.clamp(t)) }

// SetReadDeadline is as SetDeadline.
func (g *guarded) SetReadDeadline(t time.Time) error { return g.Conn.SetReadDeadline(g.clamp(t)) }

// SetWriteDeadline is as SetDeadline.
func (g *guarded) SetWriteDeadline(t time.Time) error { return g.Conn.SetWriteDeadline(g.clamp(t)) }

func (g *guarded) clamp(t time.Time) time.Time {
	if !g.free && (t.IsZero() || t.After(g.until)) {
		return g.until
	}
	return t
}

// maxWords is how much of what a relay says at the dial is told, in octets.
const maxWords = 1000

// shortened is an error that quotes a relay which said too much.
type shortened struct {
	text string
	err  error
}

func shorten(err error) error {
	text := err.Error()
	if len(text) <= maxWords {
		return err
	}
	return &shortened{strings.ToValidUTF8(text[:maxWords], "") + " …", err}
}

func (e *shortened) Error() string { return e.text }
func (e *shortened) Unwrap() error { return e.err }
