// Package result is what a run of a preview did and saw: its parts and their checks, the
// comment about them, and the state in that comment, which the next run reads.
package result

import (
	"slices"
	"strings"
	"time"
)

// The names of the parts.
const (
	Frontend    = "Frontend"
	API         = "API"
	Environment = "Environment"
)

// A Status is the state of one part after a run.
type Status string

// The states of a part.
const (
	StatusReady      Status = "ready"      // it answers, with this commit
	StatusRemoved    Status = "removed"    // verified as gone
	StatusAbsent     Status = "absent"     // it was looked for, and there was none
	StatusKept       Status = "kept"       // it stays, since nobody may remove it; nothing is wrong
	StatusFailed     Status = "failed"     // it did not reach its desired state
	StatusRemaining  Status = "remaining"  // it should be gone and is not
	StatusSuperseded Status = "superseded" // a newer commit or the end of the pull request came first
	StatusUnused     Status = "not used"   // the run does not manage this part
)

// A Part is the frontend or the API after a run.
type Part struct {
	Name   string        `json:"name"`
	Status Status        `json:"status"`
	URL    string        `json:"url,omitempty"`
	ID     string        `json:"id,omitempty"`
	Commit string        `json:"commit,omitempty"` // of its response
	Took   time.Duration `json:"-"`
	Detail string        `json:"detail,omitempty"`
	// Checks are the checks of this part, with their results.
	Checks []Check `json:"checks,omitempty"`
	// Left lists deploys that were deleted and still answered, for the next removal.
	Left []Left `json:"left,omitempty"`
}

// A Left is a deploy that should be gone and is not.
type Left struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// Unused returns a part that the run does not manage.
func Unused(name string) Part { return Part{Name: name, Status: StatusUnused} }

// A Check is the result of one check.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// A Result is what one run did and verified.
type Result struct {
	Repository string `json:"repository"`
	Number     int    `json:"pr_number"`
	Goal       Goal   `json:"goal"`
	Commit     string `json:"commit_sha"`
	Frontend   Part   `json:"frontend"`
	API        Part   `json:"api"`
	// Partial says that other steps manage the part that this run did not.
	Partial bool `json:"partial,omitempty"`
	// Environment is the one on GitHub; a run that deploys does not set it.
	Environment Part `json:"environment,omitzero"`
	// Foreign lists deploys under the preview's alias that are not ours.
	Foreign []string `json:"foreign,omitempty"`
	// Kept are resources that the user's own template keeps, and Unasked those that are
	// gone by AWS's word alone.
	Kept    []string `json:"kept,omitempty"`
	Unasked []string `json:"unasked,omitempty"`
	// Address is what the preview's address answers after the removal, if it answers:
	// with something that is not this preview.
	Address    string            `json:"address,omitempty"`
	Outputs    map[string]string `json:"stack_outputs,omitempty"`
	Expires    time.Time         `json:"expires_at,omitzero"`
	Superseded string            `json:"superseded,omitempty"` // the reason
	Changes    []string          `json:"changes,omitempty"`    // since the previous comment
	CommentURL string            `json:"comment_url,omitempty"`
	// CommentError is why the comment was not written.
	CommentError string    `json:"comment_error,omitempty"`
	Warnings     []string  `json:"warnings,omitempty"`
	StartedAt    time.Time `json:"started_at"`
	EndedAt      time.Time `json:"ended_at"`
	RunURL       string    `json:"run_url,omitempty"`
}

// A Goal is what a run brings about.
type Goal string

// The goals of a run.
const (
	GoalUp     Goal = "up"
	GoalDown   Goal = "down"
	GoalStatus Goal = "status"
	GoalSweep  Goal = "sweep"
)

// Parts lists all parts, in the order in which people see them.
func (r Result) Parts() []Part { return []Part{r.Frontend, r.API, r.Environment} }

// Failed lists the parts that are not in their desired state.
func (r Result) Failed() []Part {
	return r.With(StatusFailed, StatusRemaining)
}

// With lists the parts in one of the states.
func (r Result) With(states ...Status) []Part {
	var parts []Part
	for _, p := range r.Parts() {
		if slices.Contains(states, p.Status) {
			parts = append(parts, p)
		}
	}
	return parts
}

// Short returns the first seven digits of a commit.
func Short(commit string) string { return commit[:min(7, len(commit))] }

// cut shortens text to n characters, at the end of a line if possible.
func cut(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	head := string(runes[:n])
	if i := strings.LastIndexByte(head, '\n'); i > 0 {
		head = head[:i]
	}
	return head
}
