package smtp_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
	"oshirase/mailer/smtp"
)

// hostile is a relay that speaks as it likes on each connection.
func hostile(t *testing.T, speak func(net.Conn)) smtp.RelayOptions {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			speak(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return smtp.RelayOptions{Name: "hostile", Address: ln.Addr().String(), TLS: smtp.TLSNone, DialTimeout: 10 * time.Second}
}

// forever repeats a text until nobody listens any more.
func forever(c net.Conn, text string) {
	chunk := []byte(strings.Repeat(text, 1+32<<10/len(text)))
	for {
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
}

// answer reads a line and replies.
func answer(c net.Conn, r *bufio.Reader, reply string) bool {
	if _, err := r.ReadString('\n'); err != nil {
		return false
	}
	_, err := io.WriteString(c, reply)
	return err == nil
}

// TestTalkativeRelay: whatever a relay says before the first message, and in which
// piece, little of it is read.
func TestTalkativeRelay(t *testing.T) {
	const hello = "220 relay.example\r\n"
	for name, speak := range map[string]func(net.Conn){
		"greeting without an end":         func(c net.Conn) { forever(c, "220 x") },
		"greeting of lines without words": func(c net.Conn) { forever(c, "220-\r\n") },
		"greeting of bare octets":         func(c net.Conn) { forever(c, "\x00") },
		"EHLO reply of one line": func(c net.Conn) {
			_, _ = io.WriteString(c, hello)
			if answer(c, bufio.NewReader(c), "250-") {
				forever(c, "A")
			}
		},
		"EHLO reply of lines": func(c net.Conn) {
			_, _ = io.WriteString(c, hello)
			if answer(c, bufio.NewReader(c), "") {
				forever(c, "250-SIZE 1\r\n")
			}
		},
		"AUTH reply": func(c net.Conn) {
			r := bufio.NewReader(c)
			_, _ = io.WriteString(c, hello)
			if answer(c, r, "250-relay.example\r\n250 AUTH PLAIN\r\n") && answer(c, r, "") {
				forever(c, "235-welcome\r\n")
			}
		},
		"EHLO refused, HELO reply": func(c net.Conn) {
			r := bufio.NewReader(c)
			_, _ = io.WriteString(c, hello)
			if answer(c, r, "502 no\r\n") && answer(c, r, "") {
				forever(c, "250-\r\n")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			opt := hostile(t, speak)
			opt.Username, opt.Password = "u", "p"
			wantTalkative(t, opt)
		})
	}
}

func wantTalkative(t *testing.T, opt smtp.RelayOptions) {
	t.Helper()
	d, err := smtp.NewDialer(opt)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = d.Dial(t.Context())
	runtime.ReadMemStats(&after)
	if !strings.Contains(fmt.Sprint(err), "smtp.talkative") {
		t.Errorf("Dial: %v", err)
	}
	// The receiver of this process writes too; the lines of go-mail add up to more
	// than what was read.
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<30 {
		t.Errorf("%d MB allocated", spent>>20)
	}
	if live := int64(after.HeapAlloc) - int64(before.HeapAlloc); live > 32<<20 {
		t.Errorf("%d MB kept", live>>20)
	}
}

// TestTalkativeWithinTLS: the same within TLS, and behind STARTTLS.
func TestTalkativeWithinTLS(t *testing.T) {
	leaf, err := selfSigned(t)
	if err != nil {
		t.Fatal(err)
	}
	opt := hostile(t, func(c net.Conn) {
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{leaf.cert}, MinVersion: tls.VersionTLS12})
		if secure.HandshakeContext(context.Background()) == nil {
			forever(secure, "220-\r\n")
		}
	})
	opt.TLS, opt.CAFile = smtp.TLSImplicit, leaf.file
	wantTalkative(t, opt)

	opt = hostile(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		_, _ = io.WriteString(c, "220 relay.example\r\n")
		if !answer(c, r, "250-relay.example\r\n250 STARTTLS\r\n") || !answer(c, r, "220 go ahead\r\n") {
			return
		}
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{leaf.cert}, MinVersion: tls.VersionTLS12})
		if answer(secure, bufio.NewReader(secure), "") {
			forever(secure, "250-\r\n")
		}
	})
	opt.TLS, opt.CAFile = smtp.TLSRequired, leaf.file
	wantTalkative(t, opt)
}

// TestWordyRefusal: what a relay says against us is told, and not all of it.
func TestWordyRefusal(t *testing.T) {
	opt := hostile(t, func(c net.Conn) { _, _ = io.WriteString(c, "554 "+strings.Repeat("x", 60<<10)+"\r\n") })
	d, err := smtp.NewDialer(opt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Dial(t.Context())
	if !errors.Is(err, mailer.ErrRefusesUs) || len(err.Error()) > 1200 || !strings.Contains(err.Error(), "554") {
		t.Errorf("%d octets: %.80v", len(err.Error()), err)
	}
}

// TestSlowRelay: a dial has one end, however often an octet comes.
func TestSlowRelay(t *testing.T) {
	gone := make(chan struct{}, 1)
	opt := hostile(t, func(c net.Conn) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(c, "220-\r\n"); err != nil {
				gone <- struct{}{}
				return
			}
		}
	})
	opt.DialTimeout = 100 * time.Millisecond
	d, err := smtp.NewDialer(opt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = d.Dial(t.Context()); err == nil || !os.IsTimeout(unwrapNet(err)) {
		t.Errorf("Dial: %v", err)
	}
	<-gone
}

func unwrapNet(err error) error {
	for {
		if _, ok := err.(net.Error); ok {
			return err
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = u.Unwrap()
	}
}

// TestHostileAuth: a relay has no say over how long we compute, nor how long we talk.
func TestHostileAuth(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	first := func(iterations string) func(string) string {
		return func(said string) string {
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(said))
			_, nonce, _ := strings.Cut(string(raw), "r=")
			return b64("r=" + nonce + "x,s=" + b64("salt") + iterations)
		}
	}
	for name, tc := range map[string]struct {
		challenge func(string) string
		code      string
	}{
		"iterations without end": {first(",i=2000000000"), "smtp.iterations"},
		"a single iteration":     {first(",i=1"), "smtp.iterations"},
		"negative":               {first(",i=-4096"), "smtp.iterations"},
		"beyond a number":        {first(",i=99999999999999999999"), "smtp.iterations"},
		"a second count":         {first(",i=4096,i=2000000000"), "smtp.iterations"},
		"rounds without end":     {func(string) string { return "" }, "smtp.challenge"},
		"a huge challenge":       {func(string) string { return b64(strings.Repeat("x", 8<<10)) }, "smtp.challenge"},
	} {
		t.Run(name, func(t *testing.T) {
			opt := hostile(t, func(c net.Conn) {
				r := bufio.NewReader(c)
				_, _ = io.WriteString(c, "220 relay.example\r\n")
				if !answer(c, r, "250-relay.example\r\n250 AUTH SCRAM-SHA-256\r\n") || !answer(c, r, "334 \r\n") {
					return
				}
				for {
					said, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(said, "*") {
						_, _ = io.WriteString(c, "501 given up\r\n")
						continue
					}
					_, _ = fmt.Fprintf(c, "334 %s\r\n", tc.challenge(said))
				}
			})
			opt.Username, opt.Password = "u", "p"
			d, err := smtp.NewDialer(opt)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = d.Dial(t.Context()); mailer.CodeOf(err) != mailer.Code(tc.code) {
				t.Errorf("Dial: %v", err)
			}
		})
	}
}

// signed is a certificate for 127.0.0.1, and the file that says to trust it.
type signed struct {
	cert tls.Certificate
	file string
}

func selfSigned(t *testing.T) (*signed, error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(t.TempDir(), "cert.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &signed{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file}, os.WriteFile(file, text, 0o600)
}
