package keyring

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"oshirase/mailer"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// script is a command that keeps keys in a folder, as a house would write one.
func script(t *testing.T, body string) *Command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.sh")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700))
	return NewCommand([]string{path, "a folder with blanks; $HOME"}, filepath.Dir(path))
}

const keeper = `
dir=kept # beside the script
mkdir -p "$dir"
[ "$1" = 'a folder with blanks; $HOME' ] || exit 9
case $2 in
get) [ -f "$dir/$3" ] || exit 2; cat "$dir/$3" ;;
put) cat > "$dir/$3.new" && mv "$dir/$3.new" "$dir/$3" ;;
delete) [ -f "$dir/$3" ] || exit 2; rm "$dir/$3" ;;
list) echo 'Not A Key'; ls "$dir" ;;
*) exit 9 ;;
esac
`

// TestKeyrings: what every keyring does alike.
func TestKeyrings(t *testing.T) {
	ctx := t.Context()
	for name, k := range map[string]Keyring{
		"folder":  NewFolder(filepath.Join(t.TempDir(), "keys")),
		"command": script(t, keeper),
	} {
		t.Run(name, func(t *testing.T) {
			want := func(err, kind error) {
				t.Helper()
				if !errors.Is(err, kind) {
					t.Errorf("error %v, want %v", err, kind)
				}
			}
			ids := func(want ...string) {
				t.Helper()
				if got, err := k.List(ctx); err != nil || !slices.Equal(got, want) {
					t.Errorf("list %v %v, want %v", got, err, want)
				}
			}
			value := func(id, want string) {
				t.Helper()
				if got, err := k.Get(ctx, id); err != nil || string(got) != want {
					t.Errorf("get %s: %q %v, want %q", id, got, err, want)
				}
			}
			ids()
			_, err := k.Get(ctx, "a")
			want(err, ErrNoKey)
			want(k.Delete(ctx, "a"), ErrNoKey)
			want(k.Replace(ctx, "a", []byte("x")), ErrNoKey)
			ids()
			must(t, k.Put(ctx, "b", []byte("second\x00\n")))
			must(t, k.Put(ctx, "a", []byte("first")))
			want(k.Put(ctx, "a", []byte("other")), ErrExists)
			ids("a", "b")
			value("a", "first")
			value("b", "second\x00\n")
			must(t, k.Replace(ctx, "a", []byte("other")))
			value("a", "other")
			must(t, k.Delete(ctx, "a"))
			want(k.Delete(ctx, "a"), ErrNoKey)
			ids("b")
			for _, id := range []string{"", "../b", "B", "a b", "-rf", "a/b", "a\n", strings.Repeat("a", 65)} {
				_, err := k.Get(ctx, id)
				for _, err := range []error{err, k.Put(ctx, id, []byte("x")), k.Replace(ctx, id, []byte("x")), k.Delete(ctx, id)} {
					if mailer.CodeOf(err) != "keyring.id" {
						t.Errorf("id %q: %v", id, err)
					}
				}
			}
			ids("b")
		})
	}
}

// TestFolderIsPrivate: keys that others can read or write, or that are no plain files,
// are not used; they can be deleted.
func TestFolderIsPrivate(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "keys")
	f := NewFolder(dir)
	must(t, f.Put(ctx, "a", []byte("x")))
	for path, mode := range map[string]os.FileMode{dir: 0o700, f.file("a"): 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, st.Mode(), err)
		}
		must(t, os.Chmod(path, mode|0o040))
		if _, err := f.Get(ctx, "a"); mailer.CodeOf(err) != "keyring.shown" {
			t.Errorf("%s: %v", path, err)
		}
		if err := f.Check(ctx); mailer.CodeOf(err) != "keyring.shown" {
			t.Errorf("%s: %v", path, err)
		}
		must(t, os.Chmod(path, mode))
	}
	must(t, f.Check(ctx))
	must(t, os.Rename(f.file("a"), filepath.Join(dir, "elsewhere")))
	must(t, os.Symlink(filepath.Join(dir, "elsewhere"), f.file("a")))
	if _, err := f.Get(ctx, "a"); mailer.CodeOf(err) != "keyring.type" {
		t.Errorf("a link: %v", err)
	}
	must(t, os.Remove(f.file("a")))
	must(t, f.Put(ctx, "a", []byte("x")))
	must(t, os.Chmod(f.file("a"), 0o644))
	must(t, f.Delete(ctx, "a"))
	if _, err := os.Stat(f.file("a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("not deleted: %v", err)
	}
	if err := NewFolder(filepath.Join(dir, "none", "keys")).Put(ctx, "a", nil); mailer.CodeOf(err) != "keyring.folder" {
		t.Errorf("no folder above: %v", err)
	}
}

// TestFolderOfOthers: root uses no keys that somebody else could exchange.
func TestFolderOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	f := NewFolder(filepath.Join(t.TempDir(), "keys"))
	must(t, f.Put(t.Context(), "a", []byte("x")))
	for _, path := range []string{f.path, f.file("a")} {
		must(t, os.Chown(path, 12345, -1))
		if _, err := f.Get(t.Context(), "a"); mailer.CodeOf(err) != "keyring.owner" {
			t.Errorf("%s: %v", path, err)
		}
		must(t, os.Chown(path, 0, -1))
	}
}

// TestFolderOverwrites: the bytes of a key that is deleted, of what a crash left of
// writing it, and of one that is replaced, are gone from where they stood.
func TestFolderOverwrites(t *testing.T) {
	ctx := t.Context()
	f := NewFolder(filepath.Join(t.TempDir(), "keys"))
	secret := []byte(strings.Repeat("secret", 50))
	// open descriptors show what becomes of the bytes once nothing has their name
	held := func(path string) *os.File {
		t.Helper()
		file, err := os.Open(path)
		must(t, err)
		t.Cleanup(func() { file.Close() })
		return file
	}
	zeroed := func(what string, file *os.File) {
		t.Helper()
		b := make([]byte, len(secret))
		if n, err := file.ReadAt(b, 0); n != len(secret) || err != nil || !bytes.Equal(b, make([]byte, len(secret))) {
			t.Errorf("%s: %d bytes, %v, still %q", what, n, err, b[:6])
		}
	}
	must(t, f.Put(ctx, "a", secret))
	replaced := held(f.file("a"))
	must(t, f.Replace(ctx, "a", secret))
	zeroed("replaced", replaced)
	left, err := f.write("a", secret)
	must(t, err)
	other, err := f.write("ab", secret)
	must(t, err)
	deleted, crashed := held(f.file("a")), held(left)
	must(t, f.Delete(ctx, "a"))
	zeroed("deleted", deleted)
	zeroed("left by a crash", crashed)
	if b, err := os.ReadFile(other); err != nil || !bytes.Equal(b, secret) {
		t.Errorf("that of another key: %v", err)
	}
	if entries, err := os.ReadDir(f.path); err != nil || len(entries) != 1 {
		t.Errorf("left %v %v", entries, err)
	}
}

// TestCommandFaults: what a command does wrong is bounded and said.
func TestCommandFaults(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		code       mailer.Code
		says       string
	}{
		{"nothing printed", `exit 0`, "keyring.no-key", ""},
		{"no such key", `exit 2`, "keyring.no-key", ""},
		{"failure", `printf 'vault is sealed\033[31m\n' >&2; exit 1`, "keyring.command", "vault is sealed [31m"},
		{"failure at length", `head -c 1000000 /dev/zero | tr '\0' x >&2; exit 3`, "keyring.command", "xxx"},
		{"not base64", `echo 'not base64!'`, "keyring.output", ""},
		{"endless", `exec cat /dev/zero`, "keyring.endless", ""},
		{"hangs", `sleep 1000 & wait`, "keyring.slow", ""},
		{"sees the secret", `[ -z "$KEYRING_TEST" ] && [ -n "$PATH" ] && exit 2`, "keyring.no-key", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("KEYRING_TEST", "secret")
			c := script(t, tt.body)
			c.hidden = []string{"KEYRING_TEST"}
			if tt.code == "keyring.slow" {
				c.timeout = 100 * time.Millisecond
			}
			_, err := c.Get(t.Context(), "a")
			if mailer.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) || len(err.Error()) > 1000 || strings.Contains(err.Error(), "\033") {
				t.Errorf("error %v, want %s", err, tt.code)
			}
		})
	}
	if _, err := NewCommand([]string{"/nowhere/keys"}, "").List(t.Context()); mailer.CodeOf(err) != "keyring.command" {
		t.Errorf("no such program: %v", err)
	}
	// A put that was not kept is no put.
	if err := script(t, `[ "$2" = get ] && exit 2; exit 0`).Put(t.Context(), "a", []byte("x")); err == nil {
		t.Error("kept nothing, and says it did")
	}
	if _, err := script(t, `exit 2`).List(t.Context()); mailer.CodeOf(err) != "keyring.command" {
		t.Errorf("a list that fails is taken for an empty one: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := script(t, `exit 2`).Get(ctx, "a"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoKey) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestValue(t *testing.T) {
	v := Value{Key: "k1", Ledger: "0a", Incident: "pay-2026", Wraps: []Wrap{{"11223344", []byte("one")}, {"55667788", []byte("two")}}}
	text := v.Text()
	got, err := Parse(text)
	if err != nil || got.Key != v.Key || got.Ledger != v.Ledger || got.Incident != v.Incident || len(got.Wraps) != 2 ||
		string(got.By("55667788")) != "two" || got.By("none") != nil || !bytes.Equal(got.Text(), text) {
		t.Errorf("%+v %v", got, err)
	}
	for i := range len(text) { // cut off anywhere but at the end of a wrap
		if got, err := Parse(text[:i]); (err == nil) != (i > 0 && text[i-1] == '\n' && bytes.Contains(text[:i], []byte("wrap"))) {
			t.Errorf("cut at %d: %+v %v", i, got, err)
		}
	}
	for _, s := range []string{
		"", "\n", "oshirase-key 2\n", strings.Replace(string(text), "incident", "Incident", 1), strings.Replace(string(text), "55667788", "11223344", 1),
		string(text) + "more\n", string(text) + "wrap a b c\n", strings.Replace(string(text), "k1", "k1 k2", 1),
	} {
		if got, err := Parse([]byte(s)); !errors.Is(err, mailer.ErrDamaged) {
			t.Errorf("%q: %+v %v", s, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add((&Value{Key: "k", Ledger: "l", Incident: "i", Wraps: []Wrap{{"m", []byte("x")}}}).Text())
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Parse(text)
		if err != nil {
			return
		}
		if again := v.Text(); !bytes.Equal(again, text) {
			t.Errorf("%q is read as %q", text, again)
		}
	})
}
