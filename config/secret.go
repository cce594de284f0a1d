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
)

// KeySize is the length of the master key in bytes.
const KeySize = 32

// MasterKey reads the master key from the environment or its file.
func (c *Config) MasterKey() ([]byte, error) {
	if c.Key.Env != "" {
		s, ok := os.LookupEnv(c.Key.Env)
		if !ok || s == "" {
			return nil, c.doc.errorf("key.env", "export "+c.Key.Env+" with 32 bytes in base64 or hex", "the environment variable %s is not set", c.Key.Env)
		}
		key, err := parseKey([]byte(s))
		if err != nil {
			return nil, c.doc.errorf("key.env", "32 bytes in base64 or hex are wanted", "%s: %v", c.Key.Env, err)
		}
		return key, nil
	}
	path := c.Path(c.Key.File)
	data, err := readSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, c.doc.errorf("key.file", "restore the key from its copy; `oshirase init` makes one for a new installation", "there is no key file %s", path)
	}
	if err != nil {
		return nil, c.doc.errorf("key.file", "chmod 600 "+path, "%v", err)
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, c.doc.errorf("key.file", "the file holds 32 bytes in base64 or hex, and nothing else", "%s: %v", path, err)
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
		return nil, errors.New("not a key in base64 or hex")
	}
	if len(key) != KeySize {
		return nil, fmt.Errorf("the key has %d bytes, not %d", len(key), KeySize)
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
			return "", c.doc.errorf(table+".password_env", "export it before starting", "the environment variable %s is not set", r.PasswordEnv)
		}
		return s, nil
	case r.PasswordFile != "":
		path := c.Path(r.PasswordFile)
		data, err := readSecret(path)
		if err != nil {
			return "", c.doc.errorf(table+".password_file", "write the password to "+path+" and chmod 600 it", "%v", err)
		}
		line, _, _ := strings.Cut(string(data), "\n")
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			return "", c.doc.errorf(table+".password_file", "write the password to the first line of "+path, "%s is empty", path)
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
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o)", path, mode)
	}
	if info.Size() > 4096 {
		return nil, fmt.Errorf("%s is too large for a secret", path)
	}
	data := make([]byte, info.Size())
	n, err := f.Read(data)
	if err != nil && info.Size() > 0 {
		return nil, err
	}
	return data[:n], nil
}
