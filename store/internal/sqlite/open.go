// Package sqlite keeps a ledger in one SQLite file: one connection writes, others
// read beside it. Statements that a sender runs all the time stand in hot.sql.
//
// It knows the tables, and none of the ledger's rules.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options say where the file is and how it is kept.
type Options struct {
	Path string // its directory must exist
	// Durability is full (survives a power cut) or normal (survives a crash of the
	// process; a power cut may lose the last commits).
	Durability string
	ReadOnly   bool // opens an existing file and writes nothing
	Logger     *slog.Logger
	// Patience is how long Purge waits for readers; 0: 30 seconds.
	Patience time.Duration
}

// DB is one handle; see engine.Engine.
type DB struct {
	w, r *sqlx.DB // w is nil in a read-only ledger
	path string
	log  *slog.Logger
	// patience is how long a writer waits for another process in all, purging how long
	// Purge waits for readers.
	patience, purging time.Duration
	owner             owner
	bulk              []string // SQL of the indexes that BeginBulk dropped
}

var _ engine.Engine = (*DB)(nil)

const (
	// writerCache is the writer's page cache in KiB, importCache that during an import.
	writerCache = "8192"
	importCache = "16384"
	// busyTimeout in ms is that of the DSN.
	busyTimeout = "10000"
	// largeLog is how many bytes of write-ahead log an import may leave behind.
	largeLog = 32 << 20
	// readers is how many connections read beside the writer.
	readers = 4
)

// Open opens the file, creating it and bringing its schema up to date.
func Open(ctx context.Context, o Options) (*DB, error) {
	sync := map[string]string{"": "FULL", "full": "FULL", "normal": "NORMAL"}[o.Durability]
	if sync == "" {
		return nil, mailer.Invalid("ledger.durability", "value", o.Durability)
	}
	if err := prepareFile(o.Path, o.ReadOnly); err != nil {
		return nil, err
	}
	db := &DB{path: o.Path, log: o.Logger, patience: 5 * time.Minute, purging: cmp.Or(o.Patience, 30*time.Second)}
	if err := db.connect(ctx, sync, o.ReadOnly); err != nil {
		return nil, errors.Join(db.Explain(err), db.Close())
	}
	return db, nil
}

func (db *DB) connect(ctx context.Context, sync string, readOnly bool) (err error) {
	if !readOnly {
		// The writer's settings come before the readers': it makes the file.
		if err := db.connectWriter(ctx, sync); err != nil {
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
		return checkSchema(ctx, db.r.DB)
	}
	return nil
}

func (db *DB) connectWriter(ctx context.Context, sync string) (err error) {
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
	err = db.patiently(func() error {
		err := db.w.PingContext(ctx)
		if locked(err) {
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
	// SQLite waits ever longer between its looks at a lock; Write looks again itself.
	_, err = db.w.ExecContext(ctx, `PRAGMA busy_timeout = 3`)
	return err
}

// Reader is the pool of connections that only read.
func (db *DB) Reader() *sqlx.DB { return db.r }

// Close gives up this handle and its name as an owner.
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

// prepareFile creates the file with mode 0600; SQLite gives its log and shared
// memory the same. An existing file is not opened here: closing it would drop the
// locks that another handle of this process holds on it.
func prepareFile(path string, readOnly bool) error {
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return mailer.NewError(fs.ErrNotExist, "ledger.no-directory", "directory", dir)
	} else if err != nil {
		return err
	} else if !st.IsDir() {
		return mailer.Invalid("ledger.not-directory", "directory", dir)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return mailer.Invalid("ledger.is-directory")
	} else if err == nil {
		return checkModes(path)
	} else if readOnly {
		return mailer.NewError(fs.ErrNotExist, "ledger.none", "path", path)
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

// checkModes refuses what anybody can read or write, or a group can write. A group
// that reads is the installation's affair.
func checkModes(path string) error {
	for _, file := range []string{path, path + "-wal"} {
		if st, err := os.Stat(file); err == nil && st.Mode().Perm()&0o026 != 0 {
			return mailer.Invalid("ledger.shown", "file", file, "mode", fmt.Sprintf("%04o", st.Mode().Perm()))
		}
	}
	return nil
}

// migrate brings the schema up to date. Processes that open a new ledger at
// once take turns.
func (db *DB) migrate(ctx context.Context) error {
	p, err := migrator(db.w.DB)
	if err != nil {
		return err
	}
	if err := checkSchema(ctx, db.w.DB); err != nil && !errors.Is(err, errOldSchema) {
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

func migrator(to *sql.DB) (*goose.Provider, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, to, sub)
}

var errOldSchema = &mailer.Error{Code: "ledger.old-schema"}

// schemaVersion is the newest migration that this program has; a test compares.
const schemaVersion = 1

// checkSchema refuses a schema that this program does not know.
func checkSchema(ctx context.Context, q *sql.DB) error {
	var tables int
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'`).Scan(&tables); err != nil {
		return err
	}
	if tables == 0 {
		return errOldSchema
	}
	var v int64
	if err := q.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&v); err != nil {
		return err
	}
	switch {
	case v > schemaVersion:
		return mailer.Conflict("ledger.newer-schema", "version", v, "known", schemaVersion)
	case v < schemaVersion:
		return errOldSchema
	}
	return nil
}

// Settle sees to it that a large import has the memory that it needs, and spares
// five look-ups a row: every number that an import writes was read or made in its
// own transaction. after takes the settings back, and gives back the memory and the
// disk: the write-ahead log holds all of it once more. Readers of the old state may
// keep the log; the next checkpoint takes it then.
func (db *DB) Settle(ctx context.Context) (after func(), err error) {
	if db.w == nil {
		return nil, engine.ErrReadOnly
	}
	if _, err := db.w.ExecContext(ctx, `PRAGMA foreign_keys = off; PRAGMA cache_size = -`+importCache); err != nil {
		return nil, err
	}
	var once sync.Once
	return func() { once.Do(db.settle) }, nil
}

func (db *DB) settle() {
	after := `PRAGMA foreign_keys = on; PRAGMA threads = 0; PRAGMA cache_size = -` + writerCache + `; PRAGMA shrink_memory;`
	if log, err := os.Stat(db.path + "-wal"); err == nil && log.Size() > largeLog {
		after += `PRAGMA busy_timeout = 500; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = 3`
	}
	if _, err := db.w.Exec(after); err != nil {
		db.log.Warn("settings and memory of an import not given back", "error", err)
	}
}
