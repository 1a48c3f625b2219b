package source

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// maxCount is the largest number of requests that a float64 counts one by one.
const maxCount = 1 << 53

// A door keeps what no judge can reckon with from the judge, whatever the source that
// it comes from.
type door struct {
	Reader
	limit *config.GaugeLimit
}

// Read returns the points that can be judged by. For each of the others there is an
// error; a value that is within its limit only by being infinite is passed as not a
// number, which has a policy of its own.
func (d door) Read(ctx context.Context) ([]analysis.Point, error) {
	points, err := d.Reader.Read(ctx)
	errs := []error{err}
	kept := points[:0:0]
	for _, p := range points {
		if err := sound(p); err != nil {
			errs = append(errs, err)
			continue
		}
		if p.Value != nil && d.harmless(float64(*p.Value)) {
			nan := analysis.Number(math.NaN())
			p.Value = &nan
		}
		kept = append(kept, p)
	}
	if len(errs) == 1 {
		return kept, err
	}
	return kept, errors.Join(errs...)
}

// harmless reports whether v is infinitely far within the limit.
func (d door) harmless(v float64) bool {
	switch {
	case !math.IsInf(v, 0):
		return false
	case d.limit == nil:
		return true
	}
	return math.IsInf(v, -1) && d.limit.Max != nil || math.IsInf(v, 1) && d.limit.Min != nil
}

// sound returns what is wrong with a point.
func sound(p analysis.Point) error {
	switch {
	case p.At.IsZero():
		return fmt.Errorf("a point of %s has no time", p.Side)
	case p.Side != rollout.SideStable && p.Side != rollout.SideCanary:
		return fmt.Errorf("a point is of %q, which is no version", p.Side)
	case !Countable(p.Total):
		return fmt.Errorf("%v requests of %s are no count", p.Total, p.Side)
	case !Countable(p.Failed):
		return fmt.Errorf("%v failed requests of %s are no count", p.Failed, p.Side)
	}
	for _, b := range p.Latency {
		over, upto := float64(b.Over), float64(b.Upto)
		if !Countable(b.N) || math.IsInf(over, 0) || !(over <= upto) { // NaN is in no order
			return fmt.Errorf("%v latencies of %s from %v to %v s are no bucket", b.N, p.Side, over, upto)
		}
	}
	return nil
}

// Countable reports whether n can be a number of requests: neither negative nor so large
// that one more makes no difference, which includes what is no number. A source whose
// counts are cumulative has to ask: between two that are too large there is nothing.
func Countable(n float64) bool { return n >= 0 && n <= maxCount }
