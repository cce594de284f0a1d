package sink

import (
	"io"
	"net"
	"time"
)

// wire is the server's side of one connection. Replies gather until the reader
// is about to wait for more commands, so a group of commands is answered by one
// write (RFC 2920 section 3.2). With a latency they leave through a queue that
// holds each back for that long, while reading goes on.
type wire struct {
	srv     *Server
	conn    net.Conn // the TLS connection once there is one
	pending []byte
	arrived time.Time // when the commands being answered came
	renew   time.Time // when the deadline is set anew

	queue chan parcel // nil without latency
	done  chan struct{}
}

// parcel is a part of the stream to the client and when it leaves. One without
// bytes tells on sent that all before it has left.
type parcel struct {
	data []byte
	due  time.Time
	drip time.Duration
	sent chan struct{}
}

func newWire(srv *Server, conn net.Conn) *wire {
	w := &wire{srv: srv, conn: conn}
	if srv.opt.Latency > 0 {
		w.arrived = time.Now()
		w.queue, w.done = make(chan parcel, 64), make(chan struct{})
		go w.postpone()
	}
	return w
}

// Read is what the session's buffered reader calls when it has run out of commands.
func (w *wire) Read(p []byte) (int, error) {
	if err := w.flush(0); err != nil {
		return 0, err
	}
	w.extend()
	n, err := w.conn.Read(p)
	if w.queue != nil {
		w.arrived = time.Now()
	}
	return n, err
}

// maxIdle is how long a client may say nothing, or not read what it is told.
const maxIdle = 5 * time.Minute

// extend gives the client its time anew; not for every read, for a deadline costs.
func (w *wire) extend() {
	if now := time.Now(); now.After(w.renew) {
		w.renew = now.Add(maxIdle / 10)
		_ = w.conn.SetDeadline(now.Add(maxIdle)) // fails on a closed connection only
	}
}

// flush sends what is pending, with a pause after each octet where drip is set.
func (w *wire) flush(drip time.Duration) error {
	if len(w.pending) == 0 {
		return nil
	}
	p := parcel{data: w.pending, drip: drip}
	if w.queue == nil {
		w.pending = w.pending[:0]
		return w.write(p)
	}
	w.pending = nil
	p.due = w.arrived.Add(w.srv.opt.Latency)
	return w.post(p)
}

// drain waits until everything has left.
func (w *wire) drain() error {
	if err := w.flush(0); err != nil || w.queue == nil {
		return err
	}
	sent := make(chan struct{})
	if err := w.post(parcel{sent: sent}); err != nil {
		return err
	}
	select {
	case <-sent:
		return nil
	case <-w.done:
		return io.ErrClosedPipe
	}
}

func (w *wire) post(p parcel) error {
	select {
	case w.queue <- p:
		return nil
	case <-w.done: // the writer gave up
		return io.ErrClosedPipe
	}
}

// close ends the postponing writer; what is queued is sent first.
func (w *wire) close() {
	if w.queue != nil {
		close(w.queue)
		<-w.done
	}
}

func (w *wire) postpone() {
	defer close(w.done)
	for p := range w.queue {
		if p.sent != nil {
			close(p.sent)
			continue
		}
		if !w.srv.sleep(time.Until(p.due)) || w.write(p) != nil {
			return
		}
	}
}

func (w *wire) write(p parcel) error {
	if p.drip == 0 {
		_, err := w.conn.Write(p.data)
		return err
	}
	for i := range p.data {
		if _, err := w.conn.Write(p.data[i : i+1]); err != nil {
			return err
		}
		if !w.srv.sleep(p.drip) {
			return io.ErrClosedPipe
		}
	}
	return nil
}
