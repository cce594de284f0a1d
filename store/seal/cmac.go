package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// cmac is AES-CMAC (NIST SP 800-38B, RFC 4493): a keyed hash that costs a tenth of
// HMAC for the short values of a list. It is used by one goroutine.
type cmac struct {
	block  cipher.Block
	k1, k2 [aes.BlockSize]byte
	sum    [aes.BlockSize]byte
}

func newCMAC(key []byte) (*cmac, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	c := &cmac{block: block}
	block.Encrypt(c.k1[:], c.k1[:])
	double(&c.k1)
	c.k2 = c.k1
	double(&c.k2)
	return c, nil
}

// double multiplies by x in GF(2^128).
func double(b *[aes.BlockSize]byte) {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	carry := hi >> 63 * 0x87
	binary.BigEndian.PutUint64(b[:8], hi<<1|lo>>63)
	binary.BigEndian.PutUint64(b[8:], lo<<1^carry)
}

// of is the MAC of a message; it is valid until the next call.
func (c *cmac) of(message []byte) []byte {
	x := c.sum[:]
	clear(x)
	for len(message) > aes.BlockSize {
		subtle.XORBytes(x, x, message[:aes.BlockSize])
		c.block.Encrypt(x, x)
		message = message[aes.BlockSize:]
	}
	last := &c.k1
	subtle.XORBytes(x, x, message)
	if len(message) < aes.BlockSize {
		x[len(message)] ^= 0x80
		last = &c.k2
	}
	subtle.XORBytes(x, x, last[:])
	c.block.Encrypt(x, x)
	return x
}
