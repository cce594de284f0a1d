package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"oshirase/config"
	"oshirase/mailer"
	"oshirase/store"
	"oshirase/store/keyring"
)

// checkKeys looks whether the keys of the config are those of the ledger, where there
// is one; before says what is known to be wrong.
func (a *app) checkKeys(ctx context.Context, cfg *config.Config, before []config.Problem) (found []config.Problem) {
	for _, p := range before {
		if p.Severity == mailer.SeverityError && (p.Rule == "database" || p.Rule == "key") {
			return nil // nothing could be opened
		}
	}
	fail := func(rule string, err error) {
		found = append(found, config.Problem{Severity: mailer.SeverityError, Rule: rule, Err: err})
	}
	o, err := a.storeOptions()
	if err != nil {
		fail("key", err)
		return found
	}
	if folder, ok := o.Keys.(*keyring.Folder); ok {
		if err := folder.Check(ctx); err != nil {
			fail("key", err)
			return found
		}
	}
	r, err := store.OpenReader(ctx, o)
	if errors.Is(err, fs.ErrNotExist) {
		return found // it is made on first use
	}
	if err != nil {
		fail("ledger", err)
		return found
	}
	orphans, err := r.CheckKeys(ctx)
	if err = errors.Join(err, r.Close()); err != nil {
		fail("key", err)
	}
	if len(orphans) > 0 {
		found = append(found, config.Problem{Severity: mailer.SeverityWarning, Rule: "key", Err: fmt.Errorf(
			"no incident of this database has the keys %s: what a crash left, or the database is older than they are", strings.Join(orphans, ", "))})
	}
	return found
}
