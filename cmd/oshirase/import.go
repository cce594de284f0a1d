package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/list"
	"oshirase/mailer/words"
	"oshirase/store"
)

// importResult is the JSON of `import`.
type importResult struct {
	List       string        `json:"list"`
	SHA256     string        `json:"sha256"`
	Encoding   string        `json:"encoding"`
	Rows       int64         `json:"rows"`
	Imported   int64         `json:"imported"`
	Updated    int64         `json:"updated"`
	Duplicates int64         `json:"duplicates"`
	Rejected   int64         `json:"rejected"`
	Errors     []importError `json:"errors"`
	// ErrorsOmitted counts refused rows beyond those in errors; all of them are in
	// the file of --errors.
	ErrorsOmitted int64         `json:"errors_omitted,omitempty"`
	DryRun        bool          `json:"dry_run,omitempty"`
	Shift         *mailer.Shift `json:"shift,omitempty"`
}

// importError is why a row was refused.
type importError struct {
	Row    int64  `json:"row"`    // row in the file, 1 is the header
	Column string `json:"column"` // header of the column; empty where the whole row is meant
	Reason string `json:"reason"` // without the value itself
}

// maxErrors bounds how many refused rows a result lists, and so the memory.
const maxErrors = 1000

func newImportCommand(a *app) *cobra.Command {
	im := importer{app: a}
	var columns []string
	c := &cobra.Command{
		Use:   "import LIST",
		Short: "Read an affected-customer list of a merchant",
		Long: `import reads a list of affected people (CSV, TSV or XLSX, with a header row) into an
incident, in one transaction: all good rows, or, where the list as a whole cannot be
taken, none. Rows that cannot be taken are refused with row, column and reason; with
--errors they are written to a file in the list's own encoding, to be mended and
imported again.

Headers in Japanese and English are understood (会員番号, 氏名, フリガナ, メールアドレス,
郵便番号, 住所, 電話番号, 漏えい区分); every other column becomes an attribute for templates.
A person is a merchant's customer number, or else an e-mail address. Importing the same
list again changes nothing.`,
		Example: `  oshirase import --incident pay --merchant housing lists/housing.csv
  oshirase import --incident pay --merchant housing --exposure A --column email=連絡先 --errors refused.csv list.xlsx
  oshirase import --incident pay --merchant housing --dry-run list.csv`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			im.columns = map[string]string{}
			for _, c := range columns {
				field, header, ok := strings.Cut(c, "=")
				if !ok || header == "" || !slices.Contains(list.Fields, field) {
					return usagef("--column %q: write field=header, the field being one of %s", c, strings.Join(list.Fields, ", "))
				}
				if _, twice := im.columns[field]; twice {
					return usagef("--column: %s is given twice", field)
				}
				im.columns[field] = header
			}
			switch im.encoding {
			case list.Auto, list.UTF8, list.CP932:
			default:
				return usagef("--encoding %q: use auto, utf-8 or cp932", im.encoding)
			}
			return im.run(cmd.Context(), args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&im.incident, "incident", "", "`ID` of the incident")
	f.StringVar(&im.merchant, "merchant", "", "`ID` of the merchant")
	f.StringSliceVar(&im.exposures, "exposure", nil, "`EXPOSURE` of every row; may be repeated")
	f.StringArrayVar(&columns, "column", nil, "take `FIELD=HEADER` for a field; may be repeated")
	f.StringVar(&im.encoding, "encoding", list.Auto, "auto, utf-8 or cp932")
	f.BoolVar(&im.strict, "strict", false, "take nothing if any row is refused")
	f.BoolVar(&im.dryRun, "dry-run", false, "read and report, and change nothing")
	f.StringVar(&im.errorsFile, "errors", "", "write refused rows to this `FILE`")
	required(c, "incident", "merchant")
	return c
}

// importer reads one list into the ledger.
type importer struct {
	*app
	incident, merchant string
	exposures          []string
	columns            map[string]string
	encoding           string
	strict, dryRun     bool
	errorsFile         string

	result  importResult
	refused *list.ErrorWriter // nil without --errors
}

var errStrict = errors.New("rows were refused, and --strict takes all or nothing")

func (im *importer) run(ctx context.Context, path string) (err error) {
	db, err := im.store(ctx)
	if err != nil {
		return err
	}
	in, err := db.Incident(ctx, im.incident)
	if err != nil {
		return withHint(err, "load the incident with `oshirase apply`")
	}
	opt := list.Options{
		Encoding: im.encoding, Columns: im.columns, Exposures: in.ExposureIDs(), Default: im.exposures, KeepRaw: im.errorsFile != "",
	}
	r, err := list.Open(path, opt)
	if err != nil {
		return err
	}
	defer r.Close()
	im.result = importResult{Errors: []importError{}, DryRun: im.dryRun}
	if im.errorsFile != "" {
		if im.refused, err = list.NewErrorWriter(im.errorsFile, r, words.Error); err != nil {
			return err
		}
		defer im.refused.Abort()
	}
	failed := im.read(ctx, db, r)
	im.fill(r)
	if failed != nil && !errors.Is(failed, errStrict) {
		return failed
	}
	if im.refused != nil {
		if err := im.refused.Close(); err != nil {
			return err
		}
	}
	if err := im.report(); err != nil {
		return err
	}
	if failed != nil {
		return withHint(failed, "mend the rows, or leave --strict out to take the good ones; nothing was imported")
	}
	return nil
}

// read feeds the rows to the ledger, in one transaction.
func (im *importer) read(ctx context.Context, db *store.DB, r *list.Reader) error {
	bar := im.newProgress("importing", "bytes", 0)
	defer bar.end()
	var failed error // to write a row that the ledger refused
	res, err := db.Import(ctx, im.actor(), mailer.Import{
		Incident: im.incident, Merchant: im.merchant, DryRun: im.dryRun, Info: r.Info,
		Accept: func() error { return errors.Join(failed, im.allOrNothing()) },
		Reject: func(row mailer.Row, column string, err error) {
			if err := im.refuse(r.Refuse(row, column, err)); failed == nil {
				failed = err
			}
		},
		Progress: func(int64) { bar.set(r.Progress()) },
	}, func() (mailer.Row, error) {
		for {
			row, err := r.Next()
			var refused *list.Rejected
			if !errors.As(err, &refused) {
				return row, err
			}
			if err := im.refuse(refused); err != nil {
				return mailer.Row{}, err
			}
		}
	})
	im.result.List, im.result.Imported, im.result.Updated, im.result.Duplicates = res.List, res.Imported, res.Updated, res.Duplicates
	return err
}

// allOrNothing is asked before the transaction is committed.
func (im *importer) allOrNothing() error {
	if im.strict && im.result.Rejected > 0 {
		return errStrict
	}
	return nil
}

// refuse notes a row that was refused, and writes it to the errors file.
func (im *importer) refuse(r *list.Rejected) error {
	im.result.Rejected++
	if len(im.result.Errors) < maxErrors {
		im.result.Errors = append(im.result.Errors, importError{Row: r.Err.Row, Column: r.Err.Column, Reason: words.Error(r.Err.Err)})
	} else {
		im.result.ErrorsOmitted++
	}
	if im.refused == nil {
		return nil
	}
	return im.refused.Write(r)
}

func (im *importer) fill(r *list.Reader) {
	info, shift := r.Info(), r.Shift()
	im.result.SHA256, im.result.Encoding, im.result.Rows = info.SHA256, info.Encoding, info.Rows
	if shift.Voting > 0 {
		im.result.Shift = &shift
	}
	if im.dryRun {
		im.result.List = ""
	}
}

func (im *importer) report() error {
	res := &im.result
	slices.SortStableFunc(res.Errors, func(a, b importError) int { return int(a.Row - b.Row) })
	if im.json {
		return im.printJSON(res)
	}
	t := newTable("項目", "内容").alignRight(1)
	t.add("文字コード", res.Encoding)
	t.add("行数", number(res.Rows))
	t.add("新規", number(res.Imported))
	t.add("更新", number(res.Updated))
	t.add("重複", number(res.Duplicates))
	t.add("受け付けなかった行", number(res.Rejected))
	im.printTable(t)
	if im.dryRun {
		im.printf("試しに読み込んだだけで、何も変更していません。\n")
	}
	if s := res.Shift; s != nil && s.Shifted > 0 {
		im.printf("氏名とメールアドレスの行ずれの疑い: %s行（比較できた行の%.1f%%）\n", number(s.Shifted), 100*s.Share)
	}
	if len(res.Errors) == 0 {
		return nil
	}
	const shown = 20
	im.printf("\n")
	t = newTable("行", "列", "理由").alignRight(0)
	for _, e := range res.Errors[:min(shown, len(res.Errors))] {
		t.add(number(e.Row), e.Column, e.Reason)
	}
	im.printTable(t)
	if more := res.Rejected - shown; more > 0 {
		im.printf("ほか%s行（すべては --errors FILE または --json で確認できます）\n", number(more))
	}
	if im.errorsFile != "" {
		im.printf("受け付けなかった行を %s に書き出しました。修正して、もう一度読み込んでください。\n", im.errorsFile)
	}
	return nil
}
