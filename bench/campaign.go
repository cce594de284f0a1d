package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	incident = "pay"
	merchant = "processor"
	// stage gives a message of about 7.8 KB.
	stage = "first-warning"
)

// folder is a working folder of a program, made by its init.
type folder struct {
	program string
	dir     string
}

// setup is what differs between folders.
type setup struct {
	relay       string // address
	connections int
	durability  string
	chunking    bool
	intents     int    // 0 is the default of the program
	dkim        string // rsa, ed25519 or empty
	people      int
	program     string // empty: the one that is measured
}

// makeFolder makes a folder in which a campaign to so many people is right.
func (b *bench) makeFolder(ctx context.Context, s setup) (*folder, error) {
	parent, err := os.MkdirTemp(b.dir, "work-")
	if err != nil {
		return nil, err
	}
	f := &folder{cmp.Or(s.program, b.program), filepath.Join(parent, "w")}
	if _, err := watchedIn(ctx, "", f.program, nil, "init", f.dir, "--relay", s.relay, "--relay-tls", "none"); err != nil {
		return nil, err
	}
	config := []edit{
		{`(?m)^connections = .*`, fmt.Sprintf("connections = %d\nmessages_per_connection = 0", s.connections)},
		{`(?m)^durability = .*`, fmt.Sprintf("durability = %q", s.durability)},
	}
	tls := "tls = \"none\""
	if s.chunking {
		tls += "\nchunking = true"
	}
	if s.intents > 0 {
		tls += fmt.Sprintf("\nintents = %d", s.intents)
	}
	config = append(config, edit{`(?m)^tls = "none"`, tls})
	facts := []edit{{`(?m)^declared = .*`, fmt.Sprintf("declared = { A = %d }", s.people)}}
	if s.dkim != "" {
		if err := writeKey(filepath.Join(f.dir, "dkim.pem"), s.dkim); err != nil {
			return nil, err
		}
		facts = append(facts, edit{`(?m)^\[window\]`, "[dkim]\ndomain = \"hikari-pay.example\"\nselector = \"s1\"\nkey_file = \"dkim.pem\"\n\n[window]"})
	}
	err = errors.Join(
		change(filepath.Join(f.dir, "oshirase.toml"), config),
		change(filepath.Join(f.dir, "merchants", merchant+".toml"), facts),
		change(filepath.Join(f.dir, "incidents", incident+".toml"), []edit{{`(?m)^count = .*`, fmt.Sprintf("count = %d", max(3_000_000, s.people))}}),
	)
	if err != nil {
		return nil, err
	}
	_, err = f.do(ctx, nil, "apply")
	return f, err
}

// edit replaces what a pattern finds, which must be there.
type edit struct{ pattern, with string }

func change(path string, edits []edit) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, e := range edits {
		re := regexp.MustCompile(e.pattern)
		if !re.Match(text) {
			return fmt.Errorf("%s has no %s: the samples changed, and so must the benchmark", filepath.Base(path), e.pattern)
		}
		text = re.ReplaceAllLiteral(text, []byte(e.with))
	}
	return os.WriteFile(path, text, 0o600)
}

func writeKey(path, kind string) error {
	var key crypto.Signer
	var err error
	if kind == "rsa" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// watchedIn runs a program in a folder and decodes its JSON into result, where
// one is given.
func watchedIn(ctx context.Context, dir, program string, result any, args ...string) (cost, error) {
	if result != nil {
		args = append(args, "--json")
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"--quiet"}, args...)...)
	cmd.Dir = dir
	out, c, err := watched(cmd)
	if err == nil && result != nil {
		if err = json.Unmarshal(out, result); err != nil {
			err = fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
	}
	return c, err
}

func (f *folder) do(ctx context.Context, result any, args ...string) (cost, error) {
	return watchedIn(ctx, f.dir, f.program, result, args...)
}

// measured is do behind what others have written and the disk may still be busy
// with.
func (f *folder) measured(ctx context.Context, result any, args ...string) (cost, error) {
	syscall.Sync()
	return f.do(ctx, result, args...)
}

// steps are the costs of a campaign from list to ledger.
type steps struct {
	imported, checked, sent cost
	octets                  int64         // that arrived
	receiver                time.Duration // CPU
}

// campaign takes people from a list to the receiver.
func (b *bench) campaign(ctx context.Context, s setup, sinkArgs ...string) (st steps, err error) {
	r, err := b.receive(ctx, sinkArgs...)
	if err != nil {
		return st, err
	}
	s.relay = r.address
	running := true
	defer func() {
		if running {
			_, _, _ = r.close() // err says what went wrong
		}
	}()
	f, id, err := b.prepare(ctx, s, &st)
	if err != nil {
		return st, err
	}
	defer f.remove()
	var sum struct{ Accepted, Remaining, Unknown int }
	if st.sent, err = f.measured(ctx, &sum, "run", "--campaign", id); err != nil {
		return st, err
	}
	running = false
	got, cpu, err := r.close()
	if err != nil {
		return st, err
	}
	if sum.Accepted != s.people || got.Messages != int64(s.people) {
		return st, fmt.Errorf("%d people, %d accepted, %d received: that is no figure but a defect", s.people, sum.Accepted, got.Messages)
	}
	st.octets, st.receiver = got.Octets, cpu
	return st, nil
}

// prepare makes a folder with a started campaign.
func (b *bench) prepare(ctx context.Context, s setup, st *steps) (f *folder, id string, err error) {
	if f, err = b.makeFolder(ctx, s); err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			f.remove()
		}
	}()
	list, err := b.list(s.people)
	if err != nil {
		return nil, "", err
	}
	if st.imported, err = f.load(ctx, list, s.people); err != nil {
		return nil, "", err
	}
	id, err = f.start(ctx, s.people, st)
	return f, id, err
}

// list has a list of n people, written once.
func (b *bench) list(n int) (path string, err error) {
	path = filepath.Join(b.dir, fmt.Sprintf("list-%d.csv", n))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, writeList(path, n)
}

// load imports a list of new people.
func (f *folder) load(ctx context.Context, list string, people int) (cost, error) {
	var got struct{ Imported int }
	c, err := f.importList(ctx, &got, merchant, list)
	if err == nil && got.Imported != people {
		err = fmt.Errorf("%d of %d people were imported", got.Imported, people)
	}
	return c, err
}

func (f *folder) importList(ctx context.Context, result any, merchant, list string) (cost, error) {
	return f.measured(ctx, result, "import", "--incident", incident, "--merchant", merchant, "--exposure", "A", list)
}

func (f *folder) remove() { _ = os.RemoveAll(filepath.Dir(f.dir)) }

// start has a campaign made, checked, approved by two and started.
func (f *folder) start(ctx context.Context, people int, st *steps) (id string, err error) {
	if id, st.checked, err = f.check(ctx, merchant, people); err != nil {
		return "", err
	}
	for _, by := range []string{"suzuki", "tanaka"} {
		if err = f.approve(ctx, id, by, people); err != nil {
			return "", err
		}
	}
	_, err = f.do(ctx, nil, "campaign", "start", id)
	return id, err
}

// check has a campaign to a merchant's people made and checked.
func (f *folder) check(ctx context.Context, merchant string, people int) (id string, c cost, err error) {
	var created struct{ ID string }
	if _, err = f.do(ctx, &created, "campaign", "create", "--incident", incident, "--merchant", merchant, "--stage", stage, "--exposure", "A", "--window", "always"); err != nil {
		return "", c, err
	}
	var checked struct{ Sendable int }
	if c, err = f.measured(ctx, &checked, "campaign", "check", created.ID); err != nil {
		return "", c, err
	}
	if checked.Sendable != people {
		return "", c, fmt.Errorf("%d of %d people can be told", checked.Sendable, people)
	}
	return created.ID, c, nil
}

func (f *folder) approve(ctx context.Context, id, by string, people int) error {
	_, err := f.do(ctx, nil, "campaign", "approve", id, "--by", by, "--count", fmt.Sprint(people))
	return err
}
