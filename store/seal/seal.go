// Package seal keeps personal data from whoever has only the database: it seals
// persons under the key of their incident, makes the blind indexes by which they are
// found again, and turns ids into the opaque names that leave the program. It knows
// no SQL and keeps no keys.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"oshirase/mailer"
)

// NonceSize is that of AES-GCM, in bytes.
const NonceSize = 12

// Seal returns nonce ‖ ciphertext ‖ tag under AES-256-GCM.
func Seal(key []byte, random io.Reader, plain []byte, aad string) ([]byte, error) {
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	return sealWith(aead, random, plain, aad)
}

func sealWith(aead cipher.AEAD, random io.Reader, plain []byte, aad string) ([]byte, error) {
	out := make([]byte, NonceSize, NonceSize+len(plain)+aead.Overhead())
	if _, err := io.ReadFull(random, out); err != nil {
		return nil, err
	}
	return aead.Seal(out, out, plain, []byte(aad)), nil
}

// Open is the inverse of Seal.
func Open(key, sealed []byte, aad string) ([]byte, error) {
	aead, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	return openWith(aead, sealed, aad)
}

func openWith(aead cipher.AEAD, sealed []byte, aad string) ([]byte, error) {
	if len(sealed) < NonceSize {
		return nil, errors.New("sealed value is too short")
	}
	return aead.Open(nil, sealed[:NonceSize], sealed[NonceSize:], []byte(aad))
}

func newGCM(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

// Keys are derived from the random key of one incident: with that key
// destroyed, neither the sealed persons nor the blind indexes say anything.
type Keys struct {
	aead  cipher.AEAD
	blind []byte       // AES-CMAC key of the blind indexes
	salt  cipher.Block // AES-256: salts of commitments
	bound cipher.Block // AES-256: what binds people and exposures to their rows
}

// Derive makes the keys of an incident from its random key of 32 bytes.
func Derive(key []byte) (*Keys, error) {
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
	k := &Keys{aead: aead, blind: blind}
	for _, d := range []struct {
		block *cipher.Block
		info  string
	}{{&k.salt, "oshirase commitment salt"}, {&k.bound, "oshirase row binding"}} {
		key, err := hkdf.Key(sha256.New, key, nil, d.info, 32)
		if err != nil {
			return nil, err
		}
		if *d.block, err = aes.NewCipher(key); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Salt is what the commitment to a delivery is salted with: who has only the database
// cannot try whether somebody was told something, and with the incident's key gone
// nobody can. One block of AES under a key of its own.
func (k *Keys) Salt(campaign, recipient int64) (salt [16]byte) {
	binary.BigEndian.PutUint64(salt[:8], uint64(campaign))
	binary.BigEndian.PutUint64(salt[8:], uint64(recipient))
	k.salt.Encrypt(salt[:], salt[:])
	return salt
}

// Seal seals a value under the incident's key, bound to aad.
func (k *Keys) Seal(random io.Reader, plain []byte, aad string) ([]byte, error) {
	return k.SealBound(random, plain, []byte(aad))
}

// SealBound is Seal for who has aad as bytes.
func (k *Keys) SealBound(random io.Reader, plain, aad []byte) ([]byte, error) {
	out := make([]byte, NonceSize, NonceSize+len(plain)+k.aead.Overhead())
	if _, err := io.ReadFull(random, out); err != nil {
		return nil, err
	}
	return k.aead.Seal(out, out, plain, aad), nil
}

// Open is the inverse of Seal.
func (k *Keys) Open(sealed []byte, aad string) ([]byte, error) { return openWith(k.aead, sealed, aad) }

// A sealed person is bound to the population and the person key of its row: a
// value that was moved to another row does not open.
func personAAD(dst []byte, incident, merchant int64, personKey []byte) []byte {
	dst = append(dst, "p1"...)
	dst = binary.AppendVarint(dst, incident)
	dst = binary.AppendVarint(dst, merchant)
	return append(dst, personKey...)
}

// OpenPerson is the inverse of Sealer.Seal.
func (k *Keys) OpenPerson(sealed []byte, incident, merchant int64, personKey []byte) (mailer.Person, error) {
	if len(sealed) < NonceSize {
		return mailer.Person{}, errDamaged
	}
	var aad [64]byte
	plain, err := k.aead.Open(nil, sealed[:NonceSize], sealed[NonceSize:], personAAD(aad[:0], incident, merchant, personKey))
	if err != nil {
		return mailer.Person{}, errDamaged
	}
	p, err := decodePerson(plain)
	if err != nil {
		return mailer.Person{}, errDamaged
	}
	return p, nil
}

// errDamaged: a row is not as it was written. The key is right, for it was proved
// when the incident was opened.
var errDamaged = &mailer.Error{Kind: mailer.ErrDamaged, Code: "recipient.damaged"}

// Sealer seals persons and makes their blind indexes; one per goroutine.
type Sealer struct {
	keys               *Keys
	incident, merchant int64
	random             io.Reader
	mac                *cmac
	plain, aad         []byte
}

// NewSealer makes the sealer of a population.
func NewSealer(k *Keys, incident, merchant int64, random io.Reader) *Sealer {
	mac, err := newCMAC(k.blind)
	if err != nil {
		panic(err) // the key has the length that Derive gave it
	}
	return &Sealer{keys: k, incident: incident, merchant: merchant, random: random, mac: mac}
}

// Seal seals a person, bound to the population and the person key of its row.
func (s *Sealer) Seal(p *mailer.Person, personKey []byte) ([]byte, error) {
	s.plain = encodePerson(s.plain[:0], p)
	out := make([]byte, NonceSize, NonceSize+len(s.plain)+16)
	if _, err := io.ReadFull(s.random, out); err != nil {
		return nil, err
	}
	s.aad = personAAD(s.aad[:0], s.incident, s.merchant, personKey)
	return s.keys.aead.Seal(out, out, s.plain, s.aad), nil
}

// blindKey is the MAC of a tag, the merchant and values; 16 bytes.
func (s *Sealer) blindKey(tag string, values ...string) []byte {
	return slices.Clone(s.blind(tag, values...))
}

// blind is the MAC, valid until the next one. The merchant in it keeps one person's
// keys at two merchants from being equal.
func (s *Sealer) blind(tag string, values ...string) []byte {
	s.begin(tag)
	for _, v := range values {
		s.plain = binary.AppendUvarint(s.plain, uint64(len(v)))
		s.plain = append(s.plain, v...)
	}
	return s.mac.of(s.plain)
}

func (s *Sealer) begin(tag string) {
	s.plain = append(s.plain[:0], tag...)
	s.plain = binary.AppendVarint(s.plain, s.merchant)
}

// PersonKey says who a row is: the customer id, else the e-mail address, else
// postal code, address and name together; never a name alone. nil: nobody.
func (s *Sealer) PersonKey(p *mailer.Person) []byte {
	switch {
	case strings.TrimSpace(p.CustomerID) != "":
		return s.CustomerKey(p.CustomerID)
	case strings.TrimSpace(p.Email) != "":
		return s.blindKey("e", emailForm(p.Email))
	case p.Name != "" && p.Address != "":
		return s.blindKey("a", Fold(p.PostalCode), Fold(p.Address), Fold(p.Name))
	}
	return nil
}

// CustomerKey keeps case: where ids are told apart by it, two people must not
// become one.
func (s *Sealer) CustomerKey(id string) []byte {
	return s.blindKey("c", norm.NFKC.String(strings.TrimSpace(id)))
}

// EmailKey leads to the people with an address; 0: there is none.
func (s *Sealer) EmailKey(email string) int64 {
	if strings.TrimSpace(email) == "" {
		return 0
	}
	return short(s.blind("m", emailForm(email)))
}

// PhoneKey leads to the people with a telephone number; 0: there is none.
func (s *Sealer) PhoneKey(phone string) int64 {
	s.begin("t")
	n := len(s.plain)
	if s.plain = appendPhone(s.plain, phone); len(s.plain) == n {
		return 0
	}
	return short(s.mac.of(s.plain))
}

// KanaKey leads to the people whose name is written so in kana; 0: there is none.
func (s *Sealer) KanaKey(kana string) int64 {
	s.begin("k")
	n := len(s.plain)
	if s.plain = appendKana(s.plain, kana); len(s.plain) == n {
		return 0
	}
	return short(s.mac.of(s.plain))
}

// SumKey leads to a list by the checksum of its file and by how it was read.
func (s *Sealer) SumKey(sha256, how string) []byte { return s.blindKey("s", sha256, how) }

// short is 32 bits of a blind key, never 0. It only leads to candidates, which are to
// be compared: of ten million people, a few share one by chance. Short ones make
// small indexes, and say less to whoever counts them.
func short(mac []byte) int64 {
	k := int64(int32(binary.BigEndian.Uint32(mac)))
	if k == 0 {
		k = 1
	}
	return k
}

// SameEmail reports whether two addresses are found by the same key.
func SameEmail(a, b string) bool { return emailForm(a) == emailForm(b) }

func emailForm(email string) string {
	a, err := mailer.ParseAddress(strings.TrimSpace(email))
	if err != nil { // the list package refuses these; a look-up may still ask
		return Fold(email)
	}
	return a.Key()
}

// SamePhone reports whether two telephone numbers are found by the same key.
func SamePhone(a, b string) bool { return string(appendPhone(nil, a)) == string(appendPhone(nil, b)) }

// appendPhone appends a telephone number as it is found: its digits, in the national
// form (+81 90-1234-5678 is 09012345678).
func appendPhone(dst []byte, phone string) []byte {
	for i := range len(phone) {
		if phone[i] >= 0x80 {
			phone = norm.NFKC.String(phone)
			break
		}
	}
	phone = strings.TrimSpace(phone)
	if abroad, found := strings.CutPrefix(phone, "+81"); found {
		dst = append(dst, '0')
		phone = strings.TrimLeft(abroad, " -.(0") // +81 (0)90
	}
	for i := range len(phone) {
		if c := phone[i]; c >= '0' && c <= '9' {
			dst = append(dst, c)
		}
	}
	return dst
}

// SameKana reports whether two names in kana are found by the same key.
func SameKana(a, b string) bool { return string(appendKana(nil, a)) == string(appendKana(nil, b)) }

// appendKana appends a name in kana as it is found: katakana of full width, without
// blanks.
func appendKana(dst []byte, kana string) []byte {
	for _, r := range kana {
		if !plainKana(r) {
			kana = norm.NFKC.String(kana)
			break
		}
	}
	for _, r := range kana {
		switch {
		case r >= 'ぁ' && r <= 'ゖ':
			r += 'ァ' - 'ぁ'
		case unicode.IsSpace(r) || r == '・':
			continue
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// plainKana: most lists have names so, and NFKC leaves them as they are.
func plainKana(r rune) bool { return r >= 'ァ' && r <= 'ヶ' || r == 'ー' || r == ' ' || r == '　' }

// Fold is the form under which two spellings of one value are the same: NFKC,
// lower case, without blanks.
func Fold(s string) string {
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
