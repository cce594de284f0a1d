package journal

// A leaf begins with a letter for its sort and its version. A field is never
// added to a version: that makes a new one.
const (
	leafEvent   = 'E'
	leafAct     = 'A'
	leafHead    = 'H' // of a checkpoint's tree
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
