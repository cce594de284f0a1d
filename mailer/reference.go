package mailer

import (
	"io"
	"strings"
)

// refAlphabet leaves out characters that are mistaken for others on the phone
// or on paper (0 O, 1 I L, 8 B, 5 S, 2 Z, U V).
const refAlphabet = "34679ACDEFGHJKMNPQRTWXY"

const refDigits = 9 // besides the check character: 23^9, about 1.8 × 10^12

// NewRef draws a reference number from random bytes: XXXXX-XXXXX, the last
// character being a check character that catches any single wrong character and
// any two neighbours exchanged.
func NewRef(random io.Reader) (string, error) {
	b := make([]byte, 0, refDigits+2)
	var buf [16]byte
	sum := 0
	for len(b) < refDigits {
		if _, err := io.ReadFull(random, buf[:]); err != nil {
			return "", err
		}
		for _, c := range buf {
			// 253 is the largest multiple of 23 below 256: no character is likelier.
			if c >= 253 || len(b) == refDigits {
				continue
			}
			n := int(c) % len(refAlphabet)
			b = append(b, refAlphabet[n])
			sum += (len(b) + 1) * n
		}
	}
	b = append(b, refAlphabet[sum%len(refAlphabet)])
	return string(b[:5]) + "-" + string(b[5:]), nil
}

// ParseRef reads a reference number as people say or type it: any case, full
// width, hyphens and blanks anywhere. It returns the form of NewRef.
func ParseRef(s string) (string, error) {
	var b []byte
	for _, r := range strings.ToUpper(s) {
		if r >= '！' && r <= '～' { // full-width ASCII
			r -= '！' - '!'
		}
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		if strings.ContainsRune(refAlphabet, r) {
			b = append(b, byte(r))
			continue
		}
		if strings.ContainsRune(" -　\u00A0‐‑‒–—―−ーｰ", r) {
			continue
		}
		return "", Invalid("reference.character", "value", s)
	}
	if len(b) != refDigits+1 {
		return "", Invalid("reference.length", "value", s, "length", len(b), "want", refDigits+1)
	}
	sum := 0
	for i, c := range b[:refDigits] {
		sum += (i + 2) * strings.IndexByte(refAlphabet, c)
	}
	if refAlphabet[sum%len(refAlphabet)] != b[refDigits] {
		return "", Invalid("reference.checksum", "value", s)
	}
	return string(b[:5]) + "-" + string(b[5:]), nil
}
