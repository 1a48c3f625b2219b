package rollout

import (
	"fmt"
	"slices"
	"strings"
)

// A Request is what a person asks of a rollout, from any machine.
type Request string

// The requests.
const (
	RequestPause       Request = "pause"        // stop at the current weight
	RequestResume      Request = "resume"       // go on with a paused rollout
	RequestPromote     Request = "promote"      // go on without waiting for the end of this step
	RequestPromoteFull Request = "promote-full" // go on to 100 % without the remaining steps
	RequestAbort       Request = "abort"        // shift traffic back to the old revision
	RequestRollback    Request = "rollback"     // go back to the previous revision
	RequestRelease     Request = "release"      // end the warm time and leave everything plain
)

// A Steer is a request and its author.
type Steer struct {
	Request Request `json:"request"`
	By      string  `json:"by"`
}

// Requests lists all requests.
func Requests() []Request {
	return []Request{RequestPause, RequestResume, RequestPromote, RequestPromoteFull, RequestAbort, RequestRollback, RequestRelease}
}

// Allowed reports whether a rollout in state s takes a request, and if not, why
// and what to ask for instead. It holds for a rollout that a process drives and
// for one that nobody drives.
func Allowed(s State, r Request) (reason string, ok bool) {
	switch {
	case s.Phase == PhasePaused && s.Leftover == LeftoverPrevious, s.warm(), s.Phase == PhaseBaking:
		return allowed(s, r, RequestPromote, RequestPromoteFull, RequestAbort, RequestRollback, RequestRelease)
	case s.Phase == PhasePaused:
		return allowed(s, r, RequestResume, RequestPromote, RequestPromoteFull, RequestAbort, RequestRollback, RequestRelease)
	case s.Phase == PhaseProgressing, s.Phase == PhasePending:
		return allowed(s, r, RequestPause, RequestPromote, RequestPromoteFull, RequestAbort, RequestRollback)
	case s.Phase == PhasePromoting:
		return allowed(s, r, RequestAbort, RequestRollback)
	case s.Phase == PhaseAborted && s.Leftover == "":
		return allowed(s, r, RequestRelease)
	case s.Phase.Terminal() && s.Leftover == "":
		return allowed(s, r, RequestRollback, RequestRelease)
	case s.Phase.Terminal():
		return allowed(s, r, RequestAbort, RequestRollback, RequestRelease)
	}
	return allowed(s, r)
}

// warm reports whether a promoted rollout still has its old revision.
func (s State) warm() bool { return s.Phase == PhasePromoted && s.Leftover == LeftoverPrevious }

func allowed(s State, r Request, these ...Request) (string, bool) {
	if slices.Contains(these, r) {
		return "", true
	}
	if len(these) == 0 {
		return fmt.Sprintf("the rollout is %s (%s): wait until it ends", s.Phase, s.Stage), false
	}
	state := string(s.Phase)
	if s.Leftover != "" {
		state += ", left: the " + string(s.Leftover)
	}
	return fmt.Sprintf("the rollout is %s: it takes %s", state, list(these)), false
}

// list joins requests as a sentence does.
func list(rs []Request) string {
	text, last := "", len(rs)-1
	for _, r := range rs[:last] {
		text += string(r) + ", "
	}
	if last > 0 {
		text = strings.TrimSuffix(text, ", ") + " or "
	}
	return text + string(rs[last])
}
