// Package isolate runs a program that is not trusted with the job's secrets.
//
// The program gets an environment of allowed variables only, a HOME and a
// temporary folder of its own, the workspace read-only, no network unless its
// command needs one, limits of time, memory and output, and its whole process
// group ends with it. [Ran] says which of these the machine could enforce:
// nothing is claimed that was not set up.
package isolate

import "time"

// A Command is a program to run.
type Command struct {
	Program string   // an absolute path
	Args    []string // without the program
	Dir     string   // where it runs; "" for the workspace
	// Env are variables in the form of os.Environ, added to the few of the sandbox
	// (PATH, HOME, TMPDIR, LANG).
	Env     []string
	Network bool     // it needs one
	Reads   []string // files and folders that it may read beside the workspace and the system
	Writes  []string // folders that it may write beside HOME and TMPDIR
	Time    time.Duration
	Memory  int64 // bytes of address space or of the control group; 0 for the default
	// Report is a file that the program writes, below one of Writes; "" for standard output.
	Report string
}

// An Ending is how a program ended.
type Ending string

// Endings.
const (
	Exited      Ending = "exited"        // by itself, with Ran.Status
	Signalled   Ending = "signalled"     // by a signal that was not ours
	TimedOut    Ending = "timed out"     // we ended it
	OutOfMemory Ending = "out of memory" // the limit of memory ended it
	NotStarted  Ending = "not started"
	Cancelled   Ending = "cancelled" // the run ended
)

// Ran is what is known of a program that ran.
type Ran struct {
	Ending    Ending
	Status    int    // exit status, if it exited
	Why       string // more about the ending: the signal, the error of the start
	Stdout    []byte // or the report file
	Stderr    []byte // its end
	Truncated bool   // there was more output than the limit
	Took      time.Duration
	// CPU is the processor time of the program and of all processes below it that it
	// waited for.
	CPU time.Duration
	// Enforced are the parts of the isolation that were in place, as words for the
	// report: "environment", "network", "read-only", "memory", "processes".
	Enforced []string
}
