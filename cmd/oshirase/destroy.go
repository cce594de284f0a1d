package main

import (
	"strings"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newDestroyCommand(a *app) *cobra.Command {
	var d mailer.Destroy
	var confirm string
	c := &cobra.Command{
		Use:   "destroy --incident ID --confirm ID --by NAME",
		Short: "Destroy the key of an incident, and so its personal data",
		Long: `destroy makes the personal data of an incident unreadable, for good: the key that
seals it is destroyed. No copy of the database opens it again, whoever has the master
key, be it older or newer. Reference numbers, states, counts and the history remain.

It says what it cannot reach: copies of the keys above all. Where it was cut off, the
same command goes on. Readers of the database are waited for, half a minute at most;
where they go on, the key is destroyed and the exit code is 1: end them, run it again.

The incident is named twice, so that nobody destroys the wrong one by a slip.`,
		Example: "  oshirase destroy --incident pay --confirm pay --by 情報管理責任者",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			facts, err := a.facts(cmd.Context())
			if err != nil {
				return err
			}
			by := a.actor()
			res, err := facts.Destroy(cmd.Context(), by, d, confirm)
			if mailer.CodeOf(err) == campaign.NotConfirmed {
				return usageError{err: err}
			}
			if err != nil {
				return err
			}
			return a.printDestroyed(res, by)
		},
	}
	f := c.Flags()
	f.StringVar(&d.Incident, "incident", "", "`ID` of the incident")
	f.StringVar(&confirm, "confirm", "", "the same `ID` again")
	f.BoolVar(&d.KeyGone, "key-gone", false, "the key is known to be gone already, as in an older copy of the database: only say so in the ledger")
	required(c, "incident", "confirm")
	return c
}

// destroyResult is the JSON of `destroy`.
type destroyResult struct {
	Incident    string   `json:"incident"`
	DestroyedBy string   `json:"destroyed_by"`
	Keys        []string `json:"keys"`     // deleted now
	Searched    bool     `json:"searched"` // the database was searched for them
	Again       bool     `json:"again"`    // all was done before
	Unreachable []string `json:"unreachable"`
	Unreadable  []string `json:"unreadable,omitempty"` // keys that do not say whose they are
}

// unreachable is what destroying a key cannot reach, by its name in JSON.
var unreachable = map[string]string{
	"key-backups":    "鍵フォルダーの写し（バックアップ、backup --keys の保存先）",
	"command-copies": "鍵コマンドの側に残る写し（旧版、バックアップ）",
	"process-memory": "動作中のプロセスの記憶域（台帳を見るたびに鍵を捨てます）",
	"snapshots":      "ファイルシステムや仮想マシンのスナップショット",
	"storage":        "SSD などの記憶装置が内部に残す以前の書き込み",
}

func (a *app) printDestroyed(res mailer.Destroyed, by mailer.Actor) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	beyond := []string{"key-backups", "process-memory", "snapshots", "storage"}
	if len(cfg.Key.Command) > 0 {
		beyond[0] = "command-copies"
	}
	if a.json {
		return a.printJSON(destroyResult{
			Incident: res.Incident, DestroyedBy: by.Name, Keys: append([]string{}, res.Keys...), Searched: res.Searched, Again: res.Again,
			Unreachable: beyond, Unreadable: res.Unreadable,
		})
	}
	if res.Again {
		a.printf("事案 %s の鍵は、すでに破棄されています。\n", res.Incident)
	} else {
		a.printf("事案 %s の鍵を破棄し、個人データを読み取れないようにしました。過去の写しからも読み取れません。\n", res.Incident)
	}
	if res.Searched {
		a.printf("データベースと記録ファイルを検索し、鍵が残っていないことを確認しました。\n")
	}
	a.printf("この操作が及ばないもの:\n")
	for _, what := range beyond {
		a.printf("- %s\n", unreachable[what])
	}
	if len(res.Unreadable) > 0 {
		a.printf("読み取れないため、どの事案のものか確認できない鍵: %s\n", strings.Join(res.Unreadable, ", "))
	}
	return nil
}
