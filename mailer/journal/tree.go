package journal

import (
	"crypto/sha256"
	"math/bits"
)

// LeafHash is the hash of a leaf (RFC 6962, section 2.1).
func LeafHash(leaf []byte) Hash {
	var room [512]byte // most leaves fit, and none is then allocated
	return sha256.Sum256(append(append(room[:0], prefixLeaf), leaf...))
}

func nodeHash(left, right *Hash) Hash {
	var in [1 + 2*sha256.Size]byte
	in[0] = prefixNode
	copy(in[1:], left[:])
	copy(in[1+sha256.Size:], right[:])
	return sha256.Sum256(in[:])
}

// Tree takes the hashes of leaves one after another and keeps of them what their
// root needs: at most one hash for each bit of their number. The zero Tree is
// empty. A copy goes its own way.
type Tree struct {
	size int64
	// full holds the root of a full subtree of 2^i leaves for each bit i that is
	// set in size; the larger stand further left.
	full [63]Hash
}

// Add takes the next leaf's hash.
func (t *Tree) Add(leaf Hash) {
	i := 0
	for ; t.size>>i&1 == 1; i++ {
		leaf = nodeHash(&t.full[i], &leaf)
	}
	t.full[i] = leaf
	t.size++
}

// Reset makes the tree empty.
func (t *Tree) Reset() { t.size = 0 }

// Size is the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Root is the Merkle tree hash; of no leaves, that of the empty string.
func (t *Tree) Root() Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	i := bits.TrailingZeros64(uint64(t.size))
	root := t.full[i]
	for i++; t.size>>i > 0; i++ {
		if t.size>>i&1 == 1 {
			root = nodeHash(&t.full[i], &root)
		}
	}
	return root
}
