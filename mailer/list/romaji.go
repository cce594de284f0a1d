package list

import (
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"oshirase/mailer"
)

// profile is what of a row is compared: the letters of its address, and what its
// name may look like in letters.
type profile struct {
	number int64
	// local is the local part in canonical romaji, its words between dots; empty
	// where it has no word of three letters.
	local        string
	family       []string // readings of the surname
	given, whole string   // empty where the name could not be split, or could
}

func (p *profile) votes() bool {
	return p.local != "" && (len(p.family) > 0 || p.given != "" || p.whole != "")
}

// score counts what of the name stands in an address: surname and given name.
func (p *profile) score(local string) (n int) {
	for _, f := range p.family {
		if holds(local, f) {
			n++
			break
		}
	}
	if p.given != "" && holds(local, p.given) {
		n++
	}
	if p.whole != "" && holdsPart(local, p.whole) {
		n++
	}
	return n
}

// holds looks for a name: one of three letters only where a word begins.
func holds(local, name string) bool {
	switch {
	case len(name) >= 4:
		return strings.Contains(local, name)
	case len(name) == 3:
		k := strings.Index(local, name)
		for at := k; k >= 0; {
			if local[at-1] == '.' { // local begins with a dot
				return true
			}
			k = strings.Index(local[at+1:], name)
			at += 1 + k
		}
	}
	return false
}

// holdsPart looks for a name of unknown parts: whole, or a word that begins or ends it.
func holdsPart(local, whole string) bool {
	if len(whole) >= 5 && strings.Contains(local, whole) {
		return true
	}
	for rest := local; rest != ""; {
		var word string
		word, rest, _ = strings.Cut(rest, ".")
		if len(word) >= 4 && (strings.HasPrefix(whole, word) || strings.HasSuffix(whole, word)) {
			return true
		}
	}
	return false
}

func newProfile(r *mailer.Row) profile {
	p := profile{number: r.Number, local: localWords(r.Email)}
	if r.NameKana == "" && r.Name == "" {
		return p
	}
	name := r.NameKana
	if name == "" {
		name = r.Name
	}
	family, given := splitName(name)
	romaji, ok := romanize(family)
	switch {
	case !ok:
		p.kanji(family, given)
	case given != "":
		p.family = keep(romaji)
		p.given, _ = romanize(given)
	default:
		p.unsplit(romaji)
	}
	return p
}

func keep(reading string) []string {
	if len(reading) < 3 {
		return nil
	}
	return []string{reading}
}

// kanji reads a surname in kanji; a given name in kanji has too many readings.
func (p *profile) kanji(family, given string) {
	t := surnames()
	if r, ok := t.readings[family]; ok {
		p.family = r
	} else if given == "" {
		p.family = t.prefix(family)
	}
	if given != "" {
		p.given, _ = romanize(given) // in kana, as some given names are
	}
}

// unsplit splits the romaji of a name without a blank at a known surname.
func (p *profile) unsplit(romaji string) {
	t := surnames()
	for n := min(len(romaji), t.longest); n >= 3; n-- {
		if t.romaji[romaji[:n]] {
			p.family, p.given = []string{romaji[:n]}, romaji[n:]
			return
		}
	}
	p.whole = romaji
}

// splitName cuts a name at its first blank.
func splitName(s string) (family, given string) {
	if strings.IndexByte(s, 0xEF) >= 0 { // half-width kana and full-width letters
		s = norm.NFKC.String(s)
	}
	if k := strings.IndexAny(s, " \u3000"); k >= 0 {
		return s[:k], strings.TrimSpace(s[k:])
	}
	return s, ""
}

// localWords brings a local part to canonical romaji, its words between dots.
func localWords(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at <= 0 {
		return ""
	}
	var buf [80]byte
	b := append(buf[:0], '.')
	long, word := false, 0
	for i := 0; i < at; i++ {
		c := email[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c >= 'a' && c <= 'z' {
			b = append(b, c)
			word++
			long = long || word >= 3
			continue
		}
		if word > 0 {
			b = append(b, '.')
		}
		word = 0
	}
	if !long {
		return ""
	}
	return canonical(string(b))
}

// canonical takes the ways in which people write romaji, in lower case, to one:
// Kunrei-shiki, without marks of long vowels.
func canonical(s string) string {
	var buf [96]byte
	b := buf[:0]
	for i := 0; i < len(s); {
		out, n := spell(s[i:])
		i += n
		for k := range len(out) - 1 {
			b = appendShort(b, out[k], out[k+1:])
		}
		b = appendShort(b, out[len(out)-1], s[i:])
	}
	return string(b)
}

// spell writes the beginning of s, of n letters, in Kunrei-shiki.
func spell(s string) (out string, n int) {
	at := func(i int) byte {
		if i < len(s) {
			return s[i]
		}
		return 0
	}
	switch s[0] {
	case 's': // shi, sha
		if at(1) == 'h' && vowel(at(2)) {
			return softened("si", "sy", at(2)), 2 + written(at(2))
		}
	case 'c':
		if at(1) == 'h' && vowel(at(2)) {
			return softened("ti", "ty", at(2)), 2 + written(at(2))
		}
	case 't':
		if at(1) == 's' && at(2) == 'u' {
			return "tu", 3
		}
	case 'f':
		if at(1) == 'u' {
			return "hu", 2
		}
	case 'd':
		switch {
		case at(1) == 'z' && at(2) == 'u':
			return "zu", 3
		case at(1) == 'u':
			return "zu", 2
		case at(1) == 'i':
			return "zi", 2
		case at(1) == 'y':
			return "zy", 2
		}
	case 'j':
		switch v := at(1); {
		case v == 'y':
			return "zy", 2
		case vowel(v):
			return softened("zi", "zy", v), 1 + written(v)
		}
	case 'm':
		if c := at(1); c == 'b' || c == 'p' || c == 'm' {
			return "n", 1
		}
	case 'l':
		return "r", 1
	case 'w':
		if at(1) == 'o' {
			return "o", 2
		}
	}
	return s[:1], 1
}

// softened chooses between shi, which is si, and sha, which is sya.
func softened(withI, withY string, v byte) string {
	if v == 'i' {
		return withI
	}
	return withY
}

// written is 1 for i, which softened has put down, and 0 for a vowel that is to come.
func written(v byte) int {
	if v == 'i' {
		return 1
	}
	return 0
}

func vowel(c byte) bool { return c == 'a' || c == 'i' || c == 'u' || c == 'e' || c == 'o' }

// appendShort adds a letter unless it only marks a long vowel: ii, ou, oh; nn is n.
func appendShort(b []byte, c byte, next string) []byte {
	if len(b) > 0 {
		last := b[len(b)-1]
		switch {
		case c == last && (c == 'n' || c != 'e' && vowel(c)), last == 'o' && c == 'u':
			return b
		case last == 'o' && c == 'h' && (next == "" || next[0] != 'y' && !vowel(next[0])):
			return b
		}
	}
	return append(b, c)
}

// romanize writes kana or Latin letters in canonical romaji; ok is false where s
// holds anything else, such as kanji.
func romanize(s string) (string, bool) {
	var buf [96]byte
	b := buf[:0]
	double := false // after a small tsu
	for _, r := range s {
		if r >= 'ぁ' && r <= 'ゖ' {
			r += 'ァ' - 'ぁ'
		}
		var mora string
		switch {
		case r >= 'a' && r <= 'z':
			b = append(b, byte(r))
			continue
		case r >= 'A' && r <= 'Z':
			b = append(b, byte(r)+'a'-'A')
			continue
		case r == 'ッ':
			double = true
			continue
		case r == 'ー' || r == ' ' || r == '\u3000' || r == '・' || r == '-':
			continue
		case r >= 'ァ' && r <= 'ヺ':
			mora = kana[r-'ァ']
		}
		if mora == "" {
			return "", false
		}
		if small := strings.ContainsRune("ャュョァィゥェォ", r); small && len(b) > 0 {
			b = joinSmall(b, mora)
			continue
		}
		if double && strings.IndexByte("aiueon", mora[0]) < 0 {
			b = append(b, mora[0])
		}
		double = false
		b = append(b, mora...)
	}
	return canonical(string(b)), true
}

// joinSmall lets a small kana change the one before: ki and ya to kya, hu and a to ha.
func joinSmall(b []byte, mora string) []byte {
	last := b[len(b)-1]
	if last == 'i' || last == 'u' && mora[0] != 'y' || last == 'e' {
		b = b[:len(b)-1]
	}
	return append(b, mora...)
}

// kana are the morae from ァ (U+30A1) to ヺ (U+30FA), in Kunrei-shiki.
var kana = strings.Split("a,a,i,i,u,u,e,e,o,o,ka,ga,ki,gi,ku,gu,ke,ge,ko,go,sa,za,si,zi,su,zu,se,ze,so,zo,ta,da,ti,zi,"+
	",tu,zu,te,de,to,do,na,ni,nu,ne,no,ha,ba,pa,hi,bi,pi,hu,bu,pu,he,be,pe,ho,bo,po,ma,mi,mu,me,mo,ya,ya,yu,yu,yo,yo,"+
	"ra,ri,ru,re,ro,wa,wa,i,e,o,n,bu,ka,ke,wa,i,e,o", ",")

// surnameTable knows common surnames.
type surnameTable struct {
	readings map[string][]string // kanji to canonical romaji
	romaji   map[string]bool
	longest  int // of romaji, in letters
}

// prefix finds the longest known surname that a name begins with.
func (t *surnameTable) prefix(name string) []string {
	var ends []int
	for i := range name {
		if i > 0 {
			ends = append(ends, i)
		}
		if len(ends) == 3 {
			break
		}
	}
	for i := len(ends) - 1; i >= 0; i-- {
		if r, ok := t.readings[name[:ends[i]]]; ok && (i > 0 || utf8.RuneCountInString(name) > 1) {
			return r
		}
	}
	return nil
}

var surnames = sync.OnceValue(func() *surnameTable {
	t := &surnameTable{readings: map[string][]string{}, romaji: map[string]bool{}}
	for _, entry := range strings.Fields(surnameList) {
		name, readings, _ := strings.Cut(entry, ":")
		for _, r := range strings.Split(readings, "/") {
			r = canonical(r)
			if len(r) < 3 {
				continue
			}
			t.readings[name] = append(t.readings[name], r)
			t.romaji[r] = true
			t.longest = max(t.longest, len(r))
		}
	}
	return t
})
