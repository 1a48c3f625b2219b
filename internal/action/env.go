package action

import (
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// An Env is a run's environment. Tests provide their own.
type Env struct {
	Getenv func(string) string
	Stdout io.Writer
	Stderr io.Writer
	// Program is what a person types to start this program again; "" if that is
	// not known.
	Program string
	// Notify starts the delivery of signals and returns a function that stops it;
	// nil delivers none.
	Notify func() (<-chan os.Signal, func())
	// Exit ends the process immediately; only the second signal calls it.
	Exit func(code int)
	// Now is the time at which a signal arrives; nil is time.Now.
	Now func() time.Time
}

// EnvMage, when set, says that a mage target started this program. A SIGTERM to
// "go tool mage" ends mage alone, so the program treats the end of its parent
// process as a SIGHUP.
const EnvMage = "CANDLEFISH_MAGE"

// OS returns the process's own environment. It also ignores SIGPIPE: a closed
// pipe must not end a rollout.
func OS() Env {
	signal.Ignore(syscall.SIGPIPE)
	return Env{
		Getenv:  os.Getenv,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Program: typed(os.Args[0], mainPackage()),
		Notify:  Notify,
		Exit:    os.Exit,
	}
}

// mainPackage returns the import path of the program, "" if it is not known.
func mainPackage() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Path == "command-line-arguments" { // go run main.go
		return ""
	}
	return info.Path
}

// goRun matches the two places from which go run starts a program: its folder for
// one build, and the build cache.
var goRun = regexp.MustCompile(`[/\\](go-build[0-9]+[/\\]b[0-9]+[/\\]exe|[0-9a-f]{2}[/\\][0-9a-f]{64}-d)[/\\][^/\\]+$`)

// plainWord matches what a shell takes as one word without quotes.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// typed returns what a person typed to start the program at arg0. The shell
// passes it on; go run passes a path that is gone after the run.
func typed(arg0, mainPackage string) string {
	switch {
	case goRun.MatchString(arg0) && mainPackage == "":
		return ""
	case goRun.MatchString(arg0):
		return "go run " + mainPackage // works in every folder of the module
	case arg0 == "" || plainWord.MatchString(arg0):
		return arg0
	}
	return "'" + strings.ReplaceAll(arg0, "'", `'\''`) + "'"
}
