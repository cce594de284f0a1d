package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/text/unicode/norm"

	"oshirase/mailer"
)

// required marks flags that must be given.
func required(c *cobra.Command, names ...string) {
	for _, n := range names {
		if err := c.MarkFlagRequired(n); err != nil {
			panic(err) // a flag that does not exist: a mistake in the command itself
		}
	}
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[requiredFlags] += " " + strings.Join(names, " ")
}

// requiredFlags annotates a command with the flags that must be given.
const requiredFlags = "required flags"

// emptyFlag refuses a flag that must be given and was given without a value, as by
// a variable of a shell that is not set.
func emptyFlag(c *cobra.Command) error {
	for name := range strings.FieldsSeq(c.Annotations[requiredFlags]) {
		if f := c.Flags().Lookup(name); f.Changed && strings.TrimSpace(f.Value.String()) == "" {
			return fmt.Errorf("--%s is empty", name)
		}
	}
	return nil
}

// startTime reads when a campaign starts by itself: RFC 3339, with its zone, and to
// come. A time without a zone is no time: it would mean another one elsewhere.
func startTime(s string, now time.Time) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err == nil {
		if !t.After(now) {
			return t, usagef("--at %s has passed: it is %s now; leave --at out to start by hand", jst(t), jst(now))
		}
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, mailer.JST); err == nil {
			return t, usagef("--at %q has no time zone: write %s where the time in Japan is meant", s, t.Format(time.RFC3339))
		}
	}
	return time.Time{}, usagef("--at %q is no time: write it as %s (RFC 3339)", s, now.In(mailer.JST).AddDate(0, 0, 1).Format("2006-01-02")+"T10:00:00+09:00")
}

// oneOf finds what a flag names, by its value or by the word that tables show for it.
func oneOf[T interface {
	~string
	Japanese() string
}](flag, s string, of []T, see string) (T, error) {
	s = strings.TrimSpace(s)
	for _, v := range of {
		if s == string(v) || s == v.Japanese() {
			return v, nil
		}
	}
	known := make([]string, len(of))
	for i, v := range of {
		known[i] = string(v) + "（" + v.Japanese() + "）"
	}
	return "", usagef("--%s %q: use one of %s%s", flag, s, strings.Join(known, ", "), see)
}

// count is a number as people write one: 460395 or 460,395.
type count int64

func (c *count) String() string { return strconv.FormatInt(int64(*c), 10) }
func (c *count) Type() string   { return "number" }

func (c *count) Set(s string) error {
	digits := norm.NFKC.String(strings.TrimSpace(s))
	if grouped.MatchString(digits) {
		digits = strings.ReplaceAll(digits, ",", "")
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return errors.New("write a number, such as 460395 or 460,395")
	}
	*c = count(n)
	return nil
}

// grouped is a number in groups of three.
var grouped = regexp.MustCompile(`^[0-9]{1,3}(,[0-9]{3})+$`)

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
