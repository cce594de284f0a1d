package list

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// version goes up whenever a Reader gives other rows for the same bytes and
// options, or refuses others: what was imported before is then read again.
const version = 1

// Fingerprint reads a file once and returns its SHA-256 in hexadecimal, as a
// Reader's Info has it at the end, and its size in bytes.
func Fingerprint(path string) (sum string, size int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read list: %w", err)
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, firstBuffer)); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// How is a digest, in hexadecimal, of all beside the file that says what its rows
// mean: the version of the reader, the encoding, the columns that were named and the
// exposures, in their order. Two readers of the same bytes with the same How give the
// same rows and refuse the same. (The file's name is no part of it, though .csv or
// .tsv decides where a header has commas as well as tabs.)
func (o *Options) How() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%q\n%v\n", version, or(o.Encoding, Auto), o.ShiftThreshold)
	for _, field := range slices.Sorted(maps.Keys(o.Columns)) {
		fmt.Fprintf(h, "column %q %q\n", field, o.Columns[field])
	}
	fmt.Fprintf(h, "exposures %t %q\ndefault %q\n", o.Exposures != nil, o.Exposures, o.Default)
	return hex.EncodeToString(h.Sum(nil))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
