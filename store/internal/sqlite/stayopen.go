package sqlite

import (
	"os"
	"sync"
)

// Closing any descriptor of a file drops the locks that SQLite holds on it in this
// process, and others would then take the ledger for unused (POSIX: fcntl). Files of
// the database that are read here are therefore kept open until the process ends:
// few, since only what destroys a key reads them.
var kept struct {
	sync.Mutex
	files []*os.File
}

func stayOpen(f *os.File) {
	kept.Lock()
	defer kept.Unlock()
	kept.files = append(kept.files, f)
}
