package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
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
	indexes []string // SQL of what was dropped
	waiting int64    // rows set aside
	batch   []any    // of them, not written yet
	random  io.Reader
}

const (
	// bulkRows is how many new people make it cheaper to sort the indexes at the
	// end than to keep them while the people come.
	bulkRows = 20_000
	// waitRows is how many rows one INSERT sets aside.
	waitRows = 64
)

// outgrown goes over to bulk where the import outgrows what was there before.
func (im *importer) outgrown(ctx context.Context) error {
	if im.bulk != nil || im.sorted || im.nextID-im.firstID < max(im.db.bulkRows, im.firstID) {
		return nil
	}
	b := &bulk{random: newBuffered(im.db.random)}
	var err error
	if im.filter, err = newPersonFilter(); err != nil {
		return err
	}
	rows, err := im.tx.QueryContext(ctx, `SELECT person_key FROM recipient WHERE incident = ? AND merchant = ?`, im.incident, im.merchant)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key []byte
		if err := rows.Scan(&key); err != nil {
			return err
		}
		im.filter.add(key)
	}
	if err := rows.Close(); err != nil {
		return err
	}
	if err := im.tx.SelectContext(ctx, &b.indexes, `
		SELECT sql FROM sqlite_master WHERE name IN ('recipient_person', 'recipient_email') ORDER BY name DESC`); err != nil {
		return err
	}
	// What is appended needs no cache; sorting takes as much memory as the cache may,
	// and a second thread for the runs.
	_, err = im.tx.ExecContext(ctx, `
		DROP INDEX recipient_person;
		DROP INDEX recipient_email;
		CREATE TEMP TABLE import_waiting (n INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
		PRAGMA cache_size = -`+writerCache+`;
		PRAGMA shrink_memory;
		PRAGMA threads = 1`)
	im.bulk = b
	return err
}

// setAside leaves in c.fresh the rows whose persons are certainly new. The others
// wait, and so do those that are to be rejected: rejects stay in the order of rows.
func (im *importer) setAside(ctx context.Context, c *chunk) error {
	for i := range c.rows {
		if _, reason := im.refusal(c, i); reason == nil && im.filter.add(c.person[i]) {
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
	_, err := im.tx.ExecContext(ctx, `INSERT INTO import_waiting (sealed) VALUES `+values(`(?)`, len(b.batch)), b.batch...)
	b.batch = b.batch[:0]
	return err
}

// close gives the filter's memory back.
func (im *importer) close() error {
	if im.filter == nil {
		return nil
	}
	f := im.filter
	im.filter = nil
	return f.close()
}

const waitingAAD = "import waiting"

// sealWaiting seals a whole row: temporary tables are files as well.
func (im *importer) sealWaiting(row *mailer.Row) ([]byte, error) {
	plain, err := json.Marshal(row)
	if err != nil {
		return nil, err
	}
	out := make([]byte, nonceSize, nonceSize+len(plain)+16)
	if _, err := io.ReadFull(im.bulk.random, out); err != nil {
		return nil, err
	}
	return im.keys.aead.Seal(out, out, plain, []byte(waitingAAD)), nil
}

func (im *importer) openWaiting(sealed []byte) (row mailer.Row, err error) {
	if len(sealed) < nonceSize {
		return row, errCorrupt
	}
	plain, err := im.keys.aead.Open(nil, sealed[:nonceSize], sealed[nonceSize:], []byte(waitingAAD))
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
	if err := im.close(); err != nil {
		return err
	}
	for _, index := range b.indexes {
		if _, err := im.tx.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	c := &chunk{}
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
	_, err := im.tx.ExecContext(ctx, `DROP TABLE temp.import_waiting`)
	return err
}

func (im *importer) readWaiting(ctx context.Context, c *chunk, after int64) error {
	var sealed [][]byte
	if err := im.tx.SelectContext(ctx, &sealed, `SELECT sealed FROM temp.import_waiting WHERE n > ? ORDER BY n LIMIT ?`, after, chunkRows); err != nil {
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
// heap, whose collector would pay for it again and again.
type personFilter struct{ bits []byte }

// filterBlocks times 32 bytes is the filter's size: 8 MiB.
const filterBlocks = 1 << 18

func newPersonFilter() (*personFilter, error) {
	b, err := syscall.Mmap(-1, 0, filterBlocks*32, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("memory for the filter of persons: %w", err)
	}
	return &personFilter{b}, nil
}

func (f *personFilter) close() error {
	b := f.bits
	f.bits = nil
	return syscall.Munmap(b)
}

// add reports whether the key was certainly absent: in a block of 32 bytes, which
// its first bytes choose, it sets one bit of each four bytes.
func (f *personFilter) add(key []byte) bool {
	n := binary.LittleEndian.Uint32(key) % filterBlocks
	block := f.bits[32*n:][:32]
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
