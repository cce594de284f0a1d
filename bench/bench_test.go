package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"

	"oshirase/mailer/sink"
)

// TestRawSender: the yardstick itself loses nothing, in any way of sending.
func TestRawSender(t *testing.T) {
	for name, s := range map[string]rawSender{"DATA": {}, "BDAT": {chunking: true}, "BDAT, 4 intents": {chunking: true, intents: 4}} {
		t.Run(name, func(t *testing.T) {
			srv, err := sink.Listen("127.0.0.1:0", sink.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Close()
			s.address, s.connections, s.messages, s.size = srv.Addr().String(), 7, 100, 7800
			if _, err := s.send(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := srv.Counts()
			if got.Messages != 100 {
				t.Errorf("%d of 100 messages arrived", got.Messages)
			}
			if mean := got.Octets / got.Messages; mean < 7700 || mean > 7800 {
				t.Errorf("messages have %d octets, want about 7800", mean)
			}
		})
	}
}

func TestRawSenderIsRefused(t *testing.T) {
	rules, err := sink.ParseRules([]string{"rcpt:550 5.1.1 no such user"})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := sink.Listen("127.0.0.1:0", sink.Options{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	s := rawSender{address: srv.Addr().String(), connections: 1, messages: 3, size: 1000}
	if _, err := s.send(t.Context()); err == nil {
		t.Error("a refusal is taken for a message sent")
	}
}

func TestExpect(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("250-a\r\n250 b\r\n354 go\r\n421 bye\r\n"))
	if err := expect(r, 2); err != nil {
		t.Error(err)
	}
	if err := expect(r, 1); err == nil || !strings.Contains(err.Error(), "421 bye") {
		t.Errorf("421: %v", err)
	}
}

// TestWriteList: the list is CP932 with seven columns, and nobody is in it twice.
// Numbers, addresses and phones are all different, and of readings there are many:
// what is looked up by them is as costly to keep as with real people.
func TestWriteList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.csv")
	if err := writeList(path, 1000); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := japanese.ShiftJIS.NewDecoder().Bytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1001 || strings.Join(rows[0], ",") != listColumns {
		t.Fatalf("%d rows, %q", len(rows), rows[0])
	}
	seen, readings := make(map[string]bool), make(map[string]bool)
	for _, row := range rows[1:] {
		if seen[row[0]] || seen[row[3]] || seen[row[6]] {
			t.Fatalf("twice: %q", row)
		}
		seen[row[0]], seen[row[3]], seen[row[6]], readings[row[2]] = true, true, true, true
	}
	if len(readings) < 500 {
		t.Errorf("%d different readings of %d", len(readings), len(rows)-1)
	}
	if !bytes.Contains(text, []byte("髙橋")) || !bytes.Contains(text, []byte("山﨑")) {
		t.Error("rare names are lost")
	}
}

// TestChange: a sample that has changed is seen, not measured as it is.
func TestChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.toml")
	if err := os.WriteFile(path, []byte("a = 1\nb = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := change(path, []edit{{`(?m)^b = .*`, "b = $1"}}); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "a = 1\nb = $1\n" {
		t.Errorf("%q", text)
	}
	if change(path, []edit{{`(?m)^c = .*`, ""}}) == nil {
		t.Error("what is not there was replaced")
	}
}

// TestStatusKB reads the peak of this process; only Linux tells it.
func TestStatusKB(t *testing.T) {
	if kb, told := statusKB(os.Getpid(), "VmHWM:"), runtime.GOOS == "linux"; kb < 1000 == told {
		t.Errorf("peak of %d KB", kb)
	}
	if kb := statusKB(os.Getpid(), "Nothing:"); kb != 0 {
		t.Errorf("%d KB of nothing", kb)
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.25: 1.75, 0.5: 2.5, 1: 4} {
		if got := quantile(q, v); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if got := quantile(0.25, []float64{7}); got != 7 {
		t.Errorf("of one value %v", got)
	}
}
