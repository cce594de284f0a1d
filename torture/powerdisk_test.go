package torture

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// disk is what a disk was asked to do with one ledger, by the record that
// testdata/powercut.c keeps, and so what a power cut leaves of it. Of a disk, and
// of the file system on it, this is taken for granted and no more:
//
//   - What was written before a sync began is there once the sync has returned,
//     and stays.
//   - Whatever was written later may be there or not, each sector (512 bytes, or
//     4096) by itself, in any of the states that it had since; neither sectors nor
//     files wait for each other. A sector is never half written, and writing one
//     harms no other.
//   - A file that grows or shrinks may be found with any of its sizes since. A new
//     sector that was not written has zeros or anything else.
//   - A file that was made or removed may be there or not until its folder has been
//     synced; that the file itself was synced does not help.
type disk struct {
	t    testing.TB
	path string // of the database, free of symbolic links
	shim string
	log  string // folder of the record
	base map[byte]*object
}

// What the record calls the files.
const (
	databaseFile = 'd'
	walFile      = 'w'
	journalFile  = 'j'
	folderFile   = 'f'
)

var suffixes = map[byte]string{databaseFile: "", walFile: "-wal", journalFile: "-journal"}

// newDisk is an empty disk for the ledger of the working folder dir. Where this
// cannot be recorded, the test is skipped.
func newDisk(t testing.TB, dir string) *disk {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the record of the disk is made for Linux alone")
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	made := t.TempDir()
	d := &disk{t: t, path: filepath.Join(dir, "oshirase.db"), shim: filepath.Join(made, "powercut.so"), log: filepath.Join(made, "log")}
	if err := os.Mkdir(d.log, 0o700); err != nil {
		t.Fatal(err)
	}
	cc := "cc"
	if out, err := exec.Command("go", "env", "CC").Output(); err == nil && len(bytes.TrimSpace(out)) > 0 {
		cc = string(bytes.TrimSpace(out))
	}
	args := append(strings.Fields(cc), "-shared", "-fPIC", "-O2", "-U_FORTIFY_SOURCE", "-o", d.shim, filepath.Join("testdata", "powercut.c"), "-ldl")
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skipf("no C compiler to record with what the program asks of the disk: %v", err)
	}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	probe := exec.Command(program, "--help")
	probe.Env = append(os.Environ(), d.env()...)
	if out, err := probe.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	if len(d.read()) == 0 {
		t.Skip("the program takes no LD_PRELOAD (linked statically?): what it asks of the disk cannot be recorded")
	}
	d.become(nil)
	return d
}

// env lets a process that is started with it leave a record.
func (d *disk) env() []string {
	preload := d.shim
	if before := os.Getenv("LD_PRELOAD"); before != "" {
		preload += ":" + before
	}
	return []string{"LD_PRELOAD=" + preload, "POWERCUT_DB=" + d.path, "POWERCUT_LOG=" + d.log}
}

// dieAt ends a process with kill -9 when it has done so many steps of a kind on a
// file, and does not know it yet.
func dieAt(op, file byte, n int) string { return fmt.Sprintf("POWERCUT_DIE=%c %c %d", op, file, n) }

// step is one entry of the record; see testdata/powercut.c.
type step struct {
	op, file      byte
	ticket, began uint64
	inode         uint64
	offset        int64
	data          []byte
}

// What is done to files, in the record.
const (
	opened    = 'O'
	wrote     = 'W'
	truncated = 'T'
	synced    = 'S'
	unlinked  = 'U'
)

// read returns what was recorded since the disk became what it is, in order.
func (d *disk) read() (steps []step) {
	d.t.Helper()
	logs, err := filepath.Glob(filepath.Join(d.log, "*"))
	if err != nil {
		d.t.Fatal(err)
	}
	const head, magic = 48, 0x54554352
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			d.t.Fatal(err)
		}
		u64 := binary.NativeEndian.Uint64
		for len(b) >= head && binary.NativeEndian.Uint32(b) == magic {
			n := u64(b[8:])
			if n > uint64(len(b)-head) {
				break // the process was ended while it wrote this one
			}
			steps = append(steps, step{
				op: b[4], file: b[5], ticket: u64(b[16:]), began: u64(b[24:]), inode: u64(b[32:]), offset: int64(u64(b[40:])), data: b[head : head+n],
			})
			b = b[head+n:]
		}
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.ticket, b.ticket) })
	return steps
}

// object is a file, whatever its name has become.
type object struct {
	inode  uint64
	file   byte
	base   []byte // what is there for certain since the last power cut
	steps  []step // writes and truncations since
	synced uint64 // those with a lower ticket are there for certain
}

// link says what a name stands for from some ticket on; nil: there is no such file.
type link struct {
	ticket uint64
	to     *object
}

// state is a disk at the moment that the power fails.
type state struct {
	links  map[byte][]link // the first is there for certain
	synced uint64          // the folder: links with a lower ticket are there for certain
}

// state replays the record.
func (d *disk) state() *state {
	d.t.Helper()
	s := &state{links: map[byte][]link{}}
	objects := map[uint64]*object{} // the kernel gives the number of a removed file to the next one
	for file := range suffixes {
		o := d.base[file]
		if s.links[file] = []link{{0, o}}; o != nil {
			objects[o.inode] = &object{inode: o.inode, file: file, base: o.base}
			s.links[file][0].to = objects[o.inode]
		}
	}
	for _, e := range d.read() {
		if e.file == folderFile {
			if e.op == synced {
				s.synced = max(s.synced, e.began)
			}
			continue
		}
		o := objects[e.inode]
		if e.op != opened && e.op != 'L' && o == nil {
			d.t.Fatalf("the record has step %c on a file %c that was never opened", e.op, e.file)
		}
		switch e.op {
		case opened:
			if o == nil {
				o = &object{inode: e.inode, file: e.file}
				objects[e.inode] = o
			}
			if l := s.links[e.file]; l[len(l)-1].to != o {
				s.links[e.file] = append(l, link{e.ticket, o})
			}
		case wrote, truncated:
			o.steps = append(o.steps, e)
		case synced:
			o.synced = max(o.synced, e.began)
		case unlinked:
			s.links[e.file] = append(s.links[e.file], link{e.ticket, nil})
			delete(objects, e.inode)
		}
	}
	return s
}

// unsynced is how many steps on a file are at the mercy of a power cut.
func (s *state) unsynced(file byte) (n int) {
	l := s.links[file]
	if o := l[len(l)-1].to; o != nil {
		for _, e := range o.steps {
			if e.ticket >= o.synced {
				n++
			}
		}
	}
	return n
}

// loss is how a power cut goes.
type loss struct {
	rng    *rand.Rand
	kept   map[byte]float64 // by file: the share of unsynced sectors, and sizes, that are there
	names  float64          // the same for names
	forget map[byte]bool    // files whose syncs the disk has forgotten: it lied
}

// drawLoss draws how a power cut goes: for each file all is gone that may be, or
// nothing, or some.
func drawLoss(rng *rand.Rand) loss {
	draw := func() float64 {
		switch rng.IntN(4) {
		case 0:
			return 0
		case 1:
			return 1
		}
		return rng.Float64()
	}
	l := loss{rng: rng, kept: map[byte]float64{}}
	for _, file := range slices.Sorted(maps.Keys(suffixes)) {
		l.kept[file] = draw()
	}
	l.names = draw()
	return l
}

// after is what there is when the power is back.
func (s *state) after(l loss) map[byte][]byte {
	files := map[byte][]byte{}
	for _, file := range slices.Sorted(maps.Keys(s.links)) {
		links := s.links[file]
		sure := 0
		for i := range links {
			if links[i].ticket < s.synced {
				sure = i
			}
		}
		if o := links[sure+prefix(l.rng, len(links)-1-sure, l.names)].to; o != nil {
			files[file] = o.after(l)
		}
	}
	return files
}

// prefix draws how many of n steps, each of which undoes what was before, are
// done: with probability p all of them.
func prefix(rng *rand.Rand, n int, p float64) int {
	switch {
	case n == 0 || rng.Float64() < p:
		return n
	case p == 0:
		return 0
	}
	return rng.IntN(n)
}

// after is what there is of a file when the power is back.
func (o *object) after(l loss) []byte {
	until := o.synced
	if l.forget[o.file] {
		until = 0
	}
	b := slices.Clone(o.base)
	var open []step
	for _, e := range o.steps {
		if e.ticket < until {
			b = e.apply(b)
		} else {
			open = append(open, e)
		}
	}
	sizes := []int{len(b)}
	for _, e := range open {
		sizes = append(sizes, e.size(sizes[len(sizes)-1]))
	}
	size := sizes[prefix(l.rng, len(open), l.kept[o.file])]
	old, most := len(b), slices.Max(sizes)
	b = append(b, make([]byte, most-old)...)

	unit := []int{512, 4096}[l.rng.IntN(2)]
	touched := map[int]int{} // unit → steps on it
	each := func(e step, fn func(u, from, to int)) {
		from, to := int(e.offset), most
		if e.op == wrote {
			to = from + len(e.data)
		}
		for u := from / unit; u*unit < to; u++ {
			fn(u, max(from, u*unit), min(to, (u+1)*unit))
		}
	}
	for _, e := range open {
		each(e, func(u, _, _ int) { touched[u]++ })
	}
	for _, u := range slices.Sorted(maps.Keys(touched)) {
		n := prefix(l.rng, touched[u], l.kept[o.file])
		if touched[u] = n; n == 0 && u*unit >= old && l.rng.IntN(2) == 0 {
			for i := u * unit; i < min(most, (u+1)*unit); i++ {
				b[i] = byte(l.rng.Uint32())
			}
		}
	}
	for _, e := range open {
		each(e, func(u, from, to int) {
			if touched[u] == 0 {
				return
			}
			touched[u]--
			if e.op == wrote {
				copy(b[from:to], e.data[from-int(e.offset):])
			} else {
				clear(b[from:to])
			}
		})
	}
	return b[:size]
}

// size is that of a file of n bytes after the step.
func (e step) size(n int) int {
	if e.op == truncated {
		return int(e.offset)
	}
	return max(n, int(e.offset)+len(e.data))
}

func (e step) apply(b []byte) []byte {
	if n := e.size(len(b)); n <= len(b) {
		b = b[:n]
	} else {
		b = append(b, make([]byte, n-len(b))...)
	}
	copy(b[min(int(e.offset), len(b)):], e.data)
	return b
}

// become makes the disk, and the folder, what a power cut has left. Nobody may
// have a file open. The record starts anew.
func (d *disk) become(files map[byte][]byte) {
	d.t.Helper()
	if err := os.RemoveAll(d.log); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Mkdir(d.log, 0o700); err != nil {
		d.t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-journal", "-shm"} { // -shm is memory
		if err := os.RemoveAll(d.path + suffix); err != nil {
			d.t.Fatal(err)
		}
	}
	d.put(d.path, files)
	d.base = map[byte]*object{}
	for file, b := range files {
		st, err := os.Stat(d.path + suffixes[file])
		if err != nil {
			d.t.Fatal(err)
		}
		d.base[file] = &object{inode: st.Sys().(*syscall.Stat_t).Ino, file: file, base: b}
	}
}

// has is what is really in a file; nil: it is not there.
func (d *disk) has(file byte) []byte {
	d.t.Helper()
	b, err := os.ReadFile(d.path + suffixes[file])
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatal(err)
	}
	return b
}

// put writes what is left to another place.
func (d *disk) put(path string, files map[byte][]byte) {
	d.t.Helper()
	for file, b := range files {
		if err := os.WriteFile(path+suffixes[file], b, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}
