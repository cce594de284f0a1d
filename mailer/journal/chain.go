package journal

import (
	"cmp"
	"fmt"
	"slices"
)

// Rule is what a chain must be, and is not.
type Rule string

// The rules.
const (
	RuleChain    Rule = "chain"    // the entry is of another chain
	RuleMissing  Rule = "missing"  // entries before this one are not there
	RuleOrder    Rule = "order"    // an entry with this number, or a higher one, stood before
	RulePrevious Rule = "previous" // it does not follow the entry before: one of the two was changed
	RuleCount    Rule = "count"    // it has other leaves than it counted: some were added or are gone
	RuleRoot     Rule = "root"     // its leaves are not the ones it was made of, or not in their order
	RuleHead     Rule = "head"     // somebody knows another entry of this number: the past was written anew
	RuleShort    Rule = "short"    // somebody knows an entry of this number, which the chain does not reach
)

// Finding is one thing that does not fit.
type Finding struct {
	Rule  Rule
	Chain string
	N     int64 // of the entry
}

func (f Finding) String() string { return fmt.Sprintf("%s %d: %s", f.Chain, f.N, f.Rule) }

// Chain takes the entries of one chain in the order of the ledger and names what
// does not fit. A defect is named where it shows: a changed entry at the one that
// follows it, a changed last one only by a head that is known from elsewhere.
type Chain struct {
	head  Head
	known []Head // from elsewhere, still to come, by number
}

// NewChain begins behind a head that is trusted; one with nothing but the name is
// the beginning. Known heads are from elsewhere (checkpoints, a file beside the
// ledger): the chain must pass through them; those of other chains and those not
// behind from are left out.
func NewChain(from Head, known ...Head) *Chain {
	c := &Chain{head: from}
	for _, k := range known {
		if k.Chain == from.Chain && k.N > from.N {
			c.known = append(c.known, k)
		}
	}
	slices.SortStableFunc(c.known, func(a, b Head) int { return cmp.Compare(a.N, b.N) })
	return c
}

// Add takes the next entry and the leaves that the ledger has for it. It goes on
// behind what does not fit, so that one defect is named once.
func (c *Chain) Add(e *Entry, leaves *Tree) (found []Finding) {
	find := func(r Rule, n int64) { found = append(found, Finding{r, c.head.Chain, n}) }
	if e.Chain != c.head.Chain {
		find(RuleChain, e.N)
		return found
	}
	if leaves.Size() != e.Leaves {
		find(RuleCount, e.N)
	} else if leaves.Root() != e.Root {
		find(RuleRoot, e.N)
	}
	if e.N <= c.head.N {
		find(RuleOrder, e.N)
		return found
	}
	switch {
	case e.N != c.head.N+1:
		find(RuleMissing, e.N)
	case e.Prev != c.head.Hash:
		find(RulePrevious, e.N)
	}
	c.head = e.Head()
	for len(c.known) > 0 && c.known[0].N <= c.head.N {
		if k := c.known[0]; k.N == c.head.N && k.Hash != c.head.Hash {
			find(RuleHead, k.N)
		}
		c.known = c.known[1:]
	}
	return found
}

// End names the known heads that the chain did not reach.
func (c *Chain) End() (found []Finding) {
	for _, k := range c.known {
		found = append(found, Finding{RuleShort, k.Chain, k.N})
	}
	return found
}

// Head is the last entry that was taken.
func (c *Chain) Head() Head { return c.head }
