// Package intake takes a list of affected people into the ledger: good rows are
// fed, refused ones are reported and written to a file that can be mended, all in
// one transaction. A list that the ledger knows already is not read again.
//
// It parses nothing (mailer/list does) and knows the ledger only through the
// interface below. Reasons are errors with codes; whoever calls gives the words.
package intake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"oshirase/mailer"
	"oshirase/mailer/authority"
	"oshirase/mailer/list"
	"oshirase/mailer/outfile"
)

// Ledger is what taking a list in needs of the store.
type Ledger interface {
	authority.Register
	Incident(ctx context.Context, id string) (mailer.Incident, error)
	Merchants(ctx context.Context) ([]mailer.Merchant, error)
	// Import takes rows in, in one transaction; see store.DB.Import.
	Import(ctx context.Context, by mailer.Actor, o mailer.Import, rows func() (mailer.Row, error)) (mailer.ImportResult, error)
	// KnownSize reports whether a list of that many bytes was taken in for the
	// merchant. It is cheap: with false, nobody needs the file's digest.
	KnownSize(ctx context.Context, incident, merchant string, size int64) (bool, error)
	// FindImported finds a list with that digest that was read in the same way, and
	// from which nothing would be taken now.
	FindImported(ctx context.Context, incident, merchant, sha256, how string) (mailer.ImportedList, bool, error)
	// RecordAct records who did something that changes nothing else.
	RecordAct(ctx context.Context, by mailer.Actor, action mailer.Action, subject, detail string) error
}

// Order says which list is taken in, and how.
type Order struct {
	Path               string // of the list: a regular file
	Incident, Merchant string
	Exposures          []string          // of every row, besides those of its own cell
	Columns            map[string]string // field to header; see list.Options
	Encoding           string            // auto, utf-8 or cp932; empty is auto
	Strict             bool              // take nothing if any row is refused
	DryRun             bool              // read and report, and change nothing
	// ErrorsFile is where refused rows go; empty: nowhere. It must not be there
	// before, and is afterwards, also where none was refused; a dry run writes none.
	ErrorsFile string
}

// Intake takes lists in.
type Intake struct {
	Ledger Ledger
	// Words says why a row was refused, for the result and the errors file.
	Words func(error) string
	// TempDir is where what does not fit into memory of a list goes, sealed; see
	// list.Options. What an import that was killed left there is removed.
	TempDir string
	// Progress hears how many bytes of how many were read; may be nil.
	Progress func(read, total int64)
}

// Result is what an import came to. JSON keys are the contract of `import`.
type Result struct {
	List       string `json:"list"` // ID; empty after a dry run, or where nothing was kept
	SHA256     string `json:"sha256"`
	Encoding   string `json:"encoding"`
	Rows       int64  `json:"rows"`
	Imported   int64  `json:"imported"`
	Updated    int64  `json:"updated"`
	Duplicates int64  `json:"duplicates"`
	Rejected   int64  `json:"rejected"`
	// Held is how many deliveries of campaigns that stand are held from now on: of people
	// whom the list changed.
	Held   int64     `json:"held,omitempty"`
	Errors []Refusal `json:"errors"` // in the order of the rows
	// ErrorsOmitted counts refused rows beyond those in Errors; all of them are in the
	// errors file.
	ErrorsOmitted int64         `json:"errors_omitted,omitempty"`
	DryRun        bool          `json:"dry_run,omitempty"`
	Shift         *mailer.Shift `json:"shift,omitempty"` // nil: no row could be compared
	// Elsewhere is the merchant whose list it may be by its people, Named the one whose
	// list it may be by its name; nil, empty: none. Neither keeps it from being taken.
	Elsewhere *mailer.Elsewhere `json:"elsewhere,omitempty"`
	Named     string            `json:"named,omitempty"`
}

// Refusal is a row that was not taken.
type Refusal struct {
	Row    int64  `json:"row"`    // row in the file, 1 is the header
	Column string `json:"column"` // header of the column; empty where the whole row is meant
	Reason string `json:"reason"` // Err in words, without the value itself (it may be personal)
	Err    error  `json:"-"`
}

// maxErrors bounds how many refused rows a result lists, and so the memory.
const maxErrors = 1000

// ErrStrict says that rows were refused and Order.Strict was asked for: nothing was
// taken, and the Result beside it says which rows.
var ErrStrict = mailer.Invalid("intake.strict")

// Import takes one list in: all good rows, or none where the list as a whole cannot
// be taken.
func (in *Intake) Import(ctx context.Context, by mailer.Actor, o Order) (Result, error) {
	by, err := authority.May(ctx, in.Ledger, by, mailer.ActImport, o.Merchant)
	if err != nil {
		return Result{}, err
	}
	if o.ErrorsFile != "" {
		if err := outfile.Free(o.ErrorsFile); err != nil {
			return Result{}, err
		}
	}
	if o.DryRun {
		o.ErrorsFile = ""
	}
	incident, err := in.Ledger.Incident(ctx, o.Incident)
	if errors.Is(err, mailer.ErrNotFound) {
		return Result{}, mailer.NotFound("intake.no-incident", "cause", err)
	}
	if err != nil {
		return Result{}, err
	}
	opt := list.Options{
		Encoding: o.Encoding, Columns: o.Columns, Exposures: incident.ExposureIDs(), Default: o.Exposures, KeepRaw: o.ErrorsFile != "",
		TempDir: in.TempDir,
	}
	if in.TempDir != "" {
		_ = list.Sweep(in.TempDir) // what cannot be removed is no reason not to import
	}
	named, err := in.named(ctx, &o)
	if err != nil {
		return Result{}, err
	}
	if known, found, err := in.known(ctx, &o, &opt); err != nil {
		return Result{}, err
	} else if found {
		return in.again(ctx, by, &o, opt, known, named)
	}
	r, err := list.Open(o.Path, opt)
	if err != nil {
		return Result{}, err
	}
	defer r.Close()
	t := &taking{Intake: in, order: &o, how: o.how(&opt), r: r, result: Result{Errors: []Refusal{}, DryRun: o.DryRun, Named: named}}
	return t.run(ctx, by)
}

// named is another merchant whose id stands in the name of the file, where that of the
// merchant does not.
func (in *Intake) named(ctx context.Context, o *Order) (string, error) {
	all, err := in.Ledger.Merchants(ctx)
	if err != nil {
		return "", err
	}
	words := strings.FieldsFunc(strings.ToLower(filepath.Base(o.Path)), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	name := "-" + strings.Join(words, "-") + "-"
	other := ""
	for i := range all {
		switch id := all[i].ID; {
		case !strings.Contains(name, "-"+id+"-"):
		case id == o.Merchant:
			return "", nil
		default:
			other = id
		}
	}
	return other, nil
}

// how says all beside the bytes of the file that decides what its rows mean. The
// ending of its name does where a header has commas as well as tabs.
func (o *Order) how(opt *list.Options) string { return opt.How() + filepath.Ext(o.Path) }

// known looks whether the ledger took this very list before and would take nothing
// from it now. The file is read for its digest only where one of its size is known.
func (in *Intake) known(ctx context.Context, o *Order, opt *list.Options) (mailer.ImportedList, bool, error) {
	var none mailer.ImportedList
	st, err := os.Stat(o.Path)
	if err != nil || !st.Mode().IsRegular() {
		return none, false, nil // opening it says what is wrong
	}
	if likely, err := in.Ledger.KnownSize(ctx, o.Incident, o.Merchant, st.Size()); err != nil || !likely {
		return none, false, err
	}
	sum, _, err := list.Fingerprint(o.Path)
	if err != nil {
		return none, false, err
	}
	known, found, err := in.Ledger.FindImported(ctx, o.Incident, o.Merchant, sum, o.how(opt))
	if known.Rejected > 0 {
		found = false // which rows, only reading says
	}
	known.Info.SHA256 = sum
	return known, found && err == nil, err
}

// again is an import of a list that the ledger knows: all of it is there.
func (in *Intake) again(ctx context.Context, by mailer.Actor, o *Order, opt list.Options, known mailer.ImportedList, named string) (Result, error) {
	if o.ErrorsFile != "" {
		if err := in.emptyErrors(o, opt); err != nil {
			return Result{}, err
		}
	}
	res := Result{
		List: known.ID, SHA256: known.Info.SHA256, Encoding: known.Info.Encoding, Rows: known.Info.Rows, Duplicates: known.Info.Rows,
		Errors: []Refusal{}, DryRun: o.DryRun, Shift: shiftOf(known.Info.Shift), Named: named,
	}
	if o.DryRun {
		res.List = ""
		return res, nil
	}
	detail := fmt.Sprintf("incident %s, merchant %s, %d rows, known already", o.Incident, o.Merchant, res.Rows)
	return res, in.Ledger.RecordAct(ctx, by, mailer.ActImport, res.List, detail)
}

// emptyErrors writes an errors file without rows.
func (in *Intake) emptyErrors(o *Order, opt list.Options) error {
	r, err := list.Open(o.Path, opt)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := list.NewErrorWriter(o.ErrorsFile, r, in.Words)
	if err != nil {
		return err
	}
	return w.Close()
}

func shiftOf(s mailer.Shift) *mailer.Shift {
	if s.Voting == 0 {
		return nil
	}
	return &s
}

// taking is one list on its way.
type taking struct {
	*Intake
	order   *Order
	how     string
	r       *list.Reader
	refused *list.ErrorWriter // nil without an errors file
	written bool              // the errors file stands in its place
	failed  error             // of the errors file
	result  Result
}

func (t *taking) run(ctx context.Context, by mailer.Actor) (Result, error) {
	if t.order.ErrorsFile != "" {
		var err error
		if t.refused, err = list.NewErrorWriter(t.order.ErrorsFile, t.r, t.Words); err != nil {
			return Result{}, err
		}
		defer t.refused.Abort() //nolint:errcheck // it does nothing after Close, and there is nothing to be saved
	}
	err := t.read(ctx, by)
	if err != nil && !errors.Is(err, ErrStrict) {
		if t.written { // before the ledger failed: what it says is not so
			err = errors.Join(err, os.Remove(t.order.ErrorsFile))
		}
		return Result{}, err
	}
	t.finish()
	return t.result, err
}

// read feeds the rows to the ledger, in one transaction.
func (t *taking) read(ctx context.Context, by mailer.Actor) error {
	_, size := t.r.Progress()
	res, err := t.Ledger.Import(ctx, by, mailer.Import{
		Incident: t.order.Incident, Merchant: t.order.Merchant, DryRun: t.order.DryRun, Size: size, How: t.how,
		Info: func() mailer.ListInfo {
			info := t.r.Info()
			info.Shift = t.r.Shift()
			return info
		},
		Accept: t.accept,
		Reject: func(row mailer.Row, field string, reason error) {
			t.refuse(t.r.Refuse(row, field, reason))
		},
		Progress: func(int64) {
			if t.Progress != nil {
				t.Progress(t.r.Progress())
			}
		},
	}, t.next)
	t.result.Held = res.Held
	t.result.List, t.result.Imported, t.result.Updated, t.result.Duplicates = res.List, res.Imported, res.Updated, res.Duplicates
	t.result.Elsewhere = res.Elsewhere
	return err
}

// next is the next row that the list itself does not refuse.
func (t *taking) next() (mailer.Row, error) {
	for {
		row, err := t.r.Next()
		var rej *list.Rejected
		if !errors.As(err, &rej) {
			return row, err
		}
		t.refuse(rej)
		if t.failed != nil {
			return mailer.Row{}, t.failed
		}
	}
}

// accept is asked before the transaction is committed. The errors file comes first:
// rows that are neither in the ledger nor in that file would be lost.
func (t *taking) accept() error {
	if t.failed == nil && t.refused != nil {
		t.failed = t.refused.Close()
		t.written = t.failed == nil
	}
	if t.failed != nil {
		return t.failed
	}
	if t.order.Strict && t.result.Rejected > 0 {
		return ErrStrict
	}
	return nil
}

// refuse counts a row that is not taken, and writes it down.
func (t *taking) refuse(rej *list.Rejected) {
	t.result.Rejected++
	if len(t.result.Errors) < maxErrors {
		e := rej.Err
		t.result.Errors = append(t.result.Errors, Refusal{Row: e.Row, Column: e.Column, Reason: t.Words(e.Err), Err: e.Err})
	} else {
		t.result.ErrorsOmitted++
	}
	if t.refused != nil && t.failed == nil {
		t.failed = t.refused.Write(rej)
	}
}

// finish fills in what is known of the list once it was read.
func (t *taking) finish() {
	res, info := &t.result, t.r.Info()
	res.SHA256, res.Encoding, res.Rows, res.Shift = info.SHA256, info.Encoding, info.Rows, shiftOf(t.r.Shift())
	if t.order.DryRun {
		res.List = ""
	}
	slices.SortStableFunc(res.Errors, func(a, b Refusal) int { return int(a.Row - b.Row) })
}
