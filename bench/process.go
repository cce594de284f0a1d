package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cost is what a process took.
type cost struct {
	wall time.Duration
	cpu  time.Duration // user and system
	peak int64         // VmHWM in bytes; 0 where the system does not tell
}

// watched runs a command to its end and measures it. Its standard output is
// returned; what it says on standard error is part of the error.
func watched(cmd *exec.Cmd) ([]byte, cost, error) {
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, cost{}, err
	}
	done := make(chan struct{})
	peak := make(chan int64)
	go func() { peak <- pollPeak(cmd.Process.Pid, done) }()
	err := cmd.Wait()
	c := cost{wall: time.Since(began)}
	close(done)
	c.peak = <-peak
	c.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args[1:], " "), err, lastLines(errOut.String()))
	}
	return out.Bytes(), c, err
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}

// pollPeak reads VmHWM, which only grows, until the process ends. (The maxrss
// of getrusage counts what the parent had in memory at the fork.)
func pollPeak(pid int, done <-chan struct{}) (peak int64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if kb := statusKB(pid, "VmHWM:"); kb > 0 {
			peak = kb << 10
		}
		select {
		case <-done:
			return peak
		case <-tick.C:
		}
	}
}

func statusKB(pid int, key string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), key)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kb
}

// counts is what the receiver has seen.
type counts struct {
	Messages int64 `json:"messages"`
	Octets   int64 `json:"octets"`
}

// receiver is the program's own, in another process.
type receiver struct {
	cmd     *exec.Cmd
	out     bytes.Buffer
	said    chan string
	address string
}

func (b *bench) receive(ctx context.Context, args ...string) (*receiver, error) {
	r := &receiver{cmd: exec.CommandContext(ctx, b.program, append([]string{"--json", "--quiet", "sink", "--listen", "127.0.0.1:0"}, args...)...)}
	r.cmd.Stdout = &r.out
	r.said = make(chan string, 1)
	r.cmd.Stderr = &listening{said: r.said}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	select {
	case r.address = <-r.said:
		return r, nil
	case <-time.After(10 * time.Second):
		_ = r.cmd.Process.Kill()
		return nil, errors.Join(errors.New("the receiver does not say where it listens"), r.cmd.Wait())
	}
}

// listening takes the address out of the first line that a receiver writes.
type listening struct {
	text []byte
	said chan<- string
}

func (l *listening) Write(p []byte) (int, error) {
	if l.said != nil {
		l.text = append(l.text, p...)
		if line, _, ok := bytes.Cut(l.text, []byte("\n")); ok {
			l.said <- strings.TrimPrefix(string(line), "listening on ")
			l.said = nil
		}
	}
	return len(p), nil
}

// close ends the receiver and returns what it counted.
func (r *receiver) close() (c counts, cpu time.Duration, err error) {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return c, 0, err
	}
	if err := r.cmd.Wait(); err != nil {
		return c, 0, fmt.Errorf("receiver: %w", err)
	}
	cpu = r.cmd.ProcessState.UserTime() + r.cmd.ProcessState.SystemTime()
	if err := json.Unmarshal(r.out.Bytes(), &c); err != nil {
		return c, 0, fmt.Errorf("receiver: %w", err)
	}
	return c, cpu, nil
}
