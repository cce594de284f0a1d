package journal

import "crypto/sha256"

// A leaf begins with a letter for its sort and its version. A field is never
// added to a version: that makes a new one.
const (
	leafEvent   = 'E'
	leafAct     = 'A'
	leafHead    = 'H' // of a checkpoint's tree
	leafPerson  = 'P' // of a campaign's tree
	leafControl = 'C'
	leafDigest  = 'D' // no leaf: see Digest
	leafVersion = 1
)

// Event is what happened to one delivery, as far as anybody may know it. Which
// attempt it was is not in it: that is counted where the event is written.
type Event struct {
	Delivery int64
	Campaign string
	Kind     string
	State    string // that the delivery went to
	At       int64  // ms since 1970, UTC
	Relay    string // empty: none was asked
	Point    string // of the dialogue at which the relay spoke; empty: it did not
	Code     int64  // of the reply; 0: none
	Enhanced string // status code; empty: none
	Text     string // of the reply, masked
	Reply    Hash   // of the sealed raw reply; zero: none
}

// AppendLeaf appends the event's octets; nothing is allocated where dst has room.
//
//	'E' 1
//	delivery       8 octets, big-endian
//	campaign       length (LEB128), octets; so all texts
//	kind           text
//	state          text
//	at             8 octets
//	relay          text
//	point          text
//	code           8 octets
//	enhanced       text
//	text           text
//	reply          0, or 1 and 32 octets
func (e *Event) AppendLeaf(dst []byte) []byte {
	dst = append(dst, leafEvent, leafVersion)
	dst = appendInt(dst, e.Delivery)
	dst = appendText(dst, e.Campaign)
	dst = appendText(dst, e.Kind)
	dst = appendText(dst, e.State)
	dst = appendInt(dst, e.At)
	dst = appendText(dst, e.Relay)
	dst = appendText(dst, e.Point)
	dst = appendInt(dst, e.Code)
	dst = appendText(dst, e.Enhanced)
	dst = appendText(dst, e.Text)
	if e.Reply == (Hash{}) {
		return append(dst, 0)
	}
	return append(append(dst, 1), e.Reply[:]...)
}

// Act is what somebody did, or read.
type Act struct {
	At      int64  // ms since 1970, UTC
	By      string // empty: the program
	Proof   string // how it was proved who acts
	Action  string
	Subject string
	Detail  string
}

// AppendLeaf appends the act's octets; nothing is allocated where dst has room.
//
//	'A' 1
//	at             8 octets, big-endian
//	by             length (LEB128), octets; so all texts
//	proof          text
//	action         text
//	subject        text
//	detail         text
func (a *Act) AppendLeaf(dst []byte) []byte {
	dst = append(dst, leafAct, leafVersion)
	dst = appendInt(dst, a.At)
	dst = appendText(dst, a.By)
	dst = appendText(dst, a.Proof)
	dst = appendText(dst, a.Action)
	dst = appendText(dst, a.Subject)
	return appendText(dst, a.Detail)
}

// Person is one recipient in the tree of what a campaign says to whom: who is told,
// or why not.
type Person struct {
	Ref        string // reference number
	Suppressed string // why the person is not told; empty: is told
	Commitment Hash   // to what the person is told; zero where nothing is
}

// AppendLeaf appends the person's octets; nothing is allocated where dst has room.
//
//	'P' 1
//	ref            length (LEB128), octets; so all texts
//	suppressed     text
//	commitment     32 octets
func (p *Person) AppendLeaf(dst []byte) []byte {
	dst = append(dst, leafPerson, leafVersion)
	dst = appendText(dst, p.Ref)
	dst = appendText(dst, p.Suppressed)
	return append(dst, p.Commitment[:]...)
}

// Digest is what approvals of a campaign bind: SHA-256 over the facts that its notices
// are made of, and the tree of its people in the order of their numbers. One person is
// proved by the path to the root, without the others.
//
//	'D' 1
//	people         8 octets, big-endian
//	root           32 octets
//	facts          length (LEB128), octets
func Digest(facts []byte, people *Tree) Hash {
	root := people.Root()
	in := appendInt([]byte{leafDigest, leafVersion}, people.Size())
	in = append(in, root[:]...)
	return sha256.Sum256(appendText(in, string(facts)))
}

// Control is the sum of the keyed codes over all that decides what is sent: facts,
// campaigns, approvals, persons. Each change of these makes the next version.
type Control struct {
	Version int64 // 1, 2, …
	Sum     [16]byte
}

// AppendLeaf appends its octets; nothing is allocated where dst has room.
//
//	'C' 1
//	version        8 octets, big-endian
//	sum            16 octets
func (c *Control) AppendLeaf(dst []byte) []byte {
	return append(appendInt(append(dst, leafControl, leafVersion), c.Version), c.Sum[:]...)
}

// ControlChain is what checkpoints call the versions of Control.
const ControlChain = "control"

// Head names a version as a checkpoint does: the hash is that of the leaf.
func (c *Control) Head() Head {
	return Head{ControlChain, c.Version, LeafHash(c.AppendLeaf(nil))}
}
