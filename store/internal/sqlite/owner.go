package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A handle that claims is an owner: a random name and a locked file of that name
// beside the database. The kernel drops the lock with the process, however it
// ends, so a killed owner is known to be dead at once; a stopped one keeps the
// lock and only its leases lapse.

// owner is this handle as an owner; made at the first claim, so that a command
// that only reads leaves no file.
type owner struct {
	mu   sync.Mutex
	name string
	file *os.File
	path string
}

func workersDir(path string) string { return path + "-workers" }

// Owner returns this handle's name, making and locking its file at first.
func (db *DB) Owner() (string, error) {
	o := &db.owner
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.name != "" {
		return o.name, nil
	}
	name := strings.ToLower(rand.Text())
	dir := workersDir(db.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	// Locked under another name first: whoever sees the final one sees it locked.
	tmp := filepath.Join(dir, "."+name)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return "", errors.Join(err, f.Close(), os.Remove(tmp))
	}
	path := filepath.Join(dir, name)
	if err := os.Rename(tmp, path); err != nil {
		return "", errors.Join(err, f.Close(), os.Remove(tmp))
	}
	o.name, o.file, o.path = name, f, path
	return name, nil
}

// release gives the name up; what it owned is dead.
func (o *owner) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return
	}
	_ = os.Remove(o.path) // before the lock goes; a file left over is harmless
	_ = o.file.Close()
	o.file = nil
	o.name = ""
}

// Alive reports whether the owner's process still holds its lock.
func (db *DB) Alive(name string) bool {
	db.owner.mu.Lock()
	own := db.owner.name == name
	db.owner.mu.Unlock()
	if own {
		return true
	}
	path := filepath.Join(workersDir(db.path), filepath.Base(name))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		return true // unknown: the lease decides
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return true
	}
	_ = os.Remove(path) // nobody comes back under this name
	return false
}

// lockFile takes an exclusive lock on a file beside the database.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-tick.C:
		}
	}
}
