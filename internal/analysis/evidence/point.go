// Package evidence turns what a source measured of two versions into evidence: of
// failures, of wrong answers, of slowness and of values past a limit.
package evidence

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// A Point is what a source measured of one version: what was added since the
// point before it, or a value at that time. Which of the fields count depends on
// what the metric is judged by.
type Point struct {
	// At is the end of the time that the point is about, by the source's
	// clock.
	At   time.Time    `json:"at"`
	Side rollout.Side `json:"version"`
	// Total requests and the Failed ones among them, since the point before.
	Total  float64 `json:"total,omitempty"`
	Failed float64 `json:"failed,omitempty"`
	// Wrong are requests whose answers were no errors and still not what they
	// should be. They are part of Total, and not of Failed. An answer may be
	// wrong in several ways.
	Wrong map[Wrong]float64 `json:"wrong,omitempty"`
	// Pinned says that the requests were sent to this version alone: all of their
	// failures are its own, answered or not, and their number says nothing of its
	// share of the traffic.
	Pinned bool `json:"pinned,omitempty"`
	// Lost are those of the Failed pinned requests whose answer named no version,
	// or that had none: without the pin they would be unattributed. It is what
	// compares them with the unattributed failures of the other requests.
	Lost float64 `json:"lost,omitempty"`
	// Latency of the requests that did not fail, since the point before.
	Latency []Bucket `json:"latency,omitempty"`
	// Value of a gauge, such as a share of a limit. NaN stands for a value
	// that the source itself does not know.
	Value *Number `json:"value,omitempty"`
	// Subject is what has the value where a version has several, such as a
	// pod; the worst one counts.
	Subject string `json:"subject,omitempty"`
}

// most is the highest count of one point that is believed.
const most = 1e12

// Check returns an error if p has numbers that no source can have counted.
func (p Point) Check() error {
	counts := []float64{p.Total, p.Failed, p.Lost}
	for _, n := range p.Wrong {
		counts = append(counts, n)
	}
	for _, n := range counts {
		if !(n >= 0 && n <= most) {
			return fmt.Errorf("%g requests: want 0 to %g", n, float64(most))
		}
		if n > p.Total*(1+1e-9) {
			return fmt.Errorf("%g of %g requests: want no more than all", n, p.Total)
		}
	}
	for _, b := range p.Latency {
		if !(b.N >= 0 && b.N <= most) {
			return fmt.Errorf("%g latencies: want 0 to %g", b.N, float64(most))
		}
		if !(b.Over >= 0 && b.Upto >= b.Over) || math.IsInf(float64(b.Over), 1) {
			return fmt.Errorf("latencies over %g s and up to %g s: want bounds in order", float64(b.Over), float64(b.Upto))
		}
	}
	return nil
}

// Wrong is a way in which an answer that is no error is not what it should be.
type Wrong string

// The ways. All but the last compare with stable's answers to the same request
// before the release.
const (
	WrongStatus   Wrong = "status"       // another status; a redirect is the next one
	WrongRedirect Wrong = "redirect"     // a redirect where there was none
	WrongEmpty    Wrong = "empty"        // no body where there was one
	WrongSmaller  Wrong = "smaller"      // a body much smaller than any before
	WrongType     Wrong = "content-type" // another content type
	WrongExpect   Wrong = "expect"       // an expectation of the user's is not met
)

// Wrongs lists the ways in the order of reports.
var Wrongs = []Wrong{WrongStatus, WrongRedirect, WrongEmpty, WrongSmaller, WrongType, WrongExpect}

// A Bucket is N latencies over Over and up to Upto, in seconds. A single latency
// is a bucket whose bounds are the same. Upto may be infinite.
type Bucket struct {
	Over Number  `json:"over"`
	Upto Number  `json:"upto"`
	N    float64 `json:"n"`
}

// A Number is a float64 whose JSON can say NaN, +Inf and -Inf, as strings.
type Number float64

// MarshalJSON writes what is no finite number as a string.
func (n Number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	switch {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"+Inf"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Inf"`), nil
	}
	return strconv.AppendFloat(nil, f, 'g', -1, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return fmt.Errorf("number %q: want a number, NaN, +Inf or -Inf", s)
	}
	*n = Number(f)
	return nil
}
