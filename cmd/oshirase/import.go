package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer/intake"
	"oshirase/mailer/list"
	"oshirase/mailer/words"
)

func newImportCommand(a *app) *cobra.Command {
	var o intake.Order
	var columns []string
	c := &cobra.Command{
		Use:   "import LIST",
		Short: "Read an affected-customer list of a merchant",
		Long: `import reads a list of affected people (CSV, TSV or XLSX, with a header row) into an
incident, in one transaction: all good rows, or, where the list as a whole cannot be
taken, none. Rows that cannot be taken are refused with row, column and reason; with
--errors they are written to a file in the list's own encoding, to be mended and
imported again. That file must not be there yet; a dry run writes none. What in it a
spreadsheet might take for a formula has an apostrophe before it, which is taken away
when the file is imported.

Headers in Japanese and English are understood (会員番号, 氏名, フリガナ, メールアドレス,
郵便番号, 住所, 電話番号, 漏えい区分); every other column becomes an attribute for templates.
A person is a merchant's customer number, or else an e-mail address. Importing the same
list again changes nothing.`,
		Example: `  oshirase import --incident pay --merchant housing lists/housing.csv
  oshirase import --incident pay --merchant housing --exposure A --column email=連絡先 --errors refused.csv list.xlsx
  oshirase import --incident pay --merchant housing --dry-run list.csv`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Columns = map[string]string{}
			for _, c := range columns {
				field, header, ok := strings.Cut(c, "=")
				if !ok || header == "" || !slices.Contains(list.Fields, field) {
					return usagef("--column %q: write field=header, the field being one of %s", c, strings.Join(list.Fields, ", "))
				}
				if _, twice := o.Columns[field]; twice {
					return usagef("--column: %s is given twice", field)
				}
				o.Columns[field] = header
			}
			switch o.Encoding {
			case list.Auto, list.UTF8, list.CP932:
			default:
				return usagef("--encoding %q: use auto, utf-8 or cp932", o.Encoding)
			}
			if cmd.Flags().Changed("errors") && (o.ErrorsFile == "" || o.ErrorsFile == "-") {
				return usagef("--errors %q: give the name of a file that is not there yet", o.ErrorsFile)
			}
			o.Path = args[0]
			return a.importList(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Incident, "incident", "", "`ID` of the incident")
	f.StringVar(&o.Merchant, "merchant", "", "`ID` of the merchant")
	f.StringSliceVar(&o.Exposures, "exposure", nil, "`EXPOSURE` of every row; may be repeated")
	f.StringArrayVar(&columns, "column", nil, "take `FIELD=HEADER` for a field; may be repeated")
	f.StringVar(&o.Encoding, "encoding", list.Auto, "auto, utf-8 or cp932")
	f.BoolVar(&o.Strict, "strict", false, "take nothing if any row is refused")
	f.BoolVar(&o.DryRun, "dry-run", false, "read and report, and change nothing")
	f.StringVar(&o.ErrorsFile, "errors", "", "write refused rows to this `FILE`, which must not be there yet")
	required(c, "incident", "merchant")
	return c
}

// importList takes one list in and prints what came of it, also where strictness
// took nothing.
func (a *app) importList(ctx context.Context, o intake.Order) error {
	db, err := a.store(ctx)
	if err != nil {
		return err
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	bar := a.newProgress("importing", "bytes", 0)
	in := intake.Intake{Ledger: db, Words: words.Error, TempDir: filepath.Dir(cfg.DatabasePath()), Progress: bar.set}
	res, err := in.Import(ctx, a.actor(), o)
	bar.end()
	if err != nil && !errors.Is(err, intake.ErrStrict) {
		return err
	}
	if printErr := a.printImport(&res, o.ErrorsFile); printErr != nil {
		return printErr
	}
	return err
}

func (a *app) printImport(res *intake.Result, errorsFile string) error {
	if a.json {
		return a.printJSON(res)
	}
	t := newTable("項目", "内容").alignRight(1)
	t.add("文字コード", res.Encoding)
	t.add("行数", number(res.Rows))
	t.add("新規", number(res.Imported))
	t.add("更新", number(res.Updated))
	t.add("重複", number(res.Duplicates))
	t.add("受け付けなかった行", number(res.Rejected))
	if res.Held > 0 {
		t.add("保留した配信", number(res.Held))
	}
	a.printTable(t)
	if res.DryRun {
		a.printf("試しに読み込んだだけで、何も変更していません。\n")
	}
	if s := res.Shift; s != nil && s.Shifted > 0 {
		a.printf("氏名とメールアドレスの行ずれの疑い: %s行（比較できた行の%.1f%%）\n", number(s.Shifted), 100*s.Share)
	}
	a.printWrongMerchant(res)
	if len(res.Errors) == 0 {
		return nil
	}
	const shown = 20
	a.printf("\n")
	t = newTable("行", "列", "理由").alignRight(0)
	for _, e := range res.Errors[:min(shown, len(res.Errors))] {
		t.add(number(e.Row), e.Column, e.Reason)
	}
	a.printTable(t)
	if more := res.Rejected - shown; more > 0 {
		a.printf("ほか%s行（すべては --errors FILE または --json で確認できます）\n", number(more))
	}
	if errorsFile != "" && !res.DryRun {
		a.printf("受け付けなかった行を %s に書き出しました。修正して、もう一度読み込んでください。\n", errorsFile)
	}
	return nil
}
