package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"oshirase/mailer"
	"oshirase/store/internal/engine"
	"oshirase/store/seal"
)

const (
	importRows   = 512 // that pass the stages of an import together
	partsInWork  = 8
	importInsert = 128 // rows of one INSERT
)

// Import takes a list in, in one transaction: with any error, or ctx cancelled,
// nothing remains. rows ends with io.EOF. It voids nothing: of people who change, what
// campaigns that were checked would still send is held.
func (db *DB) Import(ctx context.Context, by mailer.Actor, o mailer.Import, rows func() (mailer.Row, error)) (res mailer.ImportResult, err error) {
	defer db.explain(&err, "import list")
	errDry := errors.New("dry run")
	settle, err := db.eng.Settle(ctx)
	if err != nil {
		return res, err
	}
	defer settle()
	err = db.write(ctx, func(c *change) error {
		im, err := c.newImporter(ctx, by, &o)
		if err != nil {
			return err
		}
		defer im.close()
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

// importer takes rows in, in chunks that pass three stages at once: the source
// on the caller's goroutine, keys and seals on as many as there are cores, SQL
// on one. Chunks stay in order.
type importer struct {
	*change
	o         *mailer.Import
	by        mailer.Actor
	incident  int64
	merchant  int64
	keys      *seal.Keys
	exposures map[string]int64 // id → number

	list    int64 // number of the list row
	firstID int64 // recipients from here on are of this import
	nextID  int64
	seen    bitmap // recipients before firstID that this list has named
	sealer  *seal.Sealer
	sample  []mailer.Person // see namesake
	// people and exposed are the sums of the population, named is the list's own: see there.
	people, exposed, named seal.Sum
	// standing are the campaigns that were checked before and have not ended.
	standing []campaignRow
	res      mailer.ImportResult
	bulk     *bulk // while the indexes are dropped
	sorted   bool  // they were dropped, and stand again
}

func (c *change) newImporter(ctx context.Context, by mailer.Actor, o *mailer.Import) (*importer, error) {
	im := &importer{change: c, o: o, by: by}
	var err error
	if im.incident, im.merchant, err = population(ctx, c, o.Incident, o.Merchant); err != nil {
		return nil, err
	}
	if im.keys, err = c.db.incidentKeys(ctx, c, im.incident); err != nil {
		return nil, err
	}
	if im.standing, err = standing(ctx, c, im.incident, im.merchant); err != nil {
		return nil, err
	}
	exposures, err := exposuresOf(ctx, c, im.incident)
	if err != nil {
		return nil, err
	}
	im.exposures = make(map[string]int64, len(exposures))
	for _, e := range exposures {
		im.exposures[e.ID] = e.Num
	}
	if im.people, im.exposed, err = sums(ctx, c, im.incident, im.merchant); err != nil {
		return nil, err
	}
	if err := get(ctx, c, &im.firstID, `SELECT coalesce(max(id), 0) + 1 FROM recipient`); err != nil {
		return nil, err
	}
	im.nextID = im.firstID
	im.sealer = seal.NewSealer(im.keys, im.incident, im.merchant, c.db.random)
	if im.res.List, err = c.newID(ctx, "l", "list"); err != nil {
		return nil, err
	}
	err = get(ctx, c, &im.list, `
		INSERT INTO list (id, incident, merchant, name, size, info, encoding, rows, imported, updated, duplicates, rejected, revision, first_id, at)
		VALUES (?, ?, ?, '', 0, '{}', '', 0, 0, 0, 0, 0, 0, ?, ?) RETURNING num`, im.res.List, im.incident, im.merchant, im.firstID, c.db.now().UnixMilli())
	c.made("list", `num = ?`, im.list)
	return im, err
}

// close gives back what an import that failed holds.
func (im *importer) close() {
	if im.bulk != nil {
		if err := im.bulk.filter.close(); err != nil {
			im.db.log.Warn("memory of an import not given back", "error", err)
		}
	}
}

// part is some rows with what the stages make of them.
type part struct {
	rows   []mailer.Row
	person [][]byte // keys; nil: nothing identifies the row
	blind  []engine.Blind
	sealed [][]byte

	// of the SQL stage
	fresh []int       // rows not rejected outright; then those that made a recipient
	codes []seal.Code // of these
	toAdd []engine.Recipient

	rejects []reject
	ready   chan struct{} // sealed
	err     error
}

type reject struct {
	row    int // in the chunk
	column string
	reason error
}

func (c *part) reset() {
	c.rows, c.person, c.blind, c.sealed, c.rejects = c.rows[:0], c.person[:0], c.blind[:0], c.sealed[:0], c.rejects[:0]
	c.ready = make(chan struct{})
	c.err = nil
}

func (c *part) reject(row int, column string, reason error) {
	c.rejects = append(c.rejects, reject{row, column, reason})
}

func (im *importer) run(ctx context.Context, rows func() (mailer.Row, error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	toSeal := make(chan *part, partsInWork)
	toStore := make(chan *part, partsInWork)
	free := make(chan *part, partsInWork)
	for range partsInWork {
		free <- &part{}
	}
	var stages sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		stages.Go(func() {
			s := seal.NewSealer(im.keys, im.incident, im.merchant, newBuffered(im.db.random))
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
	for range partsInWork { // all are back: the stages have ended
		im.report(<-free)
	}
	return ctx.Err()
}

// feed reads the source and hands its rows on until it ends.
func (im *importer) feed(ctx context.Context, rows func() (mailer.Row, error), free <-chan *part, toSeal, toStore chan<- *part) error {
	for {
		var c *part
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c = <-free:
		}
		im.report(c)
		c.reset()
		var err error
		for err == nil && len(c.rows) < importRows {
			var row mailer.Row
			if row, err = rows(); err == nil {
				c.rows = append(c.rows, row)
				if len(im.sample) < sampleRows {
					im.sample = append(im.sample, row.Person)
				}
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

// report tells the caller about a part that has passed, in the order of its rows.
func (im *importer) report(c *part) {
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

func (c *part) seal(s *seal.Sealer) error {
	for i := range c.rows {
		p := &c.rows[i].Person
		key := s.PersonKey(p)
		var sealed []byte
		if key != nil {
			var err error
			if sealed, err = s.Seal(p, key); err != nil {
				return err
			}
		}
		c.person = append(c.person, key)
		c.blind = append(c.blind, blindKeys(s, p))
		c.sealed = append(c.sealed, sealed)
	}
	return nil
}

// blindKeys are the keys by which a person is found, beside the one of the row.
func blindKeys(s *seal.Sealer, p *mailer.Person) engine.Blind {
	return engine.Blind{Email: s.EmailKey(p.Email), Phone: s.PhoneKey(p.Phone), Kana: s.KanaKey(p.NameKana), Similar: s.SimilarKey(p.CustomerID)}
}

// orNull is a blind key as the database has it.
func orNull(key int64) any {
	if key == 0 {
		return nil
	}
	return key
}

// finish fills in the list row.
func (im *importer) finish(ctx context.Context) (mailer.ImportResult, error) {
	if err := im.endBulk(ctx); err != nil {
		return im.res, err
	}
	var info mailer.ListInfo
	if im.o.Info != nil {
		info = im.o.Info()
	}
	res := &im.res
	if res.Imported > 0 {
		var err error
		if res.Elsewhere, err = im.namesake(ctx); err != nil {
			return *res, err
		}
	}
	sum := im.sealer.SumKey(info.SHA256, im.o.How)
	if res.Imported+res.Updated == 0 && info.SHA256 != "" {
		var earlier []string
		if err := find(ctx, im, &earlier, `SELECT id FROM list WHERE incident = ? AND merchant = ? AND sum_key = ? AND num <> ? ORDER BY num LIMIT 1`,
			im.incident, im.merchant, sum, im.list); err != nil {
			return *res, err
		}
		if len(earlier) > 0 {
			res.List = earlier[0]
			if _, err := do(ctx, im, `DELETE FROM mention WHERE list = ?`, im.list); err != nil {
				return *res, err
			}
			if _, err := do(ctx, im, `DELETE FROM list WHERE num = ?`, im.list); err != nil {
				return *res, err
			}
			return *res, im.record(ctx)
		}
	}
	if err := im.describe(ctx, &info, sum); err != nil {
		return *res, err
	}
	return *res, im.record(ctx)
}

func (im *importer) record(ctx context.Context) error {
	detail := fmt.Sprintf("incident %s, merchant %s, %d rows, %d imported, %d updated", im.o.Incident, im.o.Merchant, im.res.Rows, im.res.Imported, im.res.Updated)
	if im.res.Held > 0 {
		detail += fmt.Sprintf(", %d held", im.res.Held)
	}
	return im.act(ctx, im.by, mailer.ActImport, im.res.List, detail)
}

// describe fills in the row of the list, and moves the population on where anybody
// came or changed.
func (im *importer) describe(ctx context.Context, info *mailer.ListInfo, sum []byte) error {
	res := &im.res
	sealed, err := im.keys.Seal(im.db.random, []byte(info.SHA256), listAAD(im.list))
	if err != nil {
		return err
	}
	public := *info
	public.SHA256 = ""
	text, err := json.Marshal(public)
	if err != nil {
		return err
	}
	err = im.touch(ctx, "population", `incident = ? AND merchant = ?`, im.incident, im.merchant)
	if errors.Is(err, sql.ErrNoRows) {
		im.made("population", `incident = ? AND merchant = ?`, im.incident, im.merchant)
	} else if err != nil {
		return err
	}
	step := 0
	if res.Imported+res.Updated > 0 {
		step = 1
	}
	var revision int64
	if err := get(ctx, im, &revision, `
		INSERT INTO population (incident, merchant, recipients, people, exposed) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (incident, merchant) DO UPDATE SET revision = population.revision + ?, recipients = population.recipients + excluded.recipients,
		people = excluded.people, exposed = excluded.exposed
		RETURNING revision`, im.incident, im.merchant, res.Imported, im.people[:], im.exposed[:], step); err != nil {
		return err
	}
	_, err = do(ctx, im, `
		UPDATE list SET name = ?, size = ?, sum_key = ?, sealed = ?, info = ?, encoding = ?, rows = ?, imported = ?, updated = ?, duplicates = ?,
		rejected = ?, named = ?, revision = ? WHERE num = ?`,
		info.Name, im.o.Size, sum, sealed, string(text), info.Encoding, res.Rows, res.Imported, res.Updated, res.Duplicates, res.Rejected, im.named[:], revision, im.list)
	return err
}

// sums are those of a population; zero where there is none yet.
func sums(ctx context.Context, h handle, incident, merchant int64) (people, exposed seal.Sum, err error) {
	var row struct{ People, Exposed []byte }
	err = get(ctx, h, &row, `SELECT people, exposed FROM population WHERE incident = ? AND merchant = ?`, incident, merchant)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	copy(people[:], row.People)
	copy(exposed[:], row.Exposed)
	return people, exposed, err
}

func listAAD(list int64) string { return "list v1\x00" + strconv.FormatInt(list, 10) }

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

// locked is a reader for many at once.
type locked struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *locked) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}
