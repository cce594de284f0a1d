package store

import (
	"context"
	"database/sql"
	"errors"
	"math/bits"
	"time"

	"oshirase/mailer"
)

// Reserve takes up to n messages out of every limit at once (GCRA: one
// theoretical arrival time per limit). A limit with N or Per zero does not limit.
func (db *DB) Reserve(ctx context.Context, now time.Time, n int, limits []mailer.Limit) (g mailer.Grant, err error) {
	defer db.explain(&err, "reserve")
	real := make([]mailer.Limit, 0, len(limits))
	for _, l := range limits {
		if l.N > 0 && l.Per > 0 {
			real = append(real, l)
		}
	}
	if n <= 0 || len(real) == 0 {
		return mailer.Grant{N: max(n, 0)}, nil
	}
	err = db.write(ctx, func(c *change) error {
		g = mailer.Grant{N: n}
		tats := make([]int64, len(real))
		for i, l := range real {
			err := get(ctx, c, &tats[i], `SELECT tat FROM pace WHERE key = ?`, l.Key)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			from, k, w := gcra(now.UnixNano(), tats[i], l)
			if from < tats[i] {
				// Kept at once: time has to count from here even if nothing is granted now.
				if err := setTAT(ctx, c, l.Key, from); err != nil {
					return err
				}
			}
			tats[i] = from
			if k < n && k <= g.N {
				g.N, g.Bound = k, l.Key
			}
			g.Wait = max(g.Wait, w)
		}
		if g.N == 0 {
			return nil
		}
		g.Wait = 0
		for i, l := range real {
			if err := setTAT(ctx, c, l.Key, tats[i]+mulDiv(int64(g.N), int64(l.Per), int64(l.N))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return mailer.Grant{}, err
	}
	return g, nil
}

func setTAT(ctx context.Context, h handle, key string, tat int64) error {
	_, err := do(ctx, h, `INSERT INTO pace (key, tat) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET tat = excluded.tat`, key, tat)
	return err
}

// gcra returns the time from which the limit counts on, how many messages it
// grants now, and how long until it grants one. A stored time beyond what the
// limit could have led to (the limit was slower before, or a clock went back)
// counts as just used up.
func gcra(now, tat int64, l mailer.Limit) (from int64, granted int, wait time.Duration) {
	burst := int64(max(l.Burst, 1))
	span := mulDiv(burst, int64(l.Per), int64(l.N))
	from = min(max(tat, now), now+span)
	free := now + span - from
	granted = int(mulDiv(free+1, int64(l.N), int64(l.Per))) // span was rounded down
	if granted == 0 {
		one := (int64(l.Per) + int64(l.N) - 1) / int64(l.N)
		wait = time.Duration(from + one - now - span)
	}
	return from, granted, wait
}

// mulDiv is a*b/c for a, b ≥ 0 and c > 0 where the result fits, whatever the product.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}
