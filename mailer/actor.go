package mailer

// Actor is the person behind an act, and how that was proved. Every use case
// takes one, and nothing is recorded without.
type Actor struct {
	// Name is the person's, as it is recorded; empty only where Proof is
	// ProofProgram.
	Name  string
	Proof Proof
}

// Proof is how it was proved who acts.
type Proof string

// The proofs.
const (
	ProofProgram Proof = "program" // the program itself: nobody asked for this act now
	ProofOSUser  Proof = "os-user" // the user of the operating system that runs the program
	ProofNone    Proof = "none"    // a name that was typed: nothing proves it
)

// Program is the program acting by itself: waking a campaign, finishing it.
var Program = Actor{Proof: ProofProgram}

// Valid refuses an act that nobody stands behind.
func (a Actor) Valid() error {
	if a.Proof != ProofProgram && a.Name == "" {
		return Invalid("actor.missing")
	}
	return nil
}
