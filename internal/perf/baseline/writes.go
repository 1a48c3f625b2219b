package baseline

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// An Occasion is what is known of why a run measures.
type Occasion struct {
	Event string // as GITHUB_EVENT_NAME; "" outside of a workflow
	Ref   string // as GITHUB_REF: "refs/heads/main"
	// DefaultBranch is the repository's: "main"; "" if it is not known.
	DefaultBranch string
	PullRequest   bool // the run is about one
	Fork          bool // of another repository, or of a deleted one
	// Branches are patterns of branches whose runs are stored, in which * stands for
	// any text without a slash. None means the default branch, for pushes and
	// schedules alone.
	Branches []string
}

// Writes reports whether a run is added to the baseline, and why or why not. Pull
// requests are only compared with it: what they measure may never be merged, and those
// of forks are by people who may not write to the repository.
func (o Occasion) Writes() (bool, string) {
	branch, isBranch := strings.CutPrefix(o.Ref, "refs/heads/")
	switch {
	case o.Event == "":
		return true, "this is no workflow"
	case o.Fork:
		return false, "the code is a fork's"
	case o.PullRequest || strings.HasPrefix(o.Event, "pull_request") || o.Event == "merge_group":
		return false, "the run is of a pull request"
	case !slices.Contains(events, o.Event):
		return false, fmt.Sprintf("a run by %s may measure something else than its branch; stored are %s", o.Event, strings.Join(events, ", "))
	case !isBranch:
		return false, fmt.Sprintf("%s is no branch", noneIfEmpty(o.Ref))
	case len(o.Branches) > 0:
		if slices.ContainsFunc(o.Branches, func(p string) bool { ok, err := path.Match(p, branch); return ok && err == nil }) {
			return true, "branch " + branch + " is one of those whose runs are stored"
		}
		return false, fmt.Sprintf("branch %s is none of %s", branch, strings.Join(o.Branches, ", "))
	case o.DefaultBranch == "":
		return false, "the default branch is not known; name the branches whose runs are stored"
	case branch != o.DefaultBranch:
		return false, fmt.Sprintf("branch %s is not the default branch %s", branch, o.DefaultBranch)
	case o.Event != "push" && o.Event != "schedule":
		return false, fmt.Sprintf("the event is %s: without a list of branches only pushes and schedules are stored", o.Event)
	}
	return true, fmt.Sprintf("it is a %s of the default branch %s", o.Event, branch)
}

// events are those whose ref is what they measure. That of a workflow_run or an
// issue_comment is the default branch, whatever they are about.
var events = []string{"push", "schedule", "workflow_dispatch", "deployment", "deployment_status"}

func noneIfEmpty(ref string) string {
	if ref == "" {
		return "an empty ref"
	}
	return ref
}

// CheckBranches returns an error for patterns that Writes cannot use.
func CheckBranches(patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" || strings.HasPrefix(p, "refs/") {
			return fmt.Errorf("%q is no pattern for branches; want main or release/*, for example", p)
		}
	}
	return nil
}
