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

// EnvMage, when set, says that a mage target became this program. A SIGTERM to
// "go tool mage" ends mage alone, so the death of the parent process then
// arrives as a SIGHUP.
const EnvMage = "CANDLEFISH_MAGE"

// OS returns the process's own environment. A reader that goes away is no
// reason to die in the middle of a rollout, so SIGPIPE is ignored from here on.
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
