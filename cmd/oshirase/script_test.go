package main

import (
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/japanese"

	"oshirase/mailer"
	"oshirase/mailer/sink"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"oshirase": scriptMain})
}

// scriptMain is main with a clock that scripts set: CLOCK is when the process
// begins, in RFC 3339. Empty, it is as if the script had begun at the last noon in Japan:
// what is sent must not depend on when tests are run.
func scriptMain() {
	a := newApp(os.Stdin, os.Stdout, os.Stderr)
	if s := os.Getenv("CLOCK"); s != "" {
		begin, err := time.Parse(time.RFC3339, s)
		if err != nil {
			fmt.Fprintln(os.Stderr, "CLOCK:", err)
			os.Exit(exitUsage)
		}
		started := time.Now()
		a.now = func() time.Time { return begin.Add(time.Since(started)) }
	}
	if shift, err := time.ParseDuration(os.Getenv("SHIFT")); err == nil && os.Getenv("CLOCK") == "" {
		a.now = func() time.Time { return time.Now().Add(shift) }
	}
	os.Exit(a.runUnderSignals(os.Args[1:]))
}

// TestScript runs every command as a process of its own, as somebody at a shell
// would. Besides what testscript has, the scripts in testdata/script know:
//
//	exits CODE ARG…        oshirase ARG… ends with this code
//	json PATH [WANT]       the last output is one JSON value, with this value at a.b.0.c
//	                       (len is the length of a list or object); ! json: nothing is there
//	eventually PATH ARG…   oshirase ARG… is run again until its JSON has this;
//	                       ! eventually: until it has it no more
//	keep NAME PATH         keeps such a value in a variable
//	keepline NAME          keeps the last output, one line
//	sql DB STATEMENT       is done to the database behind the program's back
//	receiver [FAULT…]      an SMTP receiver with its address in $RELAY; once more: another
//	                       one in its place, at the same address
//	down                   the receiver goes away
//	received N             waits until it took that many messages in all, and no more
//	terminate [HUP|INT]    SIGTERM, or that signal, to what runs in the background
//	edit FILE OLD NEW      replaces what must be there
//	recode FROM TO SRC DST between utf-8 and cp932
//	xlsx SRC DST           a CSV file as a workbook
//	approved NAME ARG…     campaign create --window always ARG…, check, two approvals; the ID is kept
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join("testdata", "script"),
		RequireUniqueNames: true,
		UpdateScripts:      *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "json": scriptJSON, "keep": scriptKeep, "receiver": scriptReceiver, "down": scriptDown,
			"received": scriptReceived, "terminate": scriptTerminate, "edit": scriptEdit, "recode": scriptRecode, "xlsx": scriptXLSX,
			"approved": scriptApproved, "keepline": scriptKeepLine, "sql": scriptSQL,
			"eventually": scriptEventually,
		},
		Setup: func(env *testscript.Env) error {
			env.Values[receiverKey{}] = &receiver{}
			env.Setenv("TMPDIR", env.WorkDir)
			shift := time.Until(time.Now().In(mailer.JST).Truncate(24 * time.Hour).Add(3 * time.Hour))
			if shift > 0 { // other programs, as ssh-keygen, have their own clock: nothing is to begin after it
				shift -= 24 * time.Hour
			}
			env.Setenv("SHIFT", shift.String())
			return nil
		},
	})
}

// want refuses a script command that is not written as it must be.
func want(ts *testscript.TestScript, ok bool, usage string) {
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) > 1, "exits CODE ARG…")
	code := 0
	err := ts.Exec("oshirase", args[1:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// lookUp finds a value in the last standard output.
func lookUp(ts *testscript.TestScript, path string) (value any, found bool) {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	dec.UseNumber()
	ts.Check(dec.Decode(&value))
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("standard output holds more than one JSON value")
	}
	for _, key := range strings.Split(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			if key == "len" {
				return len(v), true
			}
			if value, found = v[key]; !found {
				return nil, false
			}
		case []any:
			if key == "len" {
				return len(v), true
			}
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(v) {
				return nil, false
			}
			value = v[i]
		default:
			return nil, false
		}
	}
	return value, true
}

func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, len(args) == 1 || len(args) == 2 && !neg, "[!] json PATH [WANT]")
	got, found := lookUp(ts, args[0])
	if found == neg {
		ts.Fatalf("%s: there is %t", args[0], found)
	}
	if len(args) == 2 && fmt.Sprint(got) != args[1] {
		ts.Fatalf("%s is %v, want %s", args[0], got, args[1])
	}
}

func scriptEventually(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, len(args) > 1, "[!] eventually PATH ARG…")
	for limit := time.Now().Add(3 * time.Minute); ; {
		ts.Check(ts.Exec("oshirase", args[1:]...))
		if _, found := lookUp(ts, args[0]); found != neg {
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("%s: there is %t, still", args[0], neg)
		}
	}
}

func scriptKeep(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 2, "keep NAME PATH")
	got, found := lookUp(ts, args[1])
	if !found {
		ts.Fatalf("no %s", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(got))
}

// receiver is the SMTP receiver of one script.
type (
	receiverKey struct{}
	receiver    struct {
		srv   *sink.Server
		taken chan struct{} // one value per message
		count int
	}
)

func receiverOf(ts *testscript.TestScript) *receiver { return ts.Value(receiverKey{}).(*receiver) }

func scriptReceiver(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg, "receiver [FAULT…]")
	r := receiverOf(ts)
	rules, err := sink.ParseRules(args)
	ts.Check(err)
	address := "127.0.0.1:0"
	if r.taken == nil {
		r.taken = make(chan struct{}, 1000)
		ts.Defer(r.close)
	} else {
		address = ts.Getenv("RELAY")
		r.close()
	}
	dir := ts.MkAbs(filepath.Join(ts.Getenv("WORK"), "mail"))
	ts.Check(os.MkdirAll(dir, 0o700))
	r.srv, err = sink.Listen(address, sink.Options{Rules: rules, Dir: dir, OnMessage: func(sink.Received) { r.taken <- struct{}{} }})
	ts.Check(err)
	ts.Setenv("RELAY", r.srv.Addr().String())
}

func (r *receiver) close() {
	if r.srv != nil {
		_ = r.srv.Close() // the script is over, or says itself what it expects
	}
	r.srv = nil
}

func scriptDown(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 0, "down")
	receiverOf(ts).close()
}

func scriptReceived(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1, "received N")
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	r := receiverOf(ts)
	limit := time.After(20 * time.Second)
	for r.count < n {
		select {
		case <-r.taken:
			r.count++
		case <-limit:
			ts.Fatalf("%d messages came, want %d", r.count, n)
		}
	}
	select {
	case <-r.taken:
		ts.Fatalf("more than %d messages came", n)
	default:
	}
}

func scriptTerminate(ts *testscript.TestScript, neg bool, args []string) {
	by := syscall.SIGTERM
	if len(args) == 1 {
		by = map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT}[args[0]]
	}
	want(ts, !neg && len(args) < 2 && by != 0, "terminate [HUP|INT]")
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(by))
	}
}

func scriptEdit(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 3, "edit FILE OLD NEW")
	old := ts.ReadFile(args[0])
	text := strings.Replace(old, args[1], strings.ReplaceAll(args[2], `\n`, "\n"), 1)
	if text == old {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func scriptRecode(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 4, "recode FROM TO SRC DST")
	text := ts.ReadFile(args[2])
	var err error
	if args[0] == "cp932" {
		text, err = japanese.ShiftJIS.NewDecoder().String(text)
		ts.Check(err)
	}
	if args[1] == "cp932" {
		text, err = japanese.ShiftJIS.NewEncoder().String(text)
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(text), 0o600))
}

func scriptXLSX(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 2, "xlsx SRC DST")
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[0]))).ReadAll()
	ts.Check(err)
	book := excelize.NewFile()
	for i, row := range rows {
		ts.Check(book.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row))
	}
	ts.Check(book.SaveAs(ts.MkAbs(args[1])))
	ts.Check(book.Close())
}

func scriptApproved(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) > 1, "approved NAME ARG…")
	ts.Check(ts.Exec("oshirase", append([]string{"campaign", "create", "--json", "--window", "always"}, args[1:]...)...))
	id, _ := lookUp(ts, "id")
	ts.Setenv(args[0], fmt.Sprint(id))
	ts.Check(ts.Exec("oshirase", "campaign", "check", fmt.Sprint(id), "--json"))
	count, _ := lookUp(ts, "sendable")
	for _, by := range []string{"佐藤", "鈴木"} {
		ts.Check(ts.Exec("oshirase", "campaign", "approve", fmt.Sprint(id), "--by", by, "--count", fmt.Sprint(count)))
	}
}

func scriptKeepLine(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1, "keepline NAME")
	ts.Setenv(args[0], strings.TrimSuffix(ts.ReadFile("stdout"), "\n"))
}

func scriptSQL(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 2, "sql DB STATEMENT")
	db, err := sql.Open("sqlite3", ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = db.Exec(args[1])
	ts.Check(errors.Join(err, db.Close()))
}
