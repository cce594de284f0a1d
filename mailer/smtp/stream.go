package smtp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"oshirase/mailer"
)

// Streaming. With CHUNKING no command of a message has to wait for a reply (RFC
// 3030 section 4.2), so MAIL, RCPT and BDAT LAST leave in one flight, and the
// next messages right behind them. The caller has committed the intents of all
// of them before, since the last octet leaves with the first.
//
// A message that follows an unanswered one begins with RSET: relays differ in
// whether a BDAT that nobody was accepted for ends the transaction, and one that
// does not would take the next message under the sender of the refused one.
//
// What happens where: Stream gathers commands and bodies and hands them to a
// goroutine that writes (writer); it returns at once. Outcome reads the replies to the
// oldest message, up to four of them (answers), and what they mean is settled there
// and then. When a reply does not come, cutOff stops the writer and asks it how far it
// has come: that tells what can have left. After the last outcome, rest sees to it
// that the writer is done and that no reply is left over; only then may the connection
// be used in another way.
//
// Where no reply tells the outcome: Deferred with code 0 while the last octet
// has not left, or where the relay said 421 before and then closed, after which it
// takes nothing more (RFC 5321 section 3.8); else Unknown. Once RCPT was refused,
// nothing that comes later makes it an acceptance.

// restTrusted is how long a connection may have lain idle and still be streamed to.
const restTrusted = time.Second

// closeGrace is how long a relay that said 421 may take to close, or to go on all
// the same.
const closeGrace = 30 * time.Second

// drainTimeout is how long replies are still waited for when no more can be written,
// and the end of a write when all is answered.
const drainTimeout = time.Second

// stream is the part of a Conn that streams.
type stream struct {
	inFlight   []*transaction // streamed, the outcome not yet asked for; oldest first
	heard      time.Time      // when the relay last showed that it listens
	closing421 string         // the 421 that it said; empty: none
	writer     writer
}

func (c *Conn) streams() bool { return c.pipelining && c.chunking && c.relay.Intents > 1 }

// Window is how many messages may be unanswered: 1 where Stream is of no use. On
// a connection that lay idle it is 1 too, for the relay may have closed it: Begin
// finds that out before the body leaves, and Stream only after.
func (c *Conn) Window() int {
	if !c.streams() || len(c.inFlight) == 0 && c.now().Sub(c.heard) > restTrusted {
		return 1
	}
	n := c.relay.Intents
	if limit := c.relay.MessagesPerConnection; limit > 0 {
		n = min(n, len(c.inFlight)+limit-c.sent)
	}
	return max(1, n)
}

// Stream sends messages whole, in one flight; Outcome says for each, in order,
// what came of it. The caller has committed the intents before. No other message
// may be begun.
func (c *Conn) Stream(ctx context.Context, messages ...*mailer.Message) {
	if len(c.inFlight) == 0 {
		c.unsolicited()
	}
	for _, m := range messages {
		t := c.start(ctx, m)
		switch {
		case t.done:
		case c.begun != nil || c.finished != nil || !c.pipelining || !c.chunking:
			c.settle(t, mailer.StateDeferred, mailer.AtMail, "Stream where it may not be: nothing was sent")
		case c.leaving:
			c.settle(t, mailer.StateDeferred, mailer.AtMail, strings.TrimSpace("relay is about to close the connection "+c.closing421))
		default:
			t.left = true
			t.reset, c.reset = c.reset || len(c.inFlight) > 0, false
			if t.reset {
				c.out = append(c.out, "RSET\r\n"...)
			}
			c.appendMail(t)
			c.appendRcpt(t)
			c.appendChunk(t)
			t.end = c.writer.queued + int64(len(c.out))
		}
		c.inFlight = append(c.inFlight, t)
	}
	if len(c.out) > 0 && c.begun == nil && c.finished == nil {
		c.allow(c.relay.DataTimeout)
		c.out = c.writer.take(c.out, c.text.W, c.raw)
	}
}

// Answered reports whether Outcome would return at once.
func (c *Conn) Answered() bool {
	if len(c.inFlight) == 0 {
		return false
	}
	t := c.inFlight[0]
	if t.done || c.broken != nil {
		return true
	}
	want := 3
	if t.reset {
		want++
	}
	b, _ := c.text.R.Peek(c.text.R.Buffered())
	for ; want > 0; b = b[bytes.IndexByte(b, '\n')+1:] {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return false
		}
		if end < 4 || b[3] != '-' {
			want--
		}
	}
	return true
}

// arrival is the outcome of the oldest streamed message.
func (c *Conn) arrival(ctx context.Context) mailer.Outcome {
	c.watch(ctx, c.raw)
	t := c.inFlight[0]
	if !t.done {
		c.answers(t)
	}
	c.heard = c.now()
	c.inFlight[0] = nil
	c.inFlight = c.inFlight[1:]
	if len(c.inFlight) == 0 {
		c.inFlight = nil
		c.rest(t)
	}
	return t.out
}

// answers reads the replies to a message, all of them: those of the next ones
// come behind.
func (c *Conn) answers(t *transaction) {
	if t.reset {
		r, ok := c.readReply(t)
		switch {
		case !ok:
			return
		case r.code == 421:
			c.settleReply(t, mailer.StateDeferred, mailer.AtMail, r)
		case r.code != 250:
			c.outOfStep(t, "RSET", r)
			return
		}
	}
	mail, ok := c.readReply(t)
	switch {
	case !ok:
		return
	case mail.code >= 400:
		if !t.done {
			c.refuseMail(t, mail)
		}
		c.reset = true
	case mail.code != 250:
		c.outOfStep(t, "MAIL", mail)
		return
	}
	rcpt, ok := c.readReply(t)
	taken := rcpt.code == 250 || rcpt.code == 251
	switch {
	case !ok:
		return
	case rcpt.code >= 400:
		if !t.done {
			c.refuse(t, mailer.AtRcpt, "RCPT", rcpt)
		}
		c.reset = true
	case !taken:
		c.outOfStep(t, "RCPT", rcpt)
		return
	}
	refusal, refused := t.out, t.done
	// A relay that refused the sender and took the recipient all the same has to
	// refuse the body too, else it may have sent it.
	t.done = refused && !taken
	last, ok := c.readReply(t)
	if !ok {
		return
	}
	switch {
	case last.code >= 400:
		c.reset = true
		if refused {
			t.out, t.done = refusal, true
			return
		}
		state := mailer.StateDeferred
		if last.code >= 500 {
			state = mailer.StateRejected
		}
		c.settleReply(t, state, mailer.AtDot, last)
	case last.code == 250 && !refused:
		c.settleReply(t, mailer.StateAccepted, mailer.AtDot, last)
	case last.code != 250 || taken:
		c.outOfStep(t, "BDAT", last)
	}
}

// readReply reads one reply to t. With ok false the connection is broken, and t is
// settled by what is certain.
func (c *Conn) readReply(t *transaction) (r reply, ok bool) {
	if c.broken != nil {
		c.cutOff(t, lost(c.broken))
		return reply{}, false
	}
	if c.text.R.Buffered() == 0 {
		timeout := c.relay.DataTimeout // the body before it may still be on its way
		if c.closing421 != "" {
			timeout = min(timeout, closeGrace)
		}
		c.allow(timeout)
	}
	r, err := readReply(c.text.R)
	if err != nil {
		if errors.Is(err, errSyntax) || errors.Is(err, os.ErrDeadlineExceeded) {
			c.closing421 = "" // it said 421 and did not close: what it takes is unknown again
		}
		if werr := c.writer.failure(); werr != nil {
			err = werr
		}
		c.fail(err)
		c.cutOff(t, lost(err))
		return reply{}, false
	}
	if r.code == 421 {
		c.leaving, c.closing421 = true, r.String()
	}
	return r, true
}

// outOfStep breaks the connection: replies and commands do not match.
func (c *Conn) outOfStep(t *transaction, command string, r reply) {
	err := fmt.Errorf("unexpected reply to %s: %s", command, r)
	c.closing421 = ""
	c.fail(err)
	c.cutOff(t, err.Error())
}

// cutOff settles a message that no reply will tell about any more.
func (c *Conn) cutOff(t *transaction, text string) {
	if t.done {
		return
	}
	c.abort()
	switch {
	case c.writer.sent() < t.end:
		c.settle(t, mailer.StateDeferred, mailer.AtBody, text)
	case c.closing421 != "":
		c.settle(t, mailer.StateDeferred, mailer.AtMail, "relay closed the connection before this message: "+c.closing421)
	default:
		c.settle(t, mailer.StateUnknown, mailer.AtDot, text)
	}
}

// abort closes the connection and waits until nothing more can leave.
func (c *Conn) abort() {
	_ = c.raw.Close()
	<-c.writer.idle()
}

// rest ends a stream whose last message, t, is answered: the writer has to be done
// and no reply left over.
func (c *Conn) rest(t *transaction) {
	if c.broken != nil {
		return
	}
	select {
	case <-c.writer.idle():
	default:
		late := time.NewTimer(drainTimeout)
		defer late.Stop()
		select {
		case <-c.writer.idle():
		case <-late.C:
			c.fail(errors.New("relay answers what it has not read"))
			c.abort()
			if t.out.State == mailer.StateAccepted && c.writer.sent() < t.end {
				t.done = false
				c.settle(t, mailer.StateDeferred, mailer.AtBody, c.broken.Error())
			}
			return
		}
	}
	c.unsolicited()
	if c.broken != nil && t.out.State == mailer.StateAccepted {
		// One reply too many: the one taken for this message may have been another's.
		t.done = false
		c.settle(t, mailer.StateUnknown, mailer.AtDot, c.broken.Error())
	}
}

// unsolicited looks at what the relay said while nothing was asked of it: a 421 is a
// farewell, anything else breaks the connection.
func (c *Conn) unsolicited() {
	if c.broken != nil || c.text.R.Buffered() == 0 {
		return
	}
	c.allow(quitWait)
	r, err := readReply(c.text.R)
	switch {
	case err != nil:
		c.fail(err)
	case r.code == 421:
		c.leaving, c.closing421 = true, r.String()
	default:
		c.fail(fmt.Errorf("relay says what answers nothing: %s", r))
	}
}

// allow gives reading and writing their time, unless writing has failed: then the
// writer left a little for what has already been said.
func (c *Conn) allow(timeout time.Duration) {
	c.writer.mu.Lock()
	defer c.writer.mu.Unlock()
	if c.writer.err == nil {
		c.extend(c.raw, timeout)
	}
}

// writer writes beside the reader: a relay that waits until its replies are read
// would otherwise wait for us, and we for it.
type writer struct {
	queued int64 // octets that it was given; used by the Conn alone

	mu    sync.Mutex
	ready []byte        // waits to be written
	spare []byte        // a buffer to use again
	left  int64         // octets that the kernel took
	err   error         // the first failure; nothing is written after it
	busy  chan struct{} // closed when all is written or cannot be; nil: no writing goroutine
}

// take has buf written and returns a buffer to gather the next in.
func (w *writer) take(buf []byte, out *bufio.Writer, conn net.Conn) []byte {
	w.queued += int64(len(buf))
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return buf[:0]
	}
	next := buf[:0]
	if len(w.ready) == 0 {
		w.ready, next = buf, w.spare[:0]
		w.spare = nil
	} else {
		w.ready = append(w.ready, buf...)
	}
	if w.busy == nil {
		w.busy = make(chan struct{})
		go w.write(out, conn)
	}
	return next
}

func (w *writer) write(out *bufio.Writer, conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.ready) > 0 && w.err == nil {
		buf := w.ready
		w.ready = nil
		w.mu.Unlock()
		n, err := out.Write(buf)
		if err == nil {
			err = out.Flush()
		}
		n -= out.Buffered()
		w.mu.Lock()
		w.left += int64(n)
		if cap(buf) <= 1<<20 {
			w.spare = buf[:0]
		}
		if w.err = err; err != nil {
			_ = conn.SetReadDeadline(time.Now().Add(drainTimeout))
		}
	}
	close(w.busy)
	w.busy = nil
}

var idle = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// idle is closed when nothing is being written.
func (w *writer) idle() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy == nil {
		return idle
	}
	return w.busy
}

func (w *writer) sent() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.left
}

func (w *writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
