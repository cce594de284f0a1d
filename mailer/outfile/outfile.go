// Package outfile writes the files that people name for results. One appears under
// its name when it is whole, and never in the place of another: a name that is taken
// is refused before any work and, should somebody else take it meanwhile, at the end.
package outfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"oshirase/mailer"
)

// File is being written beside its name, readable by its owner alone.
type File struct {
	*os.File
	path string
}

// Free reports with mailer.ErrConflict that something stands at path: a file, a
// folder, a link to whatever, also to nothing.
func Free(path string) error {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return taken(path)
}

func taken(path string) error {
	return mailer.Conflict("outfile.taken", "path", path, "free", freeName(path))
}

// freeName is a name beside path that nobody has: refused-2.csv for refused.csv.
func freeName(path string) string {
	ext := filepath.Ext(path)
	stem := strings.TrimSuffix(path, ext)
	for n := 2; ; n++ {
		name := stem + "-" + strconv.Itoa(n) + ext
		if _, err := os.Lstat(name); err != nil {
			return name
		}
	}
}

// Create begins a file that will stand at path, which must be free.
func Create(path string) (*File, error) {
	if err := Free(path); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return &File{File: f, path: path}, nil
}

// Finish puts the file in its place or, with an error, throws it away.
func (f *File) Finish(err error) error {
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = place(f.Name(), f.path)
	}
	err = errors.Join(err, os.Remove(f.Name()))
	if err == nil {
		err = syncFolder(filepath.Dir(f.path))
	}
	if err != nil && !errors.Is(err, mailer.ErrConflict) {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return err
}

// place gives a whole file its name, unless the name is taken: link(2) replaces
// nothing.
func place(from, to string) error {
	err := os.Link(from, to)
	switch {
	case errors.Is(err, fs.ErrExist):
		return taken(to)
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
		return copyTo(from, to) // a file system without links
	}
	return err
}

func copyTo(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return taken(to)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		_ = os.Remove(to) // it is ours, and not whole
	}
	return err
}

// syncFolder makes durable which files a folder has.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
