package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"

	"oshirase/mailer"
)

// A large import appends. The two indexes of blind keys take their entries at
// random places, which costs more than all the rest once they outgrow the page
// cache; sorted at the end they cost a fraction. So the importer drops them where
// it outgrows what was there before, and does without a look-up meanwhile: a
// filter says which rows may have a person known already. These rows wait, sealed,
// in a temporary table and pass as ordinary ones once the indexes stand again.
// Memory is bounded whatever the list: the filter, the page cache, and as much
// again for sorting.
type bulk struct {
	filter  personFilter
	waiting int64 // rows set aside
	batch   []any // of them, not written yet
	random  io.Reader
}

const (
	// bulkRows is how many new people make it cheaper to sort the indexes at the
	// end than to keep them while the people come.
	bulkRows = 20_000
	// waitRows is how many rows one INSERT sets aside.
	waitRows = 64
)

// startBulk goes over to bulk where the import outgrows what was there before.
func (im *importer) startBulk(ctx context.Context) error {
	if im.bulk != nil || im.sorted || im.nextID-im.firstID < max(im.db.bulkRows, im.firstID) {
		return nil
	}
	b := &bulk{random: newBuffered(im.db.random)}
	var err error
	if b.filter, err = newPersonFilter(); err != nil {
		return err
	}
	im.bulk = b
	rows, err := im.QueryContext(ctx, im.Rebind(`SELECT person_key FROM recipient WHERE incident = ? AND merchant = ?`), im.incident, im.merchant)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key []byte
		if err := rows.Scan(&key); err != nil {
			return err
		}
		b.filter.add(key)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	return im.db.eng.BeginBulk(ctx, im.Tx)
}

// setAside leaves in c.fresh the rows whose persons are certainly new. The others
// wait, and so do those that are to be rejected: rejects stay in the order of rows.
func (im *importer) setAside(ctx context.Context, c *part) error {
	for i := range c.rows {
		if _, reason := im.refusal(c, i); reason == nil && im.bulk.filter.add(c.person[i]) {
			c.fresh = append(c.fresh, i)
			continue
		}
		sealed, err := im.sealWaiting(&c.rows[i])
		if err != nil {
			return err
		}
		im.bulk.waiting++
		if im.bulk.batch = append(im.bulk.batch, sealed); len(im.bulk.batch) == waitRows {
			if err := im.writeWaiting(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (im *importer) writeWaiting(ctx context.Context) error {
	b := im.bulk
	if len(b.batch) == 0 {
		return nil
	}
	_, err := do(ctx, im, `INSERT INTO import_waiting (sealed) VALUES `+values(`(?)`, len(b.batch)), b.batch...)
	b.batch = b.batch[:0]
	return err
}

const waitingAAD = "import waiting"

// sealWaiting seals a whole row: temporary tables are files as well.
func (im *importer) sealWaiting(row *mailer.Row) ([]byte, error) {
	plain, err := json.Marshal(row)
	if err != nil {
		return nil, err
	}
	return im.keys.Seal(im.bulk.random, plain, waitingAAD)
}

func (im *importer) openWaiting(sealed []byte) (row mailer.Row, err error) {
	plain, err := im.keys.Open(sealed, waitingAAD)
	if err != nil {
		return row, fmt.Errorf("a row set aside does not open: %w", errCorrupt)
	}
	return row, json.Unmarshal(plain, &row)
}

// endBulk builds the indexes anew and takes in the rows that waited.
func (im *importer) endBulk(ctx context.Context) error {
	b := im.bulk
	if b == nil {
		return nil
	}
	if err := im.writeWaiting(ctx); err != nil {
		return err
	}
	im.bulk, im.sorted = nil, true
	if err := b.filter.close(); err != nil {
		return err
	}
	if err := im.db.eng.EndBulk(ctx, im.Tx); err != nil {
		return err
	}
	c := &part{}
	for n := int64(0); n < b.waiting; n += int64(len(c.person)) {
		c.reset()
		if err := im.readWaiting(ctx, c, n); err != nil {
			return err
		}
		if err := c.seal(im.sealer); err != nil {
			return err
		}
		if err := im.store(ctx, c); err != nil {
			return err
		}
		im.report(c)
	}
	_, err := do(ctx, im, `DROP TABLE import_waiting`)
	return err
}

func (im *importer) readWaiting(ctx context.Context, c *part, after int64) error {
	var sealed [][]byte
	if err := find(ctx, im, &sealed, `SELECT sealed FROM import_waiting WHERE n > ? ORDER BY n LIMIT ?`, after, importRows); err != nil {
		return err
	}
	if len(sealed) == 0 {
		return fmt.Errorf("rows set aside are gone: %w", errCorrupt)
	}
	for _, s := range sealed {
		row, err := im.openWaiting(s)
		if err != nil {
			return err
		}
		c.rows = append(c.rows, row)
	}
	return nil
}

// personFilter is a split-block Bloom filter of person keys, which are uniformly
// random by themselves: of 2.4 million about one in fifty thousand is held for
// known though it is new, of 10 million one in sixteen. It is no part of the Go
// heap: a third of what the process may have, it would keep the collector at work.
type personFilter []byte

// filterBlocks times 32 bytes is the filter's size: 8 MiB.
const filterBlocks = 1 << 18

func newPersonFilter() (personFilter, error) {
	b, err := syscall.Mmap(-1, 0, filterBlocks*32, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("memory for the filter of persons: %w", err)
	}
	return b, nil
}

// close gives the memory back; the filter may be closed already.
func (f *personFilter) close() error {
	if *f == nil {
		return nil
	}
	b := *f
	*f = nil
	return syscall.Munmap(b)
}

// add reports whether the key was certainly absent: in a block of 32 bytes, which
// its first bytes choose, it sets one bit of each four bytes.
func (f personFilter) add(key []byte) bool {
	n := binary.LittleEndian.Uint32(key) % filterBlocks
	block := f[32*n:][:32]
	choice := binary.LittleEndian.Uint64(key[8:])
	absent := false
	for i := range 8 {
		at := 4*i + int(choice>>3&3)
		bit := byte(1) << (choice & 7)
		choice >>= 5
		absent = absent || block[at]&bit == 0
		block[at] |= bit
	}
	return absent
}
