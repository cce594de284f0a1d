package japanese

import "unicode"

// Width is the width of s in columns, as Japanese terminals and mail readers show
// it (UAX #11, ambiguous characters wide): 1 for ASCII, Latin and half-width kana, 0
// for combining characters and variation selectors, else 2.
func Width(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case r < 0x250, r >= 0xFF61 && r <= 0xFF9F:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me), r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0100 && r <= 0xE01EF:
		return 0
	}
	return 2
}

// IsBlank reports whether r is a blank that stands between or around the values of
// lists: space, tab, ideographic space, no-break space.
func IsBlank(r rune) bool { return r == ' ' || r == '\t' || r == '　' || r == 0xA0 }

// IsDash reports whether r is written for a hyphen between digits: hyphens, dashes
// and minus signs of Unicode, the full-width ones, the long-vowel mark of kana and
// the box-drawing line.
func IsDash(r rune) bool {
	switch r {
	case '-', '‐', '‑', '‒', '–', '—', '―', '−', '－', 'ー', 'ｰ', '─', '﹣':
		return true
	}
	return false
}
