package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"time"

	"oshirase/mailer"
)

// Conn is one open connection to a relay. It sends one message at a time (Send), or
// in the steps of the runner's Pipeliner: Begin, Ready, Finish, Outcome for each;
// Begin of the next may come between Finish and Outcome of the one before where
// Pipelining is true. Stream is the other way, for relays far away; see there.
//
// Nothing leaves before Flush, or before Ready or Outcome has to wait for a reply,
// so that Finish followed by Begin is one write: the body, and the next envelope
// behind it (RFC 2920).
//
// When the context is cancelled, a message whose envelope has not left is
// deferred, and one that is on the wire is finished: the relay has Grace to
// answer, else the outcome is what is certain then (Deferred before the final
// dot, Unknown behind it). The caller sees no difference between a relay that
// is slow and one that is gone.
//
// Outcomes, where no reply tells: before the final dot can have left Deferred
// with code 0; behind it Unknown. A reply that does not fit the command, and
// bytes that are no reply, break the connection. 5xx at MAIL is about the sender
// or the relay, not about the person: it defers, so that a relay which refuses
// our sender loses nobody.
//
// A message is the caller's again when its outcome was returned, or at the latest
// when Rest or Close has: until then the connection may read its bytes.
//
// A Conn is used by one goroutine.
type Conn struct {
	relay *Dialer
	raw   net.Conn // TCP, for deadlines and to cut
	text  *textproto.Conn
	now   func() time.Time

	pipelining, chunking, eightBit bool
	sizeLimit                      int64 // announced (RFC 1870); 0 is none

	out []byte // what has not left yet
	// dot is the place in out of the first octet that could complete the
	// finished message; 0 where none is in out (an envelope never begins there).
	dot int

	begun    *transaction // last begun
	finished *transaction // finished, its outcome not yet asked for

	sent    int  // messages begun
	reset   bool // a transaction is open at the relay that has to be reset first
	leaving bool // the relay said 421, or will not be used again
	broken  error

	deadlines
	stream
}

// transaction is one message on its way.
type transaction struct {
	m     *mailer.Message
	sh    shape
	reset bool // RSET went before it
	left  bool // its envelope is in Conn.out or was written
	ready bool // DATA was answered 354, or RCPT 250 with BDAT
	// out is the outcome once it is certain.
	out  mailer.Outcome
	done bool
	// end is the place in the stream behind its last octet; see stream.
	end int64
}

// Relay is the name of the relay in the config.
func (c *Conn) Relay() string { return c.relay.Name }

// Pipelining reports whether Begin may come before the Outcome of the message before.
func (c *Conn) Pipelining() bool { return c.pipelining }

// Usable reports whether another message may begin.
func (c *Conn) Usable() bool {
	limit := c.relay.MessagesPerConnection
	return c.broken == nil && !c.leaving && (limit == 0 || c.sent < limit)
}

// Send takes one message through all steps, for those who have no use for
// pipelining.
func (c *Conn) Send(ctx context.Context, m *mailer.Message, intend func() bool) mailer.Outcome {
	c.Begin(ctx, m)
	out, ok := c.Ready(ctx)
	if !ok {
		return out
	}
	if !intend() {
		const why = "given up before the body"
		c.fail(errors.New(why))
		c.begun = nil
		return c.outcome(mailer.StateDeferred, mailer.AtBody, reply{text: why})
	}
	c.Finish(ctx)
	return c.Outcome(ctx)
}

// Begin says MAIL, RCPT and DATA for m.
func (c *Conn) Begin(ctx context.Context, m *mailer.Message) {
	t := c.start(ctx, m)
	c.begun = t
	if len(c.inFlight) > 0 {
		c.settle(t, mailer.StateDeferred, mailer.AtMail, "Begin among streamed messages: nothing was sent")
	}
	if t.done {
		return
	}
	t.reset, c.reset = c.reset, false
	if !c.pipelining {
		return // Ready says one command at a time
	}
	t.left = true
	if t.reset {
		c.out = append(c.out, "RSET\r\n"...)
	}
	c.appendMail(t)
	c.appendRcpt(t)
	if !c.chunking {
		c.out = append(c.out, "DATA\r\n"...)
	}
}

// start is the beginning of every message: it is settled where it must not leave.
func (c *Conn) start(ctx context.Context, m *mailer.Message) *transaction {
	t := &transaction{m: m}
	c.watch(ctx, c.raw)
	if ctx.Err() != nil {
		c.settle(t, mailer.StateDeferred, mailer.AtMail, stopped(ctx))
		return t
	}
	if c.broken != nil {
		c.settle(t, mailer.StateDeferred, mailer.AtConnect, lost(c.broken))
		return t
	}
	var err error
	if t.sh, err = inspect(m); err != nil {
		c.settle(t, mailer.StateRejected, mailer.AtMail, err.Error())
		return t
	}
	switch {
	case c.sizeLimit > 0 && int64(len(m.Data)) > c.sizeLimit:
		c.settle(t, mailer.StateRejected, mailer.AtMail,
			fmt.Sprintf("message of %d octets: the relay takes at most %d", len(m.Data), c.sizeLimit))
	case t.sh.eightBit && !c.eightBit:
		c.settle(t, mailer.StateRejected, mailer.AtMail, "message is 8bit and the relay does not offer 8BITMIME")
	default:
		c.sent++
	}
	return t
}

func (c *Conn) appendMail(t *transaction) {
	c.out = append(c.out, "MAIL FROM:<"...)
	c.out = append(c.out, t.m.Sender...)
	c.out = append(c.out, '>')
	if c.sizeLimit > 0 {
		c.out = append(c.out, " SIZE="...)
		c.out = strconv.AppendInt(c.out, int64(len(t.m.Data)), 10)
	}
	if t.sh.eightBit {
		c.out = append(c.out, " BODY=8BITMIME"...)
	}
	c.out = append(c.out, "\r\n"...)
}

func (c *Conn) appendRcpt(t *transaction) {
	c.out = append(c.out, "RCPT TO:<"...)
	c.out = append(c.out, t.m.Recipient...)
	c.out = append(c.out, ">\r\n"...)
}

func (c *Conn) appendChunk(t *transaction) {
	c.out = append(c.out, "BDAT "...)
	c.out = strconv.AppendInt(c.out, int64(len(t.m.Data)), 10)
	c.out = append(c.out, " LAST\r\n"...)
	c.out = append(c.out, t.m.Data...)
}

// Ready reads the replies to the envelope of the message last begun. With ok
// false the outcome is final, and neither Finish nor Outcome follow.
func (c *Conn) Ready(ctx context.Context) (out mailer.Outcome, ok bool) {
	t := c.begun
	if t == nil {
		return c.outcome(mailer.StateDeferred, mailer.AtMail, reply{text: "Ready without Begin"}), false
	}
	c.watch(ctx, c.raw)
	if c.finished != nil {
		c.await(c.finished) // its reply comes first
	}
	if ctx.Err() != nil && !t.done && (!t.left || len(c.out) > 0) {
		c.out, c.reset = c.out[:0], t.reset
		c.settle(t, mailer.StateDeferred, mailer.AtMail, stopped(ctx))
	}
	if !t.done {
		c.envelope(t)
	}
	if t.done {
		c.begun = nil
		return t.out, false
	}
	t.ready = true
	if c.streams() {
		c.heard = c.now()
	}
	return mailer.Outcome{}, true
}

// envelope has the envelope said and answered.
func (c *Conn) envelope(t *transaction) {
	if t.reset {
		r, ok := c.exchange(t, mailer.AtMail, func() { c.out = append(c.out, "RSET\r\n"...) })
		if !ok {
			return
		}
		if r.code != 250 {
			c.unexpected(t, mailer.AtMail, "RSET", r)
			return
		}
	}
	mail, ok := c.exchange(t, mailer.AtMail, func() { c.appendMail(t) })
	if !ok {
		return
	}
	if mail.code != 250 {
		c.refuseMail(t, mail)
		if !c.pipelining {
			return
		}
	}
	rcpt, ok := c.exchange(t, mailer.AtRcpt, func() { c.appendRcpt(t) })
	if !ok {
		return
	}
	if !t.done && rcpt.code != 250 && rcpt.code != 251 {
		c.refuse(t, mailer.AtRcpt, "RCPT", rcpt)
		c.reset = true
		if !c.pipelining {
			return
		}
	}
	if c.chunking || c.broken != nil {
		return
	}
	data, ok := c.exchange(t, mailer.AtData, func() { c.out = append(c.out, "DATA\r\n"...) })
	if !ok {
		return
	}
	switch {
	case !t.done && data.code == 354:
	case !t.done:
		c.refuse(t, mailer.AtData, "DATA", data)
		c.reset = true
	case data.code == 354 && (rcpt.code == 250 || rcpt.code == 251):
		// A relay that refuses the sender and takes the recipient: whatever it
		// makes of an empty message, it shall not.
		c.fail(fmt.Errorf("relay wants a message that it refused: %s", data))
	case data.code == 354:
		c.endEmpty()
	case data.code < 400:
		c.fail(fmt.Errorf("unexpected reply to DATA: %s", data))
	}
}

// endEmpty ends the DATA of a transaction without recipients, which a relay
// opened all the same (RFC 2920 section 3.1): no one can get that message.
func (c *Conn) endEmpty() {
	c.out = append(c.out, ".\r\n"...)
	if _, err := c.flush(c.relay.CommandTimeout); err != nil {
		return
	}
	r, err := c.read(c.relay.DataTimeout)
	switch {
	case err != nil:
	case r.code == 421:
		c.leaving = true
	case r.code == 354:
		c.fail(fmt.Errorf("unexpected reply to an empty message: %s", r))
	default:
		c.reset = false // the transaction is over, whatever the reply
	}
}

// exchange says a command, unless the whole group was said before, and reads its
// reply. With ok false t is settled, or, where it was before, nothing more can be read.
func (c *Conn) exchange(t *transaction, p mailer.Point, say func()) (r reply, ok bool) {
	if !c.pipelining {
		t.left = true
		say()
	}
	_, err := c.flush(c.relay.CommandTimeout)
	if err == nil {
		r, err = c.read(c.relay.CommandTimeout)
	}
	if err != nil {
		c.settle(t, mailer.StateDeferred, p, lost(err))
		return reply{}, false
	}
	if r.code == 421 {
		c.settleReply(t, mailer.StateDeferred, p, r)
		c.fail(errors.New("relay closed the connection: " + r.String()))
		return r, false
	}
	return r, true
}

func (c *Conn) refuseMail(t *transaction, r reply) {
	switch {
	case r.code >= 500:
		out := c.outcome(mailer.StateDeferred, mailer.AtMail, r)
		out.Text = "relay refuses the sender: " + out.Text
		t.out, t.done = out, true
	case r.code >= 400:
		c.settleReply(t, mailer.StateDeferred, mailer.AtMail, r)
	default:
		c.unexpected(t, mailer.AtMail, "MAIL", r)
	}
}

func (c *Conn) refuse(t *transaction, p mailer.Point, command string, r reply) {
	switch {
	case r.code >= 500:
		c.settleReply(t, mailer.StateRejected, p, r)
	case r.code >= 400:
		c.settleReply(t, mailer.StateDeferred, p, r)
	default:
		c.unexpected(t, p, command, r)
	}
}

// unexpected breaks the connection: replies and commands are out of step.
func (c *Conn) unexpected(t *transaction, p mailer.Point, command string, r reply) {
	err := fmt.Errorf("unexpected reply to %s: %s", command, r)
	c.settle(t, mailer.StateDeferred, p, err.Error())
	c.fail(err)
}

// Finish lets the body and the final dot leave. The caller has committed the
// intent before.
func (c *Conn) Finish(ctx context.Context) {
	t := c.begun
	if t == nil || !t.ready {
		return // Outcome says so
	}
	c.watch(ctx, c.raw)
	c.begun, c.finished = nil, t
	if c.chunking {
		c.appendChunk(t)
		c.dot = len(c.out) - 1
		return
	}
	c.out = appendStuffed(c.out, t.m.Data, t.sh)
	c.dot = len(c.out)
	c.out = append(c.out, ".\r\n"...)
}

// Flush lets the finished message leave now, and the envelope behind it, instead
// of when its outcome is waited for.
func (c *Conn) Flush(ctx context.Context) {
	if t := c.finished; t != nil && !t.done && c.broken == nil {
		c.watch(ctx, c.raw)
		c.leave(t)
	}
}

// Outcome reads the reply to the oldest finished or streamed message.
func (c *Conn) Outcome(ctx context.Context) mailer.Outcome {
	if len(c.inFlight) > 0 {
		return c.arrival(ctx)
	}
	t := c.finished
	if t == nil {
		return c.outcome(mailer.StateDeferred, mailer.AtBody, reply{text: "Outcome without Finish: nothing was sent"})
	}
	c.watch(ctx, c.raw)
	c.await(t)
	c.finished = nil
	return t.out
}

// await settles a finished message.
func (c *Conn) await(t *transaction) {
	if t.done {
		return
	}
	if c.broken != nil { // broken between Ready and now, with the body still here
		c.settle(t, mailer.StateDeferred, mailer.AtBody, lost(c.broken))
		return
	}
	if !c.leave(t) {
		return
	}
	r, err := c.read(c.relay.DataTimeout)
	switch {
	case err != nil:
		c.settle(t, mailer.StateUnknown, mailer.AtDot, lost(err))
	case r.code == 250:
		c.settleReply(t, mailer.StateAccepted, mailer.AtDot, r)
	case r.code == 421:
		c.settleReply(t, mailer.StateDeferred, mailer.AtDot, r)
		c.fail(errors.New("relay closed the connection: " + r.String()))
	case r.code >= 500:
		c.settleReply(t, mailer.StateRejected, mailer.AtDot, r)
	case r.code >= 400:
		c.settleReply(t, mailer.StateDeferred, mailer.AtDot, r)
	default:
		err := fmt.Errorf("unexpected reply to the message: %s", r)
		c.settle(t, mailer.StateUnknown, mailer.AtDot, err.Error())
		c.fail(err)
	}
}

// leave writes what has gathered, the body of t among it; false: t is settled,
// since that failed.
func (c *Conn) leave(t *transaction) bool {
	dot := c.dot
	sent, err := c.flush(c.relay.DataTimeout)
	switch {
	case err == nil:
		return true
	case sent <= dot:
		c.settle(t, mailer.StateDeferred, mailer.AtBody, lost(err))
	default:
		c.settle(t, mailer.StateUnknown, mailer.AtDot, lost(err))
	}
	return false
}

// fail breaks the connection.
func (c *Conn) fail(err error) {
	if c.broken == nil {
		c.broken = err
		_ = c.raw.Close()
	}
}

// flush writes what has gathered, in one write. sent is the number of octets of
// it that left or may have left: those that the kernel took.
func (c *Conn) flush(timeout time.Duration) (sent int, err error) {
	if c.broken != nil {
		return 0, c.broken
	}
	if len(c.out) == 0 {
		return 0, nil
	}
	c.extend(c.raw, timeout)
	// Past its buffer's size the bufio.Writer hands a slice on uncopied.
	n, err := c.text.W.Write(c.out)
	if err == nil {
		err = c.text.W.Flush()
	}
	sent = n - c.text.W.Buffered()
	if cap(c.out) > 1<<20 {
		c.out = nil
	}
	c.out, c.dot = c.out[:0], 0
	if err != nil {
		c.fail(err)
	}
	return sent, err
}

func (c *Conn) read(timeout time.Duration) (reply, error) {
	if c.broken != nil {
		return reply{}, c.broken
	}
	if c.text.R.Buffered() == 0 {
		c.extend(c.raw, timeout)
	}
	r, err := readReply(c.text.R)
	if err != nil {
		c.fail(err)
	}
	return r, err
}
