// Package ending says in words how an isolated program ended that did not do its work.
package ending

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/isolate"
)

// A Kind is a word for what went wrong. The healths of both gates' verdicts are these
// words.
type Kind string

// Kinds.
const (
	Crashed     Kind = "crashed"
	TimedOut    Kind = "timed out"
	OutOfMemory Kind = "out of memory"
	Unreadable  Kind = "unreadable"
)

// Bad says what is wrong with how a program ended, if something is. limit is the time
// that it had.
func Bad(ran isolate.Ran, limit time.Duration) (kind Kind, why string, bad bool) {
	switch ran.Ending {
	case isolate.Exited:
		if ran.Truncated {
			return Unreadable, withLastWords("it printed more than is read", ran.Stderr), true
		}
		return "", "", false
	case isolate.TimedOut:
		return TimedOut, withLastWords(fmt.Sprintf("it did not end within %v", limit), ran.Stderr), true
	case isolate.OutOfMemory:
		return OutOfMemory, withLastWords("it used more memory than allowed", ran.Stderr), true
	case isolate.Cancelled:
		return TimedOut, withLastWords("the run was cancelled", ran.Stderr), true
	case isolate.Signalled, isolate.NotStarted: // the words of isolate say it
	}
	return Crashed, withLastWords(strings.TrimSpace(fmt.Sprintf("%s %s", ran.Ending, ran.Why)), ran.Stderr), true
}

// Misread says why a report could not be read: the reader's reason, and what the
// program itself said if that is more.
func Misread(err error, ran isolate.Ran) string {
	why := err.Error()
	if ran.Status != 0 && !strings.Contains(why, fmt.Sprintf("status %d", ran.Status)) {
		why += fmt.Sprintf(" (exit status %d)", ran.Status)
	}
	return withLastWords(why, ran.Stderr)
}

// withLastWords adds the end of what a tool printed, in one line, without what the
// reason has of it already.
func withLastWords(why string, stderr []byte) string {
	var said []string
	lines := strings.Split(strings.TrimSpace(string(stderr)), "\n")
	for _, line := range lines[max(0, len(lines)-3):] {
		line = strings.TrimSpace(ours.ReplaceAllString(line, "~"))
		if line != "" && !known(why, line) && !strings.Contains(line, "complete log of this run") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return why
	}
	text := strings.Join(said, " / ")
	if r := []rune(text); len(r) > 300 {
		text = "..." + string(r[len(r)-300:])
	}
	return why + "; its last words: " + text
}

// ours is the scratch folder of a tool, which is gone when people read of it.
var ours = regexp.MustCompile(`\S*candlefish-tool-[0-9]+/(home|tmp)`)

// known reports whether a reason has the end of a line already.
func known(why, line string) bool {
	r := []rune(line)
	return strings.Contains(why, string(r[max(0, len(r)-60):]))
}
