package sink

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxLine = 4096 // of a command; RFC 5321 asks for 512, RFC 4954 for 12288 with some AUTH

const maxGuesses = 5 // at a password

// errCut ends a session without another word.
var errCut = errors.New("cut on request")

// session is one connection.
type session struct {
	srv *Server
	raw net.Conn // TCP
	w   *wire
	r   *bufio.Reader

	hello   bool
	secure  bool
	authed  bool
	taken   int // messages of this connection
	guesses int // wrong passwords

	inMail  bool
	sender  string
	rcpts   []string // accepted
	refused string   // last recipient refused, for rules at data
	body    []byte   // reused for each message
	tooBig  bool     // the body went beyond MaxSize and was not kept
	chunked bool     // a BDAT transaction has begun

	words *Rule         // replaces the words of the next reply, unless that refuses
	drip  time.Duration // slows the next reply
}

func (s *Server) serve(conn net.Conn, full bool) {
	ses := &session{srv: s, raw: conn, w: newWire(s, conn)}
	ses.r = bufio.NewReaderSize(ses.w, 64<<10)
	defer ses.w.close()
	if ses.run(full) == nil {
		_ = ses.w.flush(0)
	}
}

// run speaks until the client leaves; nil asks for pending replies to be sent.
func (c *session) run(full bool) error {
	wrong, done, err := c.fault("connect", "")
	if errors.Is(err, io.EOF) { // 421 as the greeting
		return nil
	}
	if done || err != nil {
		return err
	}
	if c.srv.opt.TLS == Implicit {
		if err := c.startTLS(wrong); err != nil {
			return err
		}
	}
	if full {
		c.srv.counts.deferred.Add(1)
		c.reply(421, "4.3.2 "+c.srv.opt.Name+" too many connections")
		return nil
	}
	c.reply(220, c.srv.opt.Name+" ESMTP sink")
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		verb, rest, _ := strings.Cut(line, " ")
		if err := c.command(strings.ToUpper(verb), rest); err != nil {
			if errors.Is(err, io.EOF) { // QUIT or 421
				return nil
			}
			return err
		}
	}
}

func (c *session) line() (string, error) {
	b, err := c.r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	if len(b) > maxLine || len(b) < 2 || b[len(b)-2] != '\r' {
		c.reply(500, "5.5.2 line too long or not ended by CRLF")
		_ = c.w.flush(0)
		return "", errCut
	}
	return string(b[:len(b)-2]), nil
}

func (c *session) reply(code int, text string) {
	if c.words != nil && code < 400 {
		code, text = c.words.Code, c.words.Text
	}
	drip := c.drip
	c.words, c.drip = nil, 0
	if drip > 0 {
		_ = c.w.flush(0) // what came before leaves at once; a failure shows at the next read
		defer func() { _ = c.w.flush(drip) }()
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		sep := byte(' ')
		if i < len(lines)-1 {
			sep = '-'
		}
		c.w.pending = strconv.AppendInt(c.w.pending, int64(code), 10)
		c.w.pending = append(c.w.pending, sep)
		c.w.pending = append(c.w.pending, l...)
		c.w.pending = append(c.w.pending, "\r\n"...)
	}
}

// fault does what the rules say at a point. done means that they answered in
// place of the session; wrong asks for the wrong certificate.
func (c *session) fault(point, address string) (wrong, done bool, err error) {
	rule, err := c.rule(point, address)
	if rule == nil || err != nil {
		return false, false, err
	}
	return c.obey(rule)
}

// rule finds the rule for a point, and waits where one says so.
func (c *session) rule(point, address string) (*Rule, error) {
	if c.srv.faults.byPoint[point] == nil {
		return nil, nil
	}
	wait, rule := c.srv.faults.at(point, address)
	if wait > 0 {
		if err := c.w.flush(0); err != nil {
			return nil, err
		}
		if !c.srv.sleep(wait) {
			return nil, errCut
		}
	}
	return rule, nil
}

func (c *session) obey(rule *Rule) (wrong, done bool, err error) {
	switch rule.Action {
	case WrongCert:
		return true, false, nil
	case Drip:
		c.drip = rule.Wait
		return false, false, nil
	case Reply:
		if rule.Code < 400 {
			c.words = rule
			return false, false, nil
		}
		if rule.Code >= 500 {
			c.srv.counts.refused.Add(1)
		} else {
			c.srv.counts.deferred.Add(1)
		}
		c.reply(rule.Code, rule.Text)
		if rule.Code == 421 {
			return false, true, io.EOF
		}
		return false, true, nil
	case Garbage:
		c.srv.counts.garbled.Add(1)
		c.w.pending = append(c.w.pending, "\x07what? this is no SMTP\r\n"...)
		return false, true, nil
	case Raw:
		c.w.pending = append(c.w.pending, rule.Text...)
		return false, true, nil
	case Stall:
		_ = c.w.flush(0)
		_, _ = io.Copy(io.Discard, c.raw) // until the client leaves or the Server closes
		return false, true, errCut
	case Drop, TakeDrop, Reset:
		c.srv.counts.dropped.Add(1)
		_ = c.w.drain() // replies to what came before were given
		if tcp, ok := c.raw.(*net.TCPConn); ok && rule.Action == Reset {
			_ = tcp.SetLinger(0)
		}
		return false, true, errCut
	}
	return false, false, nil
}

func (c *session) command(verb, rest string) error {
	switch verb {
	case "EHLO", "HELO":
		return c.ehlo(verb, rest)
	case "STARTTLS":
		return c.starttls()
	case "AUTH":
		return c.auth(rest)
	case "MAIL":
		return c.mail(rest)
	case "RCPT":
		return c.rcpt(rest)
	case "DATA":
		return c.data()
	case "BDAT":
		return c.bdat(rest)
	case "RSET":
		c.clear()
		c.reply(250, "2.0.0 ok")
	case "NOOP":
		c.reply(250, "2.0.0 ok")
	case "VRFY":
		c.reply(252, "2.0.0 send some mail, I will try")
	case "QUIT":
		c.reply(221, "2.0.0 bye")
		return io.EOF
	default:
		c.reply(500, "5.5.1 no such command")
	}
	return nil
}

func (c *session) clear() {
	c.inMail, c.tooBig, c.chunked, c.sender, c.refused = false, false, false, "", ""
	c.rcpts, c.body = c.rcpts[:0], c.body[:0]
}

func (c *session) ehlo(verb, rest string) error {
	if _, done, err := c.fault("ehlo", ""); done || err != nil {
		return err
	}
	if strings.TrimSpace(rest) == "" {
		c.reply(501, "5.5.4 who are you?")
		return nil
	}
	c.clear()
	c.hello = true
	if verb == "HELO" {
		c.reply(250, c.srv.opt.Name)
		return nil
	}
	opt := &c.srv.opt
	offers := []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE " + strconv.FormatInt(opt.MaxSize, 10), "CHUNKING"}
	if opt.TLS == StartTLS && !c.secure {
		offers = append(offers, "STARTTLS")
	}
	if c.mayAuth() {
		offers = append(offers, "AUTH PLAIN LOGIN")
	}
	hidden := append(c.srv.faults.without(), opt.Without...)
	text := opt.Name
	for _, o := range offers {
		name, _, _ := strings.Cut(o, " ")
		if !slices.ContainsFunc(hidden, func(h string) bool { return strings.EqualFold(h, name) }) {
			text += "\n" + o
		}
	}
	c.reply(250, text)
	return nil
}

func (c *session) mayAuth() bool {
	return c.srv.opt.User != "" && (c.secure || c.srv.opt.TLS == PlainText)
}

func (c *session) starttls() error {
	wrong, done, err := c.fault("starttls", "")
	if done || err != nil {
		return err
	}
	if c.srv.opt.TLS != StartTLS || c.secure {
		c.reply(502, "5.5.1 no TLS here")
		return nil
	}
	c.reply(220, "2.0.0 go ahead")
	if err := c.w.drain(); err != nil {
		return err
	}
	if c.r.Buffered() > 0 { // commands injected before the handshake (RFC 3207 section 6)
		return errCut
	}
	return c.startTLS(wrong)
}

func (c *session) startTLS(wrong bool) error {
	conn := tls.Server(c.raw, c.srv.tlsConfig(wrong))
	_ = c.raw.SetDeadline(time.Now().Add(maxIdle)) // fails on a closed connection only
	if err := conn.HandshakeContext(c.srv.ctx); err != nil {
		return err
	}
	c.w.conn = conn
	c.r.Reset(c.w)
	c.secure, c.hello, c.authed = true, false, false
	c.clear()
	return nil
}

func (c *session) auth(rest string) error {
	if _, done, err := c.fault("auth", ""); done || err != nil {
		return err
	}
	if !c.mayAuth() || c.authed || c.inMail {
		c.reply(503, "5.5.1 not now")
		return nil
	}
	mech, initial, _ := strings.Cut(rest, " ")
	user, password, err := c.credentials(strings.ToUpper(mech), initial)
	if err != nil {
		return err
	}
	if user != c.srv.opt.User || password != c.srv.opt.Password {
		c.reply(535, "5.7.8 wrong user or password")
		if c.guesses++; c.guesses == maxGuesses {
			return io.EOF
		}
		return nil
	}
	c.authed = true
	c.reply(235, "2.7.0 welcome")
	return nil
}

// credentials are empty, and so wrong, where the client did not give any.
func (c *session) credentials(mech, initial string) (user, password string, err error) {
	ask := func(challenge string) (string, error) {
		c.reply(334, base64.StdEncoding.EncodeToString([]byte(challenge)))
		return c.line()
	}
	decode := func(s string) string {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return ""
		}
		return string(b)
	}
	switch mech {
	case "PLAIN":
		if initial == "" {
			if initial, err = ask(""); err != nil {
				return "", "", err
			}
		}
		if f := strings.Split(decode(initial), "\x00"); len(f) == 3 {
			return f[1], f[2], nil
		}
	case "LOGIN":
		if initial == "" {
			if initial, err = ask("Username:"); err != nil {
				return "", "", err
			}
		}
		second, err := ask("Password:")
		return decode(initial), decode(second), err
	}
	return "", "", nil
}
