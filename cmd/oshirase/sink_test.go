package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	netsmtp "net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oshirase/mailer/sink"
)

// TestSink runs the receiver as a command: messages come, the signal ends it.
func TestSink(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs, errWriter := io.Pipe()
	var out bytes.Buffer
	code := make(chan int)
	go func() {
		args := []string{"sink", "--listen", "127.0.0.1:0", "--dir", dir, "--demo-faults", "--json"}
		code <- run(ctx, args, strings.NewReader(""), &out, errWriter)
		errWriter.Close()
	}()
	lines := bufio.NewScanner(errs)
	if !lines.Scan() {
		t.Fatal("no line")
	}
	addr, listening := strings.CutPrefix(lines.Text(), "listening on ")
	if !listening {
		t.Fatalf("first line %q", lines.Text())
	}
	rest := make(chan string)
	go func() {
		var b strings.Builder
		for lines.Scan() {
			b.WriteString(lines.Text() + "\n")
		}
		rest <- b.String()
	}()
	for to, want := range map[string]string{"hanako@people.example": "", "refused@people.example": "5.1.1 User unknown", "cut@people.example": "EOF"} {
		err := netsmtp.SendMail(addr, nil, "info@shop.example", []string{to}, []byte("Subject: x\r\n\r\nbody\r\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", to, err, want)
		}
	}
	cancel()
	if c := <-code; c != exitDone {
		t.Errorf("exit code %d", c)
	}
	if log := <-rest; !strings.Contains(log, "to h***@people.example") || strings.Contains(log, "hanako") {
		t.Errorf("log:\n%s", log)
	}
	var got sink.Counts
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	if got.Connections != 3 || got.Messages != 2 || got.Untold != 1 || got.Refused != 1 {
		t.Errorf("%+v", got)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("%v %v", names, err)
	}
}

func TestSinkUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--fault", "nowhere:drop"},
		{"--auth", "user:password"},
		{"--write-ca", "ca.pem"},
		{"--starttls", "--implicit-tls"},
		{"extra"},
	} {
		if code, _, errs := oshirase(t, t.TempDir(), append([]string{"sink"}, args...)...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
	}
}

// TestSinkAuth: the password comes from where no other user of the machine reads it.
func TestSinkAuth(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("OSHIRASE_SINK_AUTH", "env:of:all")
	for name, tt := range map[string]struct{ file, user, password string }{
		"environment": {"", "env", "of:all"},
		"file":        {write("a", "u:p w\r\nmore\n", 0o600), "u", "p w"},
	} {
		user, password, err := sinkAuth(tt.file)
		if err != nil || user != tt.user || password != tt.password {
			t.Errorf("%s: %q %q %v", name, user, password, err)
		}
	}
	for name, file := range map[string]string{
		"no colon": write("b", "user\n", 0o600), "no user": write("c", ":p\n", 0o600), "empty": write("d", "\n", 0o600),
		"shown": write("e", "u:p\n", 0o644), "none": filepath.Join(dir, "f"),
	} {
		if user, _, err := sinkAuth(file); err == nil {
			t.Errorf("%s: taken as %q", name, user)
		}
	}
}
