package mailer

// RelayCheck is what trying one relay came to, without a message. JSON keys are the
// contract of `relay check`.
type RelayCheck struct {
	Name  string      `json:"name"`
	OK    bool        `json:"ok"`
	Steps []RelayStep `json:"steps"` // as far as it went
}

// RelayStep is one step of it.
type RelayStep struct {
	Step   RelayStage `json:"step"`
	Sender string     `json:"sender,omitempty"` // envelope sender that was tried, of StepMail
	OK     bool       `json:"ok"`
	Reply  string     `json:"reply"` // of the relay, or the error; empty: none is known
}

// RelayStage is how far talking to a relay has come.
type RelayStage string

// The stages.
const (
	StepConnect RelayStage = "connect" // TCP
	StepTLS     RelayStage = "tls"
	StepEHLO    RelayStage = "ehlo" // greeting and EHLO
	StepAuth    RelayStage = "auth"
	StepMail    RelayStage = "mail" // MAIL, and RSET
)

// Japanese returns the word for tables.
func (s RelayStage) Japanese() string {
	switch s {
	case StepConnect:
		return "接続"
	case StepTLS:
		return "暗号化（TLS）"
	case StepEHLO:
		return "応答（EHLO）"
	case StepAuth:
		return "認証（AUTH）"
	case StepMail:
		return "差出人（MAIL）"
	}
	return string(s)
}
