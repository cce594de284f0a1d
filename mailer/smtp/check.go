package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"time"

	"oshirase/mailer"
)

// checkTime bounds what trying one relay may take.
const checkTime = time.Minute

// Check connects, and asks the relay whether it takes these envelope senders. Nobody is
// named as a recipient, and no message is sent.
func (d *Dialer) Check(ctx context.Context, senders []string) mailer.RelayCheck {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	got := mailer.RelayCheck{Name: d.Name, OK: true}
	conn, err := d.dial(ctx)
	failed := stageOf(err)
	for _, s := range d.stages() {
		if err != nil && s == failed {
			got.OK = false
			got.Steps = append(got.Steps, mailer.RelayStep{Step: s, Reply: printable(err.Error())})
			return got
		}
		got.Steps = append(got.Steps, mailer.RelayStep{Step: s, OK: true})
	}
	if err != nil {
		got.OK = false
		got.Steps = append(got.Steps, mailer.RelayStep{Step: failed, Reply: printable(err.Error())})
		return got
	}
	defer func() { conn.Close() }()
	for _, sender := range senders {
		if conn.broken != nil || conn.leaving { // it hung up over the one before
			again, err := d.dial(ctx)
			if err != nil {
				got.OK = false
				got.Steps = append(got.Steps, mailer.RelayStep{Step: mailer.StepMail, Sender: sender, Reply: printable(err.Error())})
				continue
			}
			conn.Close()
			conn = again
		}
		out := conn.Probe(ctx, sender)
		step := mailer.RelayStep{Step: mailer.StepMail, Sender: sender, OK: out.State == mailer.StateAccepted, Reply: out.Reply()}
		got.Steps = append(got.Steps, step)
		got.OK = got.OK && step.OK
	}
	return got
}

// stages are those of a dial, in order.
func (d *Dialer) stages() []mailer.RelayStage {
	list := []mailer.RelayStage{mailer.StepConnect}
	switch d.TLS {
	case TLSImplicit:
		list = append(list, mailer.StepTLS, mailer.StepEHLO)
	case TLSNone:
		list = append(list, mailer.StepEHLO)
	default:
		list = append(list, mailer.StepEHLO, mailer.StepTLS)
	}
	if d.Username != "" {
		list = append(list, mailer.StepAuth)
	}
	return list
}

// stageOf is where a dial failed, as far as its error tells.
func stageOf(err error) mailer.RelayStage {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return mailer.StepConnect
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return mailer.StepConnect
	}
	if err == nil {
		return ""
	}
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	text := err.Error()
	switch {
	case strings.Contains(text, "AUTH"):
		return mailer.StepAuth
	case certificate, authority, record, alert, strings.Contains(text, "STARTTLS"), strings.Contains(text, "tls:"):
		return mailer.StepTLS
	}
	return mailer.StepEHLO
}
