package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/jmoiron/sqlx"

	"oshirase/mailer"
)

const (
	chunkRows    = 512
	chunksInWork = 8
	// importCache is the writer's page cache in KiB during an import.
	importCache = "16384"
	// largeLog is how many bytes of write-ahead log an import may leave behind.
	largeLog = 32 << 20
	// busyTimeout in ms is that of the DSN.
	busyTimeout = "10000"
)

// Import takes a list in, in one transaction: with any error, or ctx cancelled,
// nothing remains. rows ends with io.EOF. An import that changes anything voids
// the campaigns of that incident and merchant that were checked before.
func (db *DB) Import(ctx context.Context, by mailer.Actor, o mailer.Import, rows func() (mailer.Row, error)) (mailer.ImportResult, error) {
	var res mailer.ImportResult
	errDry := errors.New("dry run")
	if db.w == nil {
		return res, wrap("import list", ErrReadOnly)
	}
	// Every number that an import writes was read or made in its own transaction:
	// five look-ups a row to see that it refers to something are spared.
	defer db.settle()
	if _, err := db.w.ExecContext(ctx, `PRAGMA foreign_keys = off; PRAGMA cache_size = -`+importCache); err != nil {
		return res, wrap("import list", err)
	}
	err := db.write(ctx, "import list", func(tx *sqlx.Tx) error {
		im, err := db.newImporter(ctx, tx, by, &o)
		if err != nil {
			return err
		}
		defer im.close() //nolint:errcheck // finish has said so
		if err := im.run(ctx, rows); err != nil {
			return err
		}
		if res, err = im.finish(ctx); err != nil {
			return err
		}
		if o.Accept != nil {
			if err := o.Accept(); err != nil {
				return err
			}
		}
		if o.DryRun {
			return errDry
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDry) {
		return mailer.ImportResult{}, err
	}
	return res, nil
}

// settle takes the writer's settings back after an import, and gives back the
// memory and the disk that a large one took: the write-ahead log holds all of it
// once more. Readers of the old state may keep the log; the next checkpoint takes
// it then.
func (db *DB) settle() {
	after := `PRAGMA foreign_keys = on; PRAGMA threads = 0; PRAGMA cache_size = -` + writerCache + `; PRAGMA shrink_memory;`
	if log, err := os.Stat(db.path + "-wal"); err == nil && log.Size() > largeLog {
		after += `PRAGMA busy_timeout = 500; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = ` + busyTimeout
	}
	if _, err := db.w.Exec(after); err != nil {
		db.log.Warn("settings and memory of an import not given back", "error", err)
	}
}

// importer takes rows in, in chunks that pass three stages at once: the source
// on the caller's goroutine, keys and seals on as many as there are cores, SQL
// on one. Chunks stay in order.
type importer struct {
	db        *DB
	tx        *sqlx.Tx
	o         *mailer.Import
	by        mailer.Actor
	incident  int64
	merchant  int64
	keys      *incidentKeys
	exposures map[string]int64 // id → number

	list    int64 // number of the list row
	firstID int64 // recipients from here on are of this import
	nextID  int64
	seen    bitmap // recipients before firstID that this list has named
	sealer  *sealer
	touched map[int64]bool // exposures of the people who came or changed
	res     mailer.ImportResult
	bulk    *bulk         // while the indexes are dropped
	filter  *personFilter // of bulk, until it is closed
	sorted  bool          // they were dropped, and stand again
}

func (db *DB) newImporter(ctx context.Context, tx *sqlx.Tx, by mailer.Actor, o *mailer.Import) (*importer, error) {
	im := &importer{db: db, tx: tx, o: o, by: by, touched: map[int64]bool{}}
	var err error
	if im.incident, im.merchant, err = population(ctx, tx, o.Incident, o.Merchant); err != nil {
		return nil, err
	}
	if im.keys, err = db.incidentKeys(ctx, tx, im.incident); err != nil {
		return nil, err
	}
	exposures, err := exposuresOf(ctx, tx, im.incident)
	if err != nil {
		return nil, err
	}
	im.exposures = make(map[string]int64, len(exposures))
	for _, e := range exposures {
		im.exposures[e.ID] = e.Num
	}
	if err := tx.GetContext(ctx, &im.firstID, `SELECT ifnull(max(id), 0) + 1 FROM recipient`); err != nil {
		return nil, err
	}
	im.nextID = im.firstID
	im.sealer = newSealer(im.keys, im.incident, im.merchant, db.random)
	id, err := db.newID(ctx, tx, "l", "list")
	if err != nil {
		return nil, err
	}
	im.res.List = id
	r, err := tx.ExecContext(ctx, `
		INSERT INTO list (id, incident, merchant, name, sha256, encoding, rows, imported, updated, duplicates, rejected, first_id, at)
		VALUES (?, ?, ?, '', '', '', 0, 0, 0, 0, 0, ?, ?)`, id, im.incident, im.merchant, im.firstID, db.now().UnixMilli())
	if err != nil {
		return nil, err
	}
	im.list, err = r.LastInsertId()
	return im, err
}

// chunk is some rows with what the stages make of them.
type chunk struct {
	rows   []mailer.Row
	person [][]byte // keys; nil: nothing identifies the row
	email  [][]byte
	sealed [][]byte

	// of the SQL stage
	fresh []int // rows not rejected outright; then those that made a recipient
	args  []any

	rejects []reject
	ready   chan struct{} // sealed
	err     error
}

type reject struct {
	row    int // in the chunk
	column string
	reason error
}

func (c *chunk) reset() {
	c.rows, c.person, c.email, c.sealed, c.rejects = c.rows[:0], c.person[:0], c.email[:0], c.sealed[:0], c.rejects[:0]
	c.ready = make(chan struct{})
	c.err = nil
}

func (c *chunk) reject(row int, column string, reason error) {
	c.rejects = append(c.rejects, reject{row, column, reason})
}

func (im *importer) run(ctx context.Context, rows func() (mailer.Row, error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	toSeal := make(chan *chunk, chunksInWork)
	toStore := make(chan *chunk, chunksInWork)
	free := make(chan *chunk, chunksInWork)
	for range chunksInWork {
		free <- &chunk{}
	}
	var stages sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		stages.Go(func() {
			s := newSealer(im.keys, im.incident, im.merchant, newBuffered(im.db.random))
			for c := range toSeal {
				c.err = c.seal(s)
				close(c.ready)
			}
		})
	}
	var failed error
	stages.Go(func() {
		// With a context that can end, each statement takes a goroutine to watch it;
		// and on changing threads, the C allocator takes memory for each of them.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		steady := context.WithoutCancel(ctx)
		for c := range toStore {
			<-c.ready
			if failed == nil {
				if failed = errors.Join(c.err, ctx.Err()); failed == nil {
					failed = im.store(steady, c)
				}
				if failed != nil && ctx.Err() != nil {
					failed = ctx.Err() // and not that the transaction is gone
				}
				if failed != nil {
					stop()
				}
			}
			free <- c
		}
	})
	err := im.feed(ctx, rows, free, toSeal, toStore)
	close(toSeal)
	close(toStore)
	stages.Wait()
	if failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	for range chunksInWork { // all are back: the stages have ended
		im.report(<-free)
	}
	return ctx.Err()
}

// feed reads the source and hands its rows on until it ends.
func (im *importer) feed(ctx context.Context, rows func() (mailer.Row, error), free <-chan *chunk, toSeal, toStore chan<- *chunk) error {
	for {
		var c *chunk
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c = <-free:
		}
		im.report(c)
		c.reset()
		var err error
		for err == nil && len(c.rows) < chunkRows {
			var row mailer.Row
			if row, err = rows(); err == nil {
				c.rows = append(c.rows, row)
			}
		}
		if err != nil && err != io.EOF {
			close(c.ready)
			return err
		}
		im.res.Rows += int64(len(c.rows))
		toSeal <- c
		toStore <- c
		if err == io.EOF {
			return nil
		}
	}
}

// report tells the caller about a chunk that has passed, in the order of its rows.
func (im *importer) report(c *chunk) {
	slices.SortFunc(c.rejects, func(a, b reject) int { return a.row - b.row })
	for _, r := range c.rejects {
		im.res.Rejected++
		if im.o.Reject != nil {
			im.o.Reject(c.rows[r.row], r.column, r.reason)
		}
	}
	c.rejects = c.rejects[:0]
	if im.o.Progress != nil && len(c.rows) > 0 {
		im.o.Progress(im.res.Rows)
	}
	c.rows = c.rows[:0]
}

func (c *chunk) seal(s *sealer) error {
	for i := range c.rows {
		p := &c.rows[i].Person
		key := s.personKey(p)
		var sealed []byte
		if key != nil {
			var err error
			if sealed, err = s.seal(p, key); err != nil {
				return err
			}
		}
		c.person = append(c.person, key)
		c.email = append(c.email, s.emailKey(p))
		c.sealed = append(c.sealed, sealed)
	}
	return nil
}

// finish fills in the list row, and voids what was checked without these people.
func (im *importer) finish(ctx context.Context) (mailer.ImportResult, error) {
	db, tx := im.db, im.tx
	if err := im.endBulk(ctx); err != nil {
		return im.res, err
	}
	var info mailer.ListInfo
	if im.o.Info != nil {
		info = im.o.Info()
	}
	res := &im.res
	detail := fmt.Sprintf("incident %s, merchant %s, %d rows, %d imported, %d updated", im.o.Incident, im.o.Merchant, res.Rows, res.Imported, res.Updated)
	if res.Imported+res.Updated == 0 {
		var earlier string
		err := tx.GetContext(ctx, &earlier, `
			SELECT id FROM list WHERE incident = ? AND merchant = ? AND sha256 = ? AND num <> ? ORDER BY num LIMIT 1`,
			im.incident, im.merchant, info.SHA256, im.list)
		if err == nil {
			res.List = earlier
			if _, err := tx.ExecContext(ctx, `DELETE FROM list WHERE num = ?`, im.list); err != nil {
				return *res, err
			}
			return *res, db.act(ctx, tx, im.by, mailer.ActImport, res.List, detail)
		}
	}
	if _, err := tx.ExecContext(ctx, `
		UPDATE list SET name = ?, sha256 = ?, encoding = ?, rows = ?, imported = ?, updated = ?, duplicates = ?, rejected = ? WHERE num = ?`,
		info.Name, info.SHA256, info.Encoding, res.Rows, res.Imported, res.Updated, res.Duplicates, res.Rejected, im.list); err != nil {
		return *res, err
	}
	if err := db.act(ctx, tx, im.by, mailer.ActImport, res.List, detail); err != nil {
		return *res, err
	}
	if res.Imported+res.Updated == 0 {
		return *res, nil
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO population (incident, merchant, recipients) VALUES (?1, ?2, ?3)
		ON CONFLICT (incident, merchant) DO UPDATE SET revision = revision + 1, recipients = recipients + excluded.recipients`,
		im.incident, im.merchant, res.Imported); err != nil {
		return *res, err
	}
	// A campaign that selects other exposures than those of the people who came or
	// changed has the recipients that it had.
	return *res, db.voidWhere(ctx, tx, im.by, "list changed since the check", `incident = ? AND c.merchant = ? AND (c.exposures = '[]' OR EXISTS (
		SELECT 1 FROM json_each(c.exposures) j JOIN exposure e ON e.incident = c.incident AND e.id = j.value
		WHERE e.num IN (SELECT value FROM json_each(?))))`,
		im.incident, im.merchant, idArray(slices.Collect(maps.Keys(im.touched))))
}

// bitmap is a set of small numbers.
type bitmap []uint64

// add reports whether n was absent.
func (b *bitmap) add(n int64) bool {
	w := int(n >> 6)
	if w >= len(*b) {
		*b = append(*b, make([]uint64, w+1-len(*b))...)
	}
	bit := uint64(1) << (n & 63)
	absent := (*b)[w]&bit == 0
	(*b)[w] |= bit
	return absent
}

// newBuffered spares a system call for every nonce.
func newBuffered(r io.Reader) io.Reader { return &buffered{r: r} }

type buffered struct {
	r   io.Reader
	buf [4096]byte
	n   int // bytes left, at the end of buf
}

func (b *buffered) Read(p []byte) (int, error) {
	if len(p) > b.n {
		if _, err := io.ReadFull(b.r, b.buf[:]); err != nil {
			return 0, err
		}
		b.n = len(b.buf)
	}
	n := copy(p, b.buf[len(b.buf)-b.n:])
	b.n -= n
	return n, nil
}
