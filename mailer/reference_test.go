package mailer

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func newRef(t testing.TB, random io.Reader) string {
	t.Helper()
	ref, err := NewRef(random)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestNewRef(t *testing.T) {
	form := regexp.MustCompile(`^[34679ACDEFGHJKMNPQRTWXY]{5}-[34679ACDEFGHJKMNPQRTWXY]{5}$`)
	random := rand.NewChaCha8([32]byte{1})
	seen := map[string]bool{}
	used := map[rune]int{}
	for range 5000 {
		ref := newRef(t, random)
		if !form.MatchString(ref) || seen[ref] {
			t.Fatalf("reference %q: wrong form, or drawn before", ref)
		}
		seen[ref] = true
		for _, r := range ref[:9] {
			used[r]++
		}
		if got, err := ParseRef(ref); err != nil || got != ref {
			t.Fatalf("ParseRef(%q) = %q, %v", ref, got, err)
		}
	}
	for _, r := range refAlphabet {
		// 5000 × 8 characters over 23: 1739 each, with a deviation of 41.
		if n := used[r]; n < 1500 || n > 2000 {
			t.Errorf("%c was drawn %d times", r, n)
		}
	}
}

func TestNewRefWithoutRandomness(t *testing.T) {
	if _, err := NewRef(bytes.NewReader([]byte("too short"))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("NewRef: %v", err)
	}
	// Bytes beyond the last multiple of 23 are drawn again.
	ref := newRef(t, bytes.NewReader(append(bytes.Repeat([]byte{255}, 16), make([]byte, 16)...)))
	if ref != "33333-33333" {
		t.Errorf("reference of zeros: %q", ref)
	}
}

func TestParseRefForms(t *testing.T) {
	ref := newRef(t, rand.NewChaCha8([32]byte{2}))
	bare := strings.ReplaceAll(ref, "-", "")
	wide := strings.Map(func(r rune) rune { return r + '！' - '!' }, bare)
	for _, s := range []string{
		bare, strings.ToLower(ref), " " + ref + " ", wide, strings.ToLower(wide),
		bare[:5] + "－" + bare[5:], bare[:5] + "ー" + bare[5:], bare[:5] + "−" + bare[5:], bare[:5] + "‐" + bare[5:],
		bare[:3] + "　" + bare[3:], strings.Join(strings.Split(bare, ""), " "),
	} {
		if got, err := ParseRef(s); err != nil || got != ref {
			t.Errorf("ParseRef(%q) = %q, %v, want %q", s, got, err, ref)
		}
	}
	for _, s := range []string{"", "-", bare[:9], bare + "3", "0" + bare[1:], "あ" + bare[1:], bare[:9] + "!"} {
		if got, err := ParseRef(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseRef(%q) = %q, %v", s, got, err)
		}
	}
}

// Any single wrong character, and any two neighbours exchanged, are noticed.
func TestParseRefCatchesSlips(t *testing.T) {
	random := rand.NewChaCha8([32]byte{3})
	for range 200 {
		bare := strings.ReplaceAll(newRef(t, random), "-", "")
		for i := range bare {
			for _, r := range refAlphabet {
				if slip := bare[:i] + string(r) + bare[i+1:]; slip != bare {
					if got, err := ParseRef(slip); err == nil {
						t.Fatalf("%s read as %s passes as %s", bare, slip, got)
					}
				}
			}
			if i > 0 && bare[i-1] != bare[i] {
				slip := bare[:i-1] + bare[i:i+1] + bare[i-1:i] + bare[i+1:]
				if got, err := ParseRef(slip); err == nil {
					t.Fatalf("%s read as %s passes as %s", bare, slip, got)
				}
			}
		}
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("33333-33333")
	f.Add("３３３３３ー３３３３３")
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseRef(s)
		if err != nil {
			return
		}
		if again, err := ParseRef(ref); err != nil || again != ref || len(ref) != 11 {
			t.Fatalf("ParseRef(%q) = %q, which reads %q, %v", s, ref, again, err)
		}
	})
}
