package smtp

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"

	gosmtp "github.com/wneessen/go-mail/smtp"

	"oshirase/mailer"
)

// Bounds on what a relay may ask for in AUTH.
const (
	maxRounds    = 6       // challenges; SCRAM has three
	maxChallenge = 4 << 10 // octets
	// RFC 7677 section 4 asks for 4096 iterations at least: with fewer, whoever plays
	// the relay learns a password by guessing. The most take a second of one core.
	minIterations = 4096
	maxIterations = 2_000_000
)

// mechanism is one way to authenticate.
type mechanism struct {
	name string
	auth func(d *Dialer, state *tls.ConnectionState) gosmtp.Auth
}

// mechanisms in order of preference. The last three have the password, or what it can
// be guessed from, shown to whoever listens; within TLS that is the relay alone.
var mechanisms = []mechanism{
	{"SCRAM-SHA-256-PLUS", func(d *Dialer, s *tls.ConnectionState) gosmtp.Auth {
		return gosmtp.ScramSHA256PlusAuth(d.Username, d.Password, s)
	}},
	{"SCRAM-SHA-256", func(d *Dialer, _ *tls.ConnectionState) gosmtp.Auth {
		return gosmtp.ScramSHA256Auth(d.Username, d.Password)
	}},
	{"SCRAM-SHA-1-PLUS", func(d *Dialer, s *tls.ConnectionState) gosmtp.Auth {
		return gosmtp.ScramSHA1PlusAuth(d.Username, d.Password, s)
	}},
	{"SCRAM-SHA-1", func(d *Dialer, _ *tls.ConnectionState) gosmtp.Auth {
		return gosmtp.ScramSHA1Auth(d.Username, d.Password)
	}},
	{"PLAIN", func(d *Dialer, s *tls.ConnectionState) gosmtp.Auth {
		return gosmtp.PlainAuth("", d.Username, d.Password, d.host, s == nil)
	}},
	{"LOGIN", func(d *Dialer, s *tls.ConnectionState) gosmtp.Auth {
		return gosmtp.LoginAuth(d.Username, d.Password, d.host, s == nil)
	}},
	{"CRAM-MD5", func(d *Dialer, _ *tls.ConnectionState) gosmtp.Auth {
		return gosmtp.CRAMMD5Auth(d.Username, d.Password)
	}},
}

// onLoopback are those without TLS, which only a relay on this machine is spoken to by.
var onLoopback = []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"}

// authenticate uses the best mechanism that we and the relay share.
func (d *Dialer) authenticate(s *gosmtp.Client) error {
	_, offered := s.Extension("AUTH")
	offers := strings.Fields(strings.ToUpper(offered))
	var state *tls.ConnectionState
	order := onLoopback
	if d.TLS != TLSNone {
		var err error
		if state, err = s.GetTLSConnectionState(); err != nil {
			return err
		}
		order = order[:0:0]
		for _, m := range mechanisms {
			order = append(order, m.name)
		}
	}
	for _, name := range order {
		if !slices.Contains(offers, name) {
			continue
		}
		i := slices.IndexFunc(mechanisms, func(m mechanism) bool { return m.name == name })
		if err := s.Auth(&boundedAuth{Auth: mechanisms[i].auth(d, state)}); err != nil {
			return fmt.Errorf("SMTP AUTH failed: %w", err)
		}
		return nil
	}
	return mailer.NewError(nil, "smtp.no-mechanism", "relay", d.Name)
}

// boundedAuth holds what the relay asks for to the bounds above.
type boundedAuth struct {
	gosmtp.Auth
	rounds int
}

func (a *boundedAuth) Next(challenge []byte, more bool) ([]byte, error) {
	if more {
		if a.rounds++; a.rounds > maxRounds || len(challenge) > maxChallenge {
			return nil, mailer.NewError(nil, "smtp.challenge")
		}
		if err := checkIterations(challenge); err != nil {
			return nil, err
		}
	}
	return a.Auth.Next(challenge, more)
}

// checkIterations looks at the first message of a SCRAM server (RFC 5802 section 7),
// r=…,s=…,i=…, and at every i= in it: which of two counts is left to the library.
func checkIterations(challenge []byte) error {
	if !bytes.HasPrefix(challenge, []byte("r=")) {
		return nil
	}
	for field := range bytes.SplitSeq(challenge, []byte(",")) {
		count, ok := bytes.CutPrefix(field, []byte("i="))
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(string(count)); err != nil || n < minIterations || n > maxIterations {
			return mailer.NewError(nil, "smtp.iterations", "least", minIterations, "most", maxIterations)
		}
	}
	return nil
}
