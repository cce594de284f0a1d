package journal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrCheckpoint says that a text is no checkpoint, or that heads make none.
var ErrCheckpoint = errors.New("not a checkpoint")

// Checkpoint is the heads of all chains at a time. Its text is the body of a
// signed note (golang.org/x/mod/sumdb/note, C2SP signed-note) and is laid out as a
// C2SP tlog-checkpoint: lines that end in LF,
//
//	oshirase.example/ledger/7f3a       origin: which ledger
//	2                                  number of chains, in decimal
//	zXq…=                              root over the heads, in base64 (RFC 4648, section 4)
//	time 1795560000000                 ms since 1970, UTC
//	head 1f-20261124 1200 PUc…=        chain, number of its last entry, hash of that in base64
//	head 20-20261125 3 Ykx…=           in the order of the octets of their names
//
// There is one text for a checkpoint and no other. A head changes as its chain
// grows, so the root of a later checkpoint is no continuation of this one's tree
// and a witness cannot ask for a proof of that: who has an earlier checkpoint gives
// its heads to a Chain.
type Checkpoint struct {
	Origin string
	At     int64 // ms since 1970, UTC
	Heads  []Head
}

// Root is the RFC 6962 root over the heads in the order they stand in, each leaf
//
//	'H' 1
//	chain          length (LEB128), octets
//	n              8 octets, big-endian
//	hash           32 octets
func (c *Checkpoint) Root() Hash {
	var t Tree
	var leaf []byte
	for i := range c.Heads {
		leaf = c.Heads[i].appendLeaf(leaf[:0])
		t.Add(LeafHash(leaf))
	}
	return t.Root()
}

func (h *Head) appendLeaf(dst []byte) []byte {
	dst = append(dst, leafHead, leafVersion)
	dst = appendText(dst, h.Chain)
	dst = appendInt(dst, h.N)
	return append(dst, h.Hash[:]...)
}

// Format puts the heads in order and gives the text. It is ErrCheckpoint where a
// chain stands twice or has no entry, or a name does not fit into a line.
func (c *Checkpoint) Format() (string, error) {
	slices.SortFunc(c.Heads, func(a, b Head) int { return strings.Compare(a.Chain, b.Chain) })
	if err := c.check(); err != nil {
		return "", err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s\n%d\n%s\ntime %d\n", c.Origin, len(c.Heads), encode(c.Root()), c.At)
	for _, h := range c.Heads {
		fmt.Fprintf(&s, "head %s %d %s\n", h.Chain, h.N, encode(h.Hash))
	}
	return s.String(), nil
}

// check refuses what no text can say.
func (c *Checkpoint) check() error {
	if !printable(c.Origin) {
		return fmt.Errorf("origin: %w", ErrCheckpoint)
	}
	if c.At < 0 {
		return fmt.Errorf("time: %w", ErrCheckpoint)
	}
	for i, h := range c.Heads {
		if h.N < 1 || !printable(h.Chain) || strings.Contains(h.Chain, " ") {
			return fmt.Errorf("head %d: %w", i+1, ErrCheckpoint)
		}
		if i > 0 && c.Heads[i-1].Chain >= h.Chain {
			return fmt.Errorf("head %d stands twice or in the wrong place: %w", i+1, ErrCheckpoint)
		}
	}
	return nil
}

// printable is what may stand in a line of a note, and leaves no doubt where it
// ends.
func printable(s string) bool {
	return s != "" && utf8.ValidString(s) && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}

// ParseCheckpoint reads the text of one, which must be exactly as Format makes it,
// its root included; anything else is ErrCheckpoint.
func ParseCheckpoint(text string) (*Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 5 || lines[len(lines)-1] != "" {
		return nil, fmt.Errorf("%d lines: %w", len(lines), ErrCheckpoint)
	}
	lines = lines[:len(lines)-1]
	c := &Checkpoint{Origin: lines[0]}
	n, ok := parseInt(lines[1])
	if !ok || n != int64(len(lines)-4) {
		return nil, fmt.Errorf("number of chains: %w", ErrCheckpoint)
	}
	at, found := strings.CutPrefix(lines[3], "time ")
	if c.At, ok = parseInt(at); !found || !ok {
		return nil, fmt.Errorf("time: %w", ErrCheckpoint)
	}
	for i, line := range lines[4:] {
		h, ok := parseHead(line)
		if !ok {
			return nil, fmt.Errorf("head %d: %w", i+1, ErrCheckpoint)
		}
		c.Heads = append(c.Heads, h)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if root, ok := decode(lines[2]); !ok || root != c.Root() {
		return nil, fmt.Errorf("root: %w", ErrCheckpoint)
	}
	return c, nil
}

func parseHead(line string) (h Head, ok bool) {
	f := strings.Split(line, " ")
	if len(f) != 4 || f[0] != "head" {
		return h, false
	}
	h.Chain = f[1]
	if h.N, ok = parseInt(f[2]); !ok {
		return h, false
	}
	h.Hash, ok = decode(f[3])
	return h, ok
}

// parseInt takes the one decimal form of a number that is not negative.
func parseInt(s string) (n int64, ok bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}

func encode(h Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }

// decode takes the one form that encode gives.
func decode(s string) (h Hash, ok bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	h = Hash(b)
	return h, encode(h) == s
}
