package mailer

// Halt is why the program paused a campaign by itself. It holds no personal data: of
// a reply its codes alone.
type Halt struct {
	Why      HaltReason `json:"why"`
	Relay    string     `json:"relay,omitempty"`    // whose reply was the last; empty: no relay had a part in it
	Code     int        `json:"code,omitempty"`     // of that reply; 0: there was none
	Enhanced string     `json:"enhanced,omitempty"` // status code of RFC 3463; empty: it had none
	Groups   []string   `json:"groups,omitempty"`   // the domain groups concerned, of HaltGroups
	Count    int64      `json:"count,omitempty"`    // how many deliveries it was seen at
}

// HaltReason is what made the program pause a campaign.
type HaltReason string

// The reasons.
const (
	HaltSender  HaltReason = "sender"  // a relay refuses the campaign's sender
	HaltGroups  HaltReason = "groups"  // a relay refuses us at two domain groups
	HaltFirst   HaltReason = "first"   // the first replies of all were refusals, of whatever kind
	HaltRow     HaltReason = "row"     // so many refusals of us in a row
	HaltCompose HaltReason = "compose" // several notices could not be composed
)

// IsZero reports whether the program did not pause the campaign.
func (h Halt) IsZero() bool { return h.Why == "" }

// Reply is the codes of the last reply in one line; empty: there was none.
func (h Halt) Reply() string {
	o := Outcome{Code: h.Code, Enhanced: h.Enhanced}
	return o.Reply()
}
