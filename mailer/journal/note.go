package journal

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Sign makes a checkpoint the signed note that stands beside the ledger and
// elsewhere (C2SP signed-note, Ed25519). Its name is the origin.
func (c *Checkpoint) Sign(key ed25519.PrivateKey) ([]byte, error) {
	text, err := c.Format()
	if err != nil {
		return nil, err
	}
	vkey, err := PublicKey(c.Origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	hash := strings.Split(vkey, "+")[1]
	signer, err := note.NewSigner("PRIVATE+KEY+" + c.Origin + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return note.Sign(&note.Note{Text: text}, signer)
}

// PublicKey is the key that verifies the checkpoints of an origin, in the form of
// signed notes: name+hash+key.
func PublicKey(origin string, key ed25519.PublicKey) (string, error) {
	vkey, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return vkey, nil
}

// OpenCheckpoint reads a signed checkpoint that must be signed by the key; anything
// else is ErrCheckpoint.
func OpenCheckpoint(signed []byte, vkey string) (*Checkpoint, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err == nil && c.Origin != verifier.Name() {
		err = fmt.Errorf("origin: %w", ErrCheckpoint)
	}
	return c, err
}

// SplitCheckpoints calls fn with each signed checkpoint of a file to which they were
// appended one behind another; a last one that was cut is left out.
func SplitCheckpoints(file []byte, fn func(signed []byte) error) error {
	for len(file) > 0 {
		text, rest, ok := strings.Cut(string(file), "\n\n")
		if !ok {
			return nil
		}
		n := len(text) + 2
		for strings.HasPrefix(rest, "— ") {
			line, after, whole := strings.Cut(rest, "\n")
			if !whole {
				return nil
			}
			n += len(line) + 1
			rest = after
		}
		if err := fn(file[:n]); err != nil {
			return err
		}
		file = file[n:]
	}
	return nil
}
