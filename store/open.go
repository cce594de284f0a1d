// Package store is the ledger: incidents, merchants, recipients, campaigns and
// every delivery's state, on SQLite. It keeps the promises of the product: what
// is committed here happened, what is not did not, counts always equal the
// rows, and personal data is sealed before it reaches the disk.
//
// It sends nothing, renders nothing and reads no list files. SQL stands in the
// method that owns it. One connection writes, others read beside it.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	_ "github.com/mattn/go-sqlite3" // the driver
	"github.com/pressly/goose/v3"

	"oshirase/mailer"
)

//go:embed migrations/sqlite/*.sql
var migrations embed.FS

// Options say where the ledger is and how it is kept.
type Options struct {
	Path      string // of the database file; its directory must exist
	MasterKey []byte // 32 bytes; wraps every other key
	// Durability is full (default: survives a power cut) or normal (survives a
	// crash of the process; a power cut may lose the last commits).
	Durability string
	Random     io.Reader        // crypto/rand unless set
	Now        func() time.Time // time.Now unless set; for what no caller dates
	Logger     *slog.Logger     // discards unless set
	ReadOnly   bool             // opens an existing ledger and writes nothing
}

// DB is one handle of the ledger. It is safe for concurrent use by goroutines,
// and by processes that each open their own.
type DB struct {
	w, r   *sqlx.DB // w is nil in a read-only ledger
	path   string
	random io.Reader
	now    func() time.Time
	log    *slog.Logger
	// patience is how long a writer waits for another process in all.
	patience time.Duration
	// bulkRows is how many new people make it cheaper to sort indexes at the end.
	bulkRows int64

	master  []byte
	names   *names
	keys    sync.Map // incident number → *incidentKeys
	nums    sync.Map // campaign id → campaignKey
	owner   owner
	commits committer
}

// writerCache is the writer's page cache in KiB.
const writerCache = "8192"

// readers is how many connections read beside the writer.
const readers = 4

// Open opens the ledger, creating it and bringing its schema up to date. It
// fails with mailer.ErrWrongKey where the master key is not this ledger's.
func Open(ctx context.Context, o Options) (*DB, error) {
	if len(o.MasterKey) != 32 {
		return nil, fmt.Errorf("open ledger: %w: the master key has %d bytes of 32", mailer.ErrInvalid, len(o.MasterKey))
	}
	sync := map[string]string{"": "FULL", "full": "FULL", "normal": "NORMAL"}[o.Durability]
	if sync == "" {
		return nil, fmt.Errorf("open ledger: %w: durability %q: use full or normal", mailer.ErrInvalid, o.Durability)
	}
	if err := prepareFile(o.Path, o.ReadOnly); err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", o.Path, err)
	}
	db := &DB{path: o.Path, random: o.Random, now: o.Now, log: o.Logger, patience: 5 * time.Minute, bulkRows: bulkRows, master: append([]byte(nil), o.MasterKey...)}
	if db.random == nil {
		db.random = rand.Reader
	}
	if db.now == nil {
		db.now = time.Now
	}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if err := db.connect(ctx, sync, o.ReadOnly); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open ledger %s: %w", o.Path, explain(err))
	}
	return db, nil
}

func (db *DB) connect(ctx context.Context, sync string, readOnly bool) (err error) {
	if !readOnly {
		// The writer's settings come before the readers': it makes the file.
		db.w, err = sqlx.Open(writerDriver, dsn(db.path, url.Values{
			"_txlock": {"immediate"}, "_journal_mode": {"WAL"}, "_synchronous": {sync},
			"_foreign_keys": {"on"}, "_secure_delete": {"FAST"}, "_cache_size": {"-" + writerCache},
		}))
		if err != nil {
			return err
		}
		db.w.SetMaxOpenConns(1)
		db.w.SetMaxIdleConns(1)
		// Whoever comes first makes the file one with a write-ahead log; SQLite does
		// not wait for that.
		err := db.patiently(func() error {
			err := db.w.PingContext(ctx)
			if errors.Is(explain(err), ErrLocked) {
				time.Sleep(time.Millisecond)
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := db.migrate(ctx); err != nil {
			return err
		}
		// Fewer, larger checkpoints: each costs two syncs. SQLite waits ever longer
		// between its looks at a lock; begin looks again itself.
		if _, err := db.w.ExecContext(ctx, `PRAGMA wal_autocheckpoint = 4000; PRAGMA busy_timeout = 3`); err != nil {
			return err
		}
	}
	mode := url.Values{"_query_only": {"on"}, "_cache_size": {"-2048"}}
	if readOnly {
		mode.Set("mode", "ro")
	}
	if db.r, err = sqlx.Open("sqlite3", dsn(db.path, mode)); err != nil {
		return err
	}
	db.r.SetMaxOpenConns(readers)
	db.r.SetMaxIdleConns(readers)
	if readOnly {
		if err := db.checkSchema(ctx, db.r.DB); err != nil {
			return err
		}
	}
	return db.openSecret(ctx, readOnly)
}

// Close gives up this handle. Leases that it still holds are taken back by the
// next Recover, of whichever handle.
func (db *DB) Close() error {
	db.owner.release()
	var errs []error
	if db.r != nil {
		errs = append(errs, db.r.Close())
	}
	if db.w != nil {
		errs = append(errs, db.w.Close())
	}
	return errors.Join(errs...)
}

func dsn(path string, q url.Values) string {
	q.Set("_busy_timeout", busyTimeout)
	q.Set("_stmt_cache_size", "64")
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// prepareFile creates the file with mode 0600; SQLite gives its journal and
// shared memory the same. An existing file is not opened here: closing it would
// drop the locks that another handle of this process holds on it.
func prepareFile(path string, readOnly bool) error {
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("directory %s does not exist: create it, or set another database path: %w", dir, err)
	} else if err != nil {
		return err
	} else if !st.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return fmt.Errorf("it is a directory: name a file in it")
	} else if err == nil || readOnly {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// migrate brings the schema up to date. Processes that open a new ledger at
// once take turns.
func (db *DB) migrate(ctx context.Context) error {
	sub, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db.w.DB, sub)
	if err != nil {
		return err
	}
	if err := db.checkSchema(ctx, db.w.DB); err != nil && !errors.Is(err, errOldSchema) {
		return err
	} else if err == nil {
		return nil
	}
	unlock, err := lockFile(ctx, filepath.Join(workersDir(db.path), "migrate"))
	if err != nil {
		return err
	}
	defer unlock()
	applied, err := p.Up(ctx)
	if err != nil {
		return err
	}
	for _, m := range applied {
		db.log.Info("schema migrated", "version", m.Source.Version)
	}
	return nil
}

var errOldSchema = errors.New("the schema is older than this program: open it writable once, so that it is brought up to date")

// schemaVersion is the newest migration that this program has.
const schemaVersion = 1

// checkSchema refuses a schema that this program does not know.
func (db *DB) checkSchema(ctx context.Context, q *sql.DB) error {
	var tables int
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'`).Scan(&tables); err != nil {
		return err
	}
	if tables == 0 {
		return errOldSchema
	}
	var v int64
	if err := q.QueryRowContext(ctx, `SELECT ifnull(max(version_id), 0) FROM goose_db_version`).Scan(&v); err != nil {
		return err
	}
	switch {
	case v > schemaVersion:
		return fmt.Errorf("%w: its schema is version %d and this program knows %d: use the newer program", mailer.ErrConflict, v, schemaVersion)
	case v < schemaVersion:
		return errOldSchema
	}
	return nil
}
