package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The test data of Certificate Transparency: eight leaves and the root of the
// first n of them.
var (
	ctLeaves = []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	ctRoots  = []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	// ctProofs: index, size, and the hashes, leaf to root.
	ctProofs = []struct {
		index, size int64
		proof       []string
	}{
		{0, 1, nil},
		{0, 8, []string{
			"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
		}},
		{5, 8, []string{
			"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
			"ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
			"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		}},
		{2, 3, []string{"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
		{1, 5, []string{
			"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
			"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
			"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
		}},
	}
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ctHashes(t *testing.T) (hashes []Hash) {
	t.Helper()
	for _, leaf := range ctLeaves {
		hashes = append(hashes, LeafHash(unhex(t, leaf)))
	}
	return hashes
}

func treeOf(leaves []Hash) *Tree {
	var t Tree
	for _, h := range leaves {
		t.Add(h)
	}
	return &t
}

func TestRoot(t *testing.T) {
	var tree Tree
	leaves := ctHashes(t)
	for n, want := range ctRoots {
		if got := tree.Root().String(); got != want {
			t.Errorf("root of %d leaves is %s, want %s", n, got, want)
		}
		if n < len(leaves) {
			tree.Add(leaves[n])
		}
	}
	if tree.Reset(); tree.Size() != 0 || tree.Root().String() != ctRoots[0] {
		t.Error("a tree that was reset is not empty")
	}
}

func TestProofs(t *testing.T) {
	leaves := ctHashes(t)
	for _, tt := range ctProofs {
		got, err := proofOf(leaves[:tt.size], tt.index)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, h := range got {
			texts = append(texts, h.String())
		}
		if !slices.Equal(texts, tt.proof) {
			t.Errorf("proof of leaf %d of %d: %q, want %q", tt.index, tt.size, texts, tt.proof)
		}
	}
}

func proofOf(leaves []Hash, index int64) ([]Hash, error) {
	p := NewProver(index)
	for _, h := range leaves {
		p.Add(h)
	}
	return p.Proof()
}

// split is the largest power of two below n (RFC 6962, section 2.1).
func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

// rootByRFC and pathByRFC are the definitions, word for word.
func rootByRFC(d []Hash) Hash {
	switch n := len(d); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return d[0]
	default:
		k := split(n)
		left, right := rootByRFC(d[:k]), rootByRFC(d[k:])
		return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
	}
}

func pathByRFC(m int, d []Hash) []Hash {
	n := len(d)
	if n == 1 {
		return nil
	}
	k := split(n)
	if m < k {
		return append(pathByRFC(m, d[:k]), rootByRFC(d[k:]))
	}
	return append(pathByRFC(m-k, d[k:]), rootByRFC(d[:k]))
}

func drawLeaves(t *rapid.T, atLeast int) []Hash {
	leaves := make([]Hash, rapid.IntRange(atLeast, 200).Draw(t, "leaves"))
	salt := rapid.Byte().Draw(t, "salt")
	for i := range leaves {
		leaves[i] = LeafHash([]byte{salt, byte(i)})
	}
	return leaves
}

// TestTreeIsTheRFCs: streamed roots and proofs are those of the definition, for
// any number of leaves.
func TestTreeIsTheRFCs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := drawLeaves(t, 1)
		index := rapid.IntRange(0, len(leaves)-1).Draw(t, "index")
		root := treeOf(leaves).Root()
		if want := rootByRFC(leaves); root != want {
			t.Fatalf("root %s, want %s", root, want)
		}
		proof, err := proofOf(leaves, int64(index))
		if err != nil {
			t.Fatal(err)
		}
		if want := pathByRFC(index, leaves); !slices.Equal(proof, want) {
			t.Fatalf("proof %v, want %v", proof, want)
		}
		if err := VerifyInclusion(root, int64(len(leaves)), int64(index), leaves[index], proof); err != nil {
			t.Fatal(err)
		}
	})
}

// TestNoOtherProof: a proof shows one leaf at one place of one tree only.
func TestNoOtherProof(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := drawLeaves(t, 2)
		index := rapid.IntRange(0, len(leaves)-1).Draw(t, "index")
		proof, err := proofOf(leaves, int64(index))
		if err != nil {
			t.Fatal(err)
		}
		root, size, at, leaf := treeOf(leaves).Root(), int64(len(leaves)), int64(index), leaves[index]
		bit := func() (int, byte) {
			return rapid.IntRange(0, len(Hash{})-1).Draw(t, "octet"), 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		switch rapid.SampledFrom([]string{"root", "leaf", "proof", "index", "shorter", "longer"}).Draw(t, "changed") {
		case "root":
			i, b := bit()
			root[i] ^= b
		case "leaf":
			i, b := bit()
			leaf[i] ^= b
		case "proof":
			i, b := bit()
			proof[rapid.IntRange(0, len(proof)-1).Draw(t, "hash")][i] ^= b
		case "index":
			at = (at + rapid.Int64Range(1, size-1).Draw(t, "by")) % size
		case "shorter":
			proof = proof[:len(proof)-1]
		case "longer":
			proof = append(proof, leaf)
		}
		if err := VerifyInclusion(root, size, at, leaf, proof); !errors.Is(err, ErrNoProof) {
			t.Fatalf("shown all the same: %v", err)
		}
	})
}

func TestProofOutside(t *testing.T) {
	leaves := ctHashes(t)
	for _, index := range []int64{-1, 8, 1 << 40} {
		if _, err := proofOf(leaves, index); !errors.Is(err, ErrNoProof) {
			t.Errorf("proof of leaf %d of 8: %v", index, err)
		}
		if err := VerifyInclusion(Hash{}, 8, index, Hash{}, nil); !errors.Is(err, ErrNoProof) {
			t.Errorf("leaf %d of 8: %v", index, err)
		}
	}
}

// TestNodeIsNoLeaf: the two hashes below a root are not taken for a leaf.
func TestNodeIsNoLeaf(t *testing.T) {
	leaves := ctHashes(t)[:2]
	if LeafHash(slices.Concat(leaves[0][:], leaves[1][:])) == treeOf(leaves).Root() {
		t.Error("an inner node has the hash of a leaf")
	}
}

func TestLongLeaf(t *testing.T) {
	for _, n := range []int{0, 511, 512, 513, 5000} {
		leaf := make([]byte, n)
		if want := sha256.Sum256(make([]byte, n+1)); LeafHash(leaf) != Hash(want) {
			t.Errorf("hash of a leaf of %d octets", n)
		}
	}
}

func sum(octets []byte) Hash { return sha256.Sum256(octets) }
