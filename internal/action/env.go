package action

import (
	"io"
	"os"
	"os/signal"
	"syscall"
)

// An Env is everything a run has from the outside. Tests fill in their own.
type Env struct {
	Getenv func(string) string
	Stdout io.Writer
	Stderr io.Writer
	// Notify starts the delivery of signals and returns how to stop it; nil is
	// no signals.
	Notify func() (<-chan os.Signal, func())
	// Exit ends the process at once; it is called on the second signal only.
	Exit func(code int)
}

// OS returns the process's own environment. A reader that goes away is no
// reason to die in the middle of a rollout, so SIGPIPE is ignored from here on.
func OS() Env {
	signal.Ignore(syscall.SIGPIPE)
	return Env{
		Getenv: os.Getenv,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Notify: notify,
		Exit:   os.Exit,
	}
}

// Mage returns the process's own environment for a mage target. Mage ends a
// target five seconds after a SIGINT, too early for an abort, and a SIGTERM ends
// only mage's wrapper: so SIGINT is taken over from mage, and the death of the
// parent process arrives as SIGHUP.
func Mage() Env {
	env := OS()
	env.Notify = notifyUnderMage
	return env
}
