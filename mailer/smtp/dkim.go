package smtp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/emersion/go-msgauth/dkim"

	"oshirase/mailer"
)

// signedFields are the fields that a signature covers. A field named once more
// than it occurs cannot be added to a message afterwards (RFC 6376 section
// 5.4.2): From, To, Subject and Reply-To, which readers see, and Cc, which our
// messages never have.
var signedFields = []string{
	"From", "From", "To", "To", "Subject", "Subject", "Reply-To", "Reply-To", "Cc",
	"Date", "Message-ID", "Auto-Submitted",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Language",
}

type signing struct{ options dkim.SignOptions }

func newSigning(opt *DKIM) (*signing, error) {
	if opt.Domain == "" || opt.Selector == "" || opt.Key == nil {
		return nil, mailer.Invalid("smtp.dkim-incomplete")
	}
	s := &signing{dkim.SignOptions{
		Domain: opt.Domain, Selector: opt.Selector, Signer: opt.Key, Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed,
		BodyCanonicalization:   dkim.CanonicalizationRelaxed,
		HeaderKeys:             signedFields,
	}}
	// A key of a wrong kind shows now, not with the first notice.
	if _, err := s.sign([]byte("From: <a@b.invalid>\r\n\r\n")); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *signing) sign(msg []byte) ([]byte, error) {
	signer, err := dkim.NewSigner(&s.options)
	if err != nil {
		return nil, fmt.Errorf("sign message: %w", err)
	}
	_, err = signer.Write(msg)
	if err = errors.Join(err, signer.Close()); err != nil {
		return nil, fmt.Errorf("sign message: %w", err)
	}
	signature := signer.Signature()
	out := make([]byte, 0, len(signature)+len(msg))
	return append(append(out, signature...), msg...), nil
}

// LoadKey reads a private key for DKIM from a PEM file: RSA (PKCS #1 or #8, from
// 1024 bits up, RFC 8301) or Ed25519 (PKCS #8, RFC 8463).
func LoadKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, mailer.NewError(nil, "smtp.dkim-read", "cause", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, mailer.Invalid("smtp.dkim-key", "file", path, "cause", err)
	}
	return key, nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(bytes.TrimSpace(text))
	if block == nil {
		return nil, mailer.Invalid("smtp.dkim-pem")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, mailer.Invalid("smtp.dkim-block", "type", block.Type)
	}
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 1024 {
			return nil, mailer.Invalid("smtp.dkim-bits", "bits", k.N.BitLen())
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, mailer.Invalid("smtp.dkim-type", "type", fmt.Sprintf("%T", key))
}

// KeyRecord is the TXT record to publish at SELECTOR._domainkey.DOMAIN.
func KeyRecord(key crypto.Signer) (string, error) {
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			return "", err
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(k), nil
	}
	return "", fmt.Errorf("DKIM has no keys of type %T", key)
}
