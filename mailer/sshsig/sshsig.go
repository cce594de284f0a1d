// Package sshsig signs texts with SSH keys, and verifies what was signed, in the
// format of OpenSSH (PROTOCOL.sshsig): what is signed here `ssh-keygen -Y verify`
// confirms, and what `ssh-keygen -Y sign` makes is taken here.
//
// It knows keys, texts and namespaces, and nothing of what a text means or of who may
// sign it.
package sshsig

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"oshirase/mailer"
)

// minRSABits refuses RSA keys that could be broken while the ledger is still proof.
const minRSABits = 2048

// ParsePublic reads a public key as a .pub file or an authorized_keys line has it, and
// returns it as mailer.Member has it: type and base64, no options, no comment. Ed25519,
// ECDSA, RSA of 2048 bits and more, and the first two on security keys are taken.
func ParsePublic(line []byte) (string, error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return "", mailer.Invalid("sshsig.public", "cause", err)
	}
	if len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return "", mailer.Invalid("sshsig.one-key")
	}
	if err := usable(key); err != nil {
		return "", err
	}
	return encode(key), nil
}

func encode(key ssh.PublicKey) string {
	return key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal())
}

func usable(key ssh.PublicKey) error {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		if n := rsaBits(key); n < minRSABits {
			return mailer.Invalid("sshsig.weak", "bits", n, "least", minRSABits)
		}
		return nil
	}
	return mailer.Invalid("sshsig.type", "type", key.Type())
}

// rsaBits is the length of the modulus (RFC 4253, section 6.6).
func rsaBits(key ssh.PublicKey) int {
	var w struct {
		Name string
		E, N []byte
	}
	if ssh.Unmarshal(key.Marshal(), &w) != nil {
		return 0
	}
	return 8 * len(bytes.TrimLeft(w.N, "\x00"))
}

// Verify is nil where the armored signature is one by the key ("TYPE BASE64") over
// exactly this text in this namespace.
func Verify(key, namespace string, text []byte, armored string) error {
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
	if err != nil {
		return mailer.Invalid("sshsig.public", "cause", err)
	}
	if err := usable(public); err != nil {
		return err
	}
	sig, err := sshsig.Unarmor([]byte(armored))
	if err != nil {
		return mailer.Invalid("sshsig.signature", "cause", err)
	}
	if !bytes.Equal(public.Marshal(), sig.PublicKey.Marshal()) {
		return mailer.Invalid("sshsig.other-key", "fingerprint", ssh.FingerprintSHA256(sig.PublicKey))
	}
	if strings.HasPrefix(public.Type(), "sk-") && (len(sig.Signature.Rest) < 1 || sig.Signature.Rest[0]&touched == 0) {
		return mailer.Invalid("sshsig.untouched")
	}
	if err := sshsig.Verify(bytes.NewReader(text), sig, public, sig.HashAlgorithm, namespace); err != nil {
		return mailer.Invalid("sshsig.wrong", "cause", err)
	}
	return nil
}

// touched is the flag of a security key that somebody was there (PROTOCOL.u2f).
const touched = 0x01

// sign makes an armored signature.
func sign(by ssh.Signer, namespace string, text []byte) (string, error) {
	sig, err := sshsig.Sign(bytes.NewReader(text), by, sshsig.HashSHA512, namespace)
	if err != nil {
		return "", mailer.NewError(nil, "sshsig.sign", "cause", err)
	}
	return string(sshsig.Armor(sig)), nil
}
