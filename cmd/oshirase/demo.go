package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oshirase/mailer"
	"oshirase/mailer/sink"
)

// demoMark marks a folder that demo made, and names what it made there.
const demoMark = ".oshirase-demo"

// demoCampaigns is the story: five senders, each with its own list and voice.
var demoCampaigns = []struct {
	incident, merchant string
	lists, args        []string
	japanese           string
}{
	{"pay", "processor", []string{"processor-merchants.csv", "processor-customers.csv"}, []string{"--exposure", "C"}, "決済代行会社から、加盟店へ"},
	{"pay", "processor", nil, []string{"--exposure", "A,B1,B2,B3,B4"}, "決済代行会社から、自社サービスの利用者へ"},
	{"pay", "housing", []string{"housing.csv"}, nil, "加盟店（住宅ローンの協会）から、そのお客さまへ"},
	{"pay", "donation", []string{"donation.csv"}, []string{"--certainty", "possible"}, "加盟店（寄付の団体）から、漏えいの可能性がある寄付者へ"},
	{"pay", "donation", nil, []string{"--certainty", "confirmed"}, "同じ団体から、漏えいが確認された方へ（文面を分けます）"},
	{"pay", "sports", []string{"sports.csv"}, nil, "加盟店（競技団体）から、受講者へ"},
	{"shop", "shop", []string{"shop.csv"}, nil, "不正アクセスを受けた通販サイトから、そのお客さまへ"},
}

func newDemoCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "demo [DIR]",
		Short: "Tell the whole story in a minute, without network",
		Long: `demo plays the main job from end to end in a working folder (./oshirase-demo unless
given): it writes the samples of init, starts the built-in SMTP receiver on 127.0.0.1
with some addresses that are refused, busy or cut off, imports the lists of five
senders, checks, approves and sends, and shows what became of everybody. The messages
arrive as .eml files in DIR/mail that open in any mail program.

Every step is an ordinary oshirase command, shown as it is run. Run again, demo starts
afresh; it never deletes a file that it did not make.`,
		Example: "  oshirase demo\n  oshirase demo /tmp/demo",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "oshirase-demo"
			if len(args) == 1 {
				dir = args[0]
			}
			d := &demo{app: a, dir: dir}
			return d.run(cmd.Context())
		},
	}
}

// demo plays commands in one folder.
type demo struct {
	*app
	dir  string
	last string // campaign whose deliveries are shown
}

func (d *demo) run(ctx context.Context) error {
	if err := d.clear(); err != nil {
		return err
	}
	rules, err := sink.ParseRules(sink.DemoRules)
	if err != nil {
		return err
	}
	mail := filepath.Join(d.dir, "mail")
	if err := os.MkdirAll(mail, 0o700); err != nil {
		return err
	}
	srv, err := sink.Listen("127.0.0.1:0", sink.Options{Dir: mail, Rules: rules})
	if err != nil {
		return err
	}
	defer srv.Close()
	d.say("お知らせの準備から送信、結果の確認までを、ひととおり実行します（外部への通信はありません）。")
	d.say("試しですので、--window always を付けて時刻を問わず送ります。付けなければ、送るのは9時から20時までです。")
	d.say("受信役のSMTPサーバ: %s　届いたメール: %s", srv.Addr(), mail)
	var made struct{ Dir string }
	if err := d.ask(ctx, &made, "init", d.dir, "--relay", srv.Addr().String(), "--relay-tls", "none"); err != nil {
		return err
	}
	if err := d.hurry(); err != nil {
		return err
	}
	d.configFile = filepath.Join(d.dir, "oshirase.toml")
	d.cfg = nil
	for _, step := range []func(context.Context) error{d.prepare, d.send, d.look} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.next(mail)
	return nil
}

// prepare loads the facts, imports the lists and has every campaign checked and
// approved by two people.
func (d *demo) prepare(ctx context.Context) error {
	d.say("■ 1. 事案と加盟店の事実を読み込みます")
	if err := d.do(ctx, "apply"); err != nil {
		return err
	}
	for i, c := range demoCampaigns {
		d.say("■ 2-%d. %s", i+1, c.japanese)
		for _, list := range c.lists {
			if err := d.do(ctx, "import", "--incident", c.incident, "--merchant", c.merchant, filepath.Join(d.dir, "lists", list)); err != nil {
				return err
			}
		}
		create := append([]string{"campaign", "create", "--incident", c.incident, "--merchant", c.merchant, "--stage", "formal", "--window", "always"}, c.args...)
		var made struct{ ID string }
		if err := d.ask(ctx, &made, create...); err != nil {
			return err
		}
		d.last = made.ID
		d.printf("%s\n", made.ID)
		var checked mailer.CheckResult
		if err := d.ask(ctx, &checked, "campaign", "check", made.ID); err != nil {
			return err
		}
		d.printf("対象者 %s名、送信対象 %s名、指摘 %d件\n", number(checked.Recipients), number(checked.Sendable), len(checked.Findings))
		for _, by := range []string{"情報管理責任者", "法務担当"} {
			if err := d.do(ctx, "campaign", "approve", made.ID, "--by", by, "--count", fmt.Sprint(checked.Sendable)); err != nil {
				return err
			}
		}
		if err := d.do(ctx, "campaign", "start", made.ID); err != nil {
			return err
		}
	}
	return nil
}

// send runs until nothing is left but what a person has to decide.
func (d *demo) send(ctx context.Context) error {
	d.say("■ 3. 送信します（一部の宛先は、拒否・混雑・切断を起こします）")
	if err := d.deliver(ctx); err != nil {
		return err
	}
	d.say("■ 4. 混雑していた宛先に、時間をおいてもう一度送ります")
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(demoRetry + 500*time.Millisecond):
	}
	return d.deliver(ctx)
}

// deliver runs; that some of it waits for a person then is what is to be shown.
func (d *demo) deliver(ctx context.Context) error {
	err := d.do(ctx, "run")
	if _, ok := errors.AsType[personError](err); ok {
		return nil
	}
	return err
}

// look shows what became of everybody.
func (d *demo) look(ctx context.Context) error {
	d.say("■ 5. 全体の状況")
	if err := d.do(ctx, "status"); err != nil {
		return err
	}
	var ledger struct {
		Campaigns []struct {
			ID     string
			Counts map[mailer.State]int64
		}
	}
	if err := d.quietly(ctx, &ledger, "status"); err != nil {
		return err
	}
	for _, c := range ledger.Campaigns {
		if c.Counts[mailer.StateUnknown] == 0 {
			continue
		}
		d.say("■ 6. 最終応答の前に切断された宛先は「結果不明」として留め置き、人が判断します")
		if err := d.do(ctx, "deliveries", "--campaign", c.ID, "--state", "unknown"); err != nil {
			return err
		}
		d.say("受信側の記録で届いていることを確かめたものとして、受付済みにします。")
		if err := d.do(ctx, "resolve", "--campaign", c.ID, "--as", "accepted", "--all", "--by", "運用担当"); err != nil {
			return err
		}
	}
	d.say("■ 7. 通知文の一例")
	if err := d.do(ctx, "campaign", "preview", d.last); err != nil {
		return err
	}
	var deliveries struct{ Deliveries []struct{ Ref string } }
	if err := d.quietly(ctx, &deliveries, "deliveries", "--campaign", d.last); err != nil {
		return err
	}
	if len(deliveries.Deliveries) == 0 {
		return errors.New("the last campaign has no deliveries")
	}
	d.say("■ 8. お電話口での照会（照会も記録されます）")
	return d.do(ctx, "lookup", "--ref", deliveries.Deliveries[0].Ref, "--by", "窓口担当")
}

func (d *demo) next(mail string) {
	d.say("■ 次に試せること")
	config := filepath.Join(d.dir, "oshirase.toml")
	for _, s := range []string{
		"届いたメールを開く（.eml は、ほとんどのメールソフトで開けます）: " + mail,
		"状況を見る:         oshirase --config " + config + " status",
		"通知文を見る:       oshirase --config " + config + " campaign preview " + d.last,
		"事実を書き換える:   " + filepath.Join(d.dir, "incidents", "pay.toml") + " を編集し、oshirase --config " + config + " apply（通知文が変わる配信の承認は無効になります）",
		"自分の環境を作る:   oshirase init 作業フォルダ",
	} {
		d.printf("・%s\n", s)
	}
}

// say writes a line of the story.
func (d *demo) say(format string, args ...any) {
	d.printf("\n"+format+"\n", args...)
}

// do runs a command, shown, with its output as it is.
func (d *demo) do(ctx context.Context, args ...string) error {
	d.show(args)
	sub := *d.app
	return sub.command(ctx, args)
}

// ask runs a command, shown, and reads its JSON.
func (d *demo) ask(ctx context.Context, into any, args ...string) error {
	d.show(args)
	return d.quietly(ctx, into, args...)
}

// quietly runs a command and reads its JSON.
func (d *demo) quietly(ctx context.Context, into any, args ...string) error {
	var out bytes.Buffer
	sub := *d.app
	sub.stdout = &out
	if err := sub.command(ctx, append(args, "--json")); err != nil {
		return err
	}
	return json.Unmarshal(out.Bytes(), into)
}

func (d *demo) show(args []string) {
	quoted := make([]string, len(args))
	for i, s := range args {
		quoted[i] = s
		if s == "" || strings.ContainsAny(s, " '\"$") {
			quoted[i] = "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	d.printf("$ oshirase %s\n", strings.Join(quoted, " "))
}

// demoRetry is the wait before a second attempt: nobody watches a demo for a
// minute.
const demoRetry = time.Second

// hurry shortens the retries in the config that init wrote, and keeps the log
// out of the story.
func (d *demo) hurry() error {
	path := filepath.Join(d.dir, "oshirase.toml")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := strings.Split(string(b), "\n")
	for key, value := range map[string]string{
		"retry": fmt.Sprintf("[%q, \"1m\", \"5m\", \"30m\"]", demoRetry),
		"level": `"error"`,
	} {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, key+" = ") })
		if i < 0 {
			return fmt.Errorf("%s: no line `%s = …`", path, key)
		}
		lines[i] = key + " = " + value
	}
	return replaceFile(path, []byte(strings.Join(lines, "\n")), 0o600)
}

// clear makes the folder ready: what an earlier demo made there is removed, what
// somebody else put there stays, and a folder that no demo made is refused
// unless it is empty.
func (d *demo) clear() error {
	mark := filepath.Join(d.dir, demoMark)
	entries, err := os.ReadDir(d.dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	case len(entries) > 0:
		if _, err := os.Stat(mark); err != nil {
			return withHint(fmt.Errorf("folder %s is not empty and was not made by demo", d.dir), "give another folder: oshirase demo DIR")
		}
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	made, err := d.initFiles(initOptions{relay: sinkAddress, tls: "none"})
	if err != nil {
		return err
	}
	for _, f := range made {
		if err := remove(filepath.Join(d.dir, filepath.FromSlash(f.name))); err != nil {
			return err
		}
	}
	// The database with what SQLite keeps beside it, and what sink and workers wrote.
	for _, pattern := range []string{
		"oshirase.db", "oshirase.db-wal", "oshirase.db-shm", "oshirase.db-workers/*",
		"mail/[0-9][0-9][0-9][0-9][0-9][0-9]*.eml",
	} {
		found, err := filepath.Glob(filepath.Join(d.dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := remove(path); err != nil {
				return err
			}
		}
	}
	return replaceFile(mark, []byte("Made by `oshirase demo`. Run again, it replaces the samples, the database and the\nmail that it made, and leaves every other file alone.\n"), 0o600)
}

// remove deletes a file that may not exist.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
