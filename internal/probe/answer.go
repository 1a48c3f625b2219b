package probe

import (
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// sides is the number of sides, unattributed included.
const sides = 3

// index returns the index of a side in the arrays of this package.
func index(s rollout.Side) int {
	switch s {
	case rollout.SideStable:
		return 1
	case rollout.SideCanary:
		return 2
	default:
		return 0
	}
}

// An Answer is the result of one probe: a response or an error.
type Answer struct {
	Seq     uint64        // order of sending, from 0
	Sent    time.Time     // when the request was sent; decides the step it counts for
	Latency time.Duration // until the whole body was read, or until it failed
	Status  int           // 0 when no complete answer arrived
	Side    rollout.Side  // who answered, according to the Marker
	Value   string        // the marker's value, cut to 128 bytes; untrusted
	Err     string        // transport error without the URL; empty when Status is not 0
	Failed  bool          // the result of Failed with the page's baseline
	Page    int           // the index of what was asked for
	// Pinned is the version that the request was sent to alone; "" for a request as
	// users send it.
	Pinned rollout.Side
	// Wrong says in which ways an answer that did not fail is not what it should be.
	Wrong []evidence.Wrong
	// Retried counts the connections beyond the first that the HTTP client used
	// for this request: the server closed a kept-alive connection and the client
	// sent the request again, as every client does with a GET.
	Retried int
}

// Failed reports whether an answer counts as a failed request.
//
// No complete answer (status 0), any 5xx and 429 are failures. Any other 4xx is
// a failure if the same request got a status below 400 before the change
// (baseline): a gateway that lost its route returns 404, and so does a release
// that lost a page. If the baseline itself is a 4xx, only that 4xx counts as
// answered; if it is unknown (0), every 4xx but 429 does. Redirects count as
// answered.
func Failed(status, baseline int) bool {
	switch {
	case status == 0 || status >= 500 || status == 429:
		return true
	case status < 400 || baseline == 0:
		return false
	}
	return status != baseline
}
