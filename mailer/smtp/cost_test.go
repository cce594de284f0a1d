package smtp

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
)

// costNotice makes a message of 7.8 KB, the size of a long notice.
func costNotice() (*mailer.Header, *mailer.Notice) {
	h := &mailer.Header{
		From: "info@shop.example", FromName: "みなと商店", ReplyTo: "desk@shop.example", To: "hanako.yamada@people.example",
		MessageID: "n1.abcdef0123456789abcdef@shop.example", Date: time.Unix(1646100123, 0),
	}
	n := &mailer.Notice{
		Subject: "【みなと商店】個人情報の漏えいに関するお詫びとお知らせ",
		Body:    strings.Repeat("お知らせの本文です。2021年10月14日から2022年1月25日まで\n\n", 66),
	}
	return h, n
}

func BenchmarkComposeNotice(b *testing.B) {
	c, err := NewComposer(ComposerOptions{})
	if err != nil {
		b.Fatal(err)
	}
	h, n := costNotice()
	b.ReportAllocs()
	for b.Loop() {
		msg, err := c.Compose(nil, h, n)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(msg)))
	}
}

func BenchmarkInspect(b *testing.B) {
	c, err := NewComposer(ComposerOptions{})
	if err != nil {
		b.Fatal(err)
	}
	h, n := costNotice()
	data, err := c.Compose(nil, h, n)
	if err != nil {
		b.Fatal(err)
	}
	m := &mailer.Message{Sender: "b-abcdef0123456789abcdef@bounce.shop.example", Recipient: h.To, Data: data}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := inspect(m); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkComposeSigned shows what a signature costs: the key's own part is in
// BenchmarkKey.
func BenchmarkComposeSigned(b *testing.B) {
	for name, key := range costKeys(b) {
		b.Run(name, func(b *testing.B) {
			c, err := NewComposer(ComposerOptions{DKIM: &DKIM{Domain: "shop.example", Selector: "s1", Key: key}})
			if err != nil {
				b.Fatal(err)
			}
			h, n := costNotice()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Compose(nil, h, n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKey(b *testing.B) {
	sum := sha256.Sum256([]byte("header fields"))
	for name, key := range costKeys(b) {
		b.Run(name, func(b *testing.B) {
			var opts crypto.SignerOpts = crypto.SHA256
			if _, ok := key.(ed25519.PrivateKey); ok {
				opts = crypto.Hash(0)
			}
			for b.Loop() {
				if _, err := key.Sign(rand.Reader, sum[:], opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func costKeys(b *testing.B) map[string]crypto.Signer {
	b.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	return map[string]crypto.Signer{"RSA-2048": r, "Ed25519": e}
}
