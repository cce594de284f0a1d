package journal

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

var someEvent = Event{
	Delivery: 1234567, Campaign: "c-7f3a-000012", Kind: "attempt", State: "accepted", At: 1795560000000,
	Relay: "relay-1", Point: "dot", Code: 250, Enhanced: "2.0.0", Text: "Ok: queued as 4XyZ0123456789",
}

// TestEventOctets: what is hashed today can be hashed in twenty years.
func TestEventOctets(t *testing.T) {
	e := Event{
		Delivery: 258, Campaign: "c1", Kind: "attempt", State: "deferred", At: 1, Relay: "r", Point: "rcpt",
		Code: 451, Enhanced: "4.7.1", Text: "待", Reply: Hash{0: 0xaa, 31: 0xbb},
	}
	const want = "4501" + "0000000000000102" + "026331" + "07617474656d7074" + "086465666572726564" + "0000000000000001" +
		"0172" + "0472637074" + "00000000000001c3" + "05342e372e31" + "03e5be85" +
		"01aa000000000000000000000000000000000000000000000000000000000000bb"
	if got := hex.EncodeToString(e.AppendLeaf(nil)); got != want {
		t.Errorf("octets of the event:\n%s, want\n%s", got, want)
	}
	e.Reply = Hash{}
	if got := hex.EncodeToString(e.AppendLeaf(nil)); got != want[:len(want)-66]+"00" {
		t.Errorf("octets of the event without a reply:\n%s", got)
	}
}

func TestActOctets(t *testing.T) {
	a := Act{At: -1, By: "佐", Proof: "none", Action: "start", Subject: "c1", Detail: ""}
	const want = "4101" + "ffffffffffffffff" + "03e4bd90" + "046e6f6e65" + "057374617274" + "026331" + "00"
	if got := hex.EncodeToString(a.AppendLeaf(nil)); got != want {
		t.Errorf("octets of the act:\n%s, want\n%s", got, want)
	}
}

// octets reads an encoding back, as somebody would who has only its description.
type octets struct {
	t    *rapid.T
	left []byte
}

func (o *octets) take(n int) []byte {
	if n > len(o.left) {
		o.t.Fatalf("%d octets are wanted where %d are left", n, len(o.left))
	}
	b := o.left[:n]
	o.left = o.left[n:]
	return b
}

func (o *octets) int() int64 { return int64(binary.BigEndian.Uint64(o.take(8))) }

func (o *octets) text() string {
	n, size := binary.Uvarint(o.left)
	o.take(size)
	return string(o.take(int(n)))
}

func (o *octets) end() {
	if len(o.left) > 0 {
		o.t.Fatalf("%d octets are left", len(o.left))
	}
}

// TestLeavesSayAllTheySay: whatever the fields hold, they can be read back, so no
// two contents have the same octets.
func TestLeavesSayAllTheySay(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringN(100, 200, -1), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	t.Run("event", rapid.MakeCheck(func(t *rapid.T) {
		want := Event{
			rapid.Int64().Draw(t, "delivery"), text.Draw(t, "campaign"), text.Draw(t, "kind"), text.Draw(t, "state"),
			rapid.Int64().Draw(t, "at"), text.Draw(t, "relay"), text.Draw(t, "point"), rapid.Int64().Draw(t, "code"),
			text.Draw(t, "enhanced"), text.Draw(t, "text"), Hash(rapid.SliceOfN(rapid.ByteMax(1), 32, 32).Draw(t, "reply")),
		}
		o := &octets{t, want.AppendLeaf(nil)}
		if string(o.take(2)) != "E\x01" {
			t.Fatal("not an event")
		}
		got := Event{o.int(), o.text(), o.text(), o.text(), o.int(), o.text(), o.text(), o.int(), o.text(), o.text(), Hash{}}
		if o.take(1)[0] == 1 {
			got.Reply = Hash(o.take(32))
		}
		if o.end(); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}))
	t.Run("act", rapid.MakeCheck(func(t *rapid.T) {
		want := Act{
			rapid.Int64().Draw(t, "at"), text.Draw(t, "by"), text.Draw(t, "proof"),
			text.Draw(t, "action"), text.Draw(t, "subject"), text.Draw(t, "detail"),
		}
		o := &octets{t, want.AppendLeaf(nil)}
		if string(o.take(2)) != "A\x01" {
			t.Fatal("not an act")
		}
		got := Act{o.int(), o.text(), o.text(), o.text(), o.text(), o.text()}
		if o.end(); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}))
}

// TestNothingIsAllocated: a leaf is made for each message.
func TestNothingIsAllocated(t *testing.T) {
	e, a := someEvent, Act{By: "佐藤", Proof: "os-user", Action: "start", Subject: "c1"}
	e.Reply[0] = 1
	var tree Tree
	var buf []byte
	if n := testing.AllocsPerRun(100, func() {
		buf = e.AppendLeaf(buf[:0])
		tree.Add(LeafHash(buf))
		buf = a.AppendLeaf(buf[:0])
		tree.Add(LeafHash(buf))
		entry := Next(Head{Chain: "1f"}, 1, &tree)
		tree.Reset()
		if entry.Hash() == (Hash{}) {
			t.Error("no hash")
		}
	}); n != 0 {
		t.Errorf("%v allocations a commit", n)
	}
}

// BenchmarkLeaf is what the journal takes for each message.
func BenchmarkLeaf(b *testing.B) {
	var tree Tree
	var buf []byte
	for b.Loop() {
		buf = someEvent.AppendLeaf(buf[:0])
		tree.Add(LeafHash(buf))
	}
}

// BenchmarkCommit is what it takes for each commit of twenty messages.
func BenchmarkCommit(b *testing.B) {
	var tree Tree
	var buf []byte
	head := Head{Chain: "1f-20261124"}
	for b.Loop() {
		tree.Reset()
		for range 20 {
			buf = someEvent.AppendLeaf(buf[:0])
			tree.Add(LeafHash(buf))
		}
		e := Next(head, 1795560000000, &tree)
		head = e.Head()
	}
}
