package mailer

// Templates turns snapshots into templates.
type Templates interface {
	// Digest identifies the built-in templates.
	Digest() string
	// Compile prepares the notice of a snapshot. An error names the part and line.
	Compile(snap *Snapshot) (Template, error)
}

// Template renders and checks the notices of one campaign; it is safe for
// concurrent use.
type Template interface {
	// Render makes the notice of one recipient; ErrNotConcerned where it has nothing
	// to say to them.
	Render(r *Recipient) (Notice, error)
	// CheckFacts lints what is the same for every recipient.
	CheckFacts() []Finding
	// CheckNotice lints one rendered notice.
	CheckNotice(r *Recipient, n *Notice) []Finding
}
