package smtp

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
)

const base64Line = 57 // octets that make a line of 76

// base64Pairs has the two characters for 12 bits, the first in the low octet.
var base64Pairs = func() (pairs [1 << 12]uint16) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range pairs {
		pairs[i] = uint16(alphabet[i>>6]) | uint16(alphabet[i&63])<<8
	}
	return pairs
}()

// base64Size is the length of n octets in lines of base64.
func base64Size(n int) int {
	lines := (n + base64Line - 1) / base64Line
	return base64.StdEncoding.EncodedLen(n) + 2*lines
}

// appendBase64Lines writes base64 in lines of 76. Every message is written this
// way, and six octets at a time take half as long as the standard library does
// with three.
func appendBase64Lines(dst, text []byte) []byte {
	size := base64Size(len(text))
	dst = slices.Grow(dst, size)
	out := dst[len(dst) : len(dst)+size]
	for len(text) >= base64Line {
		src, line := text[:base64Line], out[:base64Line/3*4+2]
		for i := range base64Line / 6 {
			v := binary.BigEndian.Uint64(src[6*i:]) // two octets more than are used
			binary.LittleEndian.PutUint64(line[8*i:], uint64(base64Pairs[v>>52])|
				uint64(base64Pairs[v>>40&0xfff])<<16|
				uint64(base64Pairs[v>>28&0xfff])<<32|
				uint64(base64Pairs[v>>16&0xfff])<<48)
		}
		v := uint32(src[base64Line-3])<<16 | uint32(src[base64Line-2])<<8 | uint32(src[base64Line-1])
		binary.LittleEndian.PutUint32(line[base64Line/6*8:], uint32(base64Pairs[v>>12])|uint32(base64Pairs[v&0xfff])<<16)
		line[len(line)-2], line[len(line)-1] = '\r', '\n'
		text, out = text[base64Line:], out[len(line):]
	}
	if len(text) > 0 {
		base64.StdEncoding.Encode(out, text)
		out[len(out)-2], out[len(out)-1] = '\r', '\n'
	}
	return dst[:len(dst)+size]
}
