package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oshirase/mailer"
)

var testKey = bytes.Repeat([]byte{0xfb, 0xff, 0x01, 0x7e}, 8) // its base64 has + and /

func TestMasterKeyFromFile(t *testing.T) {
	forms := map[string]string{
		"as init writes it":  string(FormatKey(testKey)),
		"base64, no padding": base64.RawStdEncoding.EncodeToString(testKey),
		"base64url":          base64.URLEncoding.EncodeToString(testKey) + "\r\n",
		"hex":                hex.EncodeToString(testKey),
		"upper-case hex":     "  " + strings.ToUpper(hex.EncodeToString(testKey)) + "\n",
	}
	for name, text := range forms {
		t.Run(name, func(t *testing.T) {
			c := withKeyFile(t, text, 0o600)
			got, err := c.MasterKey()
			if err != nil || !bytes.Equal(got, testKey) {
				t.Errorf("got %x, %v", got, err)
			}
		})
	}
}

func withKeyFile(t *testing.T, text string, mode os.FileMode) *Config {
	t.Helper()
	c := Default()
	c.dir = t.TempDir()
	path := filepath.Join(c.dir, "master.key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMasterKeyRefused(t *testing.T) {
	good := string(FormatKey(testKey))
	tests := []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"readable by the group", good, 0o640, "config.secret-shown"},
		{"readable by all", good, 0o604, "config.secret-shown"},
		{"short", base64.StdEncoding.EncodeToString(testKey[:16]), 0o600, "config.key-size (size=16, want=32)"},
		{"long", base64.StdEncoding.EncodeToString(append(testKey, 1)), 0o600, "config.key-size (size=33, want=32)"},
		{"no key", "correct horse battery staple", 0o600, "config.no-key-text"},
		{"empty", "", 0o600, "config.key-size (size=0, want=32)"},
		{"two keys", good + good, 0o600, "config.no-key-text"},
		{"huge", strings.Repeat("A", 5000), 0o600, "config.secret-large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := withKeyFile(t, tt.text, tt.mode).MasterKey()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if tt.text != "" && strings.Contains(err.Error(), strings.TrimSpace(tt.text)) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestMasterKeyMissing(t *testing.T) {
	c := Default()
	c.dir = t.TempDir()
	if _, err := c.MasterKey(); err == nil || mailer.CodeOf(err) != "config.no-key-file" {
		t.Errorf("got %v", err)
	}
}

func TestMasterKeyFromEnvironment(t *testing.T) {
	c := withKeyFile(t, "not read", 0o600)
	c.Key.Env = "OSHIRASE_TEST_KEY"
	t.Setenv("OSHIRASE_TEST_KEY", "")
	if _, err := c.MasterKey(); err == nil || !strings.Contains(err.Error(), "config.key-unset (variable=OSHIRASE_TEST_KEY)") {
		t.Errorf("got %v", err)
	}
	t.Setenv("OSHIRASE_TEST_KEY", "swordfish")
	if _, err := c.MasterKey(); err == nil || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("got %v", err)
	}
	t.Setenv("OSHIRASE_TEST_KEY", string(FormatKey(testKey)))
	if got, err := c.MasterKey(); err != nil || !bytes.Equal(got, testKey) {
		t.Errorf("got %x, %v", got, err)
	}
}

func TestPassword(t *testing.T) {
	c := Default()
	c.dir = t.TempDir()
	path := filepath.Join(c.dir, "relay.password")
	if err := os.WriteFile(path, []byte("käse brot \r\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OSHIRASE_TEST_PASSWORD", "from outside")
	tests := []struct {
		relay Relay
		want  string
		fail  string
	}{
		{Relay{Name: "none"}, "", ""},
		{Relay{Name: "file", PasswordFile: "relay.password"}, "käse brot ", ""},
		{Relay{Name: "env", PasswordEnv: "OSHIRASE_TEST_PASSWORD"}, "from outside", ""},
		{Relay{Name: "unset", PasswordEnv: "OSHIRASE_TEST_NOTHING"}, "", "config.password-unset"},
		{Relay{Name: "missing", PasswordFile: "nothing"}, "", "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.relay.Name, func(t *testing.T) {
			got, err := c.RelayPassword(tt.relay)
			if got != tt.want || (err == nil) != (tt.fail == "") || err != nil && !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RelayPassword(tests[1].relay); err == nil || !strings.Contains(err.Error(), "mode=0644") {
		t.Errorf("a password that all can read is taken: %v", err)
	}
}

// TestSecretsOfOthers: what belongs to somebody else can be read and exchanged by them,
// whatever its mode says.
func TestSecretsOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	path := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(path, FormatKey(testKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMasterKey(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMasterKey(path); !strings.Contains(fmt.Sprint(err), "config.secret-owner") {
		t.Errorf("error %v", err)
	}
}
