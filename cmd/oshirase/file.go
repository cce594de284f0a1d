package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newContent is a file that is written beside the one it replaces and takes its
// place only when it is whole.
type newContent struct {
	*os.File
	path string
}

// createBeside begins a file that will stand at path.
func createBeside(path string, mode fs.FileMode) (*newContent, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Chmod(mode); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close(), os.Remove(f.Name()))
	}
	return &newContent{File: f, path: path}, nil
}

// finish puts the file in its place, or, with an error, throws it away.
func (f *newContent) finish(err error) error {
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(f.path))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return nil
}

// syncFolder makes durable which files a folder has.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeFile replaces a file, whole or not at all.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := createBeside(path, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return f.finish(err)
}
