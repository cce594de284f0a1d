package smtp

import (
	"fmt"
	"strings"
)

// The header fields that differ from message to message.
const (
	slotDate = iota
	slotMessageID
	slotSubject
	slotTo
	slots
)

var slotNames = [slots]string{slotDate: "Date", slotMessageID: "Message-ID", slotSubject: "Subject", slotTo: "To"}

// headerTemplate is the header section of a message, the empty line behind it included,
// cut at the fields that differ.
type headerTemplate struct {
	pieces []piece
	size   int
}

// piece is fixed text, and the field that follows it; the last has none (-1).
type piece struct {
	fixed string
	slot  int
}

// parseHeader cuts a header section as go-mail wrote it.
func parseHeader(s string) (headerTemplate, error) {
	var h headerTemplate
	var fixed strings.Builder
	found := 0
	for s != "" {
		// A field reaches to the first CRLF that no blank follows.
		end := 0
		for {
			i := strings.Index(s[end:], "\r\n")
			if i < 0 {
				return headerTemplate{}, fmt.Errorf("header section does not end in CRLF")
			}
			end += i + 2
			if end == len(s) || s[end] != ' ' && s[end] != '\t' {
				break
			}
		}
		field := s[:end]
		s = s[end:]
		slot := -1
		for i, name := range slotNames {
			if strings.HasPrefix(field, name+":") {
				slot = i
			}
		}
		if slot < 0 {
			fixed.WriteString(field)
			continue
		}
		found++
		h.pieces = append(h.pieces, piece{fixed.String(), slot})
		h.size += fixed.Len()
		fixed.Reset()
	}
	if found != slots {
		return headerTemplate{}, fmt.Errorf("header section has %d of %d fields", found, slots)
	}
	h.pieces = append(h.pieces, piece{fixed.String(), -1})
	h.size += fixed.Len()
	return h, nil
}

func (h *headerTemplate) append(dst []byte, values *[slots]string) []byte {
	for _, p := range h.pieces {
		dst = append(dst, p.fixed...)
		if p.slot >= 0 {
			dst = appendField(dst, slotNames[p.slot], values[p.slot])
		}
	}
	return dst
}

// appendField writes a field as go-mail does: folded at blanks before 76 octets.
func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ':')
	left := foldAt - 2 - len(name) - 2
	for {
		word, rest, more := strings.Cut(value, " ")
		if left-len(word) <= 1 {
			dst = append(dst, "\r\n"...)
			left = foldAt - 3
		}
		dst = append(dst, ' ')
		dst = append(dst, word...)
		left -= len(word)
		if !more {
			return append(dst, "\r\n"...)
		}
		left--
		value = rest
	}
}
