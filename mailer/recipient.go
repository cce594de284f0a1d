package mailer

// Person is what a list says of one person. Any field may be empty.
type Person struct {
	CustomerID string `json:"customer_id,omitempty"`
	Name       string `json:"name,omitempty"`
	NameKana   string `json:"name_kana,omitempty"`
	// Email is the address as the list has it: legacy forms such as a..b@ are kept.
	Email      string `json:"email,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Address    string `json:"address,omitempty"`
	Phone      string `json:"phone,omitempty"`
	// Attributes are the further columns of the list: header to value.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Row is one row of a list that was read and found good.
type Row struct {
	Number int64 // row in the file, 1 is the header
	Person
	Exposures []string // IDs, none twice
	// Raw are the cells as the file has them, in its encoding; nil unless the reader
	// was asked to keep them (for a file of refused rows).
	Raw [][]byte `json:",omitempty"`
}

// Recipient is one person of one merchant in one incident.
type Recipient struct {
	ID       int64
	Incident string
	Merchant string
	Ref      string // reference number (お問い合わせ番号), formatted for reading aloud
	Person
	Exposures []string // IDs, in the order of the incident
	// Told lists earlier notices of the incident by this merchant that a relay
	// accepted for the person when the campaign was frozen, oldest first.
	Told []Told
	// Salt is that of the commitment to what the campaign says to the recipient; it
	// comes from the incident's key.
	Salt [16]byte `json:"-"`
	// Undecided: a first warning or formal notice may have reached the person, or is
	// about to; false: what the ledger says of those is final.
	Undecided bool
}

// Told is one earlier notice to a person.
type Told struct {
	Stage Stage `json:"stage"`
	On    Date  `json:"on"` // the day on which a relay took it, in Japan
	// Exposures that the notice named.
	Exposures []string `json:"exposures"`
	// Same: it was of the stage and cause of the campaign that the person is read for.
	// Only a selection says so.
	Same bool `json:"-"`
}

// RowError says why a row, or a value in it, was not taken.
type RowError struct {
	Row    int64  // row in the file, 1 is the header
	Column string // header of the column; empty where the whole row is meant
	Err    error  // why, without the value itself (it may be personal)
}

func (e *RowError) Error() string {
	if e.Column == "" {
		return "row " + itoa(e.Row) + ": " + e.Err.Error()
	}
	return "row " + itoa(e.Row) + ", column " + e.Column + ": " + e.Err.Error()
}

func (e *RowError) Unwrap() error { return e.Err }
