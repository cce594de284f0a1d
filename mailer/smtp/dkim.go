package smtp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"
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

// signing signs the messages of one composer. A message whose body is its own
// canonical form, as base64 is, is signed here: the field is the one that go-msgauth
// makes, at a fraction of its time. It signs all others, and a test holds both
// against each other.
type signing struct {
	options dkim.SignOptions
	hash    crypto.SignerOpts // of the header's hash, as the key wants it
	tags    [signatureTags]string
	nth     []int            // how many of the same name stand before a signed field
	now     func() time.Time // replaced by tests
	buffers sync.Pool        // *[]byte
}

// The tags of a signature in the order in which go-msgauth writes them; b= is the last.
const (
	tagAlgorithm = iota
	tagBodyHash
	tagCanonicalization
	tagDomain
	tagFields
	tagSelector
	tagTime
	tagVersion
	signatureTags
)

func newSigning(opt *DKIM) (*signing, error) {
	if opt.Domain == "" || opt.Selector == "" || opt.Key == nil {
		return nil, errors.New("DKIM needs a domain, a selector and a key")
	}
	s := &signing{
		options: dkim.SignOptions{
			Domain: opt.Domain, Selector: opt.Selector, Signer: opt.Key, Hash: crypto.SHA256,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed,
			BodyCanonicalization:   dkim.CanonicalizationRelaxed,
			HeaderKeys:             signedFields,
		},
		hash: crypto.SHA256,
		now:  time.Now,
	}
	algorithm := "rsa"
	if _, ok := opt.Key.Public().(ed25519.PublicKey); ok {
		algorithm, s.hash = "ed25519", crypto.Hash(0) // RFC 8463 section 3: the hash is the message
	}
	s.tags = [signatureTags]string{
		tagAlgorithm: "a=" + algorithm + "-sha256;", tagCanonicalization: "c=relaxed/relaxed;", tagDomain: "d=" + opt.Domain + ";",
		tagFields: "h=" + strings.Join(signedFields, ":") + ";", tagSelector: "s=" + opt.Selector + ";", tagVersion: "v=1;",
	}
	before := make(map[string]int)
	for _, name := range signedFields {
		s.nth = append(s.nth, before[name])
		before[name]++
	}
	s.buffers.New = func() any { return new([]byte) }
	// A key of a wrong kind shows now, not with the first notice.
	if _, err := s.signAny([]byte("From: <a@b.invalid>\r\n\r\n")); err != nil {
		return nil, err
	}
	return s, nil
}

// sign returns the message with its signature in front.
func (s *signing) sign(msg []byte) ([]byte, error) {
	end := bytes.Index(msg, []byte("\r\n\r\n"))
	if end < 0 || !isRelaxed(msg[end+4:]) {
		return s.signAny(msg)
	}
	head, body := msg[:end+2], msg[end+4:]
	tags := s.tags
	sum := sha256.Sum256(body)
	tags[tagBodyHash] = "bh=" + base64.StdEncoding.EncodeToString(sum[:]) + ";"
	tags[tagTime] = "t=" + strconv.FormatInt(s.now().Unix(), 10) + ";"
	buf := s.buffers.Get().(*[]byte)
	text := (*buf)[:0]
	for i, name := range signedFields {
		text = appendRelaxed(text, findField(head, name, s.nth[i]))
	}
	text = append(text, "dkim-signature:"...)
	for _, t := range tags {
		text = append(append(text, t...), ' ')
	}
	text = append(text, "b="...)
	sum = sha256.Sum256(text)
	*buf = text
	s.buffers.Put(buf)
	signature, err := s.options.Signer.Sign(rand.Reader, sum[:], s.hash)
	if err != nil {
		return nil, fmt.Errorf("sign message: %w", err)
	}
	out := make([]byte, 0, len(msg)+800+2*len(signature))
	return append(appendSignature(out, &tags, signature), msg...), nil
}

// isRelaxed reports whether a body is its own relaxed form (RFC 6376 section
// 3.4.4): no white space, and one line end behind the last line.
func isRelaxed(body []byte) bool {
	n := len(body)
	return n > 2 && body[n-1] == '\n' && body[n-2] == '\r' && body[n-3] != '\n' &&
		bytes.IndexByte(body, ' ') < 0 && bytes.IndexByte(body, '\t') < 0
}

// findField finds the nth field of a name from below, folded as it stands; nil
// where there is none.
func findField(head []byte, name string, nth int) []byte {
	for end := len(head); end > 0; {
		// A field begins behind a line end that no blank follows.
		begin := end - 2
		for begin > 0 && (head[begin-1] != '\n' || head[begin] == ' ' || head[begin] == '\t') {
			begin--
		}
		field := head[begin:end]
		if len(field) > len(name) && field[len(name)] == ':' && bytes.EqualFold(field[:len(name)], []byte(name)) {
			if nth == 0 {
				return field
			}
			nth--
		}
		end = begin
	}
	return nil
}

// appendRelaxed appends a field in relaxed form (RFC 6376 section 3.4.2).
func appendRelaxed(dst, field []byte) []byte {
	name, value, ok := bytes.Cut(field, []byte{':'})
	if !ok {
		return dst
	}
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	dst = append(dst, ':')
	first, gap := true, false
	for _, c := range value {
		switch c {
		case ' ', '\t', '\r', '\n':
			gap = true
		default:
			if gap && !first {
				dst = append(dst, ' ')
			}
			first, gap = false, false
			dst = append(dst, c)
		}
	}
	return append(dst, "\r\n"...)
}

// appendSignature writes the field, folded as go-msgauth folds it.
func appendSignature(dst []byte, tags *[signatureTags]string, signature []byte) []byte {
	dst = append(dst, "DKIM-Signature:"...)
	line := 0
	for _, t := range tags {
		if line+1+len(t) > signatureLine {
			dst = append(dst, "\r\n"...)
			line = 0
		}
		dst = append(append(dst, ' '), t...)
		line += 1 + len(t)
	}
	dst = append(dst, "\r\n"...)
	for b := " b=" + base64.StdEncoding.EncodeToString(signature); b != ""; {
		n := min(signatureLine, len(b))
		dst = append(append(dst, b[:n]...), "\r\n"...)
		if b = b[n:]; b != "" {
			dst = append(dst, ' ')
		}
	}
	return dst
}

const signatureLine = 75 // octets, at most, where there is a place to fold

// signAny signs whatever the body is.
func (s *signing) signAny(msg []byte) ([]byte, error) {
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
		return nil, fmt.Errorf("read DKIM key: %w", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("read DKIM key %s: %w", path, err)
	}
	return key, nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(bytes.TrimSpace(text))
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("PEM block %q is no unencrypted private key (PKCS #1 or #8)", block.Type)
	}
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 1024 {
			return nil, fmt.Errorf("RSA key of %d bits: verifiers refuse less than 1024, use 2048", k.N.BitLen())
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("DKIM has no keys of type %T: use RSA or Ed25519", key)
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
