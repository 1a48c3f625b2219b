package probe

import (
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// sides is how many sides are told apart, unattributed answers included.
const sides = 3

// index returns where arrays of this package keep a side.
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

// An Answer is what came back for one probe, or why nothing did.
type Answer struct {
	Seq     uint64        // order of sending, from 0
	Sent    time.Time     // when the request began; attribute to steps by this
	Latency time.Duration // until the whole body was read, or until it failed
	Status  int           // 0 when no complete answer arrived
	Side    rollout.Side  // who answered, as far as the Marker tells
	Value   string        // the marker's value, cut to 128 bytes; untrusted
	Err     string        // transport error without the URL; empty when Status is not 0
	Failed  bool          // by Failed, with the stream's baseline
	// Retried counts connections beyond the first that the HTTP client
	// used for this request: a kept-alive connection was closed under it
	// and the request was sent again, as every client does with a GET.
	Retried int
}

// Failed says whether an answer counts as a failed request.
//
// No complete answer (status 0), any 5xx and 429 are failures. Any other 4xx is
// one too when the same request was answered below 400 before the change
// (baseline): a gateway that lost its route says 404, and so does a release that
// lost a page. Where the baseline is itself a 4xx, that status alone is an answer;
// where it is not known (0), every 4xx but 429 is. Redirects are answers.
func Failed(status, baseline int) bool {
	switch {
	case status == 0 || status >= 500 || status == 429:
		return true
	case status < 400 || baseline == 0:
		return false
	}
	return status != baseline
}
