package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"oshirase/mailer"
	"oshirase/store"
	"oshirase/store/keyring"
)

// enlarge gives the database pages for several looks at what else happens.
func (w *working) enlarge() {
	w.t.Helper()
	q := openSQL(w.t, w.options.Path)
	_, err := q.Exec(`CREATE TABLE filler (b BLOB);
		WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO filler SELECT randomblob(3000) FROM n`)
	must(w.t, err)
	must(w.t, q.Close())
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	st, err := os.Stat(path)
	must(t, err)
	return st.Mode().Perm()
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestBackup: the copy is that of one moment, whole, private and alone, and whoever
// writes meanwhile does not wait.
func TestBackup(t *testing.T) {
	w := newWorking(t)
	w.enlarge()
	db, sender := w.open(), w.open()
	dir := filepath.Join(w.dir, "copies", "today")
	written := 0
	var last, total int64
	res, err := db.Backup(t.Context(), by, dir, func(done, of int64) {
		if done < last || of < done {
			t.Errorf("progress %d of %d after %d", done, of, last)
		}
		last, total = done, of
		must(t, sender.RecordAct(t.Context(), by, mailer.ActPreview, "meanwhile", ""))
		written++
	})
	must(t, err)
	if written < 3 || last != total {
		t.Errorf("%d writes, %d of %d bytes", written, last, total)
	}
	if mode(t, dir) != 0o700 || mode(t, filepath.Dir(dir)) != 0o700 || mode(t, res.Path) != 0o600 || size(t, res.Path) != res.Bytes || len(res.Keys) != 1 {
		t.Errorf("%+v", res)
	}
	if got := names(t, dir); len(got) != 1 || got[0] != "ledger.db" {
		t.Errorf("beside the copy: %v", got)
	}
	must(t, db.Close())
	must(t, sender.Close())
	w.options.Keys = keyring.NewFolder(filepath.Join(w.dir, "keys"))
	w.options.Path = res.Path
	db = w.open()
	if n, err := w.read(db); err != nil || n != 51 {
		t.Errorf("the copy opens %d persons, %v", n, err)
	}
	acts := map[mailer.Action]int{}
	must(t, db.EachAct(t.Context(), func(a mailer.Act) error { acts[a.Action]++; return nil }))
	if acts[mailer.ActBackup] != 1 || acts[mailer.ActPreview] != 0 {
		t.Errorf("acts in the copy %v", acts)
	}
}

// TestBackupLeavesNothing: what is cut off, damaged or in the way leaves no file, and
// nothing is overwritten.
func TestBackupLeavesNothing(t *testing.T) {
	w := newWorking(t)
	w.enlarge()
	db := w.open()
	dir := filepath.Join(w.dir, "copy")

	ctx, cancel := context.WithCancel(t.Context())
	if _, err := db.Backup(ctx, by, dir, func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("cut off: %v", got)
	}
	must(t, os.WriteFile(filepath.Join(dir, "ledger.db"), []byte("mine"), 0o600))
	if _, err := db.Backup(t.Context(), by, dir, nil); !errors.Is(err, fs.ErrExist) || mailer.CodeOf(err) != "backup.exists" {
		t.Errorf("in the way: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "ledger.db")); err != nil || string(b) != "mine" {
		t.Errorf("overwritten: %q %v", b, err)
	}
	if _, err := db.Backup(t.Context(), mailer.Actor{}, filepath.Join(w.dir, "nobody"), nil); mailer.CodeOf(err) != "actor.missing" {
		t.Errorf("by nobody: %v", err)
	}

	// A page in the middle that is no page of a table any more.
	must(t, db.Close())
	f, err := os.OpenFile(w.options.Path, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt(make([]byte, 4096*20), size(t, w.options.Path)/2/4096*4096)
	must(t, err)
	must(t, f.Close())
	db = w.open()
	dir = filepath.Join(w.dir, "damaged")
	if _, err := db.Backup(t.Context(), by, dir, nil); !errors.Is(err, store.ErrNotDatabase) {
		t.Errorf("damaged: %v", err)
	}
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("damaged: %v", got)
	}
}

// TestBackupKeys: the keys are copied as they are, and never beside a database.
func TestBackupKeys(t *testing.T) {
	w := newWorking(t)
	db := w.open()
	clear, v := w.key()
	dir := filepath.Join(w.dir, "keys-copy")
	for range 2 { // what is there already and is the same is well
		res, err := db.BackupKeys(t.Context(), by, dir)
		if err != nil || len(res.Keys) != 1 || res.Keys[0] != v.Key || res.Bytes != int64(len(v.Text())) {
			t.Fatalf("%+v %v", res, err)
		}
	}
	file := filepath.Join(dir, v.Key+".key")
	if b, err := os.ReadFile(file); err != nil || string(b) != string(v.Text()) || mode(t, file) != 0o600 || mode(t, dir) != 0o700 {
		t.Errorf("%q %v", b, err)
	}
	if where := holding(w.files(), clear); len(where) > 0 {
		t.Errorf("the key stands in clear in %v", where)
	}
	_, err := db.Rekey(t.Context(), by, make([]byte, 32))
	must(t, err)
	w.options.MasterKey = make([]byte, 32)
	db = w.open()
	if _, err := db.BackupKeys(t.Context(), by, dir); !errors.Is(err, fs.ErrExist) || mailer.CodeOf(err) != "backup.other-key" {
		t.Errorf("another key in the way: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != string(v.Text()) {
		t.Errorf("overwritten: %q %v", b, err)
	}
	for name, folder := range map[string]string{"a copy of the database": filepath.Join(w.dir, "copy"), "the ledger": w.dir} {
		if folder != w.dir {
			_, err := db.Backup(t.Context(), by, folder, nil)
			must(t, err)
		}
		if _, err := db.BackupKeys(t.Context(), by, folder); mailer.CodeOf(err) != "backup.beside-database" {
			t.Errorf("beside %s: %v", name, err)
		}
	}
	for _, folder := range []string{dir, filepath.Join(w.dir, "keys")} {
		if _, err := db.Backup(t.Context(), by, folder, nil); mailer.CodeOf(err) != "backup.beside-keys" {
			t.Errorf("beside keys: %v", err)
		}
	}
	must(t, os.Remove(filepath.Join(w.dir, "keys", v.Key+".key")))
	if _, err := db.BackupKeys(t.Context(), by, filepath.Join(w.dir, "part")); !errors.Is(err, mailer.ErrKeyMissing) {
		t.Errorf("a key that is missing: %v", err)
	}
}
