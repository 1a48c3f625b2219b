package action

import (
	"io"
	"os"
	"os/signal"
	"syscall"
)

// An Env is a run's environment. Tests provide their own.
type Env struct {
	Getenv func(string) string
	Stdout io.Writer
	Stderr io.Writer
	// Notify starts the delivery of signals and returns a function that stops it;
	// nil delivers none.
	Notify func() (<-chan os.Signal, func())
	// Exit ends the process immediately; only the second signal calls it.
	Exit func(code int)
}

// EnvMage, when set, says that a mage target started this program. A SIGTERM to
// "go tool mage" ends mage alone, so the program treats the end of its parent
// process as a SIGHUP.
const EnvMage = "CANDLEFISH_MAGE"

// OS returns the process's own environment. It also ignores SIGPIPE: a closed
// pipe must not end a rollout.
func OS() Env {
	signal.Ignore(syscall.SIGPIPE)
	env := Env{
		Getenv: os.Getenv,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Notify: notify,
		Exit:   os.Exit,
	}
	if os.Getenv(EnvMage) != "" {
		env.Notify = notifyUnderMage
	}
	return env
}
