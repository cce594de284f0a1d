package journal

import "crypto/sha256"

const entryVersion = 1

// Entry is what one commit of an owner adds to the owner's chain.
type Entry struct {
	Chain  string
	N      int64 // 1, 2, …
	At     int64 // ms since 1970, UTC; a clock may jump, so times may go back
	Prev   Hash  // of the entry before; zero for the first
	Leaves int64
	Root   Hash // over the leaves
}

// Hash is what the next entry and a checkpoint name it by: SHA-256 over
//
//	2 1
//	chain          length (LEB128), octets
//	n              8 octets, big-endian
//	at             8 octets
//	prev           32 octets
//	leaves         8 octets
//	root           32 octets
func (e *Entry) Hash() Hash {
	var room [256]byte // most chains' names leave enough
	in := append(room[:0], prefixEntry, entryVersion)
	in = appendText(in, e.Chain)
	in = appendInt(in, e.N)
	in = appendInt(in, e.At)
	in = append(in, e.Prev[:]...)
	in = appendInt(in, e.Leaves)
	in = append(in, e.Root[:]...)
	return sha256.Sum256(in)
}

// Head is the chain up to this entry.
func (e *Entry) Head() Head { return Head{e.Chain, e.N, e.Hash()} }

// Head names the last entry of a chain, and with it all before.
type Head struct {
	Chain string
	N     int64 // 0: the chain has no entry, and Hash is zero
	Hash  Hash
}

// Next is the entry that follows a head.
func Next(head Head, at int64, leaves *Tree) Entry {
	return Entry{head.Chain, head.N + 1, at, head.Hash, leaves.Size(), leaves.Root()}
}
