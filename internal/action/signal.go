package action

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
)

// A SignalError is the cause of a context that a signal cancelled.
type SignalError struct {
	Signal os.Signal
}

// Error names the signal.
func (e *SignalError) Error() string {
	if e.Signal == syscall.SIGHUP {
		return "the parent process or the terminal is gone (SIGHUP)"
	}
	return fmt.Sprintf("stopped by signal: %v", e.Signal)
}

var stopSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// Notify starts the delivery of the signals that end a run and returns a function that
// stops it. Under mage the death of the parent process is one of them; see [EnvMage].
func Notify() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 4)
	signal.Notify(c, stopSignals...)
	release := func() {}
	if os.Getenv(EnvMage) != "" {
		release = watchParent(c)
	}
	return c, func() {
		release()
		unnotify(c)
	}
}

// unnotify ends a notification. A SIGHUP stays without effect: the kernel sends
// one for each thread of a parent that dies, and the shell sends another one when
// its terminal closes. A late one must not end the process before it has printed
// its result.
func unnotify(c chan<- os.Signal) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // signal.Stop would restore the default, also after signal.Ignore
	signal.Stop(c)
}

// sameStop is the time in which repeats of the first signal belong to it: GNU
// timeout and a runner signal the process and its group, so one stop arrives twice.
const sameStop = time.Second

// stopContext returns a context that the first signal cancels, with a
// [SignalError] as its cause. The second SIGINT or SIGTERM ends the process
// immediately, unless it repeats the first one within sameStop. A SIGHUP does not
// count as the second signal: the Ctrl-C that started the abort also ends mage, and
// that must not cut the abort short.
func stopContext(parent context.Context, env Env, report func(string)) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	if env.Notify == nil {
		return ctx, func() { cancel(nil) }
	}
	now := env.Now
	if now == nil {
		now = time.Now
	}
	signals, stop := env.Notify()
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		var first os.Signal
		var began time.Time
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				switch {
				case first == nil:
					first, began = s, now()
					report(fmt.Sprintf("%v: shutting down; send the signal again after a second to force exit", s))
					cancel(&SignalError{Signal: s})
				case s == first && now().Sub(began) < sameStop:
				case s != syscall.SIGHUP:
					report(fmt.Sprintf("%v again: forced exit; the state is unknown", s))
					env.Exit(exit.AbortFailed.Code())
				}
			}
		}
	}()
	return ctx, func() {
		stop()
		close(done)
		<-finished
		cancel(nil)
	}
}
