package main

import (
	"context"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/campaign"
)

func newBackupCommand(a *app) *cobra.Command {
	var keys bool
	c := &cobra.Command{
		Use:   "backup [--keys] DIR",
		Short: "Copy the database, or the keys, while others send",
		Long: `backup copies the database into DIR as it is at one moment, for its owner alone, and
checks the copy; whoever sends goes on. The copy needs the keys and the master key
beside it: backup --keys copies the keys of the incidents, wrapped by the master key,
into a folder of their own.

Nothing is ever overwritten: give each copy a folder, such as one of today's date.
destroy cannot reach copies of keys: delete the key's file there too.`,
		Example: `  oshirase backup /backup/db/2026-11-25
  oshirase backup --keys /elsewhere/keys/2026-11-25`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.needLedger(); err != nil {
				return err
			}
			keeping, err := a.keeping(cmd.Context())
			if err != nil {
				return err
			}
			if keys {
				res, err := keeping.BackupKeys(cmd.Context(), a.actor(), args[0])
				if err != nil {
					return err
				}
				return a.printBackup(res, keysCopied)
			}
			bar := a.newProgress("copying", "bytes", 0)
			res, err := keeping.Backup(cmd.Context(), a.actor(), args[0], bar.set)
			bar.end()
			if err != nil {
				return err
			}
			return a.printBackup(res, databaseCopied)
		},
	}
	c.Flags().BoolVar(&keys, "keys", false, "copy the keys of the incidents, and not the database")
	return c
}

const (
	databaseCopied = `この写しを読み取るには、次のものが必要です（別々に保管してください）:
- 事案の鍵（oshirase backup --keys で保存）
- マスターキー（設定の [key]）
- 設定、事案と加盟店の資料
復元するときは、すべての oshirase を停止し、写しをデータベースの場所に置きます。
写しの時点より後の送信は台帳に残っていません。復元後にそのまま送信すると、二重に届くおそれがあります。
`
	keysCopied = `鍵はマスターキーで保護されています。データベースの写し、マスターキーとは別の場所に保管してください。
復元するときは、ファイルを設定の [key] の folder に置きます。
事案の鍵を破棄（destroy）したときは、ここにある同じ名前のファイルも破棄してください。
`
)

func (a *app) printBackup(res mailer.Backup, advice string) error {
	if a.json {
		return a.printJSON(res)
	}
	a.printf("%s\t%s bytes\n", res.Path, number(res.Bytes))
	for _, id := range res.Keys {
		a.printf("%s.key\n", id)
	}
	a.printf("\n%s", advice)
	return nil
}

// keeping wires what looks after keys and copies.
func (a *app) keeping(ctx context.Context) (*campaign.Keeping, error) {
	db, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	return &campaign.Keeping{Ledger: db}, nil
}

// needLedger refuses a config that names no ledger that is there: an empty one is not
// made to be copied.
func (a *app) needLedger() error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if _, err := os.Stat(cfg.DatabasePath()); err != nil {
		return mailer.NewError(fs.ErrNotExist, "ledger.none", "path", cfg.DatabasePath())
	}
	return nil
}
