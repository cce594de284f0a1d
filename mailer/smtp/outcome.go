package smtp

import (
	"context"
	"strings"

	"oshirase/mailer"
)

// advise says what the end of an attempt asks for. Nobody but this package knows
// what a code means.
func advise(s mailer.State, p mailer.Point, r reply) mailer.Advice {
	if s == mailer.StateAccepted {
		return mailer.Advice{}
	}
	if r.code == 0 {
		switch s {
		case mailer.StateDeferred: // cut, timed out or never begun, with the last octet still here
			return mailer.Advice{NotLeft: true, Gone: true, RelaySlower: p != mailer.AtConnect}
		case mailer.StateUnknown: // the same behind the dot
			return mailer.Advice{Gone: true, RelaySlower: true}
		}
		return mailer.Advice{Ours: true} // refused by ourselves: the relay had no part in it
	}
	// RFC 3463 section 3.8: X.7 is security and policy, with 4 the usual word for too
	// much mail. 421 may be said at any point (RFC 5321 section 3.8).
	slower := r.code == 421 || s == mailer.StateDeferred && strings.HasPrefix(r.enhanced, "4.7.")
	us := about(p, r) == aboutUs
	slower = slower && !us // less mail would not help
	return mailer.Advice{
		RelaySlower: slower, GroupSlower: slower, Gone: r.code == 421, RefusesUs: us,
		Impersonal: r.code < 500 && (r.code == 421 || p == mailer.AtMail),
	}
}

// settle notes an outcome that no reply gave, unless there is one.
func (c *Conn) settle(t *transaction, s mailer.State, p mailer.Point, text string) {
	c.settleReply(t, s, p, reply{text: printable(text)})
}

// settleReply notes an outcome, unless there is one: the first that is certain counts.
func (c *Conn) settleReply(t *transaction, s mailer.State, p mailer.Point, r reply) {
	if !t.done {
		t.out, t.done = c.outcome(s, p, r), true
	}
}

func (c *Conn) outcome(s mailer.State, p mailer.Point, r reply) mailer.Outcome {
	return mailer.Outcome{
		State: s, Point: p, Code: r.code, Enhanced: r.enhanced, Text: r.text, Raw: r.raw,
		Relay: c.relay.Name, At: c.now(), Advice: advise(s, p, r),
	}
}

func stopped(ctx context.Context) string {
	return "stopped before sending: " + context.Cause(ctx).Error()
}

func lost(err error) string { return "connection lost: " + err.Error() }
