package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// runUnderSignals is run with the signals of the process.
func (a *app) runUnderSignals(args []string) int {
	first, second, end := stops()
	defer end()
	a.hurry = second
	return a.run(first, args)
}

// stops gives a context that ends with the first signal to stop, and one that ends with
// the second: that one waits for nobody any more, and what is known is still recorded.
// SIGHUP stops as SIGTERM does, unless it was ignored from the start (nohup).
func stops() (first, second context.Context, end func()) {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	came := make(chan os.Signal, 2)
	signal.Notify(came, list...)
	first, stop := context.WithCancel(context.Background())
	second, hurry := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		for _, cancel := range []func(){stop, hurry} {
			select {
			case <-came:
				cancel()
			case <-done:
				return
			}
		}
	}()
	return first, second, func() {
		signal.Stop(came)
		close(done)
		stop()
		hurry()
	}
}
