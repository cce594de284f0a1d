package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"oshirase/config"
	"oshirase/mailer"
)

func newRekeyCommand(a *app) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "rekey --to FILE",
		Short: "Change the master key",
		Long: `rekey has every key wrapped by another master key, that of FILE; it is made, for its
owner alone, where there is no such file, and never overwritten. Names, references and
what was sent stay as they are.

Then [key] in the config has to name FILE: nothing opens with the old key any more but
older copies, of the database and of the keys. Where rekey was cut off, run it again,
with either key in the config. Workers that run go on with what they have in memory,
and fail with "wrong master key" at what they have not: restart them.`,
		Example: "  oshirase rekey --to master-2027.key --by 情報管理責任者",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.needLedger(); err != nil {
				return err
			}
			keeping, err := a.keeping(cmd.Context())
			if err != nil {
				return err
			}
			key, made, err := a.masterKeyAt(to)
			if err != nil {
				return err
			}
			res, err := keeping.Rekey(cmd.Context(), a.actor(), key)
			if err != nil {
				return err
			}
			return a.printRekeyed(res, to, made)
		},
	}
	c.Flags().StringVar(&to, "to", "", "the new master key's `FILE`; made where there is none")
	required(c, "to")
	return c
}

// masterKeyAt reads a master key from a file, or makes it.
func (a *app) masterKeyAt(path string) (key []byte, made bool, err error) {
	key, err = config.ReadMasterKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key = make([]byte, config.KeySize)
	if _, err := io.ReadFull(a.random, key); err != nil {
		return nil, false, fmt.Errorf("make master key: %w", err)
	}
	// On disk before anything is wrapped by it.
	if err := writeOne(path, newFile{data: config.FormatKey(key), mode: 0o600}); err != nil {
		return nil, false, err
	}
	return key, true, syncFolder(filepath.Dir(path))
}

// rekeyResult is the JSON of `rekey`.
type rekeyResult struct {
	File       string   `json:"file"`
	Made       bool     `json:"made"` // the file was made now
	Master     string   `json:"master"`
	Keys       int      `json:"keys"`
	Changed    bool     `json:"changed"`
	Unreadable []string `json:"unreadable,omitempty"`
}

func (a *app) printRekeyed(res mailer.Rekeyed, to string, made bool) error {
	if a.json {
		return a.printJSON(rekeyResult{File: to, Made: made, Master: res.To, Keys: res.Keys, Changed: res.Changed, Unreadable: res.Unreadable})
	}
	if !res.Changed {
		a.printf("すべての鍵は、すでにマスターキー %s（%s）で保護されています。変更はありません。\n", res.To, to)
		return nil
	}
	a.printf("マスターキーを %s（%s）に変更しました。対象の事案の鍵: %d\n", res.To, to, res.Keys)
	if len(res.Unreadable) > 0 {
		a.printf("変更できなかった鍵（どの事案にも属しません）: %s\n", strings.Join(res.Unreadable, ", "))
	}
	a.printf(`次に行うこと:
- 設定の [key] の file を %q にする（env を使う場合は、その値を変更する）
- 動作中の serve などを再起動する
- 新しいマスターキーの写しを、データベースとも鍵フォルダーとも別の場所に保管する
- 以前のマスターキーは、変更前のバックアップが不要になった時点で破棄する
`, to)
	return nil
}
