package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/journal"
)

// leafRow is a row of the ledger that is a leaf of the journal.
type leafRow struct {
	Chain, Entry, Leaf int64
	hash               journal.Hash
	what               string
}

func (l *leafRow) compare(m *leafRow) int {
	return cmp.Or(cmp.Compare(l.Chain, m.Chain), cmp.Compare(l.Entry, m.Entry), cmp.Compare(l.Leaf, m.Leaf))
}

// leafSource gives leaves in the order of the journal.
type leafSource struct {
	rows *sqlx.Rows
	scan func(*sqlx.Rows) (leafRow, error)
	head *leafRow // nil: at the end
}

func (s *leafSource) next() (err error) {
	s.head = nil
	if !s.rows.Next() {
		return s.rows.Err()
	}
	l, err := s.scan(s.rows)
	s.head = &l
	return err
}

// leaves merges the sources.
type leaves []*leafSource

func (ls leaves) peek() (least *leafSource) {
	for _, s := range ls {
		if s.head != nil && (least == nil || s.head.compare(least.head) < 0) {
			least = s
		}
	}
	return least
}

func (ls leaves) close() {
	for _, s := range ls {
		_ = s.rows.Close()
	}
}

func (v *verifier) openLeaves(ctx context.Context) (ls leaves, err error) {
	for _, s := range []struct {
		query string
		scan  func(*sqlx.Rows) (leafRow, error)
	}{
		{`SELECT e.chain, e.entry, e.leaf, e.delivery, e.n, coalesce(c.id, '') AS campaign, e.kind, e.state, e.at, e.relay, e.point, e.code, e.enhanced,
			e.text, e.raw, e.raw_sum, coalesce(d.recipient, 0) AS recipient, coalesce(c.merchant = e.merchant, 0) AS merchant
			FROM event e LEFT JOIN delivery d ON d.id = e.delivery LEFT JOIN campaign c ON c.num = d.campaign ORDER BY e.chain, e.entry, e.leaf`, v.scanEvent},
		{`SELECT chain, entry, leaf, id, at, who, proof, action, subject, detail FROM act ORDER BY chain, entry, leaf`, scanAct},
		{`SELECT chain, entry, leaf, version, sum FROM control ORDER BY chain, entry, leaf`, scanControl},
	} {
		rows, err := v.tx.QueryxContext(ctx, s.query)
		if err != nil {
			ls.close()
			return nil, err
		}
		src := &leafSource{rows: rows, scan: s.scan}
		ls = append(ls, src)
		if err := src.next(); err != nil {
			ls.close()
			return nil, err
		}
	}
	return ls, nil
}

func (v *verifier) scanEvent(rows *sqlx.Rows) (l leafRow, err error) {
	var e journal.Event
	var n, recipient int64
	var merchant bool
	var raw, sum sql.RawBytes
	if err := rows.Scan(&l.Chain, &l.Entry, &l.Leaf, &e.Delivery, &n, &e.Campaign, &e.Kind, &e.State, &e.At, &e.Relay, &e.Point, &e.Code, &e.Enhanced,
		&e.Text, &raw, &sum, &recipient, &merchant); err != nil {
		return l, err
	}
	copy(e.Reply[:], sum) // a purge blanked the reply
	if raw != nil {
		e.Reply = sha256.Sum256(raw)
	}
	var room [512]byte
	l.hash = journal.LeafHash(e.AppendLeaf(room[:0]))
	l.what = v.event(e.Campaign, recipient, e.Delivery, n)
	switch {
	case e.Campaign == "":
		v.find("event", l.what, "there is no such delivery")
	case !merchant:
		v.find("event", l.what, "it is counted for another merchant")
	}
	if e.Kind == string(mailer.EventAttempt) && e.State == string(mailer.StateAccepted) {
		v.accepted[e.Campaign]++
	}
	return l, nil
}

// event names an event.
func (v *verifier) event(campaign string, recipient, delivery, n int64) string {
	if campaign == "" {
		return fmt.Sprintf("delivery %d, event %d", delivery, n)
	}
	return fmt.Sprintf("%s %s, event %d", campaign, v.r.names.Ref(recipient), n)
}

func scanAct(rows *sqlx.Rows) (l leafRow, err error) {
	var a journal.Act
	var id int64
	if err := rows.Scan(&l.Chain, &l.Entry, &l.Leaf, &id, &a.At, &a.By, &a.Proof, &a.Action, &a.Subject, &a.Detail); err != nil {
		return l, err
	}
	l.hash = journal.LeafHash(a.AppendLeaf(nil))
	l.what = fmt.Sprintf("act %d (%s, %s)", id, a.Action, stamp(a.At))
	return l, nil
}

func scanControl(rows *sqlx.Rows) (l leafRow, err error) {
	var c journal.Control
	var sum []byte
	if err := rows.Scan(&l.Chain, &l.Entry, &l.Leaf, &c.Version, &sum); err != nil {
		return l, err
	}
	copy(c.Sum[:], sum)
	l.hash = journal.LeafHash(c.AppendLeaf(nil))
	l.what = fmt.Sprintf("control rows, version %d", c.Version)
	return l, nil
}

// journal goes through all chains, entry by entry, with the rows that are their leaves.
func (v *verifier) journal(ctx context.Context, known []journal.Head) error {
	ls, err := v.openLeaves(ctx)
	if err != nil {
		return err
	}
	defer ls.close()
	rows, err := v.tx.QueryxContext(ctx, `
		SELECT e.chain, coalesce(c.id, ''), e.n, e.at, e.leaves, e.prev, e.root, e.hash, e.code
		FROM entry e LEFT JOIN chain c ON c.num = e.chain ORDER BY e.chain, e.n`)
	if err != nil {
		return err
	}
	defer rows.Close()
	ends := &chainEnds{v: v, known: known, ended: map[string]string{}}
	if err := ends.read(ctx); err != nil {
		return err
	}
	var num int64
	for rows.Next() {
		var e journal.Entry
		var n int64
		var prev, root, hash, code []byte
		if err := rows.Scan(&n, &e.Chain, &e.N, &e.At, &e.Leaves, &prev, &root, &hash, &code); err != nil {
			return err
		}
		copy(e.Prev[:], prev)
		copy(e.Root[:], root)
		if n != num {
			ends.end()
			ends.begin(e.Chain)
			num = n
		}
		where := fmt.Sprintf("journal %s, entry %d", cmp.Or(e.Chain, fmt.Sprint(n)), e.N)
		v.entries++
		v.entry(&e, where, hash, code)
		tree, of, err := v.plant(ls, n, e.N, where)
		if err != nil {
			return err
		}
		for _, f := range ends.chain.Add(&e, tree) {
			v.find(string(f.Rule), where, "%s%s", journalWords[f.Rule], of)
		}
	}
	ends.end()
	ends.rest()
	if err := rows.Err(); err != nil {
		return err
	}
	return v.strays(ls, 1<<62, 0)
}

// journalWords say what a rule of the journal means.
var journalWords = map[journal.Rule]string{
	journal.RuleChain:    "it is of another chain",
	journal.RuleMissing:  "entries before it are missing",
	journal.RuleOrder:    "an entry with this number, or a higher one, stood before",
	journal.RulePrevious: "it does not follow the entry before: one of the two was changed",
	journal.RuleCount:    "some of what happened in it is missing, or was invented",
	journal.RuleRoot:     "what happened in it is not what was written, or not in its order",
	journal.RuleHead:     "a signed checkpoint knows another entry of this number: the past was written anew",
	journal.RuleShort:    "a signed checkpoint knows this entry, and the ledger does not have it: it is an older one, or its end is missing",
}

// entry holds an entry against its own hash and code.
func (v *verifier) entry(e *journal.Entry, where string, hash, code []byte) {
	if e.Chain == "" {
		v.find("chain", where, "there is no such chain")
	}
	sum := e.Hash()
	if string(sum[:]) != string(hash) {
		v.find("hash", where, "its hash is another")
	}
	if want := v.r.codes.Entry(sum); string(want[:]) != string(code) {
		v.find("code", where, "the program did not write it so")
	}
}

// plant makes the tree of an entry of the rows that are its leaves, and says which
// they are where that helps.
func (v *verifier) plant(ls leaves, chain, entry int64, where string) (tree *journal.Tree, of string, err error) {
	if err := v.strays(ls, chain, entry); err != nil {
		return nil, "", err
	}
	tree = new(journal.Tree)
	var names []string
	for {
		s := ls.peek()
		if s == nil || s.head.Chain != chain || s.head.Entry != entry {
			break
		}
		if s.head.Leaf != tree.Size() {
			v.find("leaf", where, "%s stands where leaf %d should", s.head.what, tree.Size())
		}
		if len(names) < 4 {
			names = append(names, s.head.what)
		}
		tree.Add(s.head.hash)
		v.row()
		if err := s.next(); err != nil {
			return nil, "", err
		}
	}
	if len(names) > 0 {
		of = ": " + strings.Join(names, "; ")
		if more := tree.Size() - int64(len(names)); more > 0 {
			of += fmt.Sprintf("; and %d more", more)
		}
	}
	return tree, of, nil
}

// strays names the rows before an entry, which are the leaves of none that there is.
func (v *verifier) strays(ls leaves, chain, entry int64) error {
	for {
		s := ls.peek()
		if s == nil || s.head.compare(&leafRow{Chain: chain, Entry: entry, Leaf: -1}) > 0 {
			return nil
		}
		v.find("stray", s.head.what, "the journal has no entry %d of chain %d for it", s.head.Entry, s.head.Chain)
		if err := s.next(); err != nil {
			return err
		}
	}
}

// chainEnds holds the chains against what is known of their heads.
type chainEnds struct {
	v     *verifier
	known []journal.Head
	ended map[string]string // by chain: what the act that ended it says of its last entry
	seen  []string
	id    string
	chain *journal.Chain // nil: none is under way
}

// read finds what acts say of chains that ended.
func (c *chainEnds) read(ctx context.Context) error {
	var acts []struct{ Subject, Detail string }
	if err := find(ctx, c.v.tx, &acts, `SELECT subject, detail FROM act WHERE action = ?`, string(mailer.ActEndChain)); err != nil {
		return err
	}
	for _, a := range acts {
		c.ended[a.Subject] = a.Detail
	}
	return nil
}

func (c *chainEnds) begin(id string) {
	c.id = id
	c.seen = append(c.seen, id)
	c.chain = journal.NewChain(journal.Head{Chain: id}, c.known...)
}

// end looks at the head of the chain that is under way.
func (c *chainEnds) end() {
	if c.chain == nil {
		return
	}
	for _, f := range c.chain.End() {
		c.v.find(string(f.Rule), fmt.Sprintf("journal %s, entry %d", f.Chain, f.N), "%s", journalWords[f.Rule])
	}
	h := c.chain.Head()
	if said, ok := c.ended[c.id]; ok && said != endDetail(h.N, h.Hash[:]) {
		c.v.find(string(journal.RuleShort), fmt.Sprintf("journal %s, entry %d", c.id, h.N), "it is not the entry with which the chain ended")
	}
	c.chain = nil
}

// rest names the chains that should be there and are not.
func (c *chainEnds) rest() {
	for _, h := range c.known {
		if h.Chain != journal.ControlChain && !slices.Contains(c.seen, h.Chain) {
			c.v.find(string(journal.RuleShort), fmt.Sprintf("journal %s, entry %d", h.Chain, h.N), "%s", journalWords[journal.RuleShort])
		}
		if h.Chain == journal.ControlChain {
			c.v.knownControl = h
		}
	}
	for id := range c.ended {
		if !slices.Contains(c.seen, id) {
			c.v.find("chain", "journal "+id, "the chain is missing")
		}
	}
}
