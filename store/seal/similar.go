package seal

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// SimilarKey leads to the people whose customer number is written much like id: in
// another case or width, with or without hyphens, blanks and leading zeros. 0: none.
func (s *Sealer) SimilarKey(id string) int64 {
	s.begin("l")
	n := len(s.plain)
	if s.plain = appendSimilar(s.plain, id); len(s.plain) == n {
		return 0
	}
	return short(s.mac.of(s.plain))
}

// SimilarID reports whether two customer numbers are found by the same key.
func SimilarID(a, b string) bool {
	return string(appendSimilar(nil, a)) == string(appendSimilar(nil, b))
}

// appendSimilar appends letters and digits of a customer number, in lower case, each
// run of digits without the zeros at its head; a number of nothing but zeros keeps one.
func appendSimilar(dst []byte, id string) []byte {
	for i := range len(id) {
		if id[i] >= 0x80 {
			id = norm.NFKC.String(id)
			break
		}
	}
	begin, inNumber, zero := len(dst), false, false
	for _, r := range id {
		switch {
		case r >= '1' && r <= '9', r == '0' && inNumber:
			inNumber = true
			dst = append(dst, byte(r))
		case r == '0': // at the head of a run of digits
			zero = true
		case r >= 'a' && r <= 'z':
			inNumber = false
			dst = append(dst, byte(r))
		case r >= 'A' && r <= 'Z':
			inNumber = false
			dst = append(dst, byte(r)+'a'-'A')
		case r >= 0x80 && r != 'ー' && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			inNumber = false
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
	}
	if zero && len(dst) == begin {
		dst = append(dst, '0')
	}
	return dst
}
