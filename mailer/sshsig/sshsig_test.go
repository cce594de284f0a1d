package sshsig

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"oshirase/mailer"
)

const namespace = "oshirase-test-v1"

var text = []byte("承認票\n送信件数　28\n")

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keygen is OpenSSH's own tool.
func keygen(t *testing.T, stdin []byte, args ...string) error {
	t.Helper()
	c := exec.Command("ssh-keygen", args...)
	c.Stdin = bytes.NewReader(stdin)
	out, err := c.CombinedOutput()
	t.Logf("ssh-keygen %s: %s", strings.Join(args, " "), out)
	return err
}

func needsKeygen(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("no ssh-keygen on this machine: what OpenSSH says of the signatures is not asked")
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	return b
}

// TestOpenSSH: what is signed here OpenSSH verifies, and the other way round.
func TestOpenSSH(t *testing.T) {
	t.Parallel()
	needsKeygen(t)
	for _, kind := range [][]string{{"ed25519"}, {"ecdsa", "-b", "256"}, {"ecdsa", "-b", "521"}, {"rsa", "-b", "2048"}} {
		t.Run(strings.Join(kind, ""), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "key")
			must(t, keygen(t, nil, append([]string{"-q", "-N", "", "-f", file, "-t"}, kind...)...))
			key, err := (&Keys{}).Open(file)
			must(t, err)
			public, err := ParsePublic(read(t, file+".pub"))
			must(t, err)
			if key.Public() != public {
				t.Fatalf("%s, and the file has %s", key.Public(), public)
			}
			armored, err := key.Sign(namespace, text)
			must(t, err)
			must(t, Verify(public, namespace, text, armored))
			signers := filepath.Join(dir, "allowed")
			must(t, os.WriteFile(signers, []byte("sato namespaces=\""+namespace+"\" "+public+"\n"), 0o600))
			must(t, os.WriteFile(filepath.Join(dir, "sig"), []byte(armored), 0o600))
			must(t, keygen(t, text, "-Y", "verify", "-f", signers, "-I", "sato", "-n", namespace, "-s", filepath.Join(dir, "sig")))
			if keygen(t, append(text, '\n'), "-Y", "verify", "-f", signers, "-I", "sato", "-n", namespace, "-s", filepath.Join(dir, "sig")) == nil {
				t.Error("OpenSSH verifies another text")
			}
			sheet := filepath.Join(dir, "sheet")
			must(t, os.WriteFile(sheet, text, 0o600))
			must(t, keygen(t, nil, "-Y", "sign", "-n", namespace, "-f", file, sheet))
			must(t, Verify(public, namespace, text, string(read(t, sheet+".sig"))))
		})
	}
}

func code(t *testing.T, err error, want mailer.Code) {
	t.Helper()
	if mailer.CodeOf(err) != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func newKey(t *testing.T) (ed25519.PrivateKey, fileKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	s, err := ssh.NewSignerFromKey(private)
	must(t, err)
	return private, fileKey{s}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	_, key := newKey(t)
	_, other := newKey(t)
	armored, err := key.Sign(namespace, text)
	must(t, err)
	must(t, Verify(key.Public(), namespace, text, armored))
	code(t, Verify(other.Public(), namespace, text, armored), "sshsig.other-key")
	code(t, Verify(key.Public(), "file", text, armored), "sshsig.wrong")
	code(t, Verify(key.Public(), namespace, text[1:], armored), "sshsig.wrong")
	code(t, Verify(key.Public(), namespace, text, "nothing"), "sshsig.signature")
	code(t, Verify(key.Public(), namespace, text, strings.Replace(armored, "U1NIU0lH", "U1NIU0lI", 1)), "sshsig.signature")
	code(t, Verify("nothing", namespace, text, armored), "sshsig.public")
}

func TestPublicKeys(t *testing.T) {
	t.Parallel()
	_, key := newKey(t)
	line := key.Public()
	got, err := ParsePublic([]byte(line + " sato@desk\n"))
	if err != nil || got != line {
		t.Errorf("%q, %v", got, err)
	}
	for text, want := range map[string]mailer.Code{
		"": "sshsig.public", "ssh-ed25519 AAAA": "sshsig.public", line + "\n" + line + "\n": "sshsig.one-key",
		`command="x" ` + line: "sshsig.one-key",
	} {
		_, err := ParsePublic([]byte(text))
		code(t, err, want)
	}
}

// TestAgent: a public key is enough where an agent has the other half; so is a private
// one that nobody can open.
func TestAgent(t *testing.T) {
	t.Parallel()
	private, key := newKey(t)
	dir := t.TempDir()
	ring := agent.NewKeyring()
	socket := filepath.Join(dir, "agent")
	l, err := net.Listen("unix", socket)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = agent.ServeAgent(ring, conn) // until the client closes it
			conn.Close()
		}
	}()
	pub, locked := filepath.Join(dir, "key.pub"), filepath.Join(dir, "key")
	must(t, os.WriteFile(pub, []byte(key.Public()+"\n"), 0o600))
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("開けゴマ"))
	must(t, err)
	must(t, os.WriteFile(locked, pemOf(block), 0o600))

	keys := &Keys{Agent: socket}
	_, err = keys.Open(pub)
	code(t, err, "sshsig.not-in-agent")
	_, err = keys.Open(locked)
	code(t, err, "sshsig.passphrase")
	_, err = (&Keys{}).Open(pub)
	code(t, err, "sshsig.no-agent")
	asked, err := (&Keys{Passphrase: func(string) ([]byte, error) { return []byte("開けゴマ"), nil }}).Open(locked)
	must(t, err)
	must(t, ring.Add(agent.AddedKey{PrivateKey: private}))
	for _, file := range []string{pub, locked} {
		s, err := keys.Open(file)
		must(t, err)
		armored, err := s.Sign(namespace, text)
		must(t, err)
		must(t, Verify(asked.Public(), namespace, text, armored))
	}
}

func pemOf(b *pem.Block) []byte { return pem.EncodeToMemory(b) }
