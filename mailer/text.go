package mailer

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hidden reports whether a character shows nothing of itself and changes how what
// stands beside it looks or is read: controls (escape sequences begin with one), line
// and paragraph separators, directions, joiners and other characters of no width, tags,
// blanks that are letters to programs. Variation selectors are none: names of people
// are written with them.
func Hidden(r rune) bool {
	switch {
	case r >= ' ' && r < 0x7F || r >= 0x3000 && r <= 0x3163 || r >= 0x3400 && r <= 0x9FFF: // most of what is written here
		return false
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return true
	case unicode.Is(unicode.Variation_Selector, r):
		return r >= 0x180B && r <= 0x180F // of Mongolian, which no list here has
	}
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || r == 0x2800
}

// CheckLine refuses text of one line that holds what nobody can see, and broken
// UTF-8; key names the text in the error.
func CheckLine(key, s string) error { return checkText(key, s, false) }

// CheckProse is CheckLine for text that may have several lines.
func CheckProse(key, s string) error { return checkText(key, s, true) }

func checkText(key, s string, lines bool) error {
	if !utf8.ValidString(s) {
		return Invalid("text.utf8", "key", key)
	}
	for _, r := range s {
		if !Hidden(r) || lines && (r == '\n' || r == '\r' || r == '\t') {
			continue
		}
		if r == '\n' || r == '\r' {
			return Invalid("text.line-break", "key", key)
		}
		return Invalid("text.hidden", "key", key, "char", fmt.Sprintf("U+%04X", r))
	}
	return nil
}

// proseKeys are the facts that may have several lines, by the last key.
var proseKeys = []string{
	"outline", "text", "measure", "monitoring", "delay", "reissue_fee", "prevention", "wrong", "right", "question", "answers", "postal_address",
}

// checkTexts holds every text of some facts to CheckLine, or to CheckProse where it
// may have several lines. Keys are those of the file.
func checkTexts(facts any) error {
	var errs []error
	var walk func(key, last string, v reflect.Value)
	walk = func(key, last string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			err := checkText(key, v.String(), slices.Contains(proseKeys, last))
			if err != nil {
				errs = append(errs, err)
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", key, i), last, v.Index(i))
			}
		case reflect.Map:
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
			for _, k := range keys {
				name := k.String()
				if err := CheckLine(key, name); err != nil {
					errs = append(errs, err)
					continue
				}
				if key == "parts" { // sources have lines, and what they show is looked at by the checker
					name = "text"
				}
				walk(key+"."+k.String(), name, v.MapIndex(k))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				name := v.Type().Field(i).Tag.Get("toml")
				if name == "" {
					continue // a date
				}
				inner := name
				if key != "" {
					inner = key + "." + name
				}
				walk(inner, name, v.Field(i))
			}
		}
	}
	walk("", "", reflect.ValueOf(facts))
	return errors.Join(errs...)
}
