package journal

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the goldens anew")

func someCheckpoint() *Checkpoint {
	return &Checkpoint{"oshirase.example/ledger/7f3a", 1795560000000, []Head{
		{"20-20261125", 3, Hash{0: 1, 31: 2}}, {"1f-20261124", 1200, Hash{7: 0xff}},
	}}
}

func TestCheckpointText(t *testing.T) {
	got, err := someCheckpoint().Format()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "checkpoint.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the checkpoint is\n%swant\n%s", got, want)
	}
}

func TestParseCheckpointRefuses(t *testing.T) {
	good, err := someCheckpoint().Format()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(good, "\n")
	for name, text := range map[string]string{
		"nothing":                "",
		"an empty origin":        strings.Join(append([]string{"\n"}, lines[1:]...), ""),
		"no end of line":         strings.TrimSuffix(good, "\n"),
		"CRLF":                   strings.ReplaceAll(good, "\n", "\r\n"),
		"a line more":            good + "\n",
		"a signature":            good + "\n— key AAAA\n",
		"a head less":            strings.Join(lines[:5], ""),
		"a head less, counted":   strings.Replace(strings.Join(lines[:5], ""), "\n2\n", "\n1\n", 1),
		"heads in another order": strings.Join(slices.Concat(lines[:4], lines[5:6], lines[4:5]), ""),
		"a head twice":           strings.Join(slices.Concat(lines[:5], lines[4:5]), ""),
		"another number":         strings.Replace(good, " 1200 ", " 1201 ", 1),
		"a number with a zero":   strings.Replace(good, " 1200 ", " 01200 ", 1),
		"a number with a sign":   strings.Replace(good, " 1200 ", " +1200 ", 1),
		"number 0":               strings.Replace(good, " 1200 ", " 0 ", 1),
		"a negative time":        strings.Replace(good, "time ", "time -", 1),
		"no time":                strings.Replace(good, "time ", "date ", 1),
		"two spaces":             strings.Replace(good, "head ", "head  ", 1),
		"loose base64":           strings.Replace(good, "AQAA", "AQ=A", 1),
		"bits behind the end":    strings.Replace(good, "AI=\n", "AJ=\n", 1),
		"another root":           strings.Join(slices.Concat(lines[:2], []string{encode(Hash{}) + "\n"}, lines[3:]), ""),
		"an invisible character": strings.Replace(good, "20-", "20\u200b-", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if text == good {
				t.Fatal("the text is the good one")
			}
			if c, err := ParseCheckpoint(text); !errors.Is(err, ErrCheckpoint) {
				t.Errorf("%q was taken: %+v, %v", text, c, err)
			}
		})
	}
}

func TestFormatRefuses(t *testing.T) {
	head := Head{"a", 1, Hash{}}
	for name, c := range map[string]Checkpoint{
		"no origin":            {"", 1, []Head{head}},
		"a line end in it":     {"a\nb", 1, []Head{head}},
		"a space at its end":   {"a ", 1, []Head{head}},
		"a negative time":      {"a", -1, []Head{head}},
		"a chain twice":        {"a", 1, []Head{head, head}},
		"a chain without name": {"a", 1, []Head{{"", 1, Hash{}}}},
		"a space in a chain":   {"a", 1, []Head{{"a b", 1, Hash{}}}},
		"a chain that is none": {"a", 1, []Head{{"a", 0, Hash{}}}},
		"broken UTF-8":         {"a\xff", 1, []Head{head}},
	} {
		if text, err := c.Format(); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// TestNoChains: a ledger has a checkpoint before anything was written.
func TestNoChains(t *testing.T) {
	text, err := (&Checkpoint{Origin: "a"}).Format()
	if err != nil {
		t.Fatal(err)
	}
	if want := "a\n0\n" + encode((&Tree{}).Root()) + "\ntime 0\n"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
	if _, err := ParseCheckpoint(text); err != nil {
		t.Error(err)
	}
}

func TestCheckpointIsReadBack(t *testing.T) {
	name := rapid.StringMatching(`[0-9a-z_.-]{1,12}|札幌[0-9]`)
	rapid.Check(t, func(t *rapid.T) {
		want := &Checkpoint{Origin: rapid.StringMatching(`[a-z]+(\.[a-z]+)*/[a-z0-9 ]{0,5}x`).Draw(t, "origin"), At: rapid.Int64Min(0).Draw(t, "at")}
		for _, chain := range rapid.SliceOfDistinct(name, rapid.ID[string]).Draw(t, "chains") {
			want.Heads = append(want.Heads, Head{chain, rapid.Int64Min(1).Draw(t, "n"), Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))})
		}
		text, err := want.Format()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseCheckpoint(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	})
}

// FuzzParseCheckpoint: what is taken is what Format makes.
func FuzzParseCheckpoint(f *testing.F) {
	good, err := someCheckpoint().Format()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(strings.Replace(good, "\n2\n", "\n02\n", 1))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCheckpoint(text)
		if err != nil {
			if c != nil || !errors.Is(err, ErrCheckpoint) {
				t.Fatalf("%+v, %v", c, err)
			}
			return
		}
		if again, err := c.Format(); err != nil || again != text {
			t.Fatalf("%q was taken for %q (%v)", text, again, err)
		}
	})
}
