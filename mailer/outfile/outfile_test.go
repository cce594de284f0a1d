package outfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"oshirase/mailer"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// names are what stands in a folder.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != want {
		t.Errorf("%s holds %q, %v, want %q", filepath.Base(path), b, err, want)
	}
}

func TestFileAppearsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.csv")
	f, err := Create(path)
	must(t, err)
	_, err = f.WriteString("whole")
	must(t, err)
	if _, err := os.Lstat(path); err == nil {
		t.Error("it is there before it is whole")
	}
	must(t, f.Finish(nil))
	wantFile(t, path, "whole")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
}

// TestNothingIsReplaced: neither a file nor what a link leads to, be it there before
// or come meanwhile; on a file system without links, too.
func TestNothingIsReplaced(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "list.csv")
	must(t, os.WriteFile(list, []byte("precious"), 0o600))
	must(t, os.Symlink(list, filepath.Join(dir, "link.csv")))
	must(t, os.Symlink(filepath.Join(dir, "nothing"), filepath.Join(dir, "nowhere.csv")))
	for _, name := range []string{"list.csv", "link.csv", "nowhere.csv", "."} {
		if _, err := Create(filepath.Join(dir, name)); mailer.CodeOf(err) != "outfile.taken" || !errors.Is(err, mailer.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	late := filepath.Join(dir, "late.csv")
	f, err := Create(late)
	must(t, err)
	must(t, os.WriteFile(late, []byte("somebody else's"), 0o600))
	if err := f.Finish(nil); mailer.CodeOf(err) != "outfile.taken" {
		t.Errorf("taken meanwhile: %v", err)
	}
	if err := copyTo(list, late); mailer.CodeOf(err) != "outfile.taken" {
		t.Errorf("without links: %v", err)
	}
	wantFile(t, list, "precious")
	wantFile(t, late, "somebody else's")
	must(t, copyTo(list, filepath.Join(dir, "copy.csv")))
	wantFile(t, filepath.Join(dir, "copy.csv"), "precious")
	if got := names(t, dir); len(got) != 5 {
		t.Errorf("left behind: %v", got)
	}
	if got, want := freeName(list), filepath.Join(dir, "list-2.csv"); got != want {
		t.Errorf("suggested: %s", got)
	}
}

func TestFileThrownAway(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "a.csv"))
	must(t, err)
	if err := f.Finish(os.ErrInvalid); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
	if _, err := Create(filepath.Join(dir, "gone", "a.csv")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its folder: %v", err)
	}
}
