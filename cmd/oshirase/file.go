package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"oshirase/mailer/outfile"
)

// writeFile makes a file that is not there yet, whole or not at all.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := outfile.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return f.Finish(errors.Join(err, f.Chmod(mode)))
}

// replaceFile writes a file anew that this program made itself, whole or not at all.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	beside := path + ".new"
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := writeFile(beside, data, mode); err != nil {
		return err
	}
	if err := os.Rename(beside, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes durable which files a folder has.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
