package sshsig

import (
	"errors"
	"net"
	"os"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"oshirase/mailer"
)

// Keys says where keys are found beside files.
type Keys struct {
	// Agent is the socket of an ssh-agent; empty: there is none.
	Agent string
	// Passphrase asks for that of a key file; nil: nobody can be asked.
	Passphrase func(file string) ([]byte, error)
}

// Open returns what signs with the key of a file: a private key, or a public one whose
// private half the agent has. A private key with a passphrase is looked for in the agent
// before anybody is asked.
func (k *Keys) Open(file string) (mailer.Signer, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, mailer.Invalid("sshsig.file", "cause", err)
	}
	if public, err := ParsePublic(b); err == nil {
		return k.inAgent(file, public)
	}
	private, err := ssh.ParsePrivateKey(b)
	if locked, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		if locked.PublicKey != nil {
			if s, err := k.inAgent(file, encode(locked.PublicKey)); err == nil {
				return s, nil
			}
		}
		if k.Passphrase == nil {
			return nil, mailer.Invalid("sshsig.passphrase", "file", file)
		}
		private, err = k.unlock(file, b)
	}
	if err != nil {
		return nil, mailer.Invalid("sshsig.private", "file", file, "cause", err)
	}
	if err := usable(private.PublicKey()); err != nil {
		return nil, err
	}
	return fileKey{private}, nil
}

func (k *Keys) unlock(file string, pem []byte) (ssh.Signer, error) {
	secret, err := k.Passphrase(file)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKeyWithPassphrase(pem, secret)
}

// fileKey is a private key that was read.
type fileKey struct{ ssh.Signer }

func (k fileKey) Public() string { return encode(k.PublicKey()) }

func (k fileKey) Sign(namespace string, text []byte) (string, error) {
	return sign(k.Signer, namespace, text)
}

// agentKey is a key of an agent, which is asked for each signature.
type agentKey struct{ socket, public string }

// inAgent finds a key in the agent.
func (k *Keys) inAgent(file, public string) (mailer.Signer, error) {
	a := agentKey{k.Agent, public}
	if k.Agent == "" {
		return nil, mailer.Invalid("sshsig.no-agent", "file", file)
	}
	if err := a.use(func(ssh.Signer) error { return nil }); err != nil {
		return nil, err
	}
	return a, nil
}

// use calls fn with the key, while the agent is connected.
func (k agentKey) use(fn func(ssh.Signer) error) error {
	conn, err := net.Dial("unix", k.socket)
	if err != nil {
		return mailer.NewError(nil, "sshsig.agent", "cause", err)
	}
	defer conn.Close()
	all, err := agent.NewClient(conn).Signers()
	if err != nil {
		return mailer.NewError(nil, "sshsig.agent", "cause", err)
	}
	for _, s := range all {
		if encode(s.PublicKey()) == k.public {
			return fn(s)
		}
	}
	return mailer.Invalid("sshsig.not-in-agent", "fingerprint", mailer.Fingerprint(k.public))
}

func (k agentKey) Public() string { return k.public }

func (k agentKey) Sign(namespace string, text []byte) (armored string, err error) {
	err = k.use(func(s ssh.Signer) error {
		armored, err = sign(s, namespace, text)
		return err
	})
	return armored, err
}

// detached is a signature that was made elsewhere.
type detached struct{ public, armored string }

// Detached takes a signature that was made elsewhere for a key that makes only this one,
// whatever it is asked to sign: who takes it verifies.
func Detached(armored []byte) (mailer.Signer, error) {
	sig, err := sshsig.Unarmor(armored)
	if err != nil {
		return nil, mailer.Invalid("sshsig.signature", "cause", err)
	}
	return detached{encode(sig.PublicKey), string(sshsig.Armor(sig))}, nil
}

func (d detached) Public() string { return d.public }

func (d detached) Sign(string, []byte) (string, error) { return d.armored, nil }
