package smtp

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail"

	"oshirase/mailer"
	"oshirase/mailer/japanese"
)

// ComposerOptions say how the messages of one merchant are made.
type ComposerOptions struct {
	DKIM *DKIM // nil signs nothing
}

// DKIM signs (RFC 6376) for Domain under Selector.
type DKIM struct {
	Domain   string
	Selector string
	Key      crypto.Signer // see LoadKey
}

// Composer makes messages; it is safe for concurrent use. For the same input it
// makes the same bytes, besides the signature.
//
// A message is plain text for exactly one recipient. It names no program, no
// host and no other recipient, and carries nothing that tracks. The charset is
// UTF-8 in base64, or ISO-2022-JP in 7bit where the header asks for it; a
// message with a character that ISO-2022-JP (RFC 1468) lacks is made in UTF-8.
type Composer struct {
	sign *signing // nil: unsigned

	mu        sync.RWMutex
	templates map[headerKey]headerTemplate

	// Notices of one campaign share a subject, and those of one second a date:
	// the last of each is kept as it was written.
	subject atomic.Pointer[written]
	stamp   atomic.Pointer[stamp]
}

// written is a subject and its encoded words.
type written struct{ charset, text, value string }

// stamp is a second (Unix time) as the Date field has it.
type stamp struct {
	second int64
	value  string
}

// headerKey is all that makes one template differ from another, besides the slots.
type headerKey struct {
	charset                 string
	from, fromName, replyTo string
}

// NewComposer returns a composer.
func NewComposer(opt ComposerOptions) (*Composer, error) {
	c := &Composer{templates: make(map[headerKey]headerTemplate)}
	if opt.DKIM != nil {
		var err error
		if c.sign, err = newSigning(opt.DKIM); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// charset is one of the two ways in which a message is written.
type charset struct {
	label    string // as MIME has it
	encoding mail.Encoding
	jis      bool
}

var (
	utf8Base64 = charset{label: "UTF-8", encoding: mail.EncodingB64}
	jis7bit    = charset{label: "ISO-2022-JP", encoding: mail.EncodingUSASCII, jis: true}
)

// Compose makes the bytes of a message, in the memory of dst where they fit, with CRLF
// line ends. Errors are mailer.ErrInvalid: a header value or text that must not leave.
func (c *Composer) Compose(dst []byte, h *mailer.Header, n *mailer.Notice) ([]byte, error) {
	if err := check(h, n); err != nil {
		return nil, err
	}
	cs := utf8Base64
	switch mailer.Charset(strings.ToLower(string(h.Charset))) {
	case "", mailer.CharsetUTF8:
	case mailer.CharsetISO2022JP:
		cs = jis7bit
	default:
		return nil, mailer.Invalid("smtp.charset", "charset", h.Charset)
	}
	msg, err := c.compose(dst[:0], h, n, cs)
	if errors.Is(err, japanese.ErrNotInJIS) {
		msg, err = c.compose(dst[:0], h, n, utf8Base64)
	}
	if err != nil {
		return nil, err
	}
	if c.sign != nil {
		return c.sign.sign(msg)
	}
	return msg, nil
}

// check looks at what differs from message to message; see checkSender for the rest.
func check(h *mailer.Header, n *mailer.Notice) error {
	if err := checkMailbox("To", h.To); err != nil {
		return err
	}
	if h.MessageID == "" {
		return mailer.Invalid("smtp.header-empty", "field", "Message-ID")
	}
	if err := checkMessageID(h.MessageID); err != nil {
		return err
	}
	if h.Date.IsZero() {
		return mailer.Invalid("smtp.header-zero", "field", "Date")
	}
	if !validUTF8(n.Body) {
		return mailer.Invalid("smtp.body-utf8")
	}
	if strings.IndexByte(n.Body, 0) >= 0 {
		return mailer.Invalid("smtp.body-nul")
	}
	return nil
}

// checkSender looks at what all messages of a template share.
func checkSender(h *mailer.Header) error {
	if err := checkMailbox("From", h.From); err != nil {
		return err
	}
	if h.ReplyTo != "" {
		if err := checkMailbox("Reply-To", h.ReplyTo); err != nil {
			return err
		}
	}
	return checkText("From", h.FromName)
}

func (c *Composer) compose(dst []byte, h *mailer.Header, n *mailer.Notice, cs charset) ([]byte, error) {
	hd, err := c.template(h, cs)
	if err != nil {
		return nil, err
	}
	subject, err := c.encodeSubject(n.Subject, cs)
	if err != nil {
		return nil, err
	}
	var values [slots]string
	values[slotDate] = c.date(h.Date)
	values[slotMessageID] = "<" + h.MessageID + ">"
	values[slotSubject] = subject
	values[slotTo] = "<" + h.To + ">"

	body := n.Body
	if cs.jis {
		var ok bool
		if body, ok = japanese.NormalizeJIS(body); !ok {
			return nil, japanese.ErrNotInJIS
		}
	}
	size := hd.size + len(subject)*5/4 + 256
	if cs.jis {
		size += len(body) * 4 / 3
	} else {
		size += base64Size(len(body) + len(body)/24) // a text has few lines shorter than that
	}
	msg := hd.append(slices.Grow(dst, size), &values)
	if cs.jis {
		return appendJISBody(msg, body)
	}
	return appendBase64(msg, body), nil
}

// encodeSubject checks and encodes a subject.
func (c *Composer) encodeSubject(text string, cs charset) (string, error) {
	if last := c.subject.Load(); last != nil && last.text == text && last.charset == cs.label {
		return last.value, nil
	}
	if err := checkText("Subject", text); err != nil {
		return "", err
	}
	value, err := encodeText("Subject", text, cs)
	if err != nil {
		return "", err
	}
	c.subject.Store(&written{cs.label, text, value})
	return value, nil
}

func (c *Composer) date(t time.Time) string {
	second := t.Unix()
	if last := c.stamp.Load(); last != nil && last.second == second {
		return last.value
	}
	value := date(t)
	c.stamp.Store(&stamp{second, value})
	return value
}

// date is in Japan's time: what the sender's own people would write.
func date(t time.Time) string { return t.In(mailer.JST).Format(time.RFC1123Z) }

// appendJISBody writes the text in ISO-2022-JP with CRLF line ends; each line
// begins and ends in ASCII.
func appendJISBody(dst []byte, body string) ([]byte, error) {
	for body != "" {
		line, rest, _ := strings.Cut(body, "\n")
		line = strings.TrimSuffix(line, "\r")
		if strings.IndexByte(line, '\r') >= 0 {
			return nil, japanese.ErrNotInJIS
		}
		before := len(dst)
		var err error
		if dst, _, err = japanese.AppendJIS(dst, line, 0); err != nil {
			return nil, err
		}
		if len(dst)-before > maxLine {
			return nil, japanese.ErrNotInJIS // base64 has no long lines
		}
		dst = append(dst, "\r\n"...)
		body = rest
	}
	return dst, nil
}

var canonPool = sync.Pool{New: func() any { return new([]byte) }}

// appendBase64 writes the text with CRLF line ends (RFC 2045 section 6.8 wants
// the canonical form encoded), in lines of 76.
func appendBase64(dst []byte, body string) []byte {
	buf := canonPool.Get().(*[]byte)
	*buf = canonical((*buf)[:0], body)
	dst = appendBase64Lines(dst, *buf)
	canonPool.Put(buf)
	return dst
}

// canonical ends lines by CRLF, whatever ended them, and ends the last one.
func canonical(dst []byte, s string) []byte {
	for s != "" {
		i := strings.IndexByte(s, '\n')
		line := s
		if i >= 0 {
			line, s = s[:i], s[i+1:]
		} else {
			s = ""
		}
		dst = append(dst, strings.TrimSuffix(line, "\r")...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// writeWithMail composes with go-mail. Every template is made by it; a
// whole message is made from a template and a body in append, and a test proves both the
// same.
func writeWithMail(w io.Writer, h *mailer.Header, values *[slots]string, body string, cs charset) error {
	m := mail.NewMsg(mail.WithCharset(mail.Charset(cs.label)), mail.WithEncoding(cs.encoding), mail.WithNoDefaultUserAgent())
	from := "<" + h.From + ">"
	if h.FromName != "" {
		name, err := encodePhrase("From", h.FromName, cs)
		if err != nil {
			return err
		}
		from = name + " " + from
	}
	// The values are ASCII, which go-mail writes as they are, folded at blanks.
	m.SetGenHeader("From", from)
	m.SetGenHeader("To", values[slotTo])
	if h.ReplyTo != "" {
		m.SetGenHeader("Reply-To", "<"+h.ReplyTo+">")
	}
	m.SetGenHeader(mail.HeaderSubject, values[slotSubject])
	m.SetGenHeader(mail.HeaderDate, values[slotDate])
	m.SetGenHeader(mail.HeaderMessageID, values[slotMessageID])
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	// Without NDR: the sender wants to hear of mail that is returned.
	m.SetGenHeader("X-Auto-Response-Suppress", "OOF, AutoReply, DR, RN, NRN")
	m.SetGenHeader("Content-Language", "ja")
	if cs.jis {
		// go-mail would quote the escape sequences of a 7bit body: it writes the
		// header alone, and the body is appended.
		m.SetBodyString(mail.TypeTextPlain, "")
	} else {
		m.SetBodyString(mail.TypeTextPlain, string(canonical(nil, body)))
	}
	if _, err := m.WriteTo(w); err != nil {
		return err
	}
	if cs.jis {
		text, err := appendJISBody(nil, body)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	}
	return nil
}

// template returns the template for a header, made once for all messages that share it.
func (c *Composer) template(h *mailer.Header, cs charset) (headerTemplate, error) {
	key := headerKey{cs.label, h.From, h.FromName, h.ReplyTo}
	c.mu.RLock()
	hd, ok := c.templates[key]
	c.mu.RUnlock()
	if ok {
		return hd, nil
	}
	if err := checkSender(h); err != nil {
		return headerTemplate{}, err
	}
	var buf bytes.Buffer
	var values [slots]string
	for s, name := range slotNames {
		values[s] = "x" + name // found again below
	}
	if err := writeWithMail(&buf, h, &values, "", cs); err != nil {
		return headerTemplate{}, err
	}
	hd, err := parseHeader(buf.String())
	if err != nil {
		return headerTemplate{}, err
	}
	c.mu.Lock()
	if len(c.templates) >= 64 { // a merchant has one or two; do not grow with odd callers
		clear(c.templates)
	}
	c.templates[key] = hd
	c.mu.Unlock()
	return hd, nil
}
