package sqlite

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"oshirase/store/internal/engine"
)

// Purge empties the write-ahead log, in which pages stand as they were before. That
// waits for readers of them; a checkpoint says in a row, and not by an error, that it
// could not.
func (db *DB) Purge(ctx context.Context) error {
	if db.w == nil {
		return engine.ErrReadOnly
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for said := false; ; {
		var r struct{ Busy, Log, Checkpointed int }
		err := db.w.GetContext(ctx, &r, `PRAGMA wal_checkpoint(TRUNCATE)`)
		if err != nil && !locked(err) {
			return err
		}
		if err == nil && r.Busy == 0 {
			return nil
		}
		waited := time.Since(start)
		if waited > db.purging {
			return engine.ErrReaders
		}
		if !said && waited > time.Second {
			said = true
			db.log.Warn("waiting for those who read the database, to empty its log", "at_most", db.purging)
		}
		select {
		case <-ctx.Done():
			return errors.Join(engine.ErrReaders, ctx.Err())
		case <-tick.C:
		}
	}
}

// window is how many bytes of a secret in a row are not there by chance.
const window = 16

// Holds reads the files as they lie on disk: free pages and what the log still has
// are in them.
func (db *DB) Holds(ctx context.Context, secrets [][]byte) (where []string, err error) {
	s := newSearch(secrets)
	if len(s.windows) == 0 {
		return nil, nil
	}
	for _, path := range []string{db.path, db.path + "-wal", db.path + "-shm", db.path + "-journal"} {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		stayOpen(f)
		found, err := s.in(ctx, f)
		if err != nil {
			return nil, err
		}
		if found {
			where = append(where, path)
		}
	}
	return where, nil
}

// search looks for windows of secrets.
type search struct {
	windows map[[window]byte]struct{}
	first   [1 << 16]bool // the first two bytes of each
}

func newSearch(secrets [][]byte) *search {
	s := &search{windows: map[[window]byte]struct{}{}}
	for _, b := range secrets {
		for i := 0; i+window <= len(b); i++ {
			s.windows[[window]byte(b[i:])] = struct{}{}
			s.first[int(b[i])<<8|int(b[i+1])] = true
		}
	}
	return s
}

func (s *search) in(ctx context.Context, r io.Reader) (bool, error) {
	buf := make([]byte, 1<<20)
	kept := 0
	for {
		n, err := io.ReadFull(r, buf[kept:])
		if s.hit(buf[:kept+n]) {
			return true, nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return false, err
		}
		kept = copy(buf, buf[kept+n-(window-1):kept+n])
	}
}

func (s *search) hit(b []byte) bool {
	for i := 0; i+window <= len(b); i++ {
		if s.first[int(b[i])<<8|int(b[i+1])] {
			if _, ok := s.windows[[window]byte(b[i:])]; ok {
				return true
			}
		}
	}
	return false
}
