package templates

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"text/template"

	"oshirase/mailer"
)

// variant is a notice but for what is personal: everything that follows from a
// set of exposures, what the reader was told before, and the correction kind.
type variant struct {
	base        *base
	subject     string
	subjectPart *template.Template // not nil: the subject is personal
	segments    []segment
	size        int               // bytes of all texts
	texts       map[string]string // of each part, as rendered for the first reader
	checked     variantCheck
}

// segment is text that is the same for every reader of the variant, or a part
// to be rendered for each.
type segment struct {
	text string
	part *template.Template
	// A built-in part that holds but the name or the reference number is cut
	// around it, so that it need not be executed for every reader.
	slot          slot
	before, after string
}

type slot uint8

const (
	noSlot slot = iota
	nameSlot
	refSlot
)

// marker stands for a name while a part is cut around it: one full-width
// character of the private use area.
const marker = "\uE000"

// cutSlots prepares a built-in part that is the reader's own.
func (t *Template) cutSlots(s *segment, b *base) error {
	name := s.part.Name()
	if t.replaced(name) || name != "salutation" && name != "reference" {
		return nil
	}
	mark := marker
	kind := nameSlot
	if name == "reference" {
		mark, kind = probeRef, refSlot
	}
	r := &mailer.Recipient{Ref: probeRef, Person: mailer.Person{Name: marker}}
	var buf page
	text, err := t.execute(&buf, s.part, &Data{base: b, person: person{r: r}})
	if err != nil {
		return err
	}
	if strings.Count(text, mark) == 1 {
		s.before, s.after, _ = strings.Cut(text, mark)
		s.slot = kind
	}
	return nil
}

// own is what fills the slot of a segment; false where the part is to be
// executed, since the reader's data would change more than the slot.
func (s *segment) own(r *mailer.Recipient) (string, bool) {
	switch s.slot {
	case nameSlot:
		name := nameOf(r)
		if name == "" || isAddressed(name) {
			return "", false
		}
		return name, true
	case refSlot:
		return r.Ref, len(r.Ref) == len(probeRef) && r.Ref[5] == '-'
	}
	return "", false
}

// errFacts marks an incident that lacks what a recipient's notice needs.
var errFacts = errors.New("facts and recipient do not fit")

// variant finds or composes the variant of a recipient.
func (t *Template) variant(r *mailer.Recipient) (*variant, error) {
	var space [128]byte
	key := appendKey(space[:0], r)
	if v, ok := (*t.variants.Load())[string(key)]; ok {
		return v, nil
	}
	v, err := t.compose(r)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *t.variants.Load()
	if w, ok := old[string(key)]; ok {
		return w, nil
	}
	if len(old) < maxVariants {
		grown := maps.Clone(old)
		grown[string(key)] = v
		t.variants.Store(&grown)
	}
	return v, nil
}

// appendKey writes what a variant depends on.
func appendKey(b []byte, r *mailer.Recipient) []byte {
	for _, e := range r.Exposures {
		b = append(append(b, e...), 0)
	}
	b = append(b, 1)
	for _, told := range r.Told {
		b = append(append(b, told.Stage...), 0)
		b = append(b, byte(told.On.Year>>8), byte(told.On.Year), byte(told.On.Month), byte(told.On.Day))
		for _, e := range told.Exposures {
			b = append(append(b, e...), 0)
		}
	}
	b = append(b, 1)
	return append(b, correctionOf(r)...)
}

// compose renders every part once for the recipient; a part that asked for
// something personal meanwhile is kept as a part, the others as text.
func (t *Template) compose(r *mailer.Recipient) (*variant, error) {
	b, err := t.facts.of(r)
	if err != nil {
		return nil, err
	}
	v := &variant{base: b, texts: make(map[string]string)}
	var buf page
	render := func(name string) (string, *template.Template, error) {
		part := t.root.Lookup(name)
		data := &Data{base: b, person: person{r: r}}
		text, err := t.execute(&buf, part, data)
		if err != nil {
			return "", nil, err
		}
		v.texts[name] = text
		if data.asked {
			return "", part, nil
		}
		return text, nil, nil
	}
	if v.subject, v.subjectPart, err = render("subject"); err != nil {
		return nil, err
	}
	if v.subject, err = oneLine(v.subject); err != nil {
		return nil, err
	}
	for _, name := range layout(t.snap.Stage, b.Kind) {
		text, part, err := render(name)
		if err != nil {
			return nil, err
		}
		if n := len(v.segments); part == nil && n > 0 && v.segments[n-1].part == nil && text != "" {
			v.segments[n-1].text += "\n\n" + text
		} else if part != nil || text != "" {
			s := segment{text: text, part: part}
			if part != nil {
				if err := t.cutSlots(&s, b); err != nil {
					return nil, err
				}
			}
			v.segments = append(v.segments, s)
		}
		v.size += len(text) + 2
	}
	return v, nil
}

// correctionAttribute is the list column that says which correction a person
// gets; 訂正区分 is its Japanese name.
const correctionAttribute = "correction"

var correctionWords = map[string]mailer.CorrectionKind{
	"added": mailer.CorrectionAdded, "追加": mailer.CorrectionAdded,
	"removed": mailer.CorrectionRemoved, "対象外": mailer.CorrectionRemoved, "除外": mailer.CorrectionRemoved,
	"misdirected": mailer.CorrectionMisdirected, "誤送信": mailer.CorrectionMisdirected, "誤配信": mailer.CorrectionMisdirected,
	"content": mailer.CorrectionContent, "内容": mailer.CorrectionContent, "内容訂正": mailer.CorrectionContent,
}

// correctionOf is the kind that the list gives a person, empty where it gives none.
func correctionOf(r *mailer.Recipient) mailer.CorrectionKind {
	for _, name := range [...]string{correctionAttribute, "訂正区分"} {
		if v := strings.TrimSpace(r.Attributes[name]); v != "" {
			if kind, ok := correctionWords[v]; ok {
				return kind
			}
			return mailer.CorrectionKind(v)
		}
	}
	return ""
}

// correctionKind decides which correction a recipient gets.
func correctionKind(in *mailer.Incident, r *mailer.Recipient) (mailer.CorrectionKind, error) {
	var kinds []mailer.CorrectionKind
	for _, c := range in.Corrections {
		if !slices.Contains(kinds, c.Kind) {
			kinds = append(kinds, c.Kind)
		}
	}
	switch kind := correctionOf(r); {
	case len(kinds) == 0:
		return "", mailer.NewError(errFacts, "templates.no-corrections", "incident", in.ID)
	case kind == "" && len(kinds) == 1:
		return kinds[0], nil
	case kind == "":
		return "", mailer.NewError(mailer.ErrNotConcerned, "templates.which-correction", "incident", in.ID, "column", correctionAttribute)
	case !slices.Contains(kinds, kind):
		return "", mailer.NewError(errFacts, "templates.correction-kind", "incident", in.ID)
	default:
		return kind, nil
	}
}
