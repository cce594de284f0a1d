package keyring

import (
	"bytes"
	"encoding/base64"
	"strings"

	"oshirase/mailer"
)

// Value is a key as a keyring has it: a text that says whose it is, so that a wrong
// key, one of another incident and a damaged one can be told apart.
type Value struct {
	Key      string // id of the key
	Ledger   string // id of the ledger
	Incident string
	// Wraps are the same key, wrapped by one master key each: two while the master key
	// is being changed.
	Wraps []Wrap
}

// Wrap is a key that is wrapped by a master key.
type Wrap struct {
	Master string // id of the master key; says nothing of it
	Sealed []byte
}

// By is the wrap by a master key; nil: there is none.
func (v *Value) By(master string) []byte {
	for _, w := range v.Wraps {
		if w.Master == master {
			return w.Sealed
		}
	}
	return nil
}

// Masters are the ids of the master keys that open the value.
func (v *Value) Masters() []string {
	ids := make([]string, len(v.Wraps))
	for i, w := range v.Wraps {
		ids[i] = w.Master
	}
	return ids
}

const (
	firstLine = "oshirase-key 1"
	maxWraps  = 8
)

// Text is the value as it is kept.
func (v *Value) Text() []byte {
	var b bytes.Buffer
	for _, line := range [][]string{{firstLine}, {"key", v.Key}, {"ledger", v.Ledger}, {"incident", v.Incident}} {
		b.WriteString(strings.Join(line, " ") + "\n")
	}
	for _, w := range v.Wraps {
		b.WriteString("wrap " + w.Master + " " + base64.StdEncoding.EncodeToString(w.Sealed) + "\n")
	}
	return b.Bytes()
}

// Parse is the inverse of Text.
func Parse(text []byte) (*Value, error) {
	damaged := func(line int) error { return mailer.NewError(mailer.ErrDamaged, "keyring.value", "line", line) }
	if !bytes.HasSuffix(text, []byte("\n")) {
		return nil, damaged(1 + bytes.Count(text, []byte("\n")))
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	v := &Value{}
	names := map[int]struct {
		name string
		to   *string
	}{1: {"key", &v.Key}, 2: {"ledger", &v.Ledger}, 3: {"incident", &v.Incident}}
	for i, line := range lines {
		word, rest, _ := strings.Cut(line, " ")
		switch f := names[i]; {
		case i == 0:
			if line != firstLine {
				return nil, damaged(1)
			}
		case f.to != nil:
			if word != f.name || rest == "" || strings.Contains(rest, " ") {
				return nil, damaged(i + 1)
			}
			*f.to = rest
		default:
			master, sealed, _ := strings.Cut(rest, " ")
			raw, err := base64.StdEncoding.Strict().DecodeString(sealed)
			if word != "wrap" || master == "" || len(raw) == 0 || err != nil || len(v.Wraps) == maxWraps || v.By(master) != nil {
				return nil, damaged(i + 1)
			}
			v.Wraps = append(v.Wraps, Wrap{Master: master, Sealed: raw})
		}
	}
	if len(v.Wraps) == 0 {
		return nil, damaged(len(lines))
	}
	return v, nil
}
