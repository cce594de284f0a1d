// Package journal is the arithmetic of the ledger's memory: what a commit said,
// hashed so that whoever changes it later is found out. Each owner (process) has a
// chain of its own, so that writers do not wait for one another; each commit adds
// one Entry, which names its predecessor by hash and holds the root of a Merkle
// tree (RFC 6962) over what happened in it. A Checkpoint holds the heads of all
// chains.
//
// What it proves, to somebody who holds a head or a checkpoint from elsewhere:
// that the entries up to it, and the leaves of each, are the ones of then, in
// their order, none missing and none added; and, by a proof of inclusion, that one
// leaf is among them, without showing the others.
//
// What it does not prove: that what was written was true, or that all that
// happened was written; anything behind the last head that somebody else holds (the
// whole file can be written anew, or end early); who wrote it, since nothing is
// signed here; that a time is right, for it is the writer's clock, which may
// jump; an order between chains. Numbers that the ledger counts by itself (which
// attempt it was) are in no leaf: they can be counted again.
//
// Of the people who are told they hold no names, addresses or replies: texts are
// masked before they come here, and of what is sealed stands only the hash of its
// sealed form, which nobody can guess. So a chain may outlive the people in it. Who
// acted is named.
//
// The package is pure: no clock, no I/O, nothing of the house; plain types only.
package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Hash is a SHA-256 value. All zeros stands for none.
type Hash [sha256.Size]byte

// String is the value in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// The first byte of all that is hashed says what it is, so that nothing of one
// sort can be shown as another. The first two are those of RFC 6962, section 2.1.
const (
	prefixLeaf  = 0x00
	prefixNode  = 0x01
	prefixEntry = 0x02
)

// The encodings are made of two things, each of which says where it ends, in a
// fixed order: so no two contents encode alike.

// appendInt appends eight octets, big-endian, two's complement.
func appendInt(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(n))
}

// appendText appends the number of octets as an unsigned LEB128 in its shortest
// form, and the octets as they are.
func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
