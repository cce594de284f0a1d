package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
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
	// Username and Password authenticate, with the best mechanism that go-mail and the
	// relay share. Without TLS they are refused, unless the relay is on this machine.
	Username, Password string

	Connections int // open at once; 0 is 10
	// MessagesPerConnection closes a connection after so many; 0 is no limit.
	MessagesPerConnection int
	// Idle is how long an unused connection is kept; 0 is 30 s.
	Idle time.Duration
	// Pipelining sends commands in groups where the relay offers it (RFC 2920);
	// without it one command is sent at a time.
	Pipelining bool
	// Chunking sends with BDAT (RFC 3030) where the relay offers CHUNKING.
	Chunking bool
	// Intents is how many messages may be on the wire unanswered, 1 to 16; more
	// than one only with Pipelining and Chunking. 0 is 1. See Conn.Stream.
	Intents int
	// Weight is the share of this relay among several; 0 is 1.
	Weight int

	DialTimeout    time.Duration // TCP, greeting, TLS, EHLO and AUTH together; 0 is 30 s
	CommandTimeout time.Duration // each reply to RSET, MAIL, RCPT, DATA; 0 is 5 min (RFC 5321 section 4.5.3.2)
	// DataTimeout is for writing the body and for the reply to the final dot. Too
	// short a time makes outcomes unknown that were none: RFC 5321 section 4.5.3.2.6
	// advises 10 min. 0 is 10 min.
	DataTimeout time.Duration
	// Grace is what a cancelled context leaves to what is on the wire; 0 is 5 s.
	Grace time.Duration
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
	num(&r.Connections, mailer.DefaultConnections)
	num(&r.Weight, mailer.DefaultWeight)
	num(&r.Intents, mailer.DefaultIntents)
	def(&r.Idle, mailer.DefaultIdle)
	def(&r.DialTimeout, mailer.DefaultDialTimeout)
	def(&r.CommandTimeout, mailer.DefaultCommandTimeout)
	def(&r.DataTimeout, mailer.DefaultDataTimeout)
	def(&r.Grace, 5*time.Second)
	return r
}

// relay is one whose options were found good, and how it fares.
type relay struct {
	RelayOptions
	host string
	port int
	tls  *tls.Config

	// The rest is guarded by Pool.mu.
	idle    []*Conn // the one used last is at the end
	open    int     // connections: idle, in use, being dialled
	dialing int
	backoff time.Duration // of the last failure; 0 after a success
	retryAt time.Time     // no dial before; zero: not set aside
	err     error         // the last failure
	since   time.Time     // of the first failure since it last took a connection
}

func newRelay(opt RelayOptions) (*relay, error) {
	r := &relay{RelayOptions: opt.withDefaults()}
	fail := func(format string, args ...any) (*relay, error) {
		return nil, fmt.Errorf("%w: relay %s: %s", mailer.ErrInvalid, r.Name, fmt.Sprintf(format, args...))
	}
	host, port, err := net.SplitHostPort(r.Address)
	if err != nil || host == "" {
		return fail("address %q: use host:port", r.Address)
	}
	if r.port, err = strconv.Atoi(port); err != nil || r.port < 1 || r.port > 65535 {
		return fail("port %q", port)
	}
	r.host = host
	if r.Connections < 0 || r.MessagesPerConnection < 0 || r.Weight < 0 {
		return fail("connections, messages and weight must not be negative")
	}
	if r.Intents < 1 || r.Intents > mailer.MaxIntents {
		return fail("intents: use 1 to %d", mailer.MaxIntents)
	}
	for _, d := range []time.Duration{r.Idle, r.DialTimeout, r.CommandTimeout, r.DataTimeout, r.Grace} {
		if d < 0 {
			return fail("times must not be negative")
		}
	}
	if !heloName(r.EHLO) {
		return fail("ehlo %q is neither a host name nor an address literal", r.EHLO)
	}
	switch r.TLS {
	case TLSNone:
		if r.CAFile != "" || r.ServerName != "" {
			return fail("a CA or server name without TLS")
		}
		if r.Username != "" && !mailer.Loopback(host) {
			return fail("a password without TLS; only a relay on this machine may have that")
		}
	case TLSRequired, TLSImplicit:
		if r.tls, err = tlsConfig(r.RelayOptions, host); err != nil {
			return nil, fmt.Errorf("relay %s: %w", r.Name, err)
		}
	default:
		return fail("tls %q: use required, implicit or none", r.TLS)
	}
	return r, nil
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
			return nil, fmt.Errorf("read CA: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%w: no certificate in CA file %s", mailer.ErrInvalid, r.CAFile)
		}
		cfg.RootCAs = pool
	}
	return cfg, nil
}

func heloName(s string) bool {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		lit := s[1 : len(s)-1]
		if v6, ok := strings.CutPrefix(lit, "IPv6:"); ok {
			ip := net.ParseIP(v6)
			return ip != nil && ip.To4() == nil
		}
		return net.ParseIP(lit).To4() != nil && !strings.Contains(lit, ":")
	}
	for _, label := range strings.Split(s, ".") {
		if !hostLabel(label) {
			return false
		}
	}
	return len(s) <= 255
}

// authentication mechanisms in order of preference. go-mail's own discovery
// would take NTLM before PLAIN.
var (
	authWithTLS = []mail.SMTPAuthType{
		mail.SMTPAuthSCRAMSHA256PLUS, mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1PLUS, mail.SMTPAuthSCRAMSHA1,
		mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5,
	}
	authOnLoopback = []mail.SMTPAuthType{
		mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthCramMD5,
		mail.SMTPAuthPlainNoEnc, mail.SMTPAuthLoginNoEnc,
	}
)

// dial opens a connection: TCP, greeting, EHLO, TLS, AUTH, all by go-mail.
func (r *relay) dial(outer context.Context, now func() time.Time) (*Conn, error) {
	var raw net.Conn // TCP, below TLS
	stop := func() bool { return true }
	dialTCP := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		raw = conn
		// From here on go-mail looks at the clock only.
		stop = context.AfterFunc(outer, func() { _ = conn.Close() })
		if r.TLS != TLSImplicit {
			return conn, nil
		}
		secure := tls.Client(conn, r.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return secure, nil
	}
	opts := []mail.Option{
		mail.WithPort(r.port), mail.WithHELO(r.EHLO), mail.WithTimeout(r.DialTimeout),
		mail.WithoutSMTPUTF8(), mail.WithDialContextFunc(dialTCP),
	}
	switch r.TLS {
	case TLSNone:
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	case TLSImplicit:
		opts = append(opts, mail.WithSSL(), mail.WithTLSConfig(r.tls))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithTLSConfig(r.tls))
	}
	if r.Username != "" {
		mechs := authWithTLS
		if r.TLS == TLSNone {
			mechs = authOnLoopback
		}
		opts = append(opts, mail.WithOpportunisticSMTPAuth(mechs...), mail.WithUsername(r.Username), mail.WithPassword(r.Password))
	}
	client, err := mail.NewClient(r.host, opts...)
	if err != nil {
		return nil, err
	}
	s, err := client.DialToSMTPClientWithContext(outer)
	if !stop() && err == nil { // cut at the last moment
		err = context.Cause(outer)
	}
	if err != nil {
		if raw != nil {
			_ = raw.Close() // go-mail leaves it open after most failures
		}
		return nil, err
	}
	c := &Conn{relay: r, raw: raw, text: s.Text, now: now, deadlines: deadlines{grace: r.Grace}}
	offers := func(name string) (string, bool) {
		ok, param := s.Extension(name)
		return param, ok
	}
	_, c.eightBit = offers("8BITMIME")
	_, pipelining := offers("PIPELINING")
	_, chunking := offers("CHUNKING")
	c.pipelining = pipelining && r.Pipelining
	c.chunking = chunking && r.Chunking
	if param, ok := offers("SIZE"); ok {
		c.sizeLimit, _ = strconv.ParseInt(strings.TrimSpace(param), 10, 64) // absent or 0: no fixed limit
	}
	if c.text.R.Buffered() > 0 {
		_ = raw.Close()
		return nil, errors.New("relay speaks before it is asked")
	}
	c.heard = now()
	return c, nil
}

// quit takes leave, briefly; it does not wait for a relay that is slow about it.
func (c *Conn) quit(wait time.Duration) {
	c.unwatch()
	if c.broken == nil {
		c.out = append(c.out[:0], "QUIT\r\n"...)
		if _, err := c.flush(wait); err == nil {
			_, _ = c.read(wait)
		}
	}
	_ = c.raw.Close()
}

// alive asks a connection that lay idle whether the relay still listens.
func (c *Conn) alive(ctx context.Context) bool {
	c.watch(ctx, c.raw)
	c.out = append(c.out[:0], "NOOP\r\n"...)
	if _, err := c.flush(c.relay.DialTimeout); err != nil {
		return false
	}
	r, err := c.read(c.relay.DialTimeout)
	c.heard = c.now()
	return err == nil && r.code == 250
}
