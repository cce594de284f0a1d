package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"oshirase/config"
)

// samples are invented organisations, shaped like real notices, and lists of
// invented people. They go to the working folder as they stand.
//
//go:embed samples
var samples embed.FS

// sinkAddress is where `oshirase sink` is expected when no relay is named.
const sinkAddress = "127.0.0.1:2525"

type initOptions struct {
	dir   string
	relay string // HOST:PORT
	tls   string // as in config.Relay
}

func newInitCommand(a *app) *cobra.Command {
	var opts initOptions
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a working folder with config, key and samples",
		Long: `init makes a working folder: a config, a new master key (mode 0600), two sample
incidents (pay, shop), five sample merchants (processor, housing, donation,
sports, shop) and lists of invented people, some in CP932, some in UTF-8.

Nothing is ever overwritten: if any of the files is there, nothing is written.

Without --relay the config points to the built-in receiver, which needs no TLS
(oshirase sink --listen ` + sinkAddress + `). With --relay, TLS is required unless
--relay-tls says otherwise.`,
		Example: `  oshirase init first
  oshirase init live --relay mail.example:587
  oshirase init test --relay 127.0.0.1:25 --relay-tls none`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			opts.dir = args[0]
			if opts.tls == "" {
				opts.tls = "required"
				if !c.Flags().Changed("relay") {
					opts.tls = "none"
				}
			}
			return a.initialise(opts)
		},
	}
	c.Flags().StringVar(&opts.relay, "relay", sinkAddress, "relay to send through, as `HOST:PORT`")
	c.Flags().StringVar(&opts.tls, "relay-tls", "", "`required` (STARTTLS), implicit or none (default required; none without --relay)")
	return c
}

func (a *app) initialise(opts initOptions) error {
	files, err := a.initFiles(opts)
	if err != nil {
		return err
	}
	if err := writeNew(opts.dir, files); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]string{"dir": opts.dir})
	}
	for _, f := range files {
		a.printf("%s\n", filepath.Join(opts.dir, f.name))
	}
	a.printf("\n%s", nextSteps(opts))
	return nil
}

// newFile is a file to be made, its name with slashes.
type newFile struct {
	name string
	data []byte
	mode fs.FileMode
}

// initFiles prepares everything in memory, so that writing can only fail for
// reasons of the disk.
func (a *app) initFiles(opts initOptions) ([]newFile, error) {
	host, port, err := net.SplitHostPort(opts.relay)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || perr != nil || n == 0 {
		return nil, usagef("--relay %q: write HOST:PORT, such as mail.example:587", opts.relay)
	}
	switch opts.tls {
	case "required", "implicit", "none":
	default:
		return nil, usagef("--relay-tls %q: use required, implicit or none", opts.tls)
	}
	cfg, err := sampleConfig(opts)
	if err != nil {
		return nil, err
	}
	key := make([]byte, config.KeySize)
	if _, err := io.ReadFull(a.random, key); err != nil {
		return nil, fmt.Errorf("make master key: %w", err)
	}
	files := []newFile{
		{name: "oshirase.toml", data: cfg, mode: 0o644},
		{name: "master.key", data: config.FormatKey(key), mode: 0o600},
	}
	err = fs.WalkDir(samples, "samples", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".tmpl") {
			return err
		}
		data, err := samples.ReadFile(name)
		if err != nil {
			return err
		}
		f := newFile{name: strings.TrimPrefix(name, "samples/"), data: data, mode: 0o644}
		if path.Ext(name) == ".csv" {
			f.mode = 0o600 // as real lists ought to be
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

func sampleConfig(opts initOptions) ([]byte, error) {
	t, err := template.ParseFS(samples, "samples/oshirase.toml.tmpl")
	if err != nil {
		return nil, fmt.Errorf("sample config: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]string{"Relay": opts.relay, "TLS": opts.tls}); err != nil {
		return nil, fmt.Errorf("sample config: %w", err)
	}
	return b.Bytes(), nil
}

// writeNew writes files that are not there yet into dir: all, or none. What is
// there is looked for first, and again at each file (O_EXCL).
func writeNew(dir string, files []newFile) (err error) {
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.name))
		if _, err := os.Lstat(name); err == nil {
			return existsError(name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look for what is there: %w", err)
		}
	}
	var made []string // files and folders, outermost first
	defer func() {
		if err == nil {
			return
		}
		for i := len(made) - 1; i >= 0; i-- {
			_ = os.Remove(made[i]) // a folder that somebody else uses meanwhile stays
		}
	}()
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.name))
		dirs, err := makeDirs(filepath.Dir(name))
		made = append(made, dirs...)
		if err != nil {
			return err
		}
		if err := writeOne(name, f); err != nil {
			if errors.Is(err, fs.ErrExist) {
				return existsError(name)
			}
			made = append(made, name)
			return err
		}
		made = append(made, name)
	}
	// Without its key a ledger is lost: no power cut may take the name of the file.
	folders := map[string]bool{}
	for _, name := range made {
		folders[filepath.Dir(name)] = true
	}
	for dir := range folders {
		if err := syncFolder(dir); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	return nil
}

func existsError(name string) error {
	return withHint(fmt.Errorf("%s is already there; nothing was written", name),
		"choose another folder; a working folder is made once and edited from then on")
}

// makeDirs makes a folder and those above it, and returns which it made.
func makeDirs(dir string) (made []string, err error) {
	var missing []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		missing = append(missing, d)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := os.Mkdir(missing[i], 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return made, fmt.Errorf("make folder: %w", err)
		}
		made = append(made, missing[i])
	}
	return made, nil
}

func writeOne(name string, f newFile) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	_, err = file.Write(f.data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func nextSteps(opts initOptions) string {
	var b strings.Builder
	b.WriteString("Next:\n")
	fmt.Fprintf(&b, "  cd %s\n", opts.dir)
	if opts.relay == sinkAddress {
		fmt.Fprintf(&b, "  oshirase sink --listen %s --dir mail     # in another terminal: receives the mail\n", sinkAddress)
	} else {
		b.WriteString("  oshirase config check                              # the relay's name and password, the key\n")
	}
	b.WriteString(`  oshirase apply
  oshirase import --incident pay --merchant housing lists/housing.csv
  oshirase campaign create --incident pay --merchant housing --stage formal --window always
                                                     # always: this trial at any hour; 9:00 to 20:00 without
  oshirase campaign check ID                         # ID is what create printed
  oshirase campaign preview ID
  oshirase campaign approve ID --by NAME --count N   # twice, by two people
  oshirase campaign start ID
  oshirase run
  oshirase status
`)
	return b.String()
}
