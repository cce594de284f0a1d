package mailer

// Destroy asks for the end of an incident's key.
type Destroy struct {
	Incident string
	// KeyGone says that the key is known to be gone from where keys are kept, as after
	// an older database was put back; without it a missing key is an error, because it
	// may live where nobody looked.
	KeyGone bool
}

// Destroyed is what destroying a key came to.
type Destroyed struct {
	Incident string
	Keys     []string // ids of the keys that were deleted now; none: they were gone
	// Unreadable are the ids of keys that were left, because they do not say whose
	// they are.
	Unreadable []string
	Searched   bool // the database was searched for the key, which was still known
	Again      bool // everything was done before
}

// Rekeyed is what changing the master key came to.
type Rekeyed struct {
	From, To string // ids of the master keys: the one in use and the new one
	Keys     int    // that the new one opens
	Changed  bool   // false: all was so already
	// Unreadable are the ids of keys that were left as they are; no incident has them.
	Unreadable []string
}

// Backup is a copy that was made.
type Backup struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	// Keys are the ids of the keys that are in the copy, or, of a copy of the database,
	// those that it needs beside it.
	Keys []string `json:"keys"`
}
