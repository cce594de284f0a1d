package mailer

import "slices"

// Covers reports whether a person who was told of some exposures was told of all those
// that a notice would name.
func Covers(told, notice []string) bool {
	if len(told) == 0 {
		return false
	}
	for _, e := range notice {
		if !slices.Contains(told, e) {
			return false
		}
	}
	return true
}
