package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oshirase/config"
)

func TestConfigExample(t *testing.T) {
	if out := ok(t, t.TempDir(), "config", "example"); out != string(config.Example()) {
		t.Errorf("got\n%s", out)
	}
}

func TestConfigCheck(t *testing.T) {
	dir := initialised(t)
	out := ok(t, dir, "config", "check")
	if !strings.Contains(out, "data_timeout = '10m'") || !strings.Contains(out, "ok: oshirase.toml") {
		t.Errorf("got\n%s", out)
	}
	r := okJSON[configCheckResult](t, dir, "config", "check")
	if !r.Valid || len(r.Findings) > 0 || r.Config == nil || r.Config.Sending.Batch != 500 {
		t.Errorf("got %+v", r)
	}
}

// TestConfigCheckShowsNoSecret: neither the key nor a password is printed, even
// where they are what is wrong.
func TestConfigCheckShowsNoSecret(t *testing.T) {
	dir := initialised(t)
	path := filepath.Join(dir, "oshirase.toml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), `# username = "oshirase"`, `username = "u"`, 1)
	text = strings.Replace(text, `# password_file = "relay.password"`, `password_file = "relay.password"`, 1)
	key, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		path: text, filepath.Join(dir, "relay.password"): "swordfish\n", filepath.Join(dir, "master.key"): "x" + string(key),
	} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"config", "check"}, {"config", "check", "--json"}} {
		code, out, errs := oshirase(t, dir, args...)
		if code != exitFailed || !strings.Contains(out, "key.file") {
			t.Errorf("%v: exit code %d\n%s%s", args, code, out, errs)
		}
		if all := out + errs; strings.Contains(all, "swordfish") || strings.Contains(all, strings.TrimSpace(string(key))) {
			t.Errorf("%v shows a secret:\n%s", args, all)
		}
	}
}

func TestConfigCheckOfABrokenFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "oshirase.toml"), []byte("databse = 'x'\n[log]\nlevel = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := oshirase(t, dir, "config", "check", "--json")
	if code != exitFailed || !strings.Contains(out, `"valid": false`) || !strings.Contains(errs, "oshirase.toml:") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

func TestConfigFromTheEnvironment(t *testing.T) {
	dir := initialised(t)
	t.Setenv("OSHIRASE_CONFIG", filepath.Join(dir, "oshirase.toml"))
	r := okJSON[configCheckResult](t, t.TempDir(), "config", "check")
	if !r.Valid || r.File != filepath.Join(dir, "oshirase.toml") {
		t.Errorf("got %+v", r)
	}
	code, _, errs := oshirase(t, t.TempDir(), "config", "check", "--config", "gone.toml")
	if code != exitFailed || !strings.Contains(errs, "gone.toml") {
		t.Errorf("--config does not come first: %d\n%s", code, errs)
	}
}
