package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// rawSender sends prebuilt bytes: no list, no ledger, no notice, no DKIM, the same
// message to everybody. It is pipelined as the program is: one message a
// connection between its body and its reply, the next envelope behind the body,
// each group in one write; or, with intents, whole messages one behind the other.
type rawSender struct {
	address     string
	connections int
	messages    int
	size        int // octets of a message
	chunking    bool
	intents     int // messages unanswered on a connection, with chunking; 0 and 1: the next envelope alone
}

const (
	rawEnvelope = "MAIL FROM:<b-0123456789abcdef0123@bounce.example>\r\nRCPT TO:<taro.yamada123@people.example>\r\n"
	rawHead     = "From: <info@shop.example>\r\nTo: <taro.yamada123@people.example>\r\nSubject: test\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)

// groups are what is written: the first envelope, a body with the next
// envelope behind it, and the last body. replies counts the replies to an
// envelope.
func (s *rawSender) groups() (first, middle, last []byte, replies int) {
	line := strings.Repeat("A", 76) + "\r\n"
	body := rawHead + strings.Repeat(line, max(0, s.size-len(rawHead))/len(line))
	if s.chunking {
		body = fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), body)
		return []byte(rawEnvelope), []byte(body + rawEnvelope), []byte(body), 2
	}
	envelope, body := rawEnvelope+"DATA\r\n", body+".\r\n"
	return []byte(envelope), []byte(body + envelope), []byte(body), 3
}

// send returns what it took of this process, which does nothing else meanwhile.
func (s *rawSender) send(ctx context.Context) (cost, error) {
	before := ownCPU()
	began := time.Now()
	var left atomic.Int64
	left.Store(int64(s.messages))
	errs := make([]error, s.connections)
	var wg sync.WaitGroup
	for i := range s.connections {
		wg.Go(func() { errs[i] = s.connection(ctx, &left) })
	}
	wg.Wait()
	return cost{wall: time.Since(began), cpu: ownCPU() - before}, errors.Join(errs...)
}

func (s *rawSender) connection(ctx context.Context, left *atomic.Int64) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	r := bufio.NewReader(conn)
	first, middle, last, replies := s.groups()
	if err := expect(r, 1); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("EHLO [127.0.0.1]\r\n")); err != nil {
		return err
	}
	if err := expect(r, 1); err != nil {
		return err
	}
	if s.chunking && s.intents > 1 {
		return s.stream(conn, r, append(first, last...), left)
	}
	if left.Add(-1) < 0 {
		return nil
	}
	if _, err := conn.Write(first); err != nil {
		return err
	}
	if err := expect(r, replies); err != nil {
		return err
	}
	for {
		more := left.Add(-1) >= 0
		group := last
		if more {
			group = middle
		}
		if _, err := conn.Write(group); err != nil {
			return err
		}
		n := 1
		if more {
			n += replies
		}
		if err := expect(r, n); err != nil || !more {
			return err
		}
	}
}

// stream keeps several whole messages on the wire.
func (s *rawSender) stream(conn net.Conn, r *bufio.Reader, message []byte, left *atomic.Int64) error {
	const replies = 3 // to MAIL, RCPT and BDAT
	open := 0
	for left.Add(-1) >= 0 {
		if open == s.intents {
			if err := expect(r, replies); err != nil {
				return err
			}
			open--
		}
		if _, err := conn.Write(message); err != nil {
			return err
		}
		open++
	}
	return expect(r, open*replies)
}

// expect reads n replies, none of which may be a refusal.
func expect(r *bufio.Reader, n int) error {
	for n > 0 {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) < 4 || line[0] != '2' && line[0] != '3' {
			return fmt.Errorf("receiver says %q", line)
		}
		if line[3] != '-' {
			n--
		}
	}
	return nil
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
