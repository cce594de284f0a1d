package keyring

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"oshirase/mailer"
)

const suffix = ".key"

// Folder is a keyring of files, one ID.key each, that nobody but their owner can read
// or write.
type Folder struct{ path string }

// NewFolder names the folder; it is made with the first key.
func NewFolder(path string) *Folder { return &Folder{path} }

var _ Keyring = (*Folder)(nil)

func (f *Folder) file(id string) string { return filepath.Join(f.path, id+suffix) }

// Check refuses a folder that others can read or write, and files in it that they
// can. A folder that is not there yet is well.
func (f *Folder) Check(ctx context.Context) error {
	ids, err := f.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if err := private(f.file(id), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Get reads a key.
func (f *Folder) Get(_ context.Context, id string) ([]byte, error) {
	if err := f.ready(id); err != nil {
		return nil, err
	}
	return f.read(id)
}

func (f *Folder) read(id string) ([]byte, error) {
	path := f.file(id)
	if err := private(path, 0); err != nil {
		return nil, noKey(err)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, noKey(failed("read", err))
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxValue+1))
	if err != nil {
		return nil, failed("read", err)
	}
	if len(data) > maxValue {
		return nil, mailer.NewError(mailer.ErrDamaged, "keyring.large", "key", id)
	}
	return data, nil
}

// Put writes the key beside its place, and links it there only when it is on disk.
func (f *Folder) Put(_ context.Context, id string, value []byte) error {
	if err := checkID(id); err != nil {
		return err
	}
	if err := f.make(); err != nil {
		return err
	}
	tmp, err := f.write(id, value)
	if err != nil {
		return err
	}
	err = os.Link(tmp, f.file(id))
	switch {
	case errors.Is(err, fs.ErrExist):
		err = ErrExists
	case err != nil:
		err = failed("write", err)
	}
	return errors.Join(err, erase(tmp, err != nil), syncFolder(f.path))
}

// Replace has the new file take the place of the old one, whose bytes are then
// overwritten where no other name leads to them.
func (f *Folder) Replace(_ context.Context, id string, value []byte) error {
	if err := f.ready(id); err != nil {
		return err
	}
	old, err := os.OpenFile(f.file(id), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return noKey(failed("write", err))
	}
	defer old.Close()
	tmp, err := f.write(id, value)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, f.file(id)); err != nil {
		return errors.Join(failed("write", err), erase(tmp, true))
	}
	if err := syncFolder(f.path); err != nil {
		return err
	}
	if info, err := old.Stat(); err == nil && links(info) == 0 {
		return overwrite(old)
	}
	return nil
}

// Delete overwrites the key and what a crash may have left of writing it, and unlinks
// them. Wrong modes do not keep it from that.
func (f *Folder) Delete(_ context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return noKey(failed("list", err))
	}
	deleted := false
	for _, e := range entries {
		if name := e.Name(); name != id+suffix && !strings.HasPrefix(name, "."+id+".") {
			continue
		}
		if err := erase(filepath.Join(f.path, e.Name()), true); err != nil {
			return err
		}
		deleted = true
	}
	if !deleted {
		return ErrNoKey
	}
	return syncFolder(f.path)
}

// List has the ids of the files that are keys.
func (f *Folder) List(context.Context) ([]string, error) {
	err := private(f.path, fs.ModeDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return nil, failed("list", err)
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), suffix); ok && ValidID(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// ready is before a key that is there is read or replaced.
func (f *Folder) ready(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	return noKey(private(f.path, fs.ModeDir))
}

// make makes the folder where there is none; the one above it must exist.
func (f *Folder) make() error {
	err := os.Mkdir(f.path, 0o700)
	if err == nil {
		err = syncFolder(filepath.Dir(f.path))
	} else if errors.Is(err, fs.ErrExist) {
		return private(f.path, fs.ModeDir)
	}
	if err != nil {
		return failed("make the folder", err)
	}
	return nil
}

// write makes a file beside the one of a key, on disk when it returns.
func (f *Folder) write(id string, value []byte) (tmp string, err error) {
	if len(value) > maxValue {
		return "", mailer.Invalid("keyring.large", "key", id)
	}
	tmp = filepath.Join(f.path, "."+id+"."+strings.ToLower(rand.Text()))
	file, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", failed("write", err)
	}
	_, err = file.Write(value)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(failed("write", err), erase(tmp, true))
	}
	return tmp, nil
}

// private refuses what is of another type, belongs to neither this user nor root, or
// can be read or written by others.
func private(path string, want fs.FileMode) error {
	stat := os.Lstat
	if want == fs.ModeDir {
		stat = os.Stat // a folder may be linked to; its files may not
	}
	info, err := stat(path)
	switch {
	case err != nil:
		return failed("look at "+path, err)
	case info.Mode().Type() != want:
		return mailer.Invalid("keyring.type", "path", path)
	case !Ours(info):
		return mailer.Invalid("keyring.owner", "path", path)
	case info.Mode().Perm()&0o077 != 0:
		right := "0600"
		if want == fs.ModeDir {
			right = "0700"
		}
		return mailer.Invalid("keyring.shown", "path", path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()), "right", right)
	}
	return nil
}

// Ours reports whether a file belongs to the user of this process, or to root.
func Ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
}

func links(info fs.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(st.Nlink) //nolint:unconvert // narrower on other systems
}

// erase unlinks a file, its bytes overwritten before where that is asked for.
func erase(path string, bytes bool) error {
	if bytes {
		file, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return failed("delete", err)
		}
		if err := errors.Join(overwrite(file), file.Close()); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil {
		return failed("delete", err)
	}
	return nil
}

// overwrite puts zeros in the place of a file's bytes, and waits until they are there.
func overwrite(file *os.File) error {
	info, err := file.Stat()
	if err == nil && info.Mode().IsRegular() {
		_, err = file.WriteAt(make([]byte, min(info.Size(), 1<<20)), 0)
		err = errors.Join(err, file.Sync())
	}
	if err != nil {
		return failed("overwrite", err)
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return failed("sync", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return failed("sync", err)
	}
	return nil
}

// noKey turns a missing file into ErrNoKey.
func noKey(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoKey
	}
	return err
}

func failed(what string, err error) error {
	return mailer.NewError(nil, "keyring.folder", "what", what, "cause", err)
}
