package store

import (
	"context"
	"slices"

	"oshirase/mailer"
	"oshirase/store/seal"
)

const (
	// sampleRows is how many rows of a list are looked for at other merchants: its first.
	sampleRows = 256
	// probeRows of them are looked for at first, and the rest where a quarter of these
	// is found: an incident may have hundreds of merchants.
	probeRows = 8
)

// namesake finds the other merchant of the incident who has half of a list's people or
// more: then it may be the other one's list. Keys are bound to merchants, so a sample is
// looked for under the keys of each. nil: nobody has.
func (im *importer) namesake(ctx context.Context) (*mailer.Elsewhere, error) {
	if len(im.sample) == 0 {
		return nil, nil
	}

	var others []struct {
		Num int64
		ID  string
	}
	if err := find(ctx, im, &others, `
		SELECT m.num, m.id FROM population p JOIN merchant m ON m.num = p.merchant
		WHERE p.incident = ? AND p.merchant <> ? AND p.recipients > 0 ORDER BY m.num`, im.incident, im.merchant); err != nil {
		return nil, err
	}
	found := mailer.Elsewhere{Sampled: len(im.sample)}
	probe := im.sample
	if len(probe) > probeRows {
		probe = make([]mailer.Person, probeRows)
		for i := range probe {
			probe[i] = im.sample[i*len(im.sample)/probeRows]
		}
	}
	for _, other := range others {
		n, err := im.known(ctx, other.Num, probe)
		if err == nil && 4*n >= len(probe) && n > 0 {
			n, err = im.known(ctx, other.Num, im.sample)
		} else {
			n = 0
		}
		if err != nil {
			return nil, err
		}
		if n > found.Same {
			found.Merchant, found.Same = other.ID, n
		}
	}
	if 2*found.Same < found.Sampled || found.Same < min(3, found.Sampled) {
		return nil, nil
	}
	return &found, nil
}

// known counts of a sample the people whom another merchant has, by number or address
// and by name: numbers alone are often counted from one by everybody.
func (im *importer) known(ctx context.Context, merchant int64, sample []mailer.Person) (n int, err error) {
	sealer := seal.NewSealer(im.keys, im.incident, merchant, im.db.random)
	byKey := make(map[string]*mailer.Person, len(sample))
	var keys []any
	for i := range sample {
		if key := sealer.PersonKey(&sample[i]); key != nil {
			byKey[string(key)] = &sample[i]
			keys = append(keys, key)
		}
	}
	for part := range slices.Chunk(keys, importInsert) {
		var rows []recipientRow
		if err := find(ctx, im, &rows, `SELECT id, person_key, sealed FROM recipient WHERE person_key IN (`+values(`?`, len(part))+`)`, part...); err != nil {
			return 0, err
		}
		for _, row := range rows {
			p, err := im.keys.OpenPerson(row.Sealed, im.incident, merchant, row.PersonKey)
			if err != nil {
				return 0, err
			}
			if of := byKey[string(row.PersonKey)]; seal.SameEmail(p.Email, of.Email) && p.Email != "" || p.Name != "" && seal.Fold(p.Name) == seal.Fold(of.Name) {
				n++
			}
		}
	}
	return n, nil
}
