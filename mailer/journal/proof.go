package journal

import (
	"errors"
	"fmt"
	"math/bits"
)

// ErrNoProof says that a proof does not show what it should.
var ErrNoProof = errors.New("the proof does not hold")

// Prover makes a proof of inclusion (RFC 6962, section 2.1.1) for one leaf while
// it takes the hashes of all in their order. Like a Tree it keeps only the hashes
// that it needs.
type Prover struct {
	index int64
	size  int64
	left  Tree // before index
	right Tree // of the subtree that is being filled behind it
	level int  // of that subtree: it is full with 2^level leaves
	// behind holds the roots of those that are full, by their level.
	behind [63]Hash
}

// NewProver makes a prover for the leaf at index, the first being 0.
func NewProver(index int64) *Prover {
	p := &Prover{index: index}
	p.level = p.nextLevel(0)
	return p
}

// nextLevel is the lowest level from i upwards at which what lies beside the way
// from the leaf to the root lies behind it.
func (p *Prover) nextLevel(i int) int {
	return i + bits.TrailingZeros64(^uint64(p.index>>i))
}

// Add takes the next leaf's hash.
func (p *Prover) Add(leaf Hash) {
	switch {
	case p.size < p.index:
		p.left.Add(leaf)
	case p.size > p.index:
		p.right.Add(leaf)
		if p.right.Size() == 1<<p.level {
			p.behind[p.level] = p.right.Root()
			p.right.Reset()
			p.level = p.nextLevel(p.level + 1)
		}
	}
	p.size++
}

// Proof is the hashes from the leaf's neighbour up to below the root; none where
// the leaf is the only one. It is ErrNoProof where the leaf did not come.
func (p *Prover) Proof() ([]Hash, error) {
	if p.index < 0 || p.index >= p.size {
		return nil, fmt.Errorf("leaf %d of %d: %w", p.index, p.size, ErrNoProof)
	}
	var proof []Hash
	for i := 0; (p.size-1)>>i > 0; i++ {
		switch {
		case p.index>>i&1 == 1:
			proof = append(proof, p.left.full[i])
		case i < p.level:
			proof = append(proof, p.behind[i])
		case i == p.level && p.right.Size() > 0:
			proof = append(proof, p.right.Root())
		}
	}
	return proof, nil
}

// VerifyInclusion is nil where the proof shows that the leaf is the one at index
// among the size leaves under root, else ErrNoProof.
func VerifyInclusion(root Hash, size, index int64, leaf Hash, proof []Hash) error {
	if index < 0 || index >= size {
		return fmt.Errorf("leaf %d of %d: %w", index, size, ErrNoProof)
	}
	last := size - 1 // on the level that is climbed
	for i := range proof {
		switch {
		case last == 0:
			return fmt.Errorf("%d hashes too many: %w", len(proof)-i, ErrNoProof)
		case index&1 == 1:
			leaf = nodeHash(&proof[i], &leaf)
		case index == last: // nothing lies behind: the node is its parent's only one
			skip := bits.TrailingZeros64(uint64(index))
			index, last = index>>skip, last>>skip
			leaf = nodeHash(&proof[i], &leaf)
		default:
			leaf = nodeHash(&leaf, &proof[i])
		}
		index, last = index>>1, last>>1
	}
	if last != 0 || leaf != root {
		return ErrNoProof
	}
	return nil
}
