// Package words puts into words what the rest of the house says in codes: errors,
// and why something waits. It is the one catalogue; cmd and web alone use it.
//
// A phrase has {name} where an argument goes, {name:q} where it goes in quotes as Go
// writes them, {name:or} where a list goes as one or another, and {cause} where the
// words of what lies below go; without {cause} these follow behind a colon.
package words

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"oshirase/mailer"
)

// Language is that of the reader.
type Language string

// The languages.
const (
	English  Language = "en"
	Japanese Language = "ja"
)

// phrase is what an error is in words, and what to do about it.
type phrase struct {
	text string
	hint string // empty: nothing can be advised
}

var placeholder = regexp.MustCompile(`\{([a-z_]+)(:q|:or)?\}`)

// fill puts the arguments of an error into a phrase, and says whether the cause was
// among them.
func fill(text string, e *mailer.Error) (s string, cause bool) {
	s = placeholder.ReplaceAllStringFunc(text, func(m string) string {
		name, form, _ := strings.Cut(m[1:len(m)-1], ":")
		list, isList := e.Arg(name).([]string)
		switch {
		case name == "cause":
			cause = true
			return Error(e.Err)
		case form == "q":
			return fmt.Sprintf("%q", e.Arg(name))
		case form == "or" && isList:
			return strings.Join(list, " or ")
		}
		return value(e.Arg(name))
	})
	return s, cause
}

// Error is an error in words. What holds no mailer.Error is said as it stands;
// where one lies inside another error, its words take the place of its codes.
func Error(err error) string {
	switch e := err.(type) {
	case nil:
		return ""
	case *mailer.Error:
		return ofError(e)
	}
	s, at := err.Error(), 0
	for _, inner := range unwrap(err) {
		old, words := inner.Error(), Error(inner)
		if i := strings.Index(s[at:], old); i >= 0 {
			s = s[:at+i] + words + s[at+i+len(old):]
			at += i + len(words)
		}
	}
	return s
}

func ofError(e *mailer.Error) string {
	p, known := english[e.Code]
	if !known {
		return e.Error()
	}
	s, said := fill(p.text, e)
	if e.Err != nil && !said {
		s += ": " + Error(e.Err)
	}
	return s
}

// value is an argument as people read it.
func value(v any) string {
	switch v := v.(type) {
	case nil:
		return "?"
	case time.Time:
		return v.In(mailer.JST).Format(time.RFC3339)
	case []string:
		return strings.Join(v, ", ")
	case error:
		return Error(v)
	}
	return fmt.Sprint(v)
}

// Hints gathers what to do about an error and about what is joined in it, none
// twice. An outer hint stands for those below it.
func Hints(err error) []string {
	var found []string
	var walk func(error)
	walk = func(err error) {
		if e, ok := err.(*mailer.Error); ok {
			if hint := english[e.Code].hint; hint != "" {
				hint, _ = fill(hint, e)
				found = appendNew(found, hint)
				return
			}
		}
		for _, inner := range unwrap(err) {
			walk(inner)
		}
	}
	walk(err)
	return found
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

func unwrap(err error) []error {
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		if inner := u.Unwrap(); inner != nil {
			return []error{inner}
		}
	case interface{ Unwrap() []error }:
		return u.Unwrap()
	}
	return nil
}
