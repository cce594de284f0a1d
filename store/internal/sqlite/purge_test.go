package sqlite

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"oshirase/mailer"
)

// TestSearch: 16 bytes in a row are found wherever they stand, and 15 are not.
func TestSearch(t *testing.T) {
	const size = 3<<20 + 5
	secret := []byte("0123456789abcdefghijklmnopqrstuv")
	s := newSearch([][]byte{[]byte("short"), secret})
	for _, at := range []int{0, 1, 1<<20 - 16, 1<<20 - 15, 1<<20 - 8, 1<<20 - 1, 1 << 20, 2<<20 - 31, 2<<20 - 17, size - 16} {
		for _, whole := range []bool{true, false} {
			part := secret[3:19]
			if !whole {
				part = part[1:]
			}
			b := bytes.Repeat([]byte{'0'}, size)
			copy(b[at:], part)
			for name, r := range map[string]io.Reader{"all": bytes.NewReader(b), "half": iotest.HalfReader(bytes.NewReader(b))} {
				if found, err := s.in(t.Context(), r); err != nil || found != whole {
					t.Errorf("%d bytes at %d, %s: %t %v", len(part), at, name, found, err)
				}
			}
		}
	}
}

// TestModes: a ledger that anybody can read, or others than its owner can write, is not
// opened, neither to read nor to write.
func TestModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	must(t, open(t, path).exec(`INSERT INTO pace (key, tat) VALUES ('k', 1)`)) // and there is a log
	for _, tt := range []struct {
		file string
		mode os.FileMode
		open bool
	}{
		{"", 0o600, true},
		{"", 0o640, true},
		{"", 0o644, false},
		{"", 0o604, false},
		{"", 0o660, false},
		{"", 0o602, false},
		{"", 0o666, false},
		{"-wal", 0o644, false},
		{"-wal", 0o600, true},
	} {
		must(t, os.Chmod(path, 0o600))
		must(t, os.Chmod(path+tt.file, tt.mode))
		for _, readOnly := range []bool{false, true} {
			db, err := Open(t.Context(), Options{Path: path, ReadOnly: readOnly})
			if tt.open {
				must(t, err)
				must(t, db.Close())
			} else if mailer.CodeOf(err) != "ledger.shown" {
				t.Errorf("%s %o: %v", tt.file, tt.mode, err)
			}
		}
	}
}
