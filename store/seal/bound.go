package seal

import (
	"crypto/aes"
	"encoding/binary"
	"math/bits"

	"oshirase/mailer"
)

// Row is what of a recipient's row says who it is: its number, its keys and what is
// sealed. A keyed code over it stands beside, so that the rows of two people, or one
// of their keys, cannot be exchanged unseen.
type Row struct {
	ID                          int64
	PersonKey                   []byte // 16 bytes
	Email, Phone, Kana, Similar int64
	Sealed                      []byte
}

// Code is a keyed code of a row.
type Code [16]byte

// Short is what of a code stands in the row itself.
func (c Code) Short() int64 { return int64(binary.BigEndian.Uint64(c[:8])) }

// Bind is the code of a recipient's row: a CBC-MAC over five blocks, always as many.
// The last is the tag of what is sealed, which stands for all of it.
func (k *Keys) Bind(r *Row) (c Code) {
	var in [5 * aes.BlockSize]byte
	binary.BigEndian.PutUint64(in[0:], uint64(r.ID))
	binary.BigEndian.PutUint64(in[8:], uint64(r.Email))
	binary.BigEndian.PutUint64(in[16:], uint64(r.Phone))
	binary.BigEndian.PutUint64(in[24:], uint64(r.Kana))
	binary.BigEndian.PutUint64(in[32:], uint64(r.Similar))
	copy(in[48:64], r.PersonKey)
	if n := len(r.Sealed); n >= aes.BlockSize {
		copy(in[64:], r.Sealed[n-aes.BlockSize:])
	}
	for b := range 5 {
		k.mix(&c, in[aes.BlockSize*b:])
	}
	return c
}

// OpenRow opens a recipient's row that must be as it was written; what is sealed is
// bound to the population besides.
func (k *Keys) OpenRow(r *Row, bound, incident, merchant int64) (mailer.Person, error) {
	if k.Bind(r).Short() != bound {
		return mailer.Person{}, errDamaged
	}
	return k.OpenPerson(r.Sealed, incident, merchant, r.PersonKey)
}

// Exposed is the code of a recipient's exposure: two blocks, always as many. said is
// what the list says of this person's exposure beyond that, of which the first twelve
// bytes of a MAC stand; empty: nothing.
func (k *Keys) Exposed(recipient, exposure, list int64, said string) (c Code) {
	var in [2 * aes.BlockSize]byte
	binary.BigEndian.PutUint64(in[0:], uint64(recipient))
	binary.BigEndian.PutUint64(in[8:], uint64(exposure))
	binary.BigEndian.PutUint32(in[16:], uint32(list))
	if said != "" {
		mac, err := newCMAC(k.blind)
		if err != nil {
			panic(err) // the key has the length that Derive gave it
		}
		copy(in[20:], mac.of([]byte("x"+said)))
	}
	in[0] |= 0x80 // so that none begins as a recipient's code does
	k.mix(&c, in[:aes.BlockSize])
	k.mix(&c, in[aes.BlockSize:])
	return c
}

// Named is the code of a mention: that a list named a recipient whom an earlier one had
// brought, and what stood there before, sealed (nil: the list said nothing else).
func (k *Keys) Named(list, recipient int64, was []byte) (c Code) {
	var in [2 * aes.BlockSize]byte
	binary.BigEndian.PutUint64(in[0:], uint64(list))
	binary.BigEndian.PutUint64(in[8:], uint64(recipient))
	if n := len(was); n >= aes.BlockSize {
		copy(in[16:], was[n-aes.BlockSize:])
	}
	in[0] |= 0x40 // so that none begins as a recipient's or an exposure's code does
	k.mix(&c, in[:aes.BlockSize])
	k.mix(&c, in[aes.BlockSize:])
	return c
}

func (k *Keys) mix(c *Code, block []byte) {
	for i := range c {
		c[i] ^= block[i]
	}
	k.bound.Encrypt(c[:], c[:])
}

// Sum adds codes of many rows, in any order: a row too few, too many or changed makes
// another sum, which nobody can mend without the key.
type Sum [16]byte

// Add takes a row's code in.
func (s *Sum) Add(c Code) {
	lo, carry := bits.Add64(binary.BigEndian.Uint64(s[8:]), binary.BigEndian.Uint64(c[8:]), 0)
	hi, _ := bits.Add64(binary.BigEndian.Uint64(s[:8]), binary.BigEndian.Uint64(c[:8]), carry)
	binary.BigEndian.PutUint64(s[:8], hi)
	binary.BigEndian.PutUint64(s[8:], lo)
}

// Take takes it out.
func (s *Sum) Take(c Code) {
	lo, borrow := bits.Sub64(binary.BigEndian.Uint64(s[8:]), binary.BigEndian.Uint64(c[8:]), 0)
	hi, _ := bits.Sub64(binary.BigEndian.Uint64(s[:8]), binary.BigEndian.Uint64(c[:8]), borrow)
	binary.BigEndian.PutUint64(s[:8], hi)
	binary.BigEndian.PutUint64(s[8:], lo)
}
