package sink

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
)

func (c *session) mail(rest string) error {
	sender, params, ok := path(rest, "FROM:")
	_, done, err := c.fault("mail", sender)
	if done || err != nil {
		return err
	}
	opt := &c.srv.opt
	switch {
	case !c.hello:
		c.reply(503, "5.5.1 say EHLO first")
	case opt.User != "" && !c.authed:
		c.reply(530, "5.7.0 authenticate first")
	case c.inMail:
		c.reply(503, "5.5.1 nested MAIL")
	case !ok:
		c.reply(501, "5.5.4 write MAIL FROM:<address>")
	case opt.MaxMessages > 0 && c.taken >= opt.MaxMessages:
		c.srv.counts.deferred.Add(1)
		c.reply(421, "4.7.0 too many messages in this connection")
		return io.EOF
	default:
		if code, text := c.mailParams(params); code != 0 {
			c.reply(code, text)
			return nil
		}
		c.inMail, c.sender = true, sender
		c.reply(250, "2.1.0 ok")
	}
	return nil
}

func (c *session) mailParams(params []string) (code int, text string) {
	for _, p := range params {
		key, value, _ := strings.Cut(strings.ToUpper(p), "=")
		switch key {
		case "SIZE":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return 501, "5.5.4 broken SIZE"
			}
			if n > c.srv.opt.MaxSize {
				return 552, "5.3.4 message too big"
			}
		case "BODY":
			if value != "7BIT" && value != "8BITMIME" {
				return 501, "5.5.4 broken BODY"
			}
		default:
			return 555, "5.5.4 no such parameter"
		}
	}
	return 0, ""
}

const maxRecipients = 1000 // of a message; RFC 5321 section 4.5.3.1.8 asks for 100

func (c *session) rcpt(rest string) error {
	to, params, ok := path(rest, "TO:")
	c.refused = to // until it is accepted
	_, done, err := c.fault("rcpt", to)
	if done || err != nil {
		return err
	}
	switch {
	case !c.inMail:
		c.reply(503, "5.5.1 say MAIL first")
	case !ok || to == "":
		c.reply(501, "5.5.4 write RCPT TO:<address>")
	case len(params) > 0:
		c.reply(555, "5.5.4 no such parameter")
	case len(c.rcpts) >= maxRecipients:
		c.reply(452, "4.5.3 too many recipients")
	default:
		c.refused = ""
		c.rcpts = append(c.rcpts, to)
		c.reply(250, "2.1.5 ok")
	}
	return nil
}

// path takes an address in angle brackets, which may stand in a quoted local
// part too, and the parameters behind it.
func path(s, prefix string) (address string, params []string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", nil, false
	}
	s = strings.TrimLeft(s[len(prefix):], " ")
	if s == "" || s[0] != '<' {
		return "", nil, false
	}
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] < 0x20 || s[i] > 0x7e:
			return "", nil, false
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return s[1:i], strings.Fields(s[i+1:]), true
		}
	}
	return "", nil, false
}

// recipient is the address that rules behind RCPT are matched against.
func (c *session) recipient() string {
	if len(c.rcpts) > 0 {
		return c.rcpts[0]
	}
	return c.refused
}

func (c *session) data() error {
	_, done, err := c.fault("data", c.recipient())
	if done || err != nil {
		return err
	}
	anyway := c.words != nil && c.words.Code == 354 // a server that says 354 to nobody
	switch {
	case !c.inMail || c.chunked:
		c.reply(503, "5.5.1 say MAIL first")
		return nil
	case len(c.rcpts) == 0 && !anyway:
		c.reply(554, "5.5.1 no valid recipients")
		return nil
	}
	c.reply(354, "go ahead, end with a dot")
	if c.srv.faults.byPoint["body"] != nil {
		if _, err := c.r.Peek(1); err != nil {
			return err
		}
		if _, done, err := c.fault("body", c.recipient()); done || err != nil {
			return orCut(err) // a reply in the middle of a body leaves nothing to go on with
		}
	}
	if err := c.readBody(); err != nil {
		return err
	}
	return c.end()
}

func orCut(err error) error {
	if err != nil {
		return err
	}
	return io.EOF
}

var terminator = []byte("\r\n.\r\n")

// readBody reads up to the final dot and takes the dot-stuffing out. Of a
// message beyond MaxSize only the end is kept, for it is refused anyway.
func (c *session) readBody() error {
	// The line end before the body counts towards a terminator right at its start.
	body := append(c.body[:0], "\r\n"...)
	for {
		if _, err := c.r.Peek(1); err != nil {
			return err
		}
		chunk, _ := c.r.Peek(c.r.Buffered())
		from := max(0, len(body)-len(terminator)+1)
		before := len(body)
		body = append(body, chunk...)
		if i := bytes.Index(body[from:], terminator); i >= 0 {
			end := from + i
			_, _ = c.r.Discard(end + len(terminator) - before)
			body = body[:end+2]
			break
		}
		_, _ = c.r.Discard(len(chunk))
		if int64(len(body)) > c.srv.opt.MaxSize+64<<10 {
			c.tooBig = true
			body = append(body[:0], body[len(body)-len(terminator):]...)
		}
	}
	c.body = unstuff(body)
	return nil
}

// unstuff removes the leading CRLF and the dot before each line that begins with one.
func unstuff(b []byte) []byte {
	if bytes.Contains(b, []byte("\r\n.")) {
		b = bytes.ReplaceAll(b, []byte("\r\n."), []byte("\r\n"))
	}
	return b[2:]
}

func (c *session) bdat(rest string) error {
	size, last, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 || n > c.srv.opt.MaxSize+1<<20 || (last != "" && !strings.EqualFold(last, "LAST")) {
		// Where the chunk ends is not known: nothing sensible can follow.
		c.reply(501, "5.5.4 write BDAT size [LAST]")
		return io.EOF
	}
	refuse := len(c.rcpts) == 0
	if !c.chunked {
		c.body = c.body[:0]
		if c.srv.faults.byPoint["body"] != nil && !refuse {
			if _, err := c.r.Peek(int(min(n, 1))); err != nil {
				return err
			}
			if _, done, err := c.fault("body", c.recipient()); done || err != nil {
				return orCut(err)
			}
		}
	}
	if refuse || int64(len(c.body))+n > c.srv.opt.MaxSize {
		c.tooBig, c.body = true, c.body[:0]
	}
	if err := c.readChunk(n); err != nil {
		return err
	}
	if refuse {
		c.clear()
		c.reply(503, "5.5.1 no valid recipients")
		return nil
	}
	c.chunked = true
	if last == "" && c.tooBig { // and what follows of it is passed over
		c.reply(552, "5.3.4 message too big")
		return nil
	}
	if last == "" {
		c.reply(250, "2.0.0 ok")
		return nil
	}
	return c.end()
}

// readChunk reads n octets, and keeps them unless the message is too big. Memory grows
// with what has come, not with what was announced.
func (c *session) readChunk(n int64) error {
	for n > 0 {
		if _, err := c.r.Peek(1); err != nil {
			return err
		}
		piece, _ := c.r.Peek(int(min(n, int64(c.r.Buffered()))))
		if !c.tooBig {
			c.body = append(c.body, piece...)
		}
		n -= int64(len(piece))
		_, _ = c.r.Discard(len(piece))
	}
	return nil
}

// end decides about a message that has come whole.
func (c *session) end() error {
	defer c.clear()
	if len(c.rcpts) == 0 {
		c.reply(554, "5.5.1 no valid recipients")
		return nil
	}
	if c.tooBig || int64(len(c.body)) > c.srv.opt.MaxSize {
		c.reply(552, "5.3.4 message too big")
		return nil
	}
	rule, err := c.rule("dot", c.recipient())
	if err != nil {
		return err
	}
	if rule != nil && rule.Action != TakeDrop {
		if _, done, err := c.obey(rule); done || err != nil {
			return err
		}
	}
	told := rule == nil || rule.Action != TakeDrop
	err = c.srv.take(Received{
		Sender: c.sender, Recipients: slices.Clone(c.rcpts), Data: c.body,
		Told: told, TLS: c.secure, Auth: c.authed,
	})
	c.taken++
	switch {
	case err != nil:
		c.words = nil
		c.reply(451, "4.3.0 message could not be stored")
		return nil
	case !told:
		_, _, err := c.obey(rule)
		return err
	}
	c.reply(250, "2.0.0 taken")
	return nil
}
