// Package sink is a small SMTP receiver for tests, benchmarks and the demo. It
// takes every message, keeps it as an .eml file where asked, and misbehaves on
// request: see Rule for the faults.
//
// It speaks RFC 5321 with PIPELINING, 8BITMIME, ENHANCEDSTATUSCODES, SIZE and
// CHUNKING, and STARTTLS and AUTH where asked. It refuses SMTPUTF8 and DSN
// parameters, because oshirase never uses them. It must not be used to receive
// mail for anybody: it has no queue, and a message that it acknowledged is only
// in a directory or gone.
package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/outfile"
)

// TLSMode says how a Server speaks TLS.
type TLSMode int

// The TLS modes.
const (
	PlainText TLSMode = iota // no TLS
	StartTLS                 // offered in the reply to EHLO
	Implicit                 // from the first byte
)

// Options of a Server. The zero value takes everything, keeps nothing, offers
// neither TLS nor AUTH.
type Options struct {
	Name    string   // in the greeting; empty is sink.invalid
	TLS     TLSMode  // the certificate is made by a CA of the Server's own: see WriteCA
	Names   []string // further host names or addresses of the certificate, besides localhost, 127.0.0.1 and ::1
	User    string   // with Password: AUTH PLAIN and LOGIN are offered and required; empty: no AUTH
	Without []string // extensions that are not offered
	// Password belongs to User.
	Password string
	MaxSize  int64 // octets of a message; 0 is 32 MiB

	// MaxMessages is the number of messages a connection takes before MAIL is
	// answered 421; 0 is no limit.
	MaxMessages int
	// MaxConns is the number of connections served at once; further ones are
	// greeted 421. 0 is 1000.
	MaxConns int
	// Latency is the round trip that the Server imitates: each reply leaves that
	// much after its command came, and commands are read meanwhile.
	Latency time.Duration
	Rules   []Rule // the faults; see ParseRules
	// Seed decides the rules with a probability; the same seed decides the same.
	Seed uint64

	// Dir is where messages are kept as .eml files; empty keeps none. It must exist.
	Dir string
	// Tally counts the messages of each recipient; see Server.Tally.
	Tally bool
	// OnMessage is called for each message that is taken, before the client is
	// told; calls of different connections are concurrent.
	OnMessage func(Received)
}

// Received is one message that was taken.
type Received struct {
	Seq        int64    // 1 for the first message of the Server (or the first new one of its Dir)
	Sender     string   // envelope sender, without angle brackets
	Recipients []string // accepted envelope recipients, as the client wrote them
	// Data is the message without dot-stuffing. It is valid during the call only.
	Data []byte
	// Told is false where the connection is cut instead of saying so.
	Told bool
	// TLS is true where the message came over TLS, Auth where the client had authenticated.
	TLS, Auth bool
}

// Counts is what a Server has seen.
type Counts struct {
	Connections int64 `json:"connections"` // that were greeted, with 220 or otherwise
	Messages    int64 `json:"messages"`    // taken, told or not
	Untold      int64 `json:"untold"`      // of these: cut instead of told
	Refused     int64 `json:"refused"`     // 5xx on request
	Deferred    int64 `json:"deferred"`    // 4xx on request or by a limit
	Dropped     int64 `json:"dropped"`     // connections cut on request
	Garbled     int64 `json:"garbled"`     // replies that were no SMTP, on request
	Octets      int64 `json:"octets"`      // of the messages taken
}

type counters struct {
	connections, messages, untold, refused, deferred, dropped, garbled, octets atomic.Int64
}

// Server is a listening receiver.
type Server struct {
	opt    Options
	ln     net.Listener
	ca     *authority
	faults *faults
	seq    atomic.Int64
	counts counters

	ctx    context.Context // done when the Server closes
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	tally map[string]int
}

// Listen starts a Server on a TCP address such as 127.0.0.1:0.
func Listen(addr string, opt Options) (*Server, error) {
	if opt.Name == "" {
		opt.Name = "sink.invalid"
	}
	if opt.MaxConns == 0 {
		opt.MaxConns = 1000
	}
	if opt.MaxSize == 0 {
		opt.MaxSize = 32 << 20
	}
	s := &Server{opt: opt, conns: make(map[net.Conn]struct{}), tally: make(map[string]int)}
	s.faults = newFaults(opt.Rules, opt.Seed)
	var err error
	if opt.TLS != PlainText {
		if s.ca, err = newAuthority(opt.Names); err != nil {
			return nil, fmt.Errorf("make certificates: %w", err)
		}
	}
	if opt.Dir != "" {
		last, err := lastSequence(opt.Dir)
		if err != nil {
			return nil, fmt.Errorf("read message directory: %w", err)
		}
		s.seq.Store(last)
	}
	if s.ln, err = net.Listen("tcp", addr); err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Add(1)
	go s.accept()
	return s, nil
}

// Addr is where the Server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// WriteCA writes the certificate (PEM) that a client has to trust, to a file that is
// not there yet. It fails without TLS.
func (s *Server) WriteCA(path string) error {
	if s.ca == nil {
		return mailer.Conflict("sink.no-ca")
	}
	f, err := outfile.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(s.ca.pem)
	return f.Finish(errors.Join(err, f.Chmod(0o644)))
}

// Counts returns what was seen so far.
func (s *Server) Counts() Counts {
	c := &s.counts
	return Counts{
		Connections: c.connections.Load(), Messages: c.messages.Load(), Untold: c.untold.Load(),
		Refused: c.refused.Load(), Deferred: c.deferred.Load(), Dropped: c.dropped.Load(), Garbled: c.garbled.Load(), Octets: c.octets.Load(),
	}
}

// Tally returns the number of messages taken for each recipient, as the client
// wrote it; nil without Options.Tally.
func (s *Server) Tally() map[string]int {
	if !s.opt.Tally {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]int, len(s.tally))
	for k, v := range s.tally {
		out[k] = v
	}
	return out
}

// Close stops listening, cuts what is open and waits until all is done.
func (s *Server) Close() error {
	s.cancel()
	err := s.ln.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Server) accept() {
	defer s.wg.Done()
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, most likely: wait for some to be given back.
			if !s.sleep(10 * time.Millisecond) {
				return
			}
			continue
		}
		s.mu.Lock()
		if s.ctx.Err() != nil {
			s.mu.Unlock()
			_ = conn.Close()
			return
		}
		s.conns[conn] = struct{}{}
		full := len(s.conns) > s.opt.MaxConns
		s.mu.Unlock()
		s.counts.connections.Add(1)
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			s.serve(conn, full)
			_ = conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		}()
	}
}

// sleep waits and reports whether the Server is still open.
func (s *Server) sleep(d time.Duration) bool {
	if d <= 0 {
		return s.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// take keeps and counts one message.
func (s *Server) take(m Received) error {
	m.Seq = s.seq.Add(1)
	if s.opt.Dir != "" {
		if err := keep(s.opt.Dir, m, time.Now()); err != nil {
			return err
		}
	}
	if s.opt.Tally {
		s.mu.Lock()
		for _, r := range m.Recipients {
			s.tally[r]++
		}
		s.mu.Unlock()
	}
	s.counts.messages.Add(1)
	s.counts.octets.Add(int64(len(m.Data)))
	if !m.Told {
		s.counts.untold.Add(1)
	}
	if s.opt.OnMessage != nil {
		s.opt.OnMessage(m)
	}
	return nil
}

func (s *Server) tlsConfig(wrong bool) *tls.Config {
	cert := s.ca.leaf
	if wrong {
		cert = s.ca.wrong
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, DynamicRecordSizingDisabled: true}
}
