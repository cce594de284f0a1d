package campaign

import (
	"context"
	"slices"
	"strings"

	"oshirase/mailer"
	"oshirase/mailer/authority"
)

// LookUp finds a person over all incidents and merchants; a reference number may
// stand in any form in which it is read out. Who looked, and by what, is committed
// before anything is returned, with a match or without.
//
// What is no whole address, number or customer number is refused, since it matches
// nobody; and where there is nobody to be found among, the answer is the error
// CannotSay. "Not found" must never be heard as "not affected".
func (r *Register) LookUp(ctx context.Context, by mailer.Actor, q mailer.Query) (mailer.Found, error) {
	if err := Askable(&q); err != nil {
		return mailer.Found{}, err
	}
	who, err := authority.Any(ctx, r.Ledger, by, mailer.ActLookUp)
	if err != nil {
		return mailer.Found{}, err
	}
	all, err := r.Ledger.Lookup(ctx, who.Actor, q)
	if err != nil {
		return mailer.Found{}, err
	}
	all = slices.DeleteFunc(all, func(m mailer.Match) bool { return !who.Sees(m.Merchant) })
	found := mailer.Found{Matches: []mailer.Match{}, Similar: []mailer.Match{}}
	for i := range all {
		if all[i].Similar {
			found.Similar = append(found.Similar, all[i])
		} else {
			found.Matches = append(found.Matches, all[i])
		}
	}
	if found.Searched, err = r.Ledger.Searched(ctx); err != nil {
		return mailer.Found{}, err
	}
	if found.NotSearched, err = r.Ledger.NotSearched(ctx); err != nil {
		return mailer.Found{}, err
	}
	found.Searched = slices.DeleteFunc(found.Searched, func(s mailer.Searched) bool { return !who.Sees(s.Merchant) })
	found.NotSearched = slices.DeleteFunc(found.NotSearched, func(m string) bool { return !who.Sees(m) })
	if len(all) > 0 {
		return found, nil
	}
	var gone []string
	people := int64(0)
	for _, s := range found.Searched {
		if s.Destroyed && q.Ref == "" {
			gone = append(gone, s.Incident+"/"+s.Merchant)
		} else {
			people += s.People
		}
	}
	switch {
	case people == 0 && len(gone) > 0:
		return mailer.Found{}, mailer.Conflict(CannotSayDestroyed, "populations", gone)
	case people == 0:
		return mailer.Found{}, mailer.NotFound(CannotSay)
	}
	return found, nil
}

// The codes of a look-up that has nobody to look among: no list was taken in yet, or
// the keys of all that were are destroyed.
const (
	CannotSay          mailer.Code = "lookup.nobody-imported"
	CannotSayDestroyed mailer.Code = "lookup.keys-destroyed"
)

// Askable brings a query into the form in which it is asked, and refuses what can
// match nobody.
func Askable(q *mailer.Query) error {
	for _, s := range []*string{&q.Ref, &q.Email, &q.CustomerID, &q.Phone, &q.Kana} {
		if *s != "" && strings.TrimSpace(*s) == "" {
			return mailer.Invalid("lookup.blank")
		}
		*s = strings.TrimSpace(*s)
	}
	switch {
	case q.Ref != "":
		var err error
		q.Ref, err = mailer.ParseRef(q.Ref)
		return err
	case q.Email != "":
		if _, err := mailer.ParseAddress(q.Email); err != nil {
			return mailer.Invalid("lookup.email", "cause", err)
		}
	case q.Phone != "":
		if n := national(q.Phone); !wholePhone(n) {
			return mailer.Invalid("lookup.phone", "digits", len(n))
		}
	}
	return nil
}

// national is a telephone number in its national form, by its digits.
func national(phone string) string {
	var b strings.Builder
	for _, r := range phone {
		switch {
		case r >= '０' && r <= '９':
			b.WriteRune(r - '０' + '0')
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		}
	}
	n := b.String()
	if strings.HasPrefix(phone, "+81") || strings.HasPrefix(phone, "＋") {
		n = "0" + strings.TrimPrefix(strings.TrimPrefix(n, "81"), "0")
	}
	return n
}

// wholePhone reports whether a national number has all of its digits: 11 for mobile
// phones and the like (0x0), 10 for all others.
func wholePhone(n string) bool {
	if len(n) < 3 || n[0] != '0' {
		return false
	}
	if n[2] == '0' && n[1] >= '5' {
		return len(n) == 11
	}
	return len(n) == 10
}
