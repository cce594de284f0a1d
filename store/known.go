package store

import (
	"context"
	"database/sql"
	"errors"

	"oshirase/mailer"
	"oshirase/store/seal"
)

// KnownSize reports whether a list of that many bytes was taken in for the merchant:
// only then is it worth while to read a file for its checksum first.
func (r *Reader) KnownSize(ctx context.Context, incident, merchant string, size int64) (known bool, err error) {
	defer r.explain(&err, "look for a list of that size")
	err = get(ctx, r.pool(), &known, `
		SELECT EXISTS (SELECT 1 FROM list l JOIN incident i ON i.num = l.incident JOIN merchant m ON m.num = l.merchant
		WHERE i.id = ? AND m.id = ? AND l.size = ?)`, incident, merchant, size)
	return known, err
}

// FindImported finds a list that was taken in before, read in the same way, and from
// which nothing would be taken now: no list since has changed anybody of the merchant.
func (r *Reader) FindImported(ctx context.Context, incident, merchant, sha256, how string) (list mailer.ImportedList, found bool, err error) {
	defer r.explain(&err, "look for a known list")
	i, m, err := population(ctx, r.pool(), incident, merchant)
	if err != nil {
		return list, false, err
	}
	keys, err := r.incidentKeys(ctx, r.pool(), i)
	if err != nil {
		return list, false, err
	}
	var row struct {
		ID       string
		Info     string
		Rejected int64
	}
	err = get(ctx, r.pool(), &row, `
		SELECT l.id, l.info, l.rejected FROM list l JOIN population p ON p.incident = l.incident AND p.merchant = l.merchant
		WHERE l.incident = ? AND l.merchant = ? AND l.sum_key = ? AND l.revision = p.revision ORDER BY l.num LIMIT 1`,
		i, m, seal.NewSealer(keys, i, m, r.random).SumKey(sha256, how))
	if errors.Is(err, sql.ErrNoRows) {
		return list, false, nil
	} else if err != nil {
		return list, false, err
	}
	list.ID, list.Rejected = row.ID, row.Rejected
	if err := unmarshal(row.Info, &list.Info); err != nil {
		return list, false, err
	}
	list.Info.SHA256 = sha256
	return list, true, nil
}
