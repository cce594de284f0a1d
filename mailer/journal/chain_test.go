package journal

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestEntryOctets: a chain of today can be followed in twenty years. The value is
// sha256sum's over the octets as the comment describes them.
func TestEntryOctets(t *testing.T) {
	e := Entry{Chain: "a", N: 1, At: 2, Leaves: 3, Prev: Hash{0: 4}, Root: Hash{31: 5}}
	const want = "917077a30fc0714274c664af25ba883942fd5cfc047a9af2875bc43f7a04a5ee"
	if got := e.Hash().String(); got != want {
		t.Errorf("hash of the entry is %s, want %s", got, want)
	}
}

// commit is an entry with the leaves that the ledger has for it.
type commit struct {
	entry  Entry
	leaves []Hash
}

func leavesOf(n, size int) (leaves []Hash) {
	for i := range size {
		leaves = append(leaves, LeafHash([]byte{byte(n), byte(i)}))
	}
	return leaves
}

// makeChain makes n commits of 1, 2, 3, … leaves.
func makeChain(name string, n int) (commits []commit) {
	head := Head{Chain: name}
	for i := range n {
		leaves := leavesOf(i, i+1)
		e := Next(head, 1000, treeOf(leaves))
		head = e.Head()
		commits = append(commits, commit{e, leaves})
	}
	return commits
}

// verify has a chain go over commits and gives what it found, in words.
func verify(c *Chain, commits []commit) (found []string) {
	for i := range commits {
		for _, f := range c.Add(&commits[i].entry, treeOf(commits[i].leaves)) {
			found = append(found, f.String())
		}
	}
	for _, f := range c.End() {
		found = append(found, f.String())
	}
	return found
}

func TestChain(t *testing.T) {
	whole := makeChain("w", 6)
	last := whole[5].entry.Head()
	for _, tt := range []struct {
		name   string
		change func(c []commit) []commit
		known  []Head
		want   []string
	}{
		{"whole", func(c []commit) []commit { return c }, []Head{last, whole[2].entry.Head(), {"other", 9, Hash{}}}, nil},
		{"one is missing", func(c []commit) []commit { return slices.Delete(c, 2, 3) }, nil, []string{"w 4: missing"}},
		{"the first is missing", func(c []commit) []commit { return c[1:] }, nil, []string{"w 2: missing"}},
		{"the last is missing", func(c []commit) []commit { return c[:5] }, nil, nil}, // only elsewhere it is known
		{"the last is missing and known", func(c []commit) []commit { return c[:5] }, []Head{last}, []string{"w 6: short"}},
		{"all are missing", func([]commit) []commit { return nil }, []Head{last}, []string{"w 6: short"}},
		{"two change places", func(c []commit) []commit { c[2], c[3] = c[3], c[2]; return c }, nil, []string{"w 4: missing", "w 3: order"}},
		{"one stands twice", func(c []commit) []commit { return slices.Insert(c, 3, c[2]) }, nil, []string{"w 3: order"}},
		{"a time is changed", func(c []commit) []commit { c[2].entry.At++; return c }, nil, []string{"w 4: previous"}},
		{"the last one's time is changed", func(c []commit) []commit { c[5].entry.At++; return c }, []Head{last}, []string{"w 6: head"}},
		{"a predecessor is changed", func(c []commit) []commit { c[2].entry.Prev[0]++; return c }, nil, []string{"w 3: previous", "w 4: previous"}},
		{"the first has a predecessor", func(c []commit) []commit { c[0].entry.Prev[0]++; return c }, nil, []string{"w 1: previous", "w 2: previous"}},
		{"a leaf is changed", func(c []commit) []commit { c[2].leaves[1][0]++; return c }, nil, []string{"w 3: root"}},
		{"leaves change places", func(c []commit) []commit { slices.Reverse(c[2].leaves); return c }, nil, []string{"w 3: root"}},
		{"a leaf is gone", func(c []commit) []commit { c[2].leaves = c[2].leaves[:2]; return c }, nil, []string{"w 3: count"}},
		{"a leaf is added", func(c []commit) []commit { c[2].leaves = append(c[2].leaves, Hash{}); return c }, nil, []string{"w 3: count"}},
		{"leaf and root are changed", func(c []commit) []commit {
			c[2].leaves[1][0]++
			c[2].entry.Root = treeOf(c[2].leaves).Root()
			return c
		}, nil, []string{"w 4: previous"}},
		{"a leaf is gone and not counted", func(c []commit) []commit {
			c[2].leaves = c[2].leaves[:2]
			c[2].entry.Leaves, c[2].entry.Root = 2, treeOf(c[2].leaves).Root()
			return c
		}, nil, []string{"w 4: previous"}},
		{"an entry of another chain", func(c []commit) []commit { return slices.Insert(c, 2, makeChain("x", 1)...) }, nil, []string{"w 1: chain"}},
		{"all is written anew", func([]commit) []commit {
			c := makeChain("w", 6)
			for i := range c {
				c[i].leaves[0][0]++
				before := Head{Chain: "w"}
				if i > 0 {
					before = c[i-1].entry.Head()
				}
				c[i].entry = Next(before, 1000, treeOf(c[i].leaves))
			}
			return c
		}, []Head{whole[3].entry.Head()}, []string{"w 4: head"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := verify(NewChain(Head{Chain: "w"}, tt.known...), tt.change(makeChain("w", 6)))
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// TestChainGoesOn: from a head that is trusted only the rest is needed.
func TestChainGoesOn(t *testing.T) {
	whole := makeChain("w", 6)
	c := NewChain(whole[2].entry.Head(), whole[0].entry.Head(), whole[5].entry.Head())
	if found := verify(c, whole[3:]); found != nil {
		t.Errorf("found %q", found)
	}
	if c.Head() != whole[5].entry.Head() {
		t.Errorf("head %v", c.Head())
	}
	wrong := whole[2].entry.Head()
	wrong.Hash[0]++
	if found := verify(NewChain(wrong), whole[3:]); !slices.Equal(found, []string{"w 4: previous"}) {
		t.Errorf("behind a wrong head: %q", found)
	}
}

// TestAnyChangeIsFound: with the last head known, no change to what is kept of a
// chain goes unseen.
func TestAnyChangeIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		commits := makeChain("w", rapid.IntRange(1, 12).Draw(t, "commits"))
		known := commits[len(commits)-1].entry.Head()
		i := rapid.IntRange(0, len(commits)-1).Draw(t, "commit")
		c := &commits[i]
		by := rapid.Int64Min(1).Draw(t, "by")
		bit := func(h *Hash) { h[rapid.IntRange(0, 31).Draw(t, "octet")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit") }
		change := rapid.SampledFrom([]string{"chain", "n", "at", "prev", "leaves", "root", "leaf", "cut", "copy", "swap"}).Draw(t, "changed")
		switch change {
		case "chain":
			c.entry.Chain += "x"
		case "n":
			c.entry.N += by
		case "at":
			c.entry.At += by
		case "prev":
			bit(&c.entry.Prev)
		case "leaves":
			c.entry.Leaves += by
		case "root":
			bit(&c.entry.Root)
		case "leaf":
			bit(&c.leaves[rapid.IntRange(0, len(c.leaves)-1).Draw(t, "leaf")])
		case "cut":
			commits = slices.Delete(commits, i, rapid.IntRange(i+1, len(commits)).Draw(t, "to"))
		case "copy":
			commits = slices.Insert(commits, rapid.IntRange(0, len(commits)).Draw(t, "at"), *c)
		case "swap":
			j := rapid.IntRange(0, len(commits)-1).Draw(t, "with")
			if i == j {
				t.Skip("the same")
			}
			commits[i], commits[j] = commits[j], commits[i]
		}
		if found := verify(NewChain(Head{Chain: "w"}, known), commits); len(found) == 0 {
			t.Fatal("nothing was found")
		}
	})
}

func ExampleChain() {
	// The owner writes.
	var leaves Tree
	act := Act{At: 1795560000000, By: "佐藤", Proof: "os-user", Action: "start", Subject: "c1"}
	leaves.Add(LeafHash(act.AppendLeaf(nil)))
	first := Next(Head{Chain: "w"}, 1795560000000, &leaves)

	// Somebody changes the ledger: it was 鈴木.
	act.By = "鈴木"
	leaves.Reset()
	leaves.Add(LeafHash(act.AppendLeaf(nil)))

	// Somebody else looks.
	chain := NewChain(Head{Chain: "w"})
	fmt.Println(chain.Add(&first, &leaves))
	// Output: [w 1: root]
}

// entryOctets writes what the comment of Hash says.
func entryOctets(e *Entry) string {
	return "0201" + fmt.Sprintf("%x%x%016x%016x%x%016x%x", binary.AppendUvarint(nil, uint64(len(e.Chain))), e.Chain, e.N, e.At, e.Prev[:], e.Leaves, e.Root[:])
}

// TestEntryIsHashedAsDescribed, also where the name is longer than the room.
func TestEntryIsHashedAsDescribed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Entry{
			rapid.StringN(0, 400, -1).Draw(t, "chain"), rapid.Int64Min(0).Draw(t, "n"), rapid.Int64Min(0).Draw(t, "at"),
			Hash{rapid.Byte().Draw(t, "prev")},
			rapid.Int64Min(0).Draw(t, "leaves"),
			Hash{rapid.Byte().Draw(t, "root")},
		}
		octets, err := hex.DecodeString(entryOctets(&e))
		if err != nil {
			t.Fatal(err)
		}
		// A leaf of the same octets but the first has another hash.
		if got := sum(octets); e.Hash() != got || LeafHash(octets[1:]) == got {
			t.Fatalf("hash of %+v is %s, want %s", e, e.Hash(), got)
		}
	})
}
