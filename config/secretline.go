package config

import (
	"strings"

	"oshirase/mailer"
)

// SecretLine is the first line of a small file that nobody but its owner can read: a
// password, or a user's name and password.
func SecretLine(path string) (string, error) {
	data, err := readSecret(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", mailer.Invalid("config.password-empty", "file", path)
	}
	return line, nil
}
