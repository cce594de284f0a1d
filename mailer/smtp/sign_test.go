package smtp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	mathrand "math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSignsAsTheLibrary: both kinds of keys sign deterministically, so what is
// signed here must be, octet for octet, what go-msgauth makes of the message.
func TestSignsAsTheLibrary(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	random := mathrand.New(mathrand.NewPCG(3, 4))
	stamp := regexp.MustCompile(` t=(\d+);`)
	for name, key := range map[string]crypto.Signer{"RSA": r, "Ed25519": e} {
		t.Run(name, func(t *testing.T) {
			for i := range 200 {
				// Domains and selectors of all lengths: the folds move.
				s, err := newSigning(&DKIM{Domain: strings.Repeat("d", 1+i%63) + ".example", Selector: strings.Repeat("s", 1+i/7), Key: key})
				if err != nil {
					t.Fatal(err)
				}
				c, err := NewComposer(ComposerOptions{})
				if err != nil {
					t.Fatal(err)
				}
				h, n := costNotice()
				n.Subject += strings.Repeat(" 件名", i%9)
				n.Body = strings.Repeat("本文 ", random.IntN(300)) + "終\n"
				if i%2 == 0 {
					h.ReplyTo = ""
				}
				msg, err := c.Compose(h, n)
				if err != nil {
					t.Fatal(err)
				}
				want, err := s.signAny(msg)
				if err != nil {
					t.Fatal(err)
				}
				m := stamp.FindSubmatch(want)
				second, err := strconv.ParseInt(string(m[1]), 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				s.now = func() time.Time { return time.Unix(second, 0) }
				got, err := s.sign(msg)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("signed:\n%s\ngo-msgauth:\n%s", got, want)
				}
			}
		})
	}
}

// TestSignsAnyBody: a body that is not its own canonical form goes to the library.
func TestSignsAnyBody(t *testing.T) {
	for body, want := range map[string]bool{
		"QUJD\r\n": true, "QUJD\r\nREVG\r\n": true, "A\r\n\r\nB\r\n": true,
		"": false, "\r\n": false, "QUJD": false, "A B\r\n": false, "A\t\r\n": false, "A\r\n\r\n": false, "\r\n\r\n": false, "A \r\n": false,
	} {
		if got := isRelaxed([]byte(body)); got != want {
			t.Errorf("isRelaxed(%q) = %t", body, got)
		}
	}
}

func TestFindField(t *testing.T) {
	head := []byte("From: a\r\nX-From: b\r\nSubject: c\r\n d\r\n\te\r\nfrom: f\r\nTo:\r\n g\r\n")
	for _, c := range []struct {
		name string
		nth  int
		want string
	}{
		{"From", 0, "from: f\r\n"}, {"From", 1, "From: a\r\n"}, {"From", 2, ""}, {"Subject", 0, "Subject: c\r\n d\r\n\te\r\n"},
		{"To", 0, "To:\r\n g\r\n"}, {"Cc", 0, ""}, {"Fro", 0, ""}, {"d", 0, ""},
	} {
		if got := findField(head, c.name, c.nth); string(got) != c.want {
			t.Errorf("%s, %d: %q", c.name, c.nth, got)
		}
	}
	if got := appendRelaxed(nil, findField(head, "subject", 0)); string(got) != "subject:c d e\r\n" {
		t.Errorf("relaxed: %q", got)
	}
	if got := fmt.Sprintf("%q", appendRelaxed(nil, nil)); got != `""` {
		t.Errorf("no field becomes %s", got)
	}
}
