package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
)

// Codes prove that what stands in the database was written by the program: who can
// write the file and has no master key can make none. They are derived from the
// ledger's own secret, as Names are.
type Codes struct {
	rows    []byte       // HMAC-SHA256
	entries cipher.Block // AES-256
	sign    ed25519.PrivateKey
}

// NewCodes derives the codes of a ledger from its secret of 32 bytes.
func NewCodes(secret []byte) (*Codes, error) {
	derive := func(info string) ([]byte, error) { return hkdf.Key(sha256.New, secret, nil, info, 32) }
	c := &Codes{}
	var err error
	if c.rows, err = derive("oshirase row codes"); err != nil {
		return nil, err
	}
	key, err := derive("oshirase journal codes")
	if err != nil {
		return nil, err
	}
	if c.entries, err = aes.NewCipher(key); err != nil {
		return nil, err
	}
	seed, err := derive("oshirase checkpoints")
	if err != nil {
		return nil, err
	}
	c.sign = ed25519.NewKeyFromSeed(seed)
	return c, nil
}

// Row is the code of a row, from its octets.
func (c *Codes) Row(octets []byte) (code Code) {
	m := hmac.New(sha256.New, c.rows)
	m.Write(octets)
	copy(code[:], m.Sum(nil))
	return code
}

// Entry is the code of an entry of the journal, from its hash: a CBC-MAC over two
// blocks, always as many.
func (c *Codes) Entry(hash [32]byte) (code Code) {
	for b := range 2 {
		for i := range code {
			code[i] ^= hash[aes.BlockSize*b+i]
		}
		c.entries.Encrypt(code[:], code[:])
	}
	return code
}

// Signer signs checkpoints. It stays the same when the master key is changed.
func (c *Codes) Signer() ed25519.PrivateKey { return c.sign }
