package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/jmoiron/sqlx"
	"github.com/mattn/go-sqlite3"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
)

// backupPages is how many pages are copied between two looks at the context.
const backupPages = 1024

// Backup copies page by page inside one read transaction: what others write goes to
// the log meanwhile, which cannot be emptied before it ends.
func (db *DB) Backup(ctx context.Context, path string, progress func(done, total int64), read func(copy *sqlx.DB) error) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(db.Explain(err), os.Remove(path))
		}
	}()
	if err := db.copyTo(ctx, path, progress); err != nil {
		return err
	}
	if err := syncFile(path); err != nil {
		return err
	}
	return checkCopy(ctx, path, read)
}

func (db *DB) copyTo(ctx context.Context, path string, progress func(done, total int64)) (err error) {
	src, err := sqlx.Open("sqlite3", dsn(db.path, url.Values{"mode": {"ro"}, "_query_only": {"on"}, "_cache_size": {"-512"}}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	// The copy has a name only when it is whole and synced: it needs no journal.
	dst, err := sqlx.Open("sqlite3", dsn(path, url.Values{"_journal_mode": {"OFF"}, "_synchronous": {"OFF"}, "_cache_size": {"-2048"}}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	from, err := src.Conn(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	tx, err := from.BeginTx(context.WithoutCancel(ctx), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	// The transaction begins with its first read.
	var pageSize int64
	if err := tx.QueryRowContext(ctx, `SELECT page_size FROM pragma_page_size, (SELECT count(*) FROM secret)`).Scan(&pageSize); err != nil {
		return err
	}
	to, err := dst.Conn(ctx)
	if err != nil {
		return err
	}
	defer to.Close()
	return from.Raw(func(f any) error {
		return to.Raw(func(t any) error {
			return copyPages(ctx, t.(*sqlite3.SQLiteConn), f.(*sqlite3.SQLiteConn), func(done, total int) {
				if progress != nil {
					progress(int64(done)*pageSize, int64(total)*pageSize)
				}
			})
		})
	})
}

func copyPages(ctx context.Context, to, from *sqlite3.SQLiteConn, progress func(done, total int)) (err error) {
	b, err := to.Backup("main", from, "main")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Finish()) }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		done, err := b.Step(backupPages)
		if err != nil {
			return err
		}
		progress(b.PageCount()-b.Remaining(), b.PageCount())
		if done {
			return nil
		}
	}
}

// checkCopy opens the copy once, without leaving a log beside it.
func checkCopy(ctx context.Context, path string, read func(copy *sqlx.DB) error) (err error) {
	q, err := sqlx.Open("sqlite3", dsn(path, url.Values{"mode": {"ro"}, "immutable": {"1"}, "_query_only": {"on"}, "_cache_size": {"-2048"}}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	q.SetMaxOpenConns(1)
	var wrong []string
	if err := q.SelectContext(ctx, &wrong, `PRAGMA quick_check(5)`); err != nil {
		return err
	}
	if len(wrong) != 1 || wrong[0] != "ok" {
		return fmt.Errorf("%w: %w", engine.ErrNotDatabase, mailer.NewError(mailer.ErrDamaged, "backup.damaged", "path", filepath.Base(path), "found", wrong))
	}
	if err := checkSchema(ctx, q.DB); err != nil {
		return err
	}
	return read(q)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Lock takes a lock on a file beside the database.
func (db *DB) Lock(ctx context.Context, name string) (unlock func(), err error) {
	return lockFile(ctx, filepath.Join(workersDir(db.path), name))
}
