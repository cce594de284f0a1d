package torture

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver
)

// settings of a world.
type settings struct {
	people      int
	connections int
	intents     int           // in flight per connection, with BDAT; 0: one, with DATA
	latency     time.Duration // of the receiver
	rules       []string      // of the receiver; see sink.Syntax
	mark        func(i int) string
	dir         string // where the working folder is made; empty: a temporary one
	lease       time.Duration
	durability  string   // empty: the default
	env         []string // of the program's processes, beside this process's own
}

// world is one working folder with one running campaign, and its relay.
type world struct {
	settings
	t        testing.TB
	rng      *rand.Rand
	dir      string
	recv     *receiver
	campaign string
	db       *sql.DB // reads beside the program
	done     tally
	// powerless is how many workers were sending when the power failed.
	powerless   int
	checkpoints string // a file elsewhere with one of when the ledger was last looked at
}

// newWorld makes a folder, a list, and a campaign that is checked, approved by
// two people and started.
func newWorld(t testing.TB, name string, s settings) *world {
	t.Helper()
	w := &world{settings: s, t: t, rng: newRand(name), dir: s.dir}
	w.done = tally{name: name, people: s.people}
	if w.lease == 0 {
		w.lease = time.Second
	}
	if w.dir == "" {
		w.dir = t.TempDir()
	}
	w.recv = newReceiver(t, w.rng, s.latency, s.rules)
	w.cli("init", w.dir, "--relay", w.recv.addr, "--relay-tls", "none")
	w.writeConfig()
	w.edit("merchants/shop.toml", "declared = { A = 32 }", fmt.Sprintf("declared = { A = %d }", s.people))
	w.edit("incidents/shop.toml", "count = 18_136", fmt.Sprintf("count = %d", s.people))
	w.writeList()
	w.cli("apply")
	w.cli("import", "--incident", "shop", "--merchant", "shop", filepath.Join(w.dir, "list.csv"))
	var made struct{ ID string }
	w.ask(&made, "campaign", "create", "--incident", "shop", "--merchant", "shop", "--stage", "formal", "--window", "always")
	w.campaign = made.ID
	var checked struct{ Sendable int }
	w.ask(&checked, "campaign", "check", w.campaign)
	if checked.Sendable != s.people {
		t.Fatalf("%d of %d can be sent to", checked.Sendable, s.people)
	}
	for _, by := range []string{"Ichiro", "Hanako"} {
		w.cli("campaign", "approve", w.campaign, "--by", by, "--count", fmt.Sprint(s.people))
	}
	w.cli("campaign", "start", w.campaign)
	w.openDB()
	return w
}

// writeConfig shortens every time, so that faults fit into seconds.
func (w *world) writeConfig() {
	w.t.Helper()
	chunking := ""
	if w.intents > 0 {
		chunking = fmt.Sprintf("chunking = true\nintents = %d\n", w.intents)
	}
	ledger := ""
	if w.durability != "" {
		ledger = fmt.Sprintf("[ledger]\ndurability = %q\n", w.durability)
	}
	text := fmt.Sprintf(`%s
[approval]
proof = "name"

[[relay]]
name = "main"
address = %q
tls = "none"
connections = %d
messages_per_connection = 100
command_timeout = "5s"
data_timeout = "5s"
%s
[sending]
batch = 50
lease = %q
retry = ["1s"]
stop_grace = "4s"
`, ledger, w.recv.addr, w.connections, chunking, w.lease)
	if err := os.WriteFile(filepath.Join(w.dir, "oshirase.toml"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) edit(file, old, replacement string) {
	w.t.Helper()
	path := filepath.Join(w.dir, filepath.FromSlash(file))
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(old)) {
		w.t.Fatalf("%s does not say %q", file, old)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(replacement), 1), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) writeList() {
	w.t.Helper()
	var b bytes.Buffer
	b.WriteString("会員番号,氏名,メールアドレス,漏えい区分\n")
	family := []string{"佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本"}
	given := []string{"花子", "一郎", "恵子", "健", "美咲"}
	for i := range w.people {
		fmt.Fprintf(&b, "T%06d,%s %s,%s,A\n", i, family[i%len(family)], given[i%len(given)], w.address(i))
	}
	if err := os.WriteFile(filepath.Join(w.dir, "list.csv"), b.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// address is that of a person; how it begins says what the receiver's rules do with it.
func (w *world) address(i int) string {
	mark := "x"
	if w.mark != nil {
		mark = w.mark(i)
	}
	return fmt.Sprintf("%s-%06d@people.example", mark, i)
}

func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = w.dir
	cmd.Env = append(append(os.Environ(), "OSHIRASE_CONFIG="+filepath.Join(w.dir, "oshirase.toml")), w.env...)
	return cmd
}

// cli runs a command to its end; it must succeed.
func (w *world) cli(args ...string) []byte {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) try(args ...string) ([]byte, error) {
	cmd := w.command(append(args, "--quiet")...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("oshirase %s: %w\n%s%s", strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.Bytes(), nil
}

// ask runs a command with --json; it must succeed.
func (w *world) ask(into any, args ...string) {
	w.t.Helper()
	if err := w.tryAsk(into, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tryAsk(into any, args ...string) error {
	out, err := w.try(append(args, "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("oshirase %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// openDB opens the ledger's file beside the program, for what no command shows.
func (w *world) openDB() {
	w.t.Helper()
	q := url.Values{"mode": {"ro"}, "_query_only": {"on"}, "_busy_timeout": {"10000"}}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.dir, "oshirase.db")+"?"+q.Encode())
	if err != nil {
		w.t.Fatal(err)
	}
	w.db = db
	w.t.Cleanup(func() { _ = db.Close() })
}

// number is the result of a query for one number.
func (w *world) number(query string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.QueryRow(query, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (w *world) inState(state string) int {
	w.t.Helper()
	return w.number(`SELECT count(*) FROM delivery WHERE state = ?`, state)
}

// claimed is the number of deliveries that a worker has leased and not begun.
func (w *world) claimed() int {
	w.t.Helper()
	return w.number(`SELECT count(*) FROM delivery d JOIN chunk c ON c.id = d.chunk WHERE d.state = 'queued' AND c.lease IS NOT NULL`)
}

// pending is the number of deliveries that the program still has to send.
func (w *world) pending() int {
	w.t.Helper()
	return w.number(`SELECT count(*) FROM delivery WHERE state IN ('queued', 'sending', 'deferred')`)
}

func (w *world) phase() (phase string) {
	w.t.Helper()
	if err := w.db.QueryRow(`SELECT phase FROM campaign WHERE id = ?`, w.campaign).Scan(&phase); err != nil {
		w.t.Fatal(err)
	}
	return phase
}

// until polls for what another process does; there is nothing to be told by.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	if !await(w.limit(), ok) {
		w.t.Fatalf("seed %d: waited in vain until %s", seed, what)
	}
}

// await polls until ok, and reports whether it came to pass in time.
func await(limit time.Duration, ok func() bool) bool {
	end := time.After(limit)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-again.C:
		case <-end:
			return false
		}
	}
	return true
}

// limit is how long sending everything may take.
func (w *world) limit() time.Duration {
	return time.Minute + time.Duration(w.people)*10*time.Millisecond
}

// wire is how many messages one worker may have on the wire.
func (w *world) wire() int { return w.connections * max(1, w.intents) }
