package list

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Texts of a workbook stand in a part of their own, and cells name them by number. They
// are kept in memory up to spillAt octets; beyond, in a file that has no name any more,
// under a key that is in memory alone.
const (
	spillAt    = 4 << 20
	blockSize  = 64 << 10
	keptBlocks = 64      // of the file, in memory: programs write texts in the order of cells
	maxTexts   = 8 << 20 // of a workbook; Excel has a million rows
	// spillName begins the names of such files, until they lose them.
	spillName = ".oshirase-list-"
)

// sharedStrings are the texts of a workbook.
type sharedStrings struct {
	ends []uint32 // of each text in all of them
	tail []byte   // what is not in the file
	dir  string   // where the file is made

	file    *os.File // nil: all is in tail
	block   cipher.Block
	spilled int64 // octets in the file, whole blocks
	kept    [keptBlocks]struct {
		number int64 // from 1; 0: none
		data   []byte
	}
}

// readStrings reads the part; a workbook need not have it.
func (w *workbook) readStrings(name, dir string) (*sharedStrings, error) {
	s := &sharedStrings{dir: dir}
	if w.parts[name] == nil {
		return s, nil
	}
	var total int64
	err := w.each(name, func(d *decoder, e *xml.StartElement) error {
		if e.Name.Local != "si" {
			return nil
		}
		text, err := d.text("si")
		if err != nil {
			return err
		}
		before := len(s.tail)
		s.tail = appendUnescaped(s.tail, text)
		total += int64(len(s.tail) - before)
		if len(s.ends) == maxTexts || total > math.MaxUint32 {
			return errUnpacked
		}
		s.ends = append(s.ends, uint32(total))
		return s.spill()
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// spill moves whole blocks to the file, once there is much.
func (s *sharedStrings) spill() error {
	if len(s.tail) < spillAt && (s.file == nil || len(s.tail) < blockSize) {
		return nil
	}
	if s.file == nil {
		if err := s.create(); err != nil {
			return err
		}
	}
	whole := len(s.tail) / blockSize * blockSize
	for at := 0; at < whole; at += blockSize {
		b := s.tail[at : at+blockSize]
		s.crypt(b, s.spilled)
		if _, err := s.file.WriteAt(b, s.spilled); err != nil {
			return err
		}
		s.spilled += blockSize
	}
	s.tail = append(make([]byte, 0, 2*blockSize), s.tail[whole:]...)
	return nil
}

// create makes the file and takes its name away, so that nothing of it is left however
// the program ends. Where a file in use cannot lose its name, close removes it.
func (s *sharedStrings) create() error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	var err error
	if s.block, err = aes.NewCipher(key); err != nil {
		return err
	}
	if s.file, err = os.CreateTemp(s.dir, spillName+"*"); err != nil {
		return err
	}
	_ = os.Remove(s.file.Name())
	return nil
}

// crypt seals or opens the block at an offset, which is a counter of its own: the key
// serves for one file, and no place in it is written twice.
func (s *sharedStrings) crypt(b []byte, offset int64) {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint64(iv[8:], uint64(offset)/aes.BlockSize)
	cipher.NewCTR(s.block, iv[:]).XORKeyStream(b, b)
}

// append appends the text that a cell names by number.
func (s *sharedStrings) append(dst []byte, number string) ([]byte, error) {
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 0 || n >= len(s.ends) {
		return dst, errDamaged
	}
	from, end := int64(0), int64(s.ends[n])
	if n > 0 {
		from = int64(s.ends[n-1])
	}
	for from < end && from < s.spilled {
		b, err := s.load(from / blockSize)
		if err != nil {
			return dst, err
		}
		at := from % blockSize
		piece := b[at:min(blockSize, at+end-from)]
		dst = append(dst, piece...)
		from += int64(len(piece))
	}
	if from < end {
		dst = append(dst, s.tail[from-s.spilled:end-s.spilled]...)
	}
	return dst, nil
}

// load is a block of the file, from memory where it was read lately.
func (s *sharedStrings) load(number int64) ([]byte, error) {
	k := &s.kept[number%keptBlocks]
	if k.number == number+1 {
		return k.data, nil
	}
	if k.data == nil {
		k.data = make([]byte, blockSize)
	}
	k.number = 0
	if _, err := s.file.ReadAt(k.data, number*blockSize); err != nil {
		return nil, err
	}
	s.crypt(k.data, number*blockSize)
	k.number = number + 1
	return k.data, nil
}

func (s *sharedStrings) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if gone := os.Remove(s.file.Name()); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	s.file = nil
	return err
}

// Sweep removes what an import that was killed may have left in a folder: files under
// keys that nobody has. Those that are in use have no name.
func Sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, spillName+"*"))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}
