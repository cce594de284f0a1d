package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer"
)

// required marks flags that must be given.
func required(c *cobra.Command, names ...string) {
	for _, n := range names {
		if err := c.MarkFlagRequired(n); err != nil {
			panic(err) // a flag that does not exist: a mistake in the command itself
		}
	}
}

// parseTime reads an RFC 3339 time; without an offset Asia/Tokyo is meant.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, mailer.JST); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write it as 2026-12-01T10:00:00+09:00 (RFC 3339)", s)
}

// checkRef refuses as wrong usage what is no reference number; an empty one is none.
func checkRef(ref string) error {
	if ref == "" {
		return nil
	}
	if _, err := mailer.ParseRef(ref); err != nil {
		return usageError{err: err}
	}
	return nil
}

// flagError is wrong usage: what is wrong with a field of a campaign is wrong with
// the flag of the same name.
func flagError(err error) error {
	if strings.HasPrefix(string(mailer.CodeOf(err)), "campaign.") {
		err = fmt.Errorf("--%w", err)
	}
	return usageError{err: err}
}
