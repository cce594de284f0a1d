package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// table gathers rows and prints them aligned.
type table struct {
	title string
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print() {
	fmt.Printf("\n%s\n\n", t.title)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range t.rows {
		fmt.Fprintln(w, "  "+strings.Join(r, "\t"))
	}
	_ = w.Flush()
}

func perSecond(n int, d time.Duration) string { return fmt.Sprintf("%.0f", float64(n)/d.Seconds()) }
func micros(n int, d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d.Microseconds())/float64(n))
}
func mib(n int64) string { return fmt.Sprintf("%.0f", float64(n)/(1<<20)) }
func ratio(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// variant is one way to send, and what to hold it against.
type variant struct {
	name     string
	setup    setup
	trip     time.Duration
	messages int
}

// send holds the program against the raw sender.
func (b *bench) send(ctx context.Context) error {
	near := setup{connections: b.near, durability: "full"}
	away := setup{connections: b.away, durability: "full"}
	with := func(s setup, change func(*setup)) setup {
		change(&s)
		return s
	}
	chunked := func(s *setup) { s.chunking = true }
	vs := []variant{
		{"loopback", near, 0, b.loopback},
		{"loopback, durability normal", with(near, func(s *setup) { s.durability = "normal" }), 0, b.loopback},
		{"loopback, chunking", with(near, chunked), 0, b.loopback},
		{"loopback, DKIM Ed25519", with(near, func(s *setup) { s.dkim = "ed25519" }), 0, b.loopback / 2},
		{"loopback, DKIM RSA-2048", with(near, func(s *setup) { s.dkim = "rsa" }), 0, b.rsa},
		{"round trip", away, b.trip, b.far},
		{"round trip, durability normal", with(away, func(s *setup) { s.durability = "normal" }), b.trip, b.far},
		{"round trip, chunking", with(away, chunked), b.trip, b.far},
		{"round trip, chunking, 4 intents", with(away, func(s *setup) { s.chunking, s.intents = true, 4 }), b.trip, 4 * b.far},
	}
	t := &table{title: fmt.Sprintf("sending: loopback with %d connections, a round trip of %s with %d; raw is the pipelined sender of prebuilt bytes", b.near, b.trip, b.away)}
	t.add("variant", "messages", "program/s", "raw/s", "program/raw", "program CPU µs", "raw CPU µs", "receiver CPU µs", "CPU allows/s", "octets", "peak MiB")
	for _, v := range vs {
		if !b.variant.MatchString(v.name) {
			continue
		}
		var args []string
		if v.trip > 0 {
			args = append(args, "--latency", v.trip.String())
		}
		v.setup.people = v.messages
		st, err := b.campaign(ctx, v.setup, args...)
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		raw, err := b.raw(ctx, v, int(st.octets/int64(v.messages)), args)
		if err != nil {
			return fmt.Errorf("%s: raw sender: %w", v.name, err)
		}
		n := v.messages
		t.add(v.name, fmt.Sprint(n), perSecond(n, st.sent.wall), perSecond(n, raw.wall), ratio(raw.wall.Seconds(), st.sent.wall.Seconds()),
			micros(n, st.sent.cpu), micros(n, raw.cpu), micros(n, st.receiver), perSecond(n*runtime.NumCPU(), st.sent.cpu+st.receiver),
			fmt.Sprint(st.octets/int64(n)), mib(st.sent.peak))
	}
	t.print()
	fmt.Println("  CPU allows/s: if program and receiver kept all cores of this machine busy, and nobody else used them")
	return nil
}

// raw sends as much as a variant did.
func (b *bench) raw(ctx context.Context, v variant, size int, sinkArgs []string) (cost, error) {
	r, err := b.receive(ctx, sinkArgs...)
	if err != nil {
		return cost{}, err
	}
	s := rawSender{address: r.address, connections: v.setup.connections, messages: v.messages, size: size, chunking: v.setup.chunking, intents: v.setup.intents}
	c, err := s.send(ctx)
	got, _, cerr := r.close()
	if err = errors.Join(err, cerr); err != nil {
		return c, err
	}
	if got.Messages != int64(v.messages) {
		return c, fmt.Errorf("%d of %d messages arrived", got.Messages, v.messages)
	}
	return c, nil
}

// scales compares the cost of a message, and the memory, between campaigns.
func (b *bench) scales(ctx context.Context) error {
	t := &table{title: fmt.Sprintf("from list to ledger by size: loopback, %d connections, durability full, no DKIM; CPU and wall in µs a person", b.near)}
	t.add("people", "import rows/s", "CPU", "peak MiB", "check rows/s", "CPU", "peak MiB", "run msg/s", "wall", "CPU", "peak MiB", "wall to the first", "CPU to the first")
	var first steps
	for i, n := range b.scale {
		st, err := b.campaign(ctx, setup{connections: b.near, durability: "full", people: n})
		if err != nil {
			return fmt.Errorf("%d people: %w", n, err)
		}
		if i == 0 {
			first = st
		}
		per := func(d time.Duration, n int) float64 { return float64(d) / float64(n) }
		t.add(fmt.Sprint(n),
			perSecond(n, st.imported.wall), micros(n, st.imported.cpu), mib(st.imported.peak),
			perSecond(n, st.checked.wall), micros(n, st.checked.cpu), mib(st.checked.peak),
			perSecond(n, st.sent.wall), micros(n, st.sent.wall), micros(n, st.sent.cpu), mib(st.sent.peak),
			ratio(per(st.sent.wall, n), per(first.sent.wall, b.scale[0])), ratio(per(st.sent.cpu, n), per(first.sent.cpu, b.scale[0])))
	}
	t.print()
	return nil
}

// imports holds import against sqlite3 on the same list.
func (b *bench) imports(ctx context.Context) error {
	n := b.imported
	f, err := b.makeFolder(ctx, setup{relay: "127.0.0.1:2525", connections: 1, durability: "full", people: n})
	if err != nil {
		return err
	}
	defer f.remove()
	list, err := b.list(n)
	if err != nil {
		return err
	}
	ours, err := f.load(ctx, list, n)
	if err != nil {
		return err
	}
	t := &table{title: fmt.Sprintf("import: %d rows of 7 columns in CP932; sqlite3 .import into one table, unique on the number, indexed on the address", n)}
	t.add("", "rows/s", "wall s", "CPU s", "peak MiB")
	row := func(name string, c cost) {
		t.add(name, perSecond(n, c.wall), fmt.Sprintf("%.2f", c.wall.Seconds()), fmt.Sprintf("%.2f", c.cpu.Seconds()), mib(c.peak))
	}
	row("oshirase import", ours)
	program, err := exec.LookPath("sqlite3")
	if err != nil {
		t.print()
		fmt.Println("  skipped: sqlite3 is not installed, so there is nothing to hold it against")
		return nil
	}
	plain, err := plainImport(ctx, program, filepath.Join(f.dir, "plain.db"), list, n)
	if err != nil {
		return fmt.Errorf("sqlite3: %w", err)
	}
	row("sqlite3 .import", plain)
	t.add("ratio", "", ratio(ours.wall.Seconds(), plain.wall.Seconds()), ratio(ours.cpu.Seconds(), plain.cpu.Seconds()), "")
	t.print()
	return nil
}

// plainImport has sqlite3 read the list as it stands, without decoding, sealing or
// looking at a value.
func plainImport(ctx context.Context, program, db, list string, n int) (cost, error) {
	cmd := exec.CommandContext(ctx, program, "-bail", "-batch", db)
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE person (customer_id TEXT, name TEXT, name_kana TEXT, email TEXT, postal_code TEXT, address TEXT, phone TEXT);
CREATE UNIQUE INDEX person_customer ON person (customer_id);
CREATE INDEX person_email ON person (email);
.import --csv --skip 1 %q person
`, list))
	_, c, err := watched(cmd)
	if err != nil {
		return c, err
	}
	out, err := exec.CommandContext(ctx, program, db, "SELECT count(*) FROM person").Output()
	if err == nil && strings.TrimSpace(string(out)) != fmt.Sprint(n) {
		err = fmt.Errorf("%s of %d rows were imported", strings.TrimSpace(string(out)), n)
	}
	return c, err
}
