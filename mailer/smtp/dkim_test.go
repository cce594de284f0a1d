package smtp_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"oshirase/mailer/smtp"
)

func writePEM(t testing.TB, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pkcs8(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// verify reads a signature as a receiver does, the key coming from a stub DNS.
func verify(t testing.TB, msg []byte, key crypto.Signer) []*dkim.Verification {
	t.Helper()
	record, err := smtp.KeyRecord(key)
	if err != nil {
		t.Fatal(err)
	}
	vs, err := dkim.VerifyWithOptions(bytes.NewReader(msg), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		if name != "s1._domainkey.minato.example" {
			return nil, fmt.Errorf("asked for %s", name)
		}
		return []string{record}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return vs
}

func TestDKIM(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"RSA PKCS #1": writePEM(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)),
		"RSA PKCS #8": writePEM(t, "PRIVATE KEY", pkcs8(t, rsaKey)),
		"Ed25519":     writePEM(t, "PRIVATE KEY", pkcs8(t, edKey)),
	} {
		for _, cs := range []string{"utf-8", "iso-2022-jp"} {
			t.Run(name+"/"+cs, func(t *testing.T) {
				key, err := smtp.LoadKey(path)
				if err != nil {
					t.Fatal(err)
				}
				c := composer(t, &smtp.DKIM{Domain: "minato.example", Selector: "s1", Key: key})
				msg, err := c.Compose(nil, header(charset(cs)), notice(subject, text))
				if err != nil {
					t.Fatal(err)
				}
				checkForm(t, msg)
				if unsigned := compose(t, header(charset(cs)), notice(subject, text)); !bytes.HasSuffix(msg, unsigned) {
					t.Error("signing changed the message")
				}
				vs := verify(t, msg, key)
				if len(vs) != 1 || vs[0].Err != nil || vs[0].Domain != "minato.example" {
					t.Fatalf("%+v", vs)
				}
				// Anything that a reader sees can neither be changed nor added.
				for what, change := range map[string][2]string{
					"To":       {"To: <hanako@people.example>", "To: <taro@people.example>"},
					"Subject":  {"Subject: ", "Subject: x"},
					"date":     {"+0900", "+0800"},
					"language": {"Content-Language: ja", "Content-Language: en"},
					"body":     {"\r\n\r\n", "\r\n\r\nU2NhbQ==\r\n"},
					"From+":    {"Date: ", "From: <scam@x.example>\r\nDate: "},
					"To+":      {"Date: ", "To: <scam@x.example>\r\nDate: "},
					"Subject+": {"Date: ", "Subject: scam\r\nDate: "},
					"Reply-To": {"Date: ", "Reply-To: <scam@x.example>\r\nDate: "},
					"Cc":       {"Date: ", "Cc: <scam@x.example>\r\nDate: "},
				} {
					forged := []byte(strings.Replace(string(msg), change[0], change[1], 1))
					if bytes.Equal(forged, msg) {
						t.Fatalf("%s: nothing was changed", what)
					}
					if vs := verify(t, forged, key); len(vs) != 1 || vs[0].Err == nil {
						t.Errorf("%s was changed, and the signature still holds", what)
					}
				}
			})
		}
	}
}

func TestLoadKeyRefuses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(ed.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"not of type":  writePEM(t, "PRIVATE KEY", pkcs8(t, ec)),
		"no unencrypt": writePEM(t, "PUBLIC KEY", public),
		"structure":    writePEM(t, "PRIVATE KEY", []byte("x")),
		"read DKIM":    filepath.Join(t.TempDir(), "missing.pem"),
	} {
		if _, err := smtp.LoadKey(path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := smtp.NewComposer(smtp.ComposerOptions{DKIM: &smtp.DKIM{Domain: "x.example", Key: ed}}); err == nil {
		t.Error("no selector: no error")
	}
	if _, err := smtp.NewComposer(smtp.ComposerOptions{DKIM: &smtp.DKIM{Domain: "x.example", Selector: "s", Key: ec}}); err == nil {
		t.Error("ECDSA: no error")
	}
}

func BenchmarkDKIM(b *testing.B) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"rsa2048": rsaKey, "ed25519": edKey} {
		b.Run(name, func(b *testing.B) {
			c := composer(b, &smtp.DKIM{Domain: "minato.example", Selector: "s1", Key: key})
			h, n := header(), notice(subject, strings.Repeat(text, 12))
			for b.Loop() {
				if _, err := c.Compose(nil, h, n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
