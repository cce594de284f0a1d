package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
	"oshirase/mailer/journal"
)

// checkpointDelay is how long after a commit its entry stands in a signed checkpoint,
// at most, beside what signing and writing take.
const checkpointDelay = 500 * time.Millisecond

// heads writes signed checkpoints of a handle's commits: beside the database, where
// the newest stands alone, and to the end of files elsewhere.
type heads struct {
	db        *DB
	elsewhere []string

	mu    sync.Mutex
	timer *time.Timer // nil: no commit waits
	said  time.Time   // when a failure was logged last
}

// begin writes the first checkpoint of a ledger that has no past yet. One that has,
// and has no checkpoint beside it, was put there.
func (h *heads) begin(ctx context.Context) error {
	if _, err := os.Stat(h.db.checkpointPath()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var past bool
	if err := get(ctx, h.db.pool(), &past, `SELECT EXISTS (SELECT 1 FROM entry)`); err != nil || past {
		return err
	}
	return h.write(ctx)
}

// note says that a commit was made.
func (h *heads) note() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer == nil {
		h.timer = time.AfterFunc(checkpointDelay, h.late)
	}
}

func (h *heads) late() {
	h.mu.Lock()
	h.timer = nil
	h.mu.Unlock()
	if err := h.write(context.Background()); err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		if time.Since(h.said) > time.Minute {
			h.said = time.Now()
			h.db.log.Error("no checkpoint written", "error", err)
		}
	}
}

// close writes the checkpoint of the last commits, if they have none.
func (h *heads) close(ctx context.Context) error {
	h.mu.Lock()
	waits := h.timer != nil && h.timer.Stop()
	h.timer = nil
	h.mu.Unlock()
	if !waits {
		return nil
	}
	return h.write(ctx)
}

// write signs the heads as they are and puts them where they belong. Processes take
// turns, so that what stands beside the database never becomes older.
func (h *heads) write(ctx context.Context) error {
	dir := h.db.path + "-workers"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "checkpoint"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	c, err := h.db.checkpoint(ctx)
	if err != nil {
		return err
	}
	signed, err := c.Sign(h.db.codes.Signer())
	if err != nil {
		return err
	}
	if err := replaceFile(h.db.checkpointPath(), signed); err != nil {
		return err
	}
	for _, path := range h.elsewhere {
		err = errors.Join(err, appendFile(path, signed))
	}
	return err
}

// WriteCheckpoint signs the heads as they are and writes them where they belong, now.
func (db *DB) WriteCheckpoint(ctx context.Context) (err error) {
	defer db.explain(&err, "write checkpoint")
	return db.heads.write(ctx)
}

// checkpointPath is the newest checkpoint beside the database.
func (r *Reader) checkpointPath() string { return r.path + "-checkpoint" }

// origin is what the ledger is called in checkpoints.
func (r *Reader) origin() string { return "oshirase/" + r.ledger }

// CheckpointKey is the public key of the ledger's checkpoints, in the form of signed
// notes; it stays the same as long as the ledger lives.
func (r *Reader) CheckpointKey() (string, error) {
	return journal.PublicKey(r.origin(), publicOf(r.codes.Signer()))
}

// checkpoint is the heads of all living chains, and the version of the control rows.
func (r *Reader) checkpoint(ctx context.Context) (c *journal.Checkpoint, err error) {
	c = &journal.Checkpoint{Origin: r.origin(), At: r.now().UnixMilli()}
	return c, r.read(ctx, func(tx *sqlx.Tx) error {
		var rows []struct {
			ID   string
			N    int64
			Hash []byte
		}
		if err := find(ctx, tx, &rows, `
			SELECT k.id, e.n, e.hash FROM chain k JOIN entry e ON e.chain = k.num AND e.n = (SELECT max(l.n) FROM entry l WHERE l.chain = k.num)
			WHERE k.ended_at IS NULL`); err != nil {
			return err
		}
		for _, row := range rows {
			h := journal.Head{Chain: row.ID, N: row.N}
			copy(h.Hash[:], row.Hash)
			c.Heads = append(c.Heads, h)
		}
		version, sum, err := r.control(ctx, tx)
		if err != nil || version == 0 {
			return err
		}
		l := journal.Control{Version: version, Sum: sum}
		c.Heads = append(c.Heads, l.Head())
		return nil
	})
}

// openCheckpoint reads a checkpoint of this ledger.
func (r *Reader) openCheckpoint(signed []byte) (*journal.Checkpoint, error) {
	key, err := r.CheckpointKey()
	if err != nil {
		return nil, err
	}
	return journal.OpenCheckpoint(signed, key)
}

// older are the heads of a checkpoint that the ledger does not have: it is an older
// one, or its past was changed.
func (r *Reader) older(ctx context.Context, h handle, c *journal.Checkpoint) (lost []journal.Head, err error) {
	for _, head := range c.Heads {
		var hash []byte
		if head.Chain == journal.ControlChain {
			hash, err = r.controlHash(ctx, h, head.N)
		} else {
			err = get(ctx, h, &hash, `SELECT e.hash FROM entry e JOIN chain k ON k.num = e.chain WHERE k.id = ? AND e.n = ?`, head.Chain, head.N)
		}
		if err := ignoreNone(err); err != nil {
			return nil, err
		}
		if string(hash) != string(head.Hash[:]) {
			lost = append(lost, head)
		}
	}
	return lost, nil
}

func (r *Reader) controlHash(ctx context.Context, h handle, version int64) ([]byte, error) {
	var sum []byte
	if err := get(ctx, h, &sum, `SELECT sum FROM control WHERE version = ?`, version); err != nil {
		return nil, err
	}
	l := journal.Control{Version: version}
	copy(l.Sum[:], sum)
	head := l.Head()
	return head.Hash[:], nil
}

// mustBeNewest refuses to send from a ledger that is older than the checkpoint beside
// it, and from one whose control rows are not the ones that were written.
func (r *Reader) mustBeNewest(ctx context.Context) error {
	signed, err := os.ReadFile(r.checkpointPath())
	if errors.Is(err, fs.ErrNotExist) {
		return mailer.NewError(mailer.ErrRestored, "ledger.no-checkpoint", "path", r.checkpointPath())
	} else if err != nil {
		return err
	}
	c, err := r.openCheckpoint(signed)
	if err != nil {
		return mailer.NewError(mailer.ErrRestored, "ledger.checkpoint", "path", r.checkpointPath(), "cause", err)
	}
	return r.read(ctx, func(tx *sqlx.Tx) error {
		lost, err := r.older(ctx, tx, c)
		if err != nil {
			return err
		}
		if len(lost) > 0 {
			return mailer.NewError(mailer.ErrRestored, "ledger.older", "at", time.UnixMilli(c.At).In(mailer.JST).Format(time.DateTime))
		}
		_, sum, err := r.control(ctx, tx)
		if err != nil {
			return err
		}
		now, err := sumControl(ctx, tx)
		if err == nil && now != sum {
			err = altered("control", "sum")
		}
		return err
	})
}

// isRestored reports whether the age of a ledger is what is wrong with it.
func isRestored(err error) bool { return errors.Is(err, mailer.ErrRestored) }

// replaceFile writes a file beside its name and renames it, durably.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// appendFile adds to the end of a file, durably, with one write.
func appendFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}
