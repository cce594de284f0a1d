package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"oshirase/mailer"
)

// KeySize is the length of the master key in bytes.
const KeySize = 32

// MasterKey reads the master key from the environment or its file.
func (c *Config) MasterKey() ([]byte, error) {
	if c.Key.Env != "" {
		s, ok := os.LookupEnv(c.Key.Env)
		if !ok || s == "" {
			return nil, c.doc.at("key.env", mailer.Invalid("config.key-unset", "variable", c.Key.Env))
		}
		key, err := parseKey([]byte(s))
		if err != nil {
			return nil, c.doc.at("key.env", mailer.Invalid("config.key-variable", "variable", c.Key.Env, "cause", err))
		}
		return key, nil
	}
	key, err := ReadMasterKey(c.Path(c.Key.File))
	if err != nil {
		return nil, c.doc.at("key.file", err)
	}
	return key, nil
}

// ReadMasterKey reads a master key from its file; fs.ErrNotExist where there is none.
func ReadMasterKey(path string) ([]byte, error) {
	data, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, mailer.NewError(fs.ErrNotExist, "config.no-key-file", "file", path)
	}
	if err != nil {
		return nil, mailer.Invalid("config.key-unreadable", "file", path, "cause", err)
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, mailer.Invalid("config.key-file", "file", path, "cause", err)
	}
	return key, nil
}

// FormatKey writes a master key as key files hold it.
func FormatKey(key []byte) []byte {
	return []byte(base64.StdEncoding.EncodeToString(key) + "\n")
}

// parseKey reads 32 bytes in hex (64 digits) or base64 (padded or not, either
// alphabet). The two cannot be mistaken for each other: their lengths differ.
func parseKey(data []byte) ([]byte, error) {
	s := string(bytes.TrimSpace(data))
	if len(s) == hex.EncodedLen(KeySize) {
		if key, err := hex.DecodeString(s); err == nil {
			return key, nil
		}
	}
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	key, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return nil, mailer.Invalid("config.no-key-text")
	}
	if len(key) != KeySize {
		return nil, mailer.Invalid("config.key-size", "size", len(key), "want", KeySize)
	}
	return key, nil
}

// RelayPassword reads the password for SMTP AUTH; "" where the relay has none.
func (c *Config) RelayPassword(r Relay) (string, error) {
	table := "relay"
	for i := range c.Relays {
		if c.Relays[i].Name == r.Name {
			table = fmt.Sprintf("relay[%d]", i)
		}
	}
	switch {
	case r.PasswordEnv != "":
		s, ok := os.LookupEnv(r.PasswordEnv)
		if !ok || s == "" {
			return "", c.doc.at(table+".password_env", mailer.Invalid("config.password-unset", "variable", r.PasswordEnv))
		}
		return s, nil
	case r.PasswordFile != "":
		path := c.Path(r.PasswordFile)
		data, err := readSecret(path)
		if err != nil {
			return "", c.doc.at(table+".password_file", mailer.Invalid("config.password-file", "file", path, "cause", err))
		}
		line, _, _ := strings.Cut(string(data), "\n")
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			return "", c.doc.at(table+".password_file", mailer.Invalid("config.password-empty", "file", path))
		}
		return line, nil
	}
	return "", nil
}

// readSecret reads a small file that nobody but its owner can read or write.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, mailer.Invalid("config.not-a-file", "file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, mailer.Invalid("config.secret-shown", "file", path, "mode", octal(mode))
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return nil, mailer.Invalid("config.secret-owner", "file", path)
	}
	if info.Size() > 4096 {
		return nil, mailer.Invalid("config.secret-large", "file", path)
	}
	data := make([]byte, info.Size())
	n, err := f.Read(data)
	if err != nil && info.Size() > 0 {
		return nil, err
	}
	return data[:n], nil
}

// octal is a mode as chmod takes it.
func octal(mode fs.FileMode) string { return fmt.Sprintf("%04o", mode) }
