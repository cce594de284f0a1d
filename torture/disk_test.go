package torture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mountedEnv names the folder on which TestDiskFull, started by itself in a mount
// namespace of its own, mounts a small disk.
const mountedEnv = "TORTURE_DISK"

// TestDiskFull fills the disk under a working worker. What was recorded stays,
// nothing is handed out that could not be recorded beforehand, and at most what
// was on the wire is unknown.
//
// The disk is a tmpfs in a mount namespace, which root has and, on most
// systems, users have too. Where neither is allowed the limit is the size of the
// files that a worker may write: the kernel then ends it at a random write.
func TestDiskFull(t *testing.T) {
	if dir := os.Getenv(mountedEnv); dir != "" {
		diskFull(t, dir)
		return
	}
	t.Parallel()
	cmd, err := inNamespace(t.TempDir())
	if err != nil {
		t.Logf("no disk of its own (%v): limiting the size of files instead", err)
		fileLimit(t)
		return
	}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	row := tally{name: "disk"}
	for _, line := range strings.Split(string(out), "\n") {
		if _, text, ok := strings.Cut(line, diskResult); ok {
			if _, err := fmt.Sscan(text, &row.people, &row.outages, &row.unknown, &row.allowed, &row.accepted); err != nil {
				t.Fatal(err)
			}
		}
	}
	if row.accepted == 0 {
		t.Fatal("the test in the namespace has said nothing")
	}
	summary.add(row)
}

const diskResult = "disk full: people, times, unknown, allowed, accepted: "

// inNamespace is this test once more, as root of a mount namespace; an error
// where this machine allows none.
func inNamespace(dir string) (*exec.Cmd, error) {
	var errs []error
	for _, flags := range []uintptr{syscall.CLONE_NEWNS, syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER} {
		attr := func() *syscall.SysProcAttr {
			a := &syscall.SysProcAttr{Cloneflags: flags}
			if flags&syscall.CLONE_NEWUSER != 0 {
				a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
				a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
			}
			return a
		}
		// Whether mounting is allowed shows only when it is tried.
		probe := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir)
		probe.SysProcAttr = attr()
		if out, err := probe.CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("%w %s", err, out))
			continue
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v", fmt.Sprintf("-seed=%d", seed), fmt.Sprintf("-long=%t", *longFlag))
		cmd.Env = append(os.Environ(), mountedEnv+"="+dir, programEnv+"="+program)
		cmd.SysProcAttr = attr()
		return cmd, nil
	}
	return nil, errors.Join(errs...)
}

func diskFull(t *testing.T, dir string) {
	// Seen from this namespace only, also where the machine shares its mounts.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	s, rounds := settings{people: 400, connections: 4, latency: 10 * time.Millisecond}, 2
	size := "size=16m"
	if *longFlag {
		s, rounds = settings{people: 20000, connections: 10, latency: 2 * time.Millisecond}, 12
		size = "size=256m"
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	s.dir = dir
	w := newWorld(t, "disk", s)
	full := 0
	for i := range rounds {
		p := w.start("serve")
		p.messages(1+w.rng.IntN(1+(w.people-w.recv.count())/(rounds-i+1)), nil)
		ballast := filepath.Join(dir, "ballast")
		fill(t, ballast)
		gaveUp := func() bool {
			select {
			case <-p.ended:
				return true
			default:
				return w.pending() == 0
			}
		}
		if w.rng.IntN(2) == 0 {
			w.until("the worker has given up", gaveUp)
		} else {
			w.until("the worker has met the full disk", func() bool {
				return strings.Contains(p.log.String(), "full") || gaveUp()
			})
		}
		if strings.Contains(p.log.String(), "full") {
			full++
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGTERM)
		p.wait(15 * time.Second)
		w.recv.settle()
		w.done.outages++ // what was on the wire may be unknown
		if n := w.inState("sending"); n > w.wire() {
			t.Errorf("seed %d: %d deliveries in sending, with %d on the wire at most", seed, n, w.wire())
		}
		w.audit(fmt.Sprintf("full disk %d", i+1))
	}
	if full == 0 {
		t.Error("no worker has met a full disk: the test proves nothing")
	}
	w.finish()
	fmt.Println(diskResult, w.done.people, w.done.outages, w.done.unknown, w.done.allowed, w.done.accepted)
	_ = w.db.Close() // before the disk goes
}

// fill writes until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zeros := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(zeros)
	}
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
		t.Fatal(err)
	}
}

// fileLimit lets the kernel end workers at a write beyond a size.
func fileLimit(t *testing.T) {
	w := newWorld(t, "disk", settings{people: 400, connections: 4, latency: 10 * time.Millisecond})
	for i := range 3 {
		cmd := w.command("run")
		cmd.Args = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, 200+w.rng.IntN(400))}, append([]string{program}, cmd.Args[1:]...)...)
		sh, err := exec.LookPath("sh")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path = sh
		p := w.startCommand(cmd)
		<-p.ended
		w.done.kills++
		w.recv.settle()
		w.audit(fmt.Sprintf("file limit %d", i+1))
	}
	w.finish()
}
