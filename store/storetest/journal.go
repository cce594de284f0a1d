package storetest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer/journal"
)

// VerifyJournal reads the journal of a ledger and makes all of it anew: every leaf
// from the row that it is about, every root, every hash, and the links. It returns
// what does not fit, in words. Known heads are from elsewhere; see journal.NewChain.
func VerifyJournal(ctx context.Context, db *sqlx.DB, known ...journal.Head) (found []string, err error) {
	tx, err := db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	leaves := map[entryKey][]leafRow{}
	if found, err = readEvents(ctx, tx, leaves); err != nil {
		return nil, err
	}
	if err := readActs(ctx, tx, leaves); err != nil {
		return nil, err
	}
	wrong, err := verifyChains(ctx, tx, leaves, known)
	if err != nil {
		return nil, err
	}
	found = append(found, wrong...)
	for key, rows := range leaves { // those of entries that were read are gone
		found = append(found, fmt.Sprintf("%s: there is no entry %d of chain %d", rows[0].what, key.n, key.chain))
	}
	slices.Sort(found)
	return found, nil
}

type entryKey struct{ chain, n int64 }

// leafRow is a row of the ledger as a leaf.
type leafRow struct {
	what string
	leaf int64
	text []byte
}

func readEvents(ctx context.Context, tx *sqlx.Tx, leaves map[entryKey][]leafRow) (found []string, err error) {
	rows, err := tx.QueryxContext(ctx, `
		SELECT e.delivery, e.n, c.id AS campaign, e.kind, e.state, e.at, e.relay, e.point, e.code, e.enhanced, e.text, e.raw, e.raw_sum, e.chain, e.entry, e.leaf
		FROM event e LEFT JOIN delivery d ON d.id = e.delivery LEFT JOIN campaign c ON c.num = d.campaign`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r struct {
			Campaign           sql.NullString
			N                  int64
			Raw, Sum           []byte
			Chain, Entry, Leaf int64
			journal.Event
		}
		e := &r.Event
		if err := rows.Scan(&e.Delivery, &r.N, &r.Campaign, &e.Kind, &e.State, &e.At, &e.Relay, &e.Point, &e.Code, &e.Enhanced, &e.Text, &r.Raw, &r.Sum,
			&r.Chain, &r.Entry, &r.Leaf); err != nil {
			return nil, err
		}
		what := fmt.Sprintf("event %d of delivery %d", r.N, e.Delivery)
		if !r.Campaign.Valid {
			found = append(found, what+": there is no such delivery")
		}
		e.Campaign = r.Campaign.String
		copy(e.Reply[:], r.Sum)
		if r.Raw != nil && sha256.Sum256(r.Raw) != e.Reply { // blanked by a purge it may be, but not changed
			found = append(found, what+": the sealed reply is not what its hash says")
		}
		key := entryKey{r.Chain, r.Entry}
		leaves[key] = append(leaves[key], leafRow{what, r.Leaf, e.AppendLeaf(nil)})
	}
	return found, rows.Err()
}

func readActs(ctx context.Context, tx *sqlx.Tx, leaves map[entryKey][]leafRow) error {
	rows, err := tx.QueryxContext(ctx, `SELECT id, at, who, proof, action, subject, detail, chain, entry, leaf FROM act`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var key entryKey
		var l leafRow
		var a journal.Act
		if err := rows.Scan(&id, &a.At, &a.By, &a.Proof, &a.Action, &a.Subject, &a.Detail, &key.chain, &key.n, &l.leaf); err != nil {
			return err
		}
		l.what, l.text = fmt.Sprintf("act %d", id), a.AppendLeaf(nil)
		leaves[key] = append(leaves[key], l)
	}
	return rows.Err()
}

// verifyChains takes from leaves those of the entries that there are.
func verifyChains(ctx context.Context, tx *sqlx.Tx, leaves map[entryKey][]leafRow, known []journal.Head) (found []string, err error) {
	rows, err := tx.QueryxContext(ctx, `
		SELECT e.chain, coalesce(c.id, ''), e.n, e.at, e.leaves, e.prev, e.root, e.hash
		FROM entry e LEFT JOIN chain c ON c.num = e.chain ORDER BY e.chain, e.n`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	chains := map[string]*journal.Chain{}
	for _, k := range known {
		chains[k.Chain] = nil // it has to be there
	}
	for rows.Next() {
		var e journal.Entry
		var key entryKey
		var prev, root, hash []byte
		if err := rows.Scan(&key.chain, &e.Chain, &e.N, &e.At, &e.Leaves, &prev, &root, &hash); err != nil {
			return nil, err
		}
		key.n = e.N
		copy(e.Prev[:], prev)
		copy(e.Root[:], root)
		if e.Chain == "" {
			found = append(found, fmt.Sprintf("entry %d of chain %d: there is no such chain", e.N, key.chain))
		}
		if sum := e.Hash(); string(sum[:]) != string(hash) {
			found = append(found, fmt.Sprintf("entry %d of chain %d: its hash is another", e.N, key.chain))
		}
		tree, wrong := plant(leaves[key])
		found = append(found, wrong...)
		delete(leaves, key)
		if chains[e.Chain] == nil {
			chains[e.Chain] = journal.NewChain(journal.Head{Chain: e.Chain}, known...)
		}
		for _, f := range chains[e.Chain].Add(&e, tree) {
			found = append(found, f.String())
		}
	}
	for id, c := range chains {
		if c == nil {
			c = journal.NewChain(journal.Head{Chain: id}, known...)
		}
		for _, f := range c.End() {
			found = append(found, f.String())
		}
	}
	return found, rows.Err()
}

// plant makes the tree of an entry of what the ledger has of it.
func plant(rows []leafRow) (tree *journal.Tree, found []string) {
	slices.SortFunc(rows, func(a, b leafRow) int { return cmp.Compare(a.leaf, b.leaf) })
	tree = new(journal.Tree)
	for i, r := range rows {
		if r.leaf != int64(i) {
			found = append(found, fmt.Sprintf("%s is leaf %d, where leaf %d should be", r.what, r.leaf, i))
		}
		tree.Add(journal.LeafHash(r.text))
	}
	return tree, found
}

// verifyJournal demands that the journal fits.
func (e *env) verifyJournal(known ...journal.Head) {
	e.tb.Helper()
	found, err := VerifyJournal(context.Background(), e.sql(), known...)
	must(e.tb, err)
	for _, f := range found {
		e.tb.Errorf("journal: %s", f)
	}
}

// chains is how many chains the journal has.
func (e *env) chains() (n int) {
	e.tb.Helper()
	must(e.tb, e.sql().Get(&n, `SELECT count(*) FROM chain`))
	return n
}

// Heads are the last entries of all chains of a ledger, in the order of the chains.
func Heads(ctx context.Context, db *sqlx.DB) (heads []journal.Head, err error) {
	var rows []struct {
		ID   string
		N    int64
		Hash []byte
	}
	if err := db.SelectContext(ctx, &rows, `
		SELECT c.id, e.n, e.hash FROM chain c JOIN entry e ON e.chain = c.num
		WHERE e.n = (SELECT max(n) FROM entry x WHERE x.chain = c.num) ORDER BY c.num`); err != nil {
		return nil, err
	}
	for _, r := range rows {
		h := journal.Head{Chain: r.ID, N: r.N}
		copy(h.Hash[:], r.Hash)
		heads = append(heads, h)
	}
	return heads, nil
}

func (e *env) heads() []journal.Head {
	e.tb.Helper()
	heads, err := Heads(context.Background(), e.sql())
	must(e.tb, err)
	return heads
}
