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

// maxMarks is how many combining marks may follow one another: a letter with more is
// drawn over the lines around it.
const maxMarks = 6

// Visible makes text from elsewhere fit to be shown on a terminal or a page: what is
// hidden stands as ‹U+202E›, and so do variation selectors that choose nothing, marks on
// marks, and octets that are no UTF-8. Line feeds and tabs stay.
func Visible(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	choice, marks := true, 0 // of the character before
	for i, n := 0, 0; i < len(s); i += n {
		var r rune
		r, n = utf8.DecodeRuneInString(s[i:])
		selects := unicode.Is(unicode.Variation_Selector, r)
		if marks++; !unicode.In(r, unicode.Mn, unicode.Me) {
			marks = 0
		}
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "‹%02X›", s[i])
		case Hidden(r) || selects && choice || marks > maxMarks:
			fmt.Fprintf(&b, "‹U+%04X›", r)
		default:
			b.WriteRune(r)
		}
		choice = selects || r <= ' '
	}
	return b.String()
}

// plain is true of most text, which is shown as it is.
func plain(s string) bool {
	for _, r := range s {
		if (r < ' ' || r >= 0x7F) && r != '\n' && r != '\t' && (r < 0x3000 || r > 0x9FFF || r == 0x3099 || r == 0x309A || r == 0x3164) {
			return false
		}
	}
	return true
}

// Formula reports whether a spreadsheet might take the text for a formula: it begins with
// one of its signs, of any width, also behind blanks, quotes and what nobody sees.
func Formula(s string) bool {
	if s != "" && (s[0] == '\t' || s[0] == '\r' || s[0] == '\n') {
		return true
	}
	for _, r := range s {
		if !unicode.IsSpace(r) && !Hidden(r) && !strings.ContainsRune("'\"‘’“”＇＂", r) {
			return strings.ContainsRune("=+-@＝＋－＠﹦﹢﹣﹫−", r)
		}
	}
	return false
}

// Cell is text as it stands in a cell of a spreadsheet: visible, and with an apostrophe
// before it where it might be a formula.
func Cell(s string) string {
	if Formula(s) {
		return "'" + Visible(s)
	}
	return Visible(s)
}

// CheckLine refuses text of one line that holds what nobody can see, and broken
// UTF-8; key names the text in the error.
func CheckLine(key, s string) error { return checkText(key, s, false) }

func checkText(key, s string, lines bool) error {
	if !utf8.ValidString(s) {
		return Invalid("text.utf8", "key", key)
	}
	selected := true // variation selectors follow what they choose a form of
	for _, r := range s {
		if unicode.Is(unicode.Variation_Selector, r) && selected {
			return Invalid("text.hidden", "key", key, "char", fmt.Sprintf("U+%04X", r))
		}
		selected = r <= ' ' || unicode.Is(unicode.Variation_Selector, r)
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

// checkTexts holds every text of some facts to CheckLine, but for line ends where it may
// have several lines. Keys are those of the file.
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
