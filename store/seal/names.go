package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"math/bits"

	"oshirase/mailer"
)

// Names turns ids into the opaque forms that leave the program, and back. They are
// derived from the ledger's own secret and not from the master key, so that the
// master key can be changed without changing what was printed in a letter.
type Names struct {
	token cipher.Block // AES-256: delivery id ‖ tokenCheck
	mail  cipher.Block // the same under a key of its own, for Message-IDs
	ref   cipher.Block // AES-256: round function of the reference numbers
}

// NewNames derives the names of a ledger from its secret of 32 bytes.
func NewNames(secret []byte) (*Names, error) {
	var n Names
	for _, d := range []struct {
		block *cipher.Block
		info  string
	}{{&n.token, "oshirase delivery token"}, {&n.mail, "oshirase message id"}, {&n.ref, "oshirase reference number"}} {
		key, err := hkdf.Key(sha256.New, secret, nil, d.info, 32)
		if err != nil {
			return nil, err
		}
		if *d.block, err = aes.NewCipher(key); err != nil {
			return nil, err
		}
	}
	return &n, nil
}

var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// tokenCheck fills the half of a token's block that is not the id: a forged
// token shows it with a chance of 2^-64.
const tokenCheck = 0x6f73686972617365

// Token is the opaque name of a delivery in envelope senders: 26 lower-case
// base32 characters, the same whenever it is asked for.
func (n *Names) Token(delivery int64) string { return encodeName(n.token, delivery) }

// MessageName is the opaque name of a delivery in its Message-ID, of the form of a
// token. Whoever is shown a message, a forwarded one too, sees it, so nothing of the
// token of the envelope sender follows from it.
func (n *Names) MessageName(delivery int64) string { return encodeName(n.mail, delivery) }

func encodeName(block cipher.Block, delivery int64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(delivery))
	binary.BigEndian.PutUint64(b[8:], tokenCheck)
	block.Encrypt(b[:], b[:])
	var out [26]byte
	tokenEncoding.Encode(out[:], b[:])
	return string(out[:])
}

// ParseToken returns the delivery of a token; false where it is none of ours.
func (n *Names) ParseToken(token string) (int64, bool) { return decodeName(n.token, token) }

// ParseMessageName returns the delivery that the left side of a Message-ID names;
// false where it is none of ours.
func (n *Names) ParseMessageName(name string) (int64, bool) { return decodeName(n.mail, name) }

func decodeName(block cipher.Block, token string) (int64, bool) {
	var b [17]byte
	if len(token) != 26 {
		return 0, false
	}
	lower := make([]byte, len(token))
	for i := range len(token) {
		lower[i] = token[i]
		if c := token[i]; c >= 'A' && c <= 'Z' { // local parts come back in any case
			lower[i] = c + 'a' - 'A'
		}
	}
	k, err := tokenEncoding.Decode(b[:], lower)
	if err != nil || k != 16 {
		return 0, false
	}
	block.Decrypt(b[:16], b[:16])
	id := int64(binary.BigEndian.Uint64(b[:8]))
	if binary.BigEndian.Uint64(b[8:16]) != tokenCheck || id <= 0 {
		return 0, false
	}
	return id, encodeName(block, id) == string(lower) // 26 characters hold two bits more than the block
}

// Reference numbers are a keyed permutation of the recipients' ids: unique
// without an index, impossible to count from one to the next, and found again
// by turning the permutation round.

const (
	refBase   = 23
	refDigits = 9
	refSpace  = 1801152661463 // 23^9
	refHalf   = 21            // bits in each half of the Feistel network: 2^42 > refSpace
	refRounds = 10
)

// round works in b, so that a number takes one allocation and not one a round.
func (n *Names) round(b *[16]byte, i int, half uint64) uint64 {
	*b = [16]byte{byte(i)}
	binary.BigEndian.PutUint64(b[8:], half)
	n.ref.Encrypt(b[:], b[:])
	return binary.BigEndian.Uint64(b[:8]) & (1<<refHalf - 1)
}

func (n *Names) permute(v uint64) uint64 {
	var b [16]byte
	for {
		l, r := v>>refHalf, v&(1<<refHalf-1)
		for i := range refRounds {
			l, r = r, l^n.round(&b, i, r)
		}
		if v = l<<refHalf | r; v < refSpace { // else walk the cycle
			return v
		}
	}
}

func (n *Names) unpermute(v uint64) uint64 {
	var b [16]byte
	for {
		l, r := v>>refHalf, v&(1<<refHalf-1)
		for i := refRounds - 1; i >= 0; i-- {
			l, r = r^n.round(&b, i, l), l
		}
		if v = l<<refHalf | r; v < refSpace {
			return v
		}
	}
}

// digits feeds mailer.NewRef, which takes one digit from each byte.
type digits struct{ v uint64 }

func (d *digits) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(d.v % refBase)
		d.v /= refBase
	}
	return len(p), nil
}

// Ref is the reference number of a recipient.
func (n *Names) Ref(recipient int64) string {
	ref, err := mailer.NewRef(&digits{n.permute(uint64(recipient))})
	if err != nil {
		panic(err) // digits never fails
	}
	return ref
}

// ParseRef returns the recipient of a reference number. The number is well
// formed where err is nil; there may be no such recipient.
func (n *Names) ParseRef(s string) (int64, error) {
	ref, err := mailer.ParseRef(s)
	if err != nil {
		return 0, err
	}
	var v uint64
	k := 0
	for i := 0; k < refDigits; i++ {
		if ref[i] == '-' {
			continue
		}
		v += uint64(refDigit[ref[i]]) * refPower[k]
		k++
	}
	return int64(n.unpermute(v)), nil
}

// refDigit is the value of each character, learnt from mailer.NewRef itself so
// that its alphabet stands in one place only.
var (
	refDigit [256]byte
	refPower [refDigits]uint64
)

func init() {
	for d := range refBase {
		ref, err := mailer.NewRef(&digits{uint64(d)})
		if err != nil {
			panic(err)
		}
		refDigit[ref[0]] = byte(d)
	}
	p := uint64(1)
	for k := range refPower {
		refPower[k] = p
		p *= refBase
	}
	if hi, lo := bits.Mul64(p, 1); hi != 0 || lo != refSpace {
		panic("seal: the space of reference numbers is wrong")
	}
}
