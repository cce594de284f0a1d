package main

import (
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/check"
	"oshirase/mailer/words"
)

func newCampaignCheckCommand(a *app) *cobra.Command {
	var repeat bool
	c := &cobra.Command{
		Use:   "check ID",
		Short: "Freeze the recipients, render and lint every notice",
		Long: `check freezes the recipients of a campaign, renders the notice of every one of
them, lints it and stores its hash: what differs from it later is not sent. Any
approval given before is void. Exit code 3 means that errors were found; they
forbid approval.

People who already got a notice of this stage that said the same are suppressed,
unless --allow-repeat is given.`,
		Example: "  oshirase campaign check c-20261201-7f3a",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			notices, err := a.notices()
			if err != nil {
				return err
			}
			cfg, err := a.config()
			if err != nil {
				return err
			}
			grouping, err := cfg.Grouping()
			if err != nil {
				return err
			}
			bar := a.newProgress("checking", "notices", 0)
			c := check.Check{
				Store: db, Notices: notices, Now: a.now, AllowRepeat: repeat, Grouping: grouping, Words: words.Error,
				Progress: func(done int64) { bar.set(done, 0) },
			}
			began := time.Now()
			result, err := c.Run(cmd.Context(), a.actor(), args[0])
			took := time.Since(began)
			bar.end()
			if err != nil {
				return err
			}
			speed := float64(result.Recipients) / took.Seconds()
			if a.json {
				err = a.printJSON(checkJSON{result, took.Seconds(), speed})
			} else {
				t := newTable("項目", "件数").alignRight(1)
				t.add("対象者", number(result.Recipients))
				t.add("送信対象", number(result.Sendable))
				for _, reason := range sortedKeys(result.Suppressed) {
					t.add("対象外（"+suppressedJapanese(reason)+"）", number(result.Suppressed[reason]))
				}
				declared := "申告なし"
				if result.Declared != nil {
					declared = number(*result.Declared)
				}
				t.add("申告件数", declared)
				a.printTable(t)
				a.printf("照合値 %s\n", result.Digest)
				a.printf("所要時間 %.1f秒（毎秒%s件）\n", took.Seconds(), number(int64(speed)))
				a.printFindings(result.Findings)
			}
			if err != nil {
				return err
			}
			if n := result.Errors(); n > 0 {
				return checkError{errors: n, hint: "mend the facts, the list or the merchant's parts, then check again"}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&repeat, "allow-repeat", false, "also take people who already got a notice of this stage that said the same")
	return c
}

// checkJSON is the JSON of `campaign check`.
type checkJSON struct {
	mailer.CheckResult
	Seconds float64 `json:"seconds"`
	// PerSecond is how many recipients were read, rendered, checked and frozen a second.
	PerSecond float64 `json:"per_second"`
}

// suppressedJapanese says why somebody is passed over.
func suppressedJapanese(reason mailer.Suppression) string {
	switch reason {
	case mailer.SuppressedNoEmail:
		return "メールアドレスなし"
	case mailer.SuppressedBadAddress:
		return "メールアドレス不備"
	case mailer.SuppressedAlreadyNotified:
		return "通知済み"
	case mailer.SuppressedNotConcerned:
		return "訂正の対象外"
	}
	return string(reason)
}
