// Package pinned says what test requests show that are sent to one version alone:
// whether the gateway follows their route, and whether a canary is warm.
//
// It is pure and not safe for concurrent use.
package pinned

import "github.com/candlefish/deploy-action/internal/rollout"

// proof is the number of answers by the version that a request was sent to, without
// one of another version between them, that show that the gateway follows the route.
// The requests go to the version with the smaller share, so by the weights alone ten
// in a row have a chance of at most one in a thousand.
const proof = 10

// A Follow knows for each version whether the gateway is known to follow the route of
// its test requests. Without it, a failure would be blamed on a version that never
// got the request. The zero Follow knows of none.
type Follow struct {
	rows  map[rollout.Side]int
	known map[rollout.Side]bool
}

// Set says that the gateway follows the route to a version.
func (f *Follow) Set(to rollout.Side) {
	f.init()
	f.known[to] = true
}

func (f *Follow) init() {
	if f.known == nil {
		f.rows, f.known = map[rollout.Side]int{}, map[rollout.Side]bool{}
	}
}

// Answer takes the answer to one request for a version, unattributed if it does not
// say by whom, and reports whether it counts for that version.
func (f *Follow) Answer(to, by rollout.Side) bool {
	f.init()
	switch by {
	case to:
		if f.rows[to]++; f.rows[to] >= proof {
			f.known[to] = true
		}
	case rollout.SideStable, rollout.SideCanary: // the route is gone, or not there yet
		f.rows[to], f.known[to] = 0, false
	case rollout.SidePrevious, rollout.SideUnattributed:
	}
	return f.known[to]
}

// Known reports whether the gateway follows the route to a version.
func (f *Follow) Known(to rollout.Side) bool { return f.known[to] }

// To returns whom the test requests go to at a weight, in percent: the version with
// the smaller share, which the users' requests show less of.
func To(weight int) []rollout.Side {
	switch {
	case weight <= 0:
		return nil
	case weight < 50:
		return []rollout.Side{rollout.SideCanary}
	case weight > 50:
		return []rollout.Side{rollout.SideStable}
	}
	return []rollout.Side{rollout.SideStable, rollout.SideCanary}
}
