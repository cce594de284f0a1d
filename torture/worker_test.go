package torture

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// worker is one process that sends.
type worker struct {
	w     *world
	what  string
	cmd   *exec.Cmd
	log   buffer
	ended chan struct{}
	err   error // valid once ended is closed
}

// buffer is written by the process and read by the test.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start starts a worker: run or serve.
func (w *world) start(args ...string) *worker {
	w.t.Helper()
	return w.startCommand(w.command(args...))
}

func (w *world) startCommand(cmd *exec.Cmd) *worker {
	w.t.Helper()
	p := &worker{w: w, what: strings.Join(cmd.Args[1:], " "), cmd: cmd, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	w.t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.ended
	})
	return p
}

// startEither starts run or serve.
func (w *world) startEither() *worker {
	w.t.Helper()
	return w.start([]string{"run", "serve"}[w.rng.IntN(2)])
}

func (p *worker) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) } // fails where it has ended

// stopped reports whether every thread of the process is. Until then one of them
// may yet take a lock: it stops on its way out of the kernel.
func (p *worker) stopped() bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	for _, name := range stats { // none where there is no /proc
		text, err := os.ReadFile(name)
		_, rest, ok := bytes.Cut(text, []byte(") ")) // behind the name of the command
		if err != nil || !ok || rest[0] != 'T' {
			return false
		}
	}
	return true
}

// wait waits for the process to end by itself.
func (p *worker) wait(limit time.Duration) {
	p.w.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.signal(syscall.SIGQUIT) // the stacks go to the log
		<-p.ended
		p.w.t.Fatalf("%s has not ended within %s\n%s", p.what, limit, p.log.String())
	}
	p.healthy()
}

// healthy reports what a process must never say.
func (p *worker) healthy() {
	p.w.t.Helper()
	s := p.log.String()
	for _, never := range []string{"panic:", "fatal error:", "contradicts itself", "powercut:"} { // the last: the record of the disk is not complete
		if strings.Contains(s, never) {
			p.w.t.Errorf("%s broke down\n%s", p.what, s)
		}
	}
}

// succeeded demands that the process ended well: done (0), with unknown deliveries for a
// person (4), or stopped with work left (5).
func (p *worker) succeeded(limit time.Duration) {
	p.w.t.Helper()
	p.wait(limit)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 && code != 4 && code != 5 {
		p.w.t.Errorf("%s: %v\n%s", p.what, p.err, p.log.String())
	}
}

// kill is kill -9.
func (p *worker) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// term asks the process to end, and demands that it does so in seconds.
func (p *worker) term() {
	p.w.t.Helper()
	p.signal(syscall.SIGTERM)
	p.succeeded(15 * time.Second)
}

// messages waits until the receiver has taken n further messages, the worker has
// ended, or nothing is left to send. With at, the last of them is not told to
// the worker before at has been called.
func (p *worker) messages(n int, at func()) {
	p.w.t.Helper()
	reached := make(chan struct{})
	p.w.recv.after(n, func() {
		if at != nil {
			at()
		}
		close(reached)
	})
	defer p.w.recv.forget()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	limit := time.After(p.w.limit())
	for {
		select {
		case <-reached:
			return
		case <-p.ended:
			return
		case <-look.C:
			if p.w.pending() == 0 {
				return
			}
		case <-limit:
			p.w.t.Fatalf("seed %d: %s: fewer than %d messages in good time\n%s", seed, p.what, n, p.log.String())
		}
	}
}
