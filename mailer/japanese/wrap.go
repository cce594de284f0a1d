package japanese

import (
	"slices"
	"strings"
	"unicode"
)

// Kinsoku (JIS X 4051): characters that begin no line, and that end none.
const (
	noStart = "、。，．・：；？！）」』】〉》〕］｝”’ー〜～…‥々ゝゞヽヾ％" +
		"ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ,.:;?!)]}%"
	noEnd = "（「『【〈《〔［｛“‘〒([{"
)

// A break is as good as its strength.
const (
	forbidden  = iota
	lastResort // between any two characters that may be parted
	wordEnd    // where the script changes: クレジットカード|決済
	phraseEnd  // behind a particle or an inflected ending
	clauseEnd  // behind 、 or 。
)

// Wrap trims every line, folds runs of blank lines into one, and breaks lines
// wider than limit (see Width) at phrase ends: never inside numbers, dates,
// Latin words, addresses and the words to keep whole. A continued list item
// (・, ※, （1）) hangs by one character. A stretch that nothing may break stays whole.
func Wrap(text string, limit int, keep []string) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/20)
	blank := true // no blank line at the start
	for line := range strings.Lines(text) {
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		if line == "" {
			if !blank {
				b.WriteByte('\n')
			}
			blank = true
			continue
		}
		blank = false
		if Width(line) <= limit {
			b.WriteString(line)
		} else {
			wrapLine(&b, line, limit, keep)
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}

func wrapLine(b *strings.Builder, line string, limit int, keep []string) {
	runes := []rune(line)
	strength := strengths(runes, keep)
	indent := hang(runes)
	start, used := 0, 0
	for {
		end := cut(runes, strength, start, limit-used)
		b.WriteString(strings.TrimRightFunc(string(runes[start:end]), unicode.IsSpace))
		if end == len(runes) {
			return
		}
		b.WriteByte('\n')
		b.WriteString(indent)
		start, used = end, Width(indent)
		for start < len(runes)-1 && unicode.IsSpace(runes[start]) {
			start++
		}
	}
}

// hang is what the continuation of a line begins with.
func hang(line []rune) string {
	n := 0
	for n < len(line) && (line[n] == '　' || line[n] == ' ') {
		n++
	}
	lead := string(line[:n])
	if n < len(line) && (line[n] == '・' || line[n] == '※' || numbered(line[n:])) {
		lead += "　"
	}
	return lead
}

// numbered reports whether a line begins with a number in full-width brackets.
func numbered(line []rune) bool {
	if line[0] != '（' {
		return false
	}
	n := 1
	for n < len(line) && line[n] >= '0' && line[n] <= '9' {
		n++
	}
	return n > 1 && n < len(line) && line[n] == '）'
}

// cut returns where the line that begins at start ends.
func cut(runes []rune, strength []uint8, start, limit int) int {
	best := [clauseEnd + 1]int{}
	bestAt := [clauseEnd + 1]int{} // width of the line there
	w, i := 0, start
	for ; i < len(runes); i++ {
		if s := strength[i]; i > start && s != forbidden {
			best[s], bestAt[s] = i, w
		}
		w += runeWidth(runes[i])
		if w > limit {
			break
		}
	}
	if i == len(runes) {
		return i
	}
	// A clause end shortly before the last phrase end reads better than it.
	if best[clauseEnd] > 0 && bestAt[clauseEnd] >= limit*3/5 && bestAt[clauseEnd]+20 >= bestAt[phraseEnd] {
		return best[clauseEnd]
	}
	if at := max(best[clauseEnd], best[phraseEnd]); at > 0 && max(bestAt[clauseEnd], bestAt[phraseEnd]) >= limit/2 {
		return at
	}
	if best[wordEnd] > 0 && bestAt[wordEnd] >= limit/2 {
		return best[wordEnd]
	}
	if at := slices.Max(best[:]); at > 0 {
		return at
	}
	for i++; i < len(runes); i++ { // nothing may be broken: go beyond the limit
		if strength[i] != forbidden {
			return i
		}
	}
	return len(runes)
}

// strengths says for each rune how well the line breaks before it.
func strengths(runes []rune, keep []string) []uint8 {
	s := make([]uint8, len(runes))
	for i := 1; i < len(runes); i++ {
		s[i] = uint8(strengthAt(runes, i))
	}
	for _, word := range keep {
		k := []rune(word)
		for i := 0; len(k) > 1 && i+len(k) <= len(runes); i++ {
			if slices.Equal(runes[i:i+len(k)], k) {
				clear(s[i+1 : i+len(k)])
			}
		}
	}
	return s
}

func strengthAt(runes []rune, i int) int {
	prev, next := runes[i-1], runes[i]
	at := func(k int) rune {
		if k < 0 || k >= len(runes) {
			return 0
		}
		return runes[k]
	}
	switch {
	case strings.ContainsRune(noStart, next), strings.ContainsRune(noEnd, prev), runeWidth(next) == 0:
		return forbidden
	case prev == '、' || prev == '。':
		return clauseEnd
	case prev == ' ' || prev == '　':
		return wordEnd
	case token(prev) && token(next):
		return forbidden
	case digit(next) || digit(prev): // 最大460,395件, 令和3年10月14日
		if hiragana(prev) && prev != 'お' && prev != 'ご' {
			return phraseEnd
		}
		return forbidden
	case strings.ContainsRune("」』）】？！", prev):
		if hiragana(next) {
			return forbidden
		}
		return wordEnd
	case strings.ContainsRune("「『（【", next) && !hiragana(prev):
		return lastResort
	case prev == 'を':
		return phraseEnd
	case hiragana(prev):
		if prev == 'お' || prev == 'ご' {
			return forbidden
		}
		honorific := (next == 'お' || next == 'ご') && !hiragana(at(i+1)) && at(i+1) != 0
		if (!hiragana(next) || honorific) && phrase(at(i-2), prev) {
			return phraseEnd
		}
		return lastResort
	case hiragana(next):
		return lastResort
	case unicode.Is(unicode.Katakana, prev) != unicode.Is(unicode.Katakana, next), token(prev) != token(next):
		return wordEnd
	}
	return lastResort
}

// phrase reports whether hiragana ends a phrase there: a particle or the end of
// an inflected word, as far as its last two characters tell.
func phrase(before, last rune) bool {
	switch last {
	case 'は', 'が', 'に', 'で', 'と', 'の', 'も', 'へ', 'や', 'て', 'な', 'た', 'る':
		return true
	case 'ら':
		return before == 'か'
	case 'り':
		return before == 'よ'
	case 'ど':
		return before == 'な'
	case 'い':
		return before == 'な'
	}
	return false
}

func hiragana(r rune) bool { return r >= 'ぁ' && r <= 'ゟ' }

func digit(r rune) bool { return r >= '0' && r <= '9' || r >= '０' && r <= '９' }

// token reports whether r belongs to a run that is never broken: numbers, Latin
// words, addresses of mail and web.
func token(r rune) bool {
	return r > ' ' && r < 0x250 || r >= '！' && r <= '～' && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
