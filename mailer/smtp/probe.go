package smtp

import (
	"context"

	"oshirase/mailer"
)

// Probe asks the relay whether it takes a sender, and takes the question back: MAIL, and
// RSET. Accepted, or Deferred with what the relay said; with code 0 it said nothing. No
// message may be begun.
func (c *Conn) Probe(ctx context.Context, sender string) mailer.Outcome {
	t := &transaction{m: &mailer.Message{Sender: sender}}
	c.watch(ctx, c.raw)
	switch {
	case c.broken != nil:
		return c.outcome(mailer.StateDeferred, mailer.AtMail, reply{text: lost(c.broken)})
	case c.begun != nil || c.finished != nil || len(c.inFlight) > 0 || len(c.out) > 0:
		return c.outcome(mailer.StateDeferred, mailer.AtMail, reply{text: "Probe among messages: nothing was asked"})
	}
	if err := checkMailbox("envelope sender", sender); err != nil {
		return c.outcome(mailer.StateDeferred, mailer.AtMail, reply{text: err.Error()})
	}
	if c.reset && !c.resets(t) {
		return t.out
	}
	c.out = append(append(append(c.out, "MAIL FROM:<"...), sender...), ">\r\n"...)
	mail, ok := c.ask(t)
	if !ok {
		return t.out
	}
	if mail.code != 250 {
		c.refuseMail(t, mail)
		return t.out
	}
	if !c.resets(t) {
		return t.out
	}
	return c.outcome(mailer.StateAccepted, mailer.AtMail, mail)
}

// resets ends whatever transaction is open; false: t is settled.
func (c *Conn) resets(t *transaction) bool {
	c.out = append(c.out, "RSET\r\n"...)
	r, ok := c.ask(t)
	if ok && r.code != 250 {
		c.unexpected(t, mailer.AtMail, "RSET", r)
	}
	c.reset = false
	return ok && r.code == 250
}

// ask says what has gathered, one command, and reads its reply; false: t is settled.
func (c *Conn) ask(t *transaction) (r reply, ok bool) {
	_, err := c.flush(c.relay.CommandTimeout)
	if err == nil {
		r, err = c.read(c.relay.CommandTimeout)
	}
	switch {
	case err != nil:
		c.settle(t, mailer.StateDeferred, mailer.AtMail, lost(err))
		return reply{}, false
	case r.code == 421:
		c.settleReply(t, mailer.StateDeferred, mailer.AtMail, r)
		c.leaving = true
		return r, false
	}
	if c.streams() {
		c.heard = c.now()
	}
	return r, true
}
