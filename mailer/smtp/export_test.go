package smtp

import (
	"net"
	"sync"
)

// Break breaks a connection as a lost network does.
func (c *Conn) Break(err error) { c.fail(err) }

// CutRaw closes the TCP connection behind the back of the Conn.
func (c *Conn) CutRaw() { _ = c.raw.Close() }

// Closed returns a channel that is closed with the connection.
func (c *Conn) Closed() <-chan struct{} {
	w := &watched{Conn: c.raw, closed: make(chan struct{})}
	c.raw = w
	return w.closed
}

type watched struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (w *watched) Close() error {
	defer w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}
