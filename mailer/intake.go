package mailer

import "time"

// Import is one list on its way into the ledger: whose it is and who hears of it.
// The callbacks and the row source are called on one goroutine.
type Import struct {
	Incident, Merchant string
	DryRun             bool
	// Size is the file's, in bytes, and How a digest of all beside the file that says
	// what its rows mean: options, exposures. See ImportedList.
	Size int64
	How  string
	// Info is asked once the rows have ended; nil: nothing is known of the file.
	Info func() ListInfo
	// Accept is asked at the end, before anything is kept; an error takes it all
	// back. nil accepts.
	Accept func() error
	// Reject hears of rows that the ledger refuses; nil drops them silently.
	// Column is a field of Person in snake case, or exposure, or empty.
	Reject func(row Row, column string, reason error)
	// Progress hears now and then how many rows have been taken in.
	Progress func(rows int64)
}

// ImportResult is what an import came to.
type ImportResult struct {
	List       string // id; of the earlier list where the same file changed nothing
	Rows       int64  // that the source gave
	Imported   int64  // new recipients
	Updated    int64  // known recipients with a new exposure or a changed field
	Duplicates int64  // known, nothing new
	Rejected   int64
	// Held is how many deliveries are held from now on, since what the list says of
	// their people is not what was checked.
	Held int64
	// Elsewhere is the merchant who has the same people; nil: none has.
	Elsewhere *Elsewhere
}

// Elsewhere is another merchant of the incident who has half of a list's people or
// more: the list may be that one's.
type Elsewhere struct {
	Merchant string `json:"merchant"`
	Same     int    `json:"same"`    // people by number or address, and by name, among
	Sampled  int    `json:"sampled"` // so many of the list
}

// ListInfo is what is known of a list file once it has been read to its end.
type ListInfo struct {
	Name     string `json:"name"` // base name of the file
	SHA256   string `json:"sha256"`
	Encoding string `json:"encoding"` // utf-8, cp932 or xlsx
	Rows     int64  `json:"rows"`     // data rows, the header not counted
	Shift    Shift  `json:"shift"`
}

// Shift says how names and addresses of a list fit each other, row by row.
type Shift struct {
	Voting  int64   `json:"voting"`  // rows whose name and address can be compared
	Own     int64   `json:"own"`     // rows whose address holds their own name
	Shifted int64   `json:"shifted"` // rows whose address stands Offset rows away
	Share   float64 `json:"share"`   // Shifted of Own and Shifted
	// Offset is how many rows below its name an address stands; negative is above.
	Offset int `json:"offset,omitempty"`
	// From is the first row of the longest stretch that is shifted; 0 where there is none.
	From int64 `json:"from,omitempty"`
}

// ImportedList is a list that the ledger took in before, and from which it would
// take nothing now: same bytes, read in the same way, and nobody of the merchant
// changed since.
type ImportedList struct {
	ID       string
	Info     ListInfo
	Rejected int64
}

// ListView is a list that was taken in. JSON keys are the contract of `lists`.
type ListView struct {
	ID       string    `json:"id"`
	Incident string    `json:"incident"`
	Merchant string    `json:"merchant"`
	Name     string    `json:"name"` // base name of the file
	Rows     int64     `json:"rows"`
	Imported int64     `json:"imported"` // people whom it brought
	At       time.Time `json:"at"`
	// Removable: it can be taken back. Kept says why not; Why is that in words, put by
	// cmd and web.
	Removable bool   `json:"removable"`
	Kept      error  `json:"-"`
	Why       string `json:"why,omitempty"`
}

// ListFilter says which lists; empty: all.
type ListFilter struct{ Incident, Merchant string }

// ListRemoved is what taking a list back came to.
type ListRemoved struct {
	List     string   `json:"list"`
	People   int64    `json:"people"`   // whom it alone had brought: they are gone
	Restored int64    `json:"restored"` // of whom stands what earlier lists said
	Held     int64    `json:"held"`     // deliveries to these, from now on
	Voids    []Voided `json:"voids"`
}
