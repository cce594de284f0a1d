package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/store/keyring"
)

// Backup copies the database into a folder, under its own name, as it is at one
// moment; others may write meanwhile. The copy is whole, checked and on disk when it
// has its name. progress may be nil.
func (db *DB) Backup(ctx context.Context, by mailer.Actor, dir string, progress func(done, total int64)) (res mailer.Backup, err error) {
	defer db.explain(&err, "back up to %s", dir)
	if err := makeFolder(dir, db.holdsKeys); err != nil {
		return res, err
	}
	path := filepath.Join(dir, filepath.Base(db.path))
	if _, err := os.Lstat(path); err == nil {
		return res, mailer.NewError(fs.ErrExist, "backup.exists", "path", path)
	}
	if err := db.actAlone(ctx, by, mailer.ActBackup, "database", ""); err != nil {
		return res, err
	}
	tmp := filepath.Join(dir, "."+filepath.Base(path)+"."+strings.ToLower(rand.Text()))
	defer func() { _ = os.Remove(tmp) }() // gone already where all went well
	var living map[string]string
	if err := db.eng.Backup(ctx, tmp, progress, func(q *sqlx.DB) (err error) {
		if _, err := db.readSecret(ctx, q); err != nil {
			return err
		}
		living, err = livingKeys(ctx, q)
		return err
	}); err != nil {
		return res, err
	}
	if err := place(tmp, path); err != nil {
		return res, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return res, err
	}
	return mailer.Backup{Path: path, Bytes: info.Size(), Keys: append([]string{}, slices.Sorted(maps.Keys(living))...)}, nil
}

// BackupKeys copies the keys of this ledger into a folder, as they are: wrapped by the
// master key. A key that is there already must be the same.
func (db *DB) BackupKeys(ctx context.Context, by mailer.Actor, dir string) (res mailer.Backup, err error) {
	defer db.explain(&err, "back up keys to %s", dir)
	if err := makeFolder(dir, db.holdsDatabase); err != nil {
		return res, err
	}
	if err := db.actAlone(ctx, by, mailer.ActBackup, "keys", ""); err != nil {
		return res, err
	}
	// What is destroyed while this runs must not come back here.
	unlock, err := db.eng.Lock(ctx, keysLock)
	if err != nil {
		return res, err
	}
	defer unlock()
	living, err := livingKeys(ctx, db.pool())
	if err != nil {
		return res, err
	}
	for id, incident := range living {
		if _, err := db.keyValue(ctx, id, incident); err != nil {
			return res, err // a copy without it would be taken for whole
		}
	}
	ours, _, err := db.ledgerKeys(ctx)
	if err != nil {
		return res, err
	}
	res = mailer.Backup{Path: dir, Keys: []string{}}
	for _, v := range ours {
		n, err := copyKey(ctx, keyring.NewFolder(dir), v)
		if err != nil {
			return res, err
		}
		res.Keys, res.Bytes = append(res.Keys, v.Key), res.Bytes+n
	}
	return res, nil
}

func copyKey(ctx context.Context, to *keyring.Folder, v *keyring.Value) (bytesOf int64, err error) {
	text := v.Text()
	err = to.Put(ctx, v.Key, text)
	if errors.Is(err, keyring.ErrExists) {
		there, getErr := to.Get(ctx, v.Key)
		if getErr == nil && bytes.Equal(there, text) {
			return int64(len(text)), nil
		}
		err = mailer.NewError(fs.ErrExist, "backup.other-key", "key", v.Key)
	}
	return int64(len(text)), err
}

// makeFolder makes a folder that nobody else can look into, or takes one that is
// there and does not hold what must not lie beside the copy.
func makeFolder(dir string, holds func(dir string, e fs.DirEntry) error) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			err = syncFolder(filepath.Dir(filepath.Clean(dir)))
		}
	}
	if err != nil {
		return mailer.NewError(nil, "backup.folder", "folder", dir, "cause", err)
	}
	for _, e := range entries {
		if err := holds(dir, e); err != nil {
			return err
		}
	}
	return nil
}

// holdsKeys: whoever finds such a folder has both halves.
func (db *DB) holdsKeys(dir string, e fs.DirEntry) error {
	if id, ok := strings.CutSuffix(e.Name(), ".key"); ok && keyring.ValidID(id) && startsWith(filepath.Join(dir, e.Name()), "oshirase-key ") {
		return mailer.Conflict("backup.beside-keys", "folder", dir)
	}
	return nil
}

// holdsDatabase does not open the ledger's own file: closing it would drop the locks
// that this process holds on it.
func (db *DB) holdsDatabase(dir string, e fs.DirEntry) error {
	if !e.Type().IsRegular() {
		return nil
	}
	there, err := e.Info()
	if err != nil {
		return nil //nolint:nilerr // gone meanwhile
	}
	own, err := os.Stat(db.path)
	if err == nil && os.SameFile(own, there) || startsWith(filepath.Join(dir, e.Name()), "SQLite format 3\x00") {
		return mailer.Conflict("backup.beside-database", "folder", dir)
	}
	return nil
}

// place gives a file that is on disk its name, which nothing has yet.
func place(tmp, path string) error {
	err := os.Link(tmp, path)
	if err == nil {
		err = os.Remove(tmp)
	} else if _, there := os.Lstat(path); errors.Is(there, fs.ErrNotExist) {
		err = os.Rename(tmp, path) // a file has but one name there, as on a memory stick
	}
	if errors.Is(err, fs.ErrExist) {
		return mailer.NewError(fs.ErrExist, "backup.exists", "path", path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	return err
}

func startsWith(path, prefix string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(prefix))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == prefix
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
