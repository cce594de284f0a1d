package japanese

import "time"

// Lengths of payment card numbers (ISO/IEC 7812 allows up to 19 digits).
const (
	minCard = 13
	maxCard = 19
)

// HoldsCard reports whether a text holds digits like a payment card number: 13 to 19
// of them with a right Luhn check digit. Full-width digits count, and groups may be
// separated as people write them, by up to three blanks, dashes, dots or the like; a
// line break ends a number. Where they are, the number must also begin and be long as
// the card brands issue them, and be grouped as on cards or stand alone between the
// letters around it, so that two phone numbers in one cell are no card. A time like
// 20211014123456 is none.
func HoldsCard(s string) bool {
	n := 0
	for i := 0; i < len(s); i++ {
		// The last byte of a full-width digit is 90–99; some more bytes counted do no harm.
		if c := s[i]; c >= '0' && c <= '9' || c >= 0x90 && c <= 0x99 {
			n++
		}
	}
	return n >= minCard && cardIn(s)
}

// cardIn looks at each run of digits and separators.
func cardIn(s string) bool {
	var groups [][]byte // digits of the run so far
	gap := 0            // separators since the last digit
	for _, r := range s {
		if r >= '０' && r <= '９' {
			r -= '０' - '0'
		}
		switch {
		case r >= '0' && r <= '9':
			if gap > 0 || len(groups) == 0 {
				groups = append(groups, nil)
			}
			last := len(groups) - 1
			groups[last] = append(groups[last], byte(r))
			gap = 0
		case gap < 3 && len(groups) > 0 && cardSeparator(r):
			gap++
		default:
			if cardGroups(groups) {
				return true
			}
			groups, gap = nil, 0
		}
	}
	return cardGroups(groups)
}

func cardSeparator(r rune) bool {
	return IsDash(r) || IsBlank(r) || r == '.' || r == '．' || r == '・' || r == '_' || r == '/' || r == ','
}

// cardGroups tries every sequence of neighbouring groups.
func cardGroups(groups [][]byte) bool {
	for i := range groups {
		var digits []byte
		for j := i; j < len(groups); j++ {
			digits = append(digits, groups[j]...)
			if len(digits) > maxCard {
				break
			}
			if len(digits) < minCard || !luhn(digits) {
				continue
			}
			if i == j && !timestamp(digits) {
				return true
			}
			whole := i == 0 && j == len(groups)-1
			if i < j && issued(digits) && (whole || cardGrouping(groups[i:j+1])) {
				return true
			}
		}
	}
	return false
}

// cardGrouping knows 4-4-4-4 with what may follow, 4-6-5 and 4-6-4.
func cardGrouping(g [][]byte) bool {
	if len(g) == 3 && len(g[0]) == 4 && len(g[1]) == 6 {
		return len(g[2]) == 5 || len(g[2]) == 4
	}
	for _, d := range g[:len(g)-1] {
		if len(d) != 4 {
			return false
		}
	}
	return len(g) >= 4 && len(g[len(g)-1]) <= 4
}

// issued reports whether the brands issue numbers of this beginning and length.
func issued(d []byte) bool {
	prefix := 0
	for _, c := range d[:4] {
		prefix = prefix*10 + int(c-'0')
	}
	n := len(d)
	switch two := prefix / 100; {
	case prefix/1000 == 4: // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, prefix >= 2221 && prefix <= 2720: // Mastercard
		return n == 16
	case two == 34, two == 37: // American Express
		return n == 15
	case two == 30, two == 36, two == 38, two == 39: // Diners Club
		return n == 14 || n == 16
	case two == 35: // JCB
		return n >= 16
	case two == 62, two == 60, two == 64, two == 65: // UnionPay, Discover
		return n >= 16
	case two == 50, two >= 56 && two <= 58, two == 67: // Maestro
		return n >= 16
	}
	return false
}

// luhn checks the check digit of ISO/IEC 7812-1 annex B. Zeros alone are no number.
func luhn(d []byte) bool {
	sum, any := 0, false
	for i := range d {
		n := int(d[len(d)-1-i] - '0')
		any = any || n != 0
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return any && sum%10 == 0
}

// timestamp reports whether the digits are a time of our days, 20211014123456 with
// or without milliseconds. No brand issues 14 digits that begin with 19 or 20.
func timestamp(d []byte) bool {
	if len(d) != 14 && len(d) != 17 || d[0] != '1' && d[0] != '2' {
		return false
	}
	t, err := time.Parse("20060102150405", string(d[:14]))
	return err == nil && t.Year() >= 1950 && t.Year() < 2100
}
