package mailer

// Actor is the person behind an act, and how that was proved. Every use case
// takes one, and nothing is recorded without.
type Actor struct {
	// Name is the person's, as it is recorded; empty only where Proof is
	// ProofProgram.
	Name  string
	Proof Proof
	// ID is the member's, once the ledger has found who it is; empty: no members are
	// registered.
	ID string
	// OSUser is the user of the operating system that runs the program, whatever Name
	// says; empty: not known.
	OSUser string
	// Keys sign; that of the person is found among them. Empty: none is at hand.
	Keys []Signer
}

// Signer signs with an SSH key, of a file or of an agent.
type Signer interface {
	// Public is the key that verifies, as Member has it.
	Public() string
	// Sign makes an armored SSH signature (PROTOCOL.sshsig) over a text.
	Sign(namespace string, text []byte) (string, error)
}

// What is signed, so that a signature for one is none for another.
const (
	// NamespaceApproval is that of sheets: of campaigns, and of changes of persons and
	// policy, which their first lines tell apart.
	NamespaceApproval = "oshirase-approval-v1"
	// NamespaceAct is that of challenges: who acts has the key.
	NamespaceAct = "oshirase-act-v1"
)

// Proof is how it was proved who acts.
type Proof string

// The proofs.
const (
	ProofProgram Proof = "program" // the program itself: nobody asked for this act now
	ProofOSUser  Proof = "os-user" // the user of the operating system that runs the program
	ProofNone    Proof = "none"    // a name that was typed: nothing proves it
	ProofSSHKey  Proof = "ssh-key" // a signature by the person's registered key
)

// Japanese returns the word for tables and sheets.
func (p Proof) Japanese() string {
	switch p {
	case ProofProgram:
		return "プログラム"
	case ProofOSUser:
		return "OSユーザー"
	case ProofNone:
		return "証明なし"
	case ProofSSHKey:
		return "SSH鍵"
	}
	return string(p)
}

// Program is the program acting by itself: waking a campaign, finishing it.
var Program = Actor{Proof: ProofProgram}

// Valid refuses an act that nobody stands behind.
func (a Actor) Valid() error {
	if a.Proof != ProofProgram && a.Name == "" {
		return Invalid("actor.missing")
	}
	return nil
}
