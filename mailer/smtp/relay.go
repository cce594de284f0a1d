package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"oshirase/mailer"
)

// How a relay is spoken to.
const (
	TLSRequired = "required" // STARTTLS, or nothing is sent
	TLSImplicit = "implicit" // TLS from the first byte (port 465)
	TLSNone     = "none"     // for a relay on this machine or a trusted wire
)

// RelayOptions say how to reach one relay and how much to ask of it. Zero values
// take the defaults.
type RelayOptions struct {
	Name    string // in outcomes and logs; empty is Address
	Address string // host:port
	TLS     string // TLSRequired (default), TLSImplicit or TLSNone
	// CAFile has further certificates (PEM) to trust; empty trusts the system's.
	CAFile string
	// ServerName is the name that the certificate has to bear; empty is the host of Addr.
	ServerName string
	// EHLO is our name: a host name that resolves to us, or an address literal.
	// Empty is [127.0.0.1]: RFC 5321 section 4.1.3 allows it, it tells the relay
	// and the readers of Received lines nothing about this machine, and mail programs
	// say it for that reason. A relay that authenticates us or knows our address does
	// not mind; set a name where one does.
	EHLO string
	// Username and Password authenticate, with the best mechanism that we and the relay
	// share. Without TLS they are refused, unless the relay is on this machine.
	Username, Password string

	// MessagesPerConnection closes a connection after so many; 0 is no limit.
	MessagesPerConnection int
	// Pipelining sends commands in groups where the relay offers it (RFC 2920);
	// without it one command is sent at a time.
	Pipelining bool
	// Chunking sends with BDAT (RFC 3030) where the relay offers CHUNKING.
	Chunking bool
	// Intents is how many messages may be on the wire unanswered, 1 to 16; more
	// than one only with Pipelining and Chunking. 0 is 1. See Conn.Stream.
	Intents        int
	DialTimeout    time.Duration // TCP, greeting, TLS, EHLO and AUTH together; 0 is 30 s
	CommandTimeout time.Duration // each reply to RSET, MAIL, RCPT, DATA; 0 is 5 min (RFC 5321 section 4.5.3.2)
	// DataTimeout is for writing the body and for the reply to the final dot. Too
	// short a time makes outcomes unknown that were none: RFC 5321 section 4.5.3.2.6
	// advises 10 min. 0 is 10 min.
	DataTimeout time.Duration
	// Grace is what a cancelled context leaves to what is on the wire; 0 is 5 s.
	Grace time.Duration
	// Now is the clock of outcomes and of how long a connection lay idle; nil is time.Now.
	Now func() time.Time
}

func (r RelayOptions) withDefaults() RelayOptions {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	num := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	if r.Name == "" {
		r.Name = r.Address
	}
	if r.TLS == "" {
		r.TLS = TLSRequired
	}
	if r.EHLO == "" {
		r.EHLO = "[127.0.0.1]"
	}
	num(&r.Intents, mailer.DefaultIntents)
	def(&r.DialTimeout, mailer.DefaultDialTimeout)
	def(&r.CommandTimeout, mailer.DefaultCommandTimeout)
	def(&r.DataTimeout, mailer.DefaultDataTimeout)
	def(&r.Grace, 5*time.Second)
	if r.Now == nil {
		r.Now = time.Now
	}
	return r
}

// Dialer opens connections to one relay.
type Dialer struct {
	RelayOptions
	host string
	port int
	tls  *tls.Config
}

// NewDialer checks the options; it does not connect.
func NewDialer(opt RelayOptions) (*Dialer, error) {
	d := &Dialer{RelayOptions: opt.withDefaults()}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Dialer) check() error {
	host, port, err := net.SplitHostPort(d.Address)
	if err != nil || host == "" {
		return mailer.Invalid("smtp.address", "relay", d.Name, "address", d.Address)
	}
	if d.port, err = strconv.Atoi(port); err != nil || d.port < 1 || d.port > 65535 {
		return mailer.Invalid("smtp.port", "relay", d.Name, "port", port)
	}
	d.host = host
	if d.MessagesPerConnection < 0 {
		return mailer.Invalid("smtp.messages", "relay", d.Name)
	}
	if d.Intents < 1 || d.Intents > mailer.MaxIntents {
		return mailer.Invalid("smtp.intents", "relay", d.Name, "most", mailer.MaxIntents)
	}
	for _, t := range []time.Duration{d.DialTimeout, d.CommandTimeout, d.DataTimeout, d.Grace} {
		if t < 0 {
			return mailer.Invalid("smtp.times", "relay", d.Name)
		}
	}
	if !mailer.ValidHello(d.EHLO) {
		return mailer.Invalid("smtp.ehlo", "relay", d.Name, "ehlo", d.EHLO)
	}
	switch d.TLS {
	case TLSNone:
		if d.CAFile != "" || d.ServerName != "" {
			return mailer.Invalid("smtp.ca-without-tls", "relay", d.Name)
		}
		if d.Username != "" && !mailer.Loopback(host) {
			return mailer.Invalid("smtp.open-password", "relay", d.Name)
		}
	case TLSRequired, TLSImplicit:
		if d.tls, err = tlsConfig(d.RelayOptions, host); err != nil {
			return mailer.Invalid("smtp.ca", "relay", d.Name, "cause", err)
		}
	default:
		return mailer.Invalid("smtp.tls", "relay", d.Name, "tls", d.TLS)
	}
	return nil
}

func tlsConfig(r RelayOptions, host string) (*tls.Config, error) {
	cfg := &tls.Config{
		ServerName: host,
		MinVersion: tls.VersionTLS12,
		// One record, and so one write, for a message and the envelope behind it.
		DynamicRecordSizingDisabled: true,
		ClientSessionCache:          tls.NewLRUClientSessionCache(8),
	}
	if r.ServerName != "" {
		cfg.ServerName = r.ServerName
	}
	if r.CAFile != "" {
		text, err := os.ReadFile(filepath.Clean(r.CAFile))
		if err != nil {
			return nil, err
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, mailer.Invalid("smtp.no-certificate", "file", r.CAFile)
		}
		cfg.RootCAs = pool
	}
	return cfg, nil
}

// Dial opens a connection, which is a *Conn. Where the relay refused us for good, be
// it in its greeting, it is ErrRefusesUs.
func (d *Dialer) Dial(ctx context.Context) (mailer.Conn, error) {
	c, err := d.dial(ctx)
	if reply, ok := errors.AsType[*textproto.Error](err); ok && reply.Code >= 500 {
		err = fmt.Errorf("%w: %w", mailer.ErrRefusesUs, err)
	}
	if err != nil {
		return nil, err // not a nil *Conn in an interface
	}
	return c, nil
}

// dial does TCP, greeting, EHLO, TLS and AUTH, by go-mail under a guard.
func (d *Dialer) dial(outer context.Context) (*Conn, error) {
	var raw net.Conn // TCP, below TLS
	var guard *guarded
	stop := func() bool { return true }
	begun := time.Now()
	dialTCP := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		raw = conn
		// From here on go-mail looks at the clock only.
		stop = context.AfterFunc(outer, func() { _ = conn.Close() })
		if guard, err = newGuarded(conn, d.DialTimeout-time.Since(begun)); err != nil || d.TLS != TLSImplicit {
			return guard, err
		}
		secure := tls.Client(guard, d.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return secure, nil
	}
	opts := []mail.Option{
		mail.WithPort(d.port), mail.WithHELO(d.EHLO), mail.WithTimeout(d.DialTimeout),
		mail.WithoutSMTPUTF8(), mail.WithDialContextFunc(dialTCP),
	}
	switch d.TLS {
	case TLSNone:
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	case TLSImplicit:
		opts = append(opts, mail.WithSSL(), mail.WithTLSConfig(d.tls))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithTLSConfig(d.tls))
	}
	client, err := mail.NewClient(d.host, opts...)
	if err != nil {
		return nil, err
	}
	s, err := client.DialToSMTPClientWithContext(outer)
	if err == nil && d.Username != "" {
		err = d.authenticate(s)
	}
	if !stop() && err == nil { // cut at the last moment
		err = context.Cause(outer)
	}
	if err != nil {
		if raw != nil {
			_ = raw.Close() // go-mail leaves it open after most failures
		}
		return nil, shorten(err)
	}
	guard.free = true
	c := &Conn{relay: d, raw: raw, text: s.Text, now: d.Now, deadlines: deadlines{grace: d.Grace}}
	offers := func(name string) (string, bool) {
		ok, param := s.Extension(name)
		return param, ok
	}
	_, c.eightBit = offers("8BITMIME")
	_, pipelining := offers("PIPELINING")
	_, chunking := offers("CHUNKING")
	c.pipelining = pipelining && d.Pipelining
	c.chunking = chunking && d.Chunking
	if param, ok := offers("SIZE"); ok {
		c.sizeLimit, _ = strconv.ParseInt(strings.TrimSpace(param), 10, 64) // absent or 0: no fixed limit
	}
	if c.text.R.Buffered() > 0 {
		_ = raw.Close()
		return nil, errors.New("relay speaks before it is asked")
	}
	c.heard = d.Now()
	return c, nil
}

// quitWait is what taking leave of a relay may take.
const quitWait = 2 * time.Second

// Close takes leave, briefly; it does not wait for a relay that is slow about it.
// A connection in the middle of a message is cut.
func (c *Conn) Close() {
	c.Rest()
	if c.broken == nil {
		c.out = append(c.out[:0], "QUIT\r\n"...)
		if _, err := c.flush(quitWait); err == nil {
			_, _ = c.read(quitWait)
		}
	}
	_ = c.raw.Close()
}

// Rest makes the connection fit to lie unused; false: it is not. One in the middle
// of a message is cut, and nothing more leaves on it.
func (c *Conn) Rest() bool {
	c.unwatch()
	if c.begun != nil || c.finished != nil || len(c.inFlight) > 0 || len(c.out) > 0 {
		c.fail(errors.New("given back in the middle of a message"))
		c.abort()
	}
	return c.Usable()
}

// Wake asks a connection that lay idle whether the relay still listens.
func (c *Conn) Wake(ctx context.Context) bool {
	c.watch(ctx, c.raw)
	c.out = append(c.out[:0], "NOOP\r\n"...)
	if _, err := c.flush(c.relay.DialTimeout); err != nil {
		return false
	}
	r, err := c.read(c.relay.DialTimeout)
	c.heard = c.now()
	if err == nil && r.code != 250 {
		c.fail(errors.New("relay does not listen any more: " + r.String()))
	}
	return err == nil && r.code == 250
}
