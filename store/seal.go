package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	"golang.org/x/text/unicode/norm"

	"oshirase/mailer"
)

const nonceSize = 12 // of AES-GCM

// seal returns nonce ‖ ciphertext ‖ tag under AES-256-GCM.
func seal(key []byte, random io.Reader, plain []byte, aad string) ([]byte, error) {
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, nonceSize, nonceSize+len(plain)+aead.Overhead())
	if _, err := io.ReadFull(random, out); err != nil {
		return nil, err
	}
	return aead.Seal(out, out, plain, []byte(aad)), nil
}

func unseal(key, sealed []byte, aad string) ([]byte, error) {
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < nonceSize {
		return nil, errors.New("sealed value is too short")
	}
	return aead.Open(nil, sealed[:nonceSize], sealed[nonceSize:], []byte(aad))
}

func newGCM(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

// incidentKeys are derived from the random key of one incident: with that key
// destroyed, neither the sealed persons nor the blind indexes say anything.
type incidentKeys struct {
	aead  cipher.AEAD
	blind []byte // HMAC key of the blind indexes
}

func incidentAAD(incident string) string { return "oshirase incident key v1\x00" + incident }

// newIncidentKey makes the key of an incident, wrapped by the master key.
func (db *DB) newIncidentKey(incident string) (wrapped []byte, err error) {
	key := make([]byte, 32)
	if _, err := io.ReadFull(db.random, key); err != nil {
		return nil, err
	}
	return seal(db.master, db.random, key, incidentAAD(incident))
}

// incidentKeys opens the key of an incident. It asks the database each time, so
// that a key destroyed by another process is gone here too.
func (db *DB) incidentKeys(ctx context.Context, q sqlx.QueryerContext, incident int64) (*incidentKeys, error) {
	var row struct {
		ID      string
		Wrapped []byte `db:"sealed_key"`
	}
	if err := sqlx.GetContext(ctx, q, &row, `SELECT id, sealed_key FROM incident WHERE num = ?`, incident); err != nil {
		return nil, err
	}
	if row.Wrapped == nil {
		db.keys.Delete(incident)
		return nil, fmt.Errorf("%w: incident %s", mailer.ErrKeyDestroyed, row.ID)
	}
	if k, ok := db.keys.Load(incident); ok {
		return k.(*incidentKeys), nil
	}
	key, err := unseal(db.master, row.Wrapped, incidentAAD(row.ID))
	if err != nil {
		return nil, fmt.Errorf("%w: the key of incident %s does not open", mailer.ErrWrongKey, row.ID)
	}
	k, err := deriveKeys(key)
	if err != nil {
		return nil, err
	}
	db.keys.Store(incident, k)
	return k, nil
}

func deriveKeys(key []byte) (*incidentKeys, error) {
	sealing, err := hkdf.Key(sha256.New, key, nil, "oshirase sealing", 32)
	if err != nil {
		return nil, err
	}
	blind, err := hkdf.Key(sha256.New, key, nil, "oshirase blind index", 32)
	if err != nil {
		return nil, err
	}
	aead, err := newGCM(sealing)
	if err != nil {
		return nil, err
	}
	return &incidentKeys{aead: aead, blind: blind}, nil
}

// A sealed person is bound to the population and the person key of its row: a
// value that was moved to another row does not open.
func personAAD(dst []byte, incident, merchant int64, personKey []byte) []byte {
	dst = append(dst, "p1"...)
	dst = binary.AppendVarint(dst, incident)
	dst = binary.AppendVarint(dst, merchant)
	return append(dst, personKey...)
}

// openPerson is the inverse of (*sealer).seal.
func (k *incidentKeys) openPerson(sealed []byte, incident, merchant int64, personKey []byte) (mailer.Person, error) {
	if len(sealed) < nonceSize {
		return mailer.Person{}, errors.New("sealed person is too short")
	}
	var aad [64]byte
	plain, err := k.aead.Open(nil, sealed[:nonceSize], sealed[nonceSize:], personAAD(aad[:0], incident, merchant, personKey))
	if err != nil {
		return mailer.Person{}, fmt.Errorf("%w: a sealed person does not open", mailer.ErrWrongKey)
	}
	return decodePerson(plain)
}

// sealer seals persons and makes their blind indexes; one per goroutine.
type sealer struct {
	keys               *incidentKeys
	incident, merchant int64
	random             io.Reader
	mac                hash.Hash
	sum                []byte
	plain, aad         []byte
}

func newSealer(k *incidentKeys, incident, merchant int64, random io.Reader) *sealer {
	return &sealer{keys: k, incident: incident, merchant: merchant, random: random, mac: hmac.New(sha256.New, k.blind)}
}

func (s *sealer) seal(p *mailer.Person, personKey []byte) ([]byte, error) {
	s.plain = encodePerson(s.plain[:0], p)
	out := make([]byte, nonceSize, nonceSize+len(s.plain)+16)
	if _, err := io.ReadFull(s.random, out); err != nil {
		return nil, err
	}
	s.aad = personAAD(s.aad[:0], s.incident, s.merchant, personKey)
	return s.keys.aead.Seal(out, out, s.plain, s.aad), nil
}

// blindKey is the truncated HMAC of a tag and values; 16 bytes.
func (s *sealer) blindKey(tag string, values ...string) []byte {
	s.mac.Reset()
	s.plain = append(s.plain[:0], tag...)
	for _, v := range values {
		s.plain = binary.AppendUvarint(s.plain, uint64(len(v)))
		s.plain = append(s.plain, v...)
	}
	s.mac.Write(s.plain)
	s.sum = s.mac.Sum(s.sum[:0])
	return slices.Clone(s.sum[:16])
}

// personKey says who a row is: the customer id, else the e-mail address, else
// postal code, address and name together; never a name alone. nil: nobody.
func (s *sealer) personKey(p *mailer.Person) []byte {
	switch {
	case strings.TrimSpace(p.CustomerID) != "":
		return s.customerKey(p.CustomerID)
	case strings.TrimSpace(p.Email) != "":
		return s.blindKey("e", emailKey(p.Email))
	case p.Name != "" && p.Address != "":
		return s.blindKey("a", fold(p.PostalCode), fold(p.Address), fold(p.Name))
	}
	return nil
}

// customerKey keeps case: where ids are told apart by it, two people must not
// become one.
func (s *sealer) customerKey(id string) []byte {
	return s.blindKey("c", norm.NFKC.String(strings.TrimSpace(id)))
}

// emailKey is nil where the person has no address.
func (s *sealer) emailKey(p *mailer.Person) []byte {
	if strings.TrimSpace(p.Email) == "" {
		return nil
	}
	return s.blindKey("m", emailKey(p.Email))
}

func emailKey(email string) string {
	a, err := mailer.ParseAddress(strings.TrimSpace(email))
	if err != nil { // the list package refuses these; a look-up may still ask
		return fold(email)
	}
	return a.Key()
}

// fold is the form under which two spellings of one value are the same: NFKC,
// lower case, without blanks.
func fold(s string) string {
	ascii := true
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || c <= ' ' || c >= 'A' && c <= 'Z' {
			ascii = false
			break
		}
	}
	if ascii {
		return s
	}
	s = strings.ToLower(norm.NFKC.String(s))
	return strings.Join(strings.Fields(s), "")
}

// encodePerson is the compact form that is sealed: a version byte, the seven
// fields, the number of attributes, the attributes; each string with its length.
func encodePerson(dst []byte, p *mailer.Person) []byte {
	put := func(s string) {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	dst = append(dst, 1)
	for _, s := range [...]string{p.CustomerID, p.Name, p.NameKana, p.Email, p.PostalCode, p.Address, p.Phone} {
		put(s)
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.Attributes)))
	if len(p.Attributes) == 0 {
		return dst
	}
	names := make([]string, 0, len(p.Attributes))
	for k := range p.Attributes {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		put(k)
		put(p.Attributes[k])
	}
	return dst
}

var errPerson = errors.New("a sealed person is malformed")

func decodePerson(b []byte) (p mailer.Person, err error) {
	if len(b) == 0 || b[0] != 1 {
		return p, errPerson
	}
	all := string(b[1:]) // one allocation for all fields
	b = b[1:]
	off := 0
	number := func() int {
		n, k := binary.Uvarint(b[off:])
		if k <= 0 || n > uint64(len(b)) {
			err = errPerson
			return 0
		}
		off += k
		return int(n)
	}
	get := func() string {
		n := number()
		if err != nil || n > len(b)-off {
			err = errPerson
			return ""
		}
		off += n
		return all[off-n : off]
	}
	for _, f := range [...]*string{&p.CustomerID, &p.Name, &p.NameKana, &p.Email, &p.PostalCode, &p.Address, &p.Phone} {
		*f = get()
	}
	n := number()
	if n > 0 && err == nil {
		p.Attributes = make(map[string]string)
		for range n {
			k := get()
			p.Attributes[k] = get()
			if err != nil {
				break
			}
		}
	}
	if err == nil && off != len(b) {
		err = errPerson
	}
	if err != nil {
		return mailer.Person{}, err
	}
	return p, nil
}
