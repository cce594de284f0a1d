package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/outfile"
)

func newDeliveriesCommand(a *app) *cobra.Command {
	var id, state, file string
	var held bool
	c := &cobra.Command{
		Use:   "deliveries --campaign ID",
		Short: "Show the ledger of a campaign, person by person",
		Long: `deliveries lists what became of every recipient of a campaign, with the last reply of
the relay. --csv writes it to a file (UTF-8 with a byte order mark, for spreadsheets);
the file holds personal data, never takes the place of another, and has an apostrophe
before what a spreadsheet might take for a formula (--json has all as it is). The list
streams: a campaign may have millions.

While campaigns are being sent, each row is as it is when it is read. While much is sent
(1,000 messages a second and more) a long list takes its time: it leaves the machine to
the sending.`,
		Example: `  oshirase deliveries --campaign c-20261201-7f3a --state rejected
  oshirase deliveries --campaign c-20261201-7f3a --csv ledger.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			of := mailer.DeliveryFilter{Campaign: id, Held: held}
			if cmd.Flags().Changed("state") {
				var err error
				if of.State, err = oneOf("state", state, mailer.States, "; docs/states.md says what they mean"); err != nil {
					return err
				}
			}
			switch {
			case cmd.Flags().Changed("csv") && file == "":
				return usagef("--csv is empty: give a file, or - for standard output")
			case a.json && (file == "-" || file == "/dev/stdout"):
				return usagef("--json and --csv %s both want standard output: leave one out", file)
			}
			if file != "" && file != "-" && file != "/dev/stdout" {
				if err := outfile.Free(file); err != nil {
					return err
				}
			}
			r, err := a.register(cmd.Context())
			if err != nil {
				return err
			}
			each := func(fn func(*mailer.DeliveryView) error) error { return r.Deliveries(cmd.Context(), a.actor(), of, fn) }
			if file == "-" || file == "/dev/stdout" {
				_, err := writeDeliveries(a.stdout, each)
				return err
			}
			if file != "" {
				n, err := fileDeliveries(file, each)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(map[string]any{"file": file, "deliveries": n})
				}
				a.printf("%s件を %s に書き出しました。\n", number(n), file)
				return nil
			}
			if a.json {
				return streamJSON(a.stdout, "deliveries", each)
			}
			return a.printDeliveries(each)
		},
	}
	f := c.Flags()
	f.StringVar(&id, "campaign", "", "`ID` of the campaign")
	f.StringVar(&state, "state", "", "only deliveries in this `STATE`, as accepted or 受付済み")
	f.BoolVar(&held, "held", false, "only deliveries that are held, and why")
	f.StringVar(&file, "csv", "", "write them to this `FILE`, which must not be there yet; - is standard output")
	required(c, "campaign")
	return c
}

type eachDelivery func(func(*mailer.DeliveryView) error) error

// streamJSON writes {"key":[…]}, one element a line.
func streamJSON[T any](w io.Writer, key string, each func(func(T) error) error) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(jsonWriter{out})
	enc.SetEscapeHTML(false)
	fmt.Fprintf(out, "{%q: [\n", key) // a bufio.Writer keeps its error until Flush
	first := true
	err := each(func(v T) error {
		if !first {
			_ = out.WriteByte(',')
		}
		first = false
		return enc.Encode(v)
	})
	if err != nil {
		return err
	}
	_, _ = out.WriteString("]}\n")
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// fileDeliveries writes them to a file that is not there yet.
func fileDeliveries(path string, each eachDelivery) (n int64, err error) {
	f, err := outfile.Create(path)
	if err != nil {
		return 0, err
	}
	n, err = writeDeliveries(f, each)
	return n, f.Finish(err)
}

func writeDeliveries(to io.Writer, each eachDelivery) (n int64, err error) {
	buf := bufio.NewWriterSize(to, 1<<16)
	_, _ = buf.WriteString("\ufeff") // a bufio.Writer keeps its error until Flush
	w := csv.NewWriter(buf)
	w.UseCRLF = true
	if err := w.Write(mailer.DeliveryColumns); err != nil {
		return 0, err
	}
	if err := each(func(v *mailer.DeliveryView) error {
		n++
		cells := v.Cells()
		for i, c := range cells {
			cells[i] = mailer.Cell(c)
		}
		return w.Write(cells)
	}); err != nil {
		return n, err
	}
	w.Flush()
	return n, errors.Join(w.Error(), buf.Flush())
}

// tableRows is how many deliveries are aligned as one table on a terminal:
// memory must not grow with the campaign.
const tableRows = 500

func (a *app) printDeliveries(each eachDelivery) error {
	head := []string{"お問い合わせ番号", "宛先", "状態", "回数", "日時", "応答"}
	t := newTable(head...).alignRight(3)
	printed := false
	flush := func() {
		if len(t.rows) > 0 || !printed {
			a.printTable(t)
		}
		printed = true
		t.rows = nil
	}
	err := each(func(v *mailer.DeliveryView) error {
		to := ""
		if addr, err := mailer.ParseAddress(v.Email); err == nil {
			to = addr.Mask()
		}
		if v.Damaged {
			to = "（記録の破損）"
		}
		st := v.State.Japanese()
		if v.Suppressed != "" {
			st += "（" + v.Suppressed.Japanese() + "）"
		}
		if v.Held != "" {
			st += "（" + v.Held.Japanese() + "）"
		}
		t.add(v.Ref, to, st, strconv.Itoa(v.Attempts), jst(v.LastAt), v.Reply())
		if len(t.rows) == tableRows {
			flush()
		}
		return nil
	})
	if err == nil && (len(t.rows) > 0 || !printed) {
		flush()
	}
	return err
}
