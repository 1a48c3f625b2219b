package soakbench

import (
	"fmt"
	"slices"
	"strings"
)

// A Release is one run of the tool and what was seen of it.
type Release struct {
	Number int    `json:"number"`
	Image  string `json:"image"`
	Kind   string `json:"kind"` // good, bad, killed or changed
	Change change `json:"change_before,omitempty"`
	During change `json:"change_during,omitempty"`
	// Refused is why the change during the run was refused, as a conflict with
	// the run is.
	Refused string  `json:"change_refused,omitempty"`
	Exit    int     `json:"exit_status"` // -1: ended by a signal
	Want    []int   `json:"expected_statuses"`
	Seconds float64 `json:"seconds"`
	// Before are the versions that may serve before the run, Live those that
	// answered after it.
	Before []string `json:"live_before"`
	Live   []string `json:"live_after"`
	// Reason is the report's; Judged says that a step was judged bad.
	Reason   string   `json:"reason,omitempty"`
	Judged   bool     `json:"judged_bad,omitempty"`
	NotOwn   int      `json:"failed_requests"` // of the load, the bad version's own not among them
	Stuck    bool     `json:"stuck,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// killed is the exit status of a process that a signal ended.
const killed = -1

// paused is the exit status of a run that stops where it is, since somebody
// else changed what it works on.
const paused = 3

func newRelease(t turn, live []string) Release {
	r := Release{Number: t.number, Image: t.version.tag, Kind: "good", Change: t.before, During: t.during, Want: []int{t.version.want}, Before: live}
	if t.version.want != 0 {
		r.Kind = "bad"
	}
	if t.kill > 0 {
		r.Kind, r.Want = "killed", append(r.Want, killed)
	}
	if t.during != unchanged {
		r.Kind, r.Want = "changed", append(r.Want, paused)
	}
	return r
}

// judge returns what is wrong with the end of the run.
func (r Release) judge() []string {
	var problems []string
	if r.Stuck {
		problems = append(problems, fmt.Sprintf("stuck: it did not end within %s", stuckAfter))
	} else if !slices.Contains(r.Want, r.Exit) {
		problems = append(problems, fmt.Sprintf("exit status %d, want one of %d", r.Exit, r.Want))
	}
	if r.Exit == 4 && slices.Contains(r.Want, 4) && !r.rightlyAborted() {
		problems = append(problems, "aborted for another reason than the version: "+r.Reason)
	}
	if want := r.mayServe(); !r.isServed(want) {
		problems = append(problems, fmt.Sprintf("%s serves, want %s", strings.Join(r.Live, " and "), strings.Join(want, " or ")))
	}
	return problems
}

// rightlyAborted says whether the version is why the run was aborted: a bad one
// that is judged bad, fails a smoke test or does not become ready.
func (r Release) rightlyAborted() bool {
	switch r.Image {
	case errorsTag:
		return r.Judged || strings.HasPrefix(r.Reason, "smoke test ")
	case unreadyTag:
		return strings.Contains(r.Reason, "progress deadline")
	}
	return false
}

// mayServe returns the versions that may serve after the run. A run that did not
// get to its end may leave any of those that were there before, and its own.
func (r Release) mayServe() []string {
	switch r.Exit {
	case 0:
		return []string{r.Image}
	case 4:
		return r.Before
	}
	if slices.Contains(r.Before, r.Image) {
		return r.Before
	}
	return append(slices.Clone(r.Before), r.Image)
}

// isServed says whether only versions of want answered, and a single one unless
// the run left its traffic split.
func (r Release) isServed(want []string) bool {
	if len(r.Live) == 0 || len(r.Live) > 1 && (r.Exit == 0 || r.Exit == 4) {
		return false
	}
	return !slices.ContainsFunc(r.Live, func(v string) bool { return !slices.Contains(want, v) })
}

// after returns the versions that may serve when the next run is done with what
// this one left. A bad version is never among them.
func (r Release) after() []string {
	if len(r.Live) == 1 && (r.Exit == 0 || r.Exit == 4) && versionOf(r.Live[0]).want == 0 {
		return r.Live
	}
	return slices.DeleteFunc(slices.Clone(r.mayServe()), func(tag string) bool { return versionOf(tag).want != 0 })
}
