// Package store is the ledger: incidents, merchants, recipients, campaigns, every
// delivery's state, and the journal of all that happened. It keeps the promises of
// the product: what is committed here happened, what is not did not, counts always
// equal the rows, states move along one table, and personal data is sealed before it
// reaches the disk.
//
// It sends nothing, renders nothing and reads no list files. Files are named by
// nouns. SQL stands in the method that owns it, in the dialect that all engines
// share; what differs between engines is behind the seam in internal/engine.
// Personal data is sealed by store/seal. docs/ledger.md says what always holds.
package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
	"oshirase/store/internal/sqlite"
	"oshirase/store/keyring"
	"oshirase/store/seal"
)

// Options say where the ledger is and how it is kept.
type Options struct {
	Path      string // of the database file; its directory must exist
	MasterKey []byte // 32 bytes; wraps every other key
	// Keys is where the keys of the incidents are; a folder of the name keys beside the
	// database unless set.
	Keys keyring.Keyring
	// Durability is full (default: survives a power cut) or normal (survives a
	// crash of the process; a power cut may lose the last commits).
	Durability string
	Random     io.Reader        // crypto/rand unless set
	Now        func() time.Time // time.Now unless set; for what no caller dates
	Logger     *slog.Logger     // discards unless set
	// Checkpoints are files elsewhere, to the end of which each signed checkpoint is
	// written too.
	Checkpoints []string
	// BulkRows is how many new people make an import sort its indexes at the end
	// instead of keeping them while the people come; 0: 20,000, which is measured.
	BulkRows int64
	// Patience is how long DestroyKey waits for those who read what was before; 0: 30
	// seconds.
	Patience time.Duration
}

// What can be wrong with the database itself; nothing was written.
var (
	ErrDiskFull    = engine.ErrDiskFull
	ErrReadOnly    = engine.ErrReadOnly
	ErrNotDatabase = engine.ErrNotDatabase
	ErrLocked      = engine.ErrLocked
	ErrIO          = engine.ErrIO
	ErrNoFile      = engine.ErrNoFile
)

// Reader is the half of the ledger that reads. What it shows of persons is recorded
// before it is shown, by a writer that can do nothing else. It is safe for
// concurrent use.
type Reader struct {
	eng    engine.Engine
	random io.Reader
	now    func() time.Time
	log    *slog.Logger
	path   string
	ring   keyring.Keyring
	ledger string // id of the ledger; see ledgerID
	names  *seal.Names
	codes  *seal.Codes
	keys   sync.Map // incident number → *openedKeys
	nums   sync.Map // campaign id → campaignKey
	master []byte
	// masterID names master.
	masterID string
	// witness records who is shown personal data.
	witness func(ctx context.Context, by mailer.Actor, action mailer.Action, subject, detail string) error
	closing sync.Mutex
	closers []io.Closer
}

// DB is the whole ledger: what Reader reads, and all that is written. It is safe for
// concurrent use by goroutines, and by processes that each open their own.
type DB struct {
	*Reader
	journal  ownChain
	commits  committer
	nonces   io.Reader // of sealed replies
	heads    heads
	trust    trust
	bulkRows int64 // see Options
}

// Open opens the ledger, creating it and bringing its schema up to date. It
// fails with mailer.ErrWrongKey where the master key is not this ledger's.
func Open(ctx context.Context, o Options) (db *DB, err error) {
	defer wrap(&err, "open ledger %s", o.Path)
	r, err := newReader(&o)
	if err != nil {
		return nil, err
	}
	db = &DB{Reader: r, bulkRows: cmp.Or(o.BulkRows, bulkRows)}
	if r.eng, err = sqlite.Open(ctx, sqlite.Options{Path: o.Path, Durability: o.Durability, Patience: o.Patience, Logger: r.log}); err != nil {
		return nil, err
	}
	r.witness = db.actAlone
	db.nonces = &locked{r: newBuffered(r.random)}
	db.journal.common, db.journal.head.Chain = true, commonChain
	db.heads.db, db.heads.elsewhere = db, o.Checkpoints
	r.onClose(&closer{db: db})
	r.onClose(r.eng)
	if err := db.openSecret(ctx, true); err != nil {
		_ = r.eng.Close() // err says more
		return nil, r.eng.Explain(err)
	}
	if err := db.heads.begin(ctx); err != nil {
		_ = r.eng.Close() // err says more
		return nil, r.eng.Explain(err)
	}
	return db, nil
}

// OpenReader opens an existing ledger to read it. It writes nothing but, from the
// first time that personal data is shown, who was shown it.
func OpenReader(ctx context.Context, o Options) (r *Reader, err error) {
	defer wrap(&err, "open ledger %s", o.Path)
	if r, err = newReader(&o); err != nil {
		return nil, err
	}
	if r.eng, err = sqlite.Open(ctx, sqlite.Options{Path: o.Path, ReadOnly: true, Logger: r.log}); err != nil {
		return nil, err
	}
	r.onClose(r.eng)
	if err := (&DB{Reader: r}).openSecret(ctx, false); err != nil {
		_ = r.eng.Close() // err says more
		return nil, r.eng.Explain(err)
	}
	r.witness = r.lateWitness(o)
	return r, nil
}

// lateWitness opens a writer at its first act.
func (r *Reader) lateWitness(o Options) func(context.Context, mailer.Actor, mailer.Action, string, string) error {
	var mu sync.Mutex
	var db *DB
	return func(ctx context.Context, by mailer.Actor, action mailer.Action, subject, detail string) (err error) {
		mu.Lock()
		defer mu.Unlock()
		if db == nil {
			if db, err = Open(ctx, o); err != nil {
				return err
			}
			r.onClose(db)
		}
		return db.actAlone(ctx, by, action, subject, detail)
	}
}

func newReader(o *Options) (*Reader, error) {
	if len(o.MasterKey) != 32 {
		return nil, mailer.Invalid("ledger.master-key", "bytes", len(o.MasterKey))
	}
	r := &Reader{random: o.Random, now: o.Now, log: o.Logger, path: o.Path, ring: o.Keys, master: slices.Clone(o.MasterKey)}
	var err error
	if r.masterID, err = masterID(r.master); err != nil {
		return nil, err
	}
	if r.ring == nil {
		r.ring = keyring.NewFolder(filepath.Join(filepath.Dir(o.Path), "keys"))
	}
	if r.random == nil {
		r.random = rand.Reader
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	return r, nil
}

// Close gives up this handle. Leases that it still holds are taken back by the next
// Recover, of whichever handle.
func (r *Reader) Close() error {
	r.closing.Lock()
	defer r.closing.Unlock()
	var first error
	for _, c := range r.closers {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (r *Reader) onClose(c io.Closer) {
	r.closing.Lock()
	defer r.closing.Unlock()
	r.closers = append(r.closers, c)
}
