// Package power says before a rollout what its steps can see: how large a change
// must be to be found in the traffic that a step gets, and how long a step should
// last. It judges nothing.
package power

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/stat"
)

// An Estimate is what one step can see of one metric before it begins.
type Estimate struct {
	Weight  int              `json:"weight"`
	Metric  string           `json:"metric"`
	Canary  float64          `json:"canary_requests"` // in the dwell
	Seen    float64          `json:"seen_error_rate"` // the smallest error rate, as a share, that is failed four times of five
	Ratio   analysis.Number  `json:"seen_latency_ratio"`
	Slow    float64          `json:"seen_slow_rate"` // the smallest share of slow answers, likewise; see evidence.SlowFloor
	Enough  bool             `json:"enough"`         // the step sees a canary at twice its error limit
	Suggest analysis.Seconds `json:"suggested_dwell_seconds"`
	// Sentence says it for a person.
	Sentence string `json:"sentence"`
}

// A Traffic is what is known of the requests before a rollout.
type Traffic struct {
	Rate float64 // requests per second through the entry point, as the metric sees them
	// Spread is the standard deviation of the latencies' logarithms; 0.5
	// when it is not known.
	Spread float64
	// Errors is stable's share of failed requests.
	Errors float64
	// Pinned is the share of the requests that go to one version alone, whatever
	// the weight: to the canary below 50 %, to stable from there on.
	Pinned float64
}

// of is how many requests a second go to each version at a weight, as a share.
func (t Traffic) of(weight float64) (canary, stable float64) {
	shared := t.Rate * (1 - t.Pinned)
	canary, stable = shared*weight, shared*(1-weight)
	if weight < .5 {
		return canary + t.Rate*t.Pinned, stable
	}
	return canary, stable + t.Rate*t.Pinned
}

// Of says what a step at weight, held for dwell, can see through a metric
// with errors or latencies. A metric without them has none.
func Of(c config.Config, m config.Metric, t Traffic, steps, weight int, dwell time.Duration) (Estimate, bool) {
	if m.Errors == nil && m.Latency == nil {
		return Estimate{}, false
	}
	alpha := c.Alpha / float64(max(steps, 1)) / tests(c)
	perSecond, stable := t.of(float64(weight) / 100)
	w := 1.0 // the canary's share of what both versions get
	if stable > 0 {
		w = perSecond / (perSecond + stable)
	}
	n := perSecond * dwell.Seconds()
	p := Estimate{Weight: weight, Metric: m.Name, Canary: math.Floor(n), Seen: 1, Slow: 1, Ratio: analysis.Number(math.Inf(1)), Enough: n >= m.MinSamples}
	need := m.MinSamples
	if m.Errors != nil {
		p.Seen = seenErrors(*m.Errors, t, w, n, alpha)
		p.Enough = p.Enough && p.Seen <= broken(*m.Errors)
		need = max(need, requestsToSee(*m.Errors, t, w, broken(*m.Errors), alpha))
	}
	if m.Latency != nil && w < 1 {
		spread := t.Spread
		if spread <= 0 {
			spread = .5
		}
		warm := max(dwell-time.Duration(*c.WarmUp), 0).Seconds()
		looks := 1 + int(math.Log(max(warm, 1))/math.Log(1.15))
		p.Ratio = analysis.Number(m.Latency.Ratio * stat.SeenRatio(perSecond*warm, stable*warm, spread, alpha/(math.Pi*math.Pi*float64(looks*looks)/6)))
		p.Slow = stat.SeenShare(perSecond*warm, evidence.SlowFloor, alpha)
	}
	if perSecond > 0 {
		p.Suggest = math.Ceil(need / perSecond)
	}
	p.Sentence = p.words(m, dwell, perSecond)
	return p, true
}

// tests is how many tests of all metrics share the error probability of a step.
func tests(c config.Config) float64 {
	n := 0
	for _, m := range c.Metrics {
		if m.Errors != nil {
			n += 2
		}
		if m.Errors != nil && m.Name == config.ProbeMetric {
			n++
		}
		if m.Answers != nil {
			n += len(evidence.Wrongs)
		}
		if m.Latency != nil {
			n += 3
		}
	}
	return float64(max(n, 1))
}

// seenErrors is the smallest error rate that either of the tests of errors sees.
func seenErrors(l config.ErrorLimits, t Traffic, w, n, alpha float64) float64 {
	lo, hi := 0.0, 1.0
	if !seesErrors(l, t, w, n, hi, alpha) {
		return 1
	}
	for range 40 {
		if mid := (lo + hi) / 2; seesErrors(l, t, w, n, mid, alpha) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// seesErrors says whether a canary failing at rate is failed within n of its
// requests with a probability of 80 %, by the limit or against stable.
func seesErrors(l config.ErrorLimits, t Traffic, w, n, rate, alpha float64) bool {
	if n <= 0 {
		return false
	}
	if rate > l.Limit() && stat.SeenShare(n, l.Limit(), alpha) <= rate {
		return true
	}
	if w >= 1 || rate <= *l.Floor/100 {
		return false
	}
	hits := n*rate - .84*math.Sqrt(n*rate*(1-rate))
	enough := math.Log(1 / alpha)
	return hits > 0 && stat.TwoShares(hits, n*(1-w)/w*t.Errors, w, l.Ratio) >= enough && stat.Evidence(n, hits, *l.Floor/100) >= enough
}

// requestsToSee is how many requests of the canary it takes to fail one at rate.
func requestsToSee(l config.ErrorLimits, t Traffic, w, rate, alpha float64) float64 {
	lo, hi := 0.0, 1.0
	for !seesErrors(l, t, w, hi, rate, alpha) {
		if lo, hi = hi, 2*hi; hi > 1e9 {
			return hi
		}
	}
	for range 40 {
		if mid := (lo + hi) / 2; seesErrors(l, t, w, mid, rate, alpha) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return math.Ceil(hi)
}

func (e Estimate) words(m config.Metric, dwell time.Duration, perSecond float64) string {
	s := fmt.Sprintf("%s at %d %%: about %.0f requests of the canary in %v", m.Name, e.Weight, e.Canary, dwell)
	if perSecond <= 0 {
		return s + ": nothing can be seen"
	}
	if m.Errors != nil && e.Seen < 1 {
		s += fmt.Sprintf("; detects error rates from %s on", evidence.Percent(e.Seen))
	}
	if m.Latency != nil && !math.IsInf(float64(e.Ratio), 1) {
		s += fmt.Sprintf("; latencies from %.2g times stable's on", float64(e.Ratio))
	}
	if m.Latency != nil && e.Slow < 1 {
		s += fmt.Sprintf("; far slower answers if they are %s or more", evidence.Percent(e.Slow))
	}
	if e.Enough {
		return s
	}
	var missed []string
	if e.Canary < m.MinSamples {
		missed = append(missed, fmt.Sprintf("to pass the step (it takes %g)", m.MinSamples))
	}
	if m.Errors != nil && e.Seen > broken(*m.Errors) {
		missed = append(missed, fmt.Sprintf("to detect an error rate of %s (the limit is %s)", evidence.Percent(broken(*m.Errors)), evidence.Percent(m.Errors.Limit())))
	}
	return s + "; too few " + strings.Join(missed, " and ") + ": " + e.advice()
}

// advice says what gives the step more requests.
func (e Estimate) advice() string {
	ways := []string{fmt.Sprintf("raise step-duration to %v", time.Duration(e.Suggest*float64(time.Second)).Round(time.Second))}
	if e.Metric == config.ProbeMetric {
		ways = append(ways, "probe-rate")
	}
	if e.Weight < 100 {
		ways = append(ways, "the weight")
	}
	return strings.Join(ways, ", or ")
}

// broken is the error rate that every step should detect.
func broken(l config.ErrorLimits) float64 { return min(2*l.Limit(), 1) }
