package judgebench

import (
	"math"
	"math/rand/v2"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A world is what both versions live in, a second at a time.
type world struct {
	r    *rand.Rand
	rate float64 // requests per second
	// level and noise are factors on all latencies and on all errors that
	// last for a while; drift is each version's own, a logarithm.
	level, noise float64
	drift        map[rollout.Side]float64
	second       int // since the canary's first traffic
}

// A scenario is a kind of rollout.
type scenario struct {
	name    string
	healthy bool
	rate    float64
	runs    int
	// errors and lost are the canary's shares of failed requests, with an answer
	// and without; both and bothLost are those of both versions.
	errors, lost, both, bothLost float64
	wrong                        evidence.Wrong                    // what all of the canary's answers are
	latency                      func(w *world, v float64) float64 // the canary's, where stable's is v
	tail                         func(w *world, v float64) float64 // of both versions
	each                         func(w *world)                    // changes the world as seconds go by
	releases                     int                               // before this one
	then                         float64                           // how fast those were, as a factor
}

const (
	usualErrors  = .001
	usualLatency = .05
	usualSpread  = .5
)

func times(f float64) func(*world, float64) float64 {
	return func(_ *world, v float64) float64 { return v * f }
}

// slower makes a share of answers slower by a factor.
func slower(share, factor float64) func(*world, float64) float64 {
	return func(w *world, v float64) float64 {
		if w.r.Float64() < share {
			return factor * v
		}
		return v
	}
}

func same(_ *world, v float64) float64 { return v }

// scenarios are the rows of the table, each with so many runs; those that take long
// have fewer.
func scenarios(runs int) []scenario {
	list := append(healthy(), sick()...)
	for i := range list {
		s := &list[i]
		if s.rate == 0 {
			s.rate = 100
		}
		s.runs = runs
		if s.rate > 500 {
			s.runs = max(runs/10, 1)
		}
		if s.latency == nil {
			s.latency = same
		}
		if s.tail == nil {
			s.tail = same
		}
		if s.both == 0 {
			s.both = usualErrors
		}
		s.errors = max(s.errors, s.both)
		s.healthy = i < len(healthy())
	}
	return list
}

func healthy() []scenario {
	return []scenario{
		{name: "healthy, 10 requests/s", rate: 10},
		{name: "healthy, 30 requests/s", rate: 30},
		{name: "healthy, 100 requests/s"},
		{name: "healthy, 1000 requests/s", rate: 1000},
		{name: "the fourth release, everything 1.6 times slower than then", releases: 3, then: 1 / 1.6},
		{name: "bursts that hit both versions", each: bursts},
		{name: "daily waves of load and latency", each: waves},
		{name: "latencies with a correlation of .9 a second", each: correlated(.9)},
		{name: "latencies with a correlation of .98 a second", each: correlated(.98)},
		{name: "2 % errors on both", both: .02},
		{name: "3 % errors on both", both: .03},
		{name: "2 % lost on both", bothLost: .02},
		{name: "3 % of answers over 2 s on both", tail: func(w *world, v float64) float64 {
			if w.r.Float64() < .03 {
				return 2 + v
			}
			return v
		}},
		{name: "one stall of a second a minute, each version its own", each: stalls},
		{name: "a cold cache: three times slower for 30 s", latency: func(w *world, v float64) float64 {
			if w.second <= 30 {
				return 3 * v
			}
			return v
		}},
		{name: "nobody is answered for a second a minute", each: outages},
		{name: "latency 20 % up (within the limit)", latency: times(1.2)},
		{name: "latency 50 % up (at the limit)", latency: times(1.5)},
	}
}

func sick() []scenario {
	return []scenario{
		{name: "30 % errors against 0.1 %", errors: .3},
		{name: "5 % errors against 0.1 %", errors: .05},
		{name: "2 % errors against 0.1 %", errors: .02},
		{name: "1 % errors against 0.1 %", errors: .01},
		{name: "sparse errors, 0.3 % against none", errors: .003, each: func(w *world) { w.noise = 0 }},
		{name: "5 % lost", lost: .05},
		{name: "10 % lost", lost: .1},
		{name: "10 % lost beside 2 % on both", lost: .1, bothLost: .02},
		{name: "empty answers, ten times faster", wrong: evidence.WrongEmpty, latency: times(.1)},
		{name: "redirects to a login page", wrong: evidence.WrongRedirect, latency: times(.1)},
		{name: "latency twice", latency: times(2)},
		{name: "latency twice, the fourth release", latency: times(2), releases: 3, then: 1},
		{name: "1 % of answers ten times slower", latency: slower(.01, 10)},
		{name: "5 % of answers ten times slower", latency: slower(.05, 10)},
		{name: "10 % of answers ten times slower", latency: slower(.1, 10)},
		{name: "7 of 10 answers 100 times as slow", latency: slower(.7, 100)},
		{name: "same median, three times the spread", latency: func(_ *world, v float64) float64 {
			ratio := v / usualLatency
			return usualLatency * ratio * ratio * ratio
		}},
	}
}

// bursts make both versions slow and fail ten times as often for twenty seconds,
// once in two minutes or so.
func bursts(w *world) {
	if w.level > 1 {
		if w.r.IntN(20) == 0 {
			w.level, w.noise = 1, 1
		}
	} else if w.r.IntN(120) == 0 {
		w.level, w.noise = 4, 10
	}
}

// waves go up and down by half within ten minutes, so that a rollout sees two.
func waves(w *world) {
	w.level = 1 + .5*math.Sin(2*math.Pi*float64(w.second)/600)
	w.rate = 100 * w.level
}

// correlated latencies drift by some 20 %, each version on its own.
func correlated(by float64) func(*world) {
	return func(w *world) {
		for _, v := range []rollout.Side{rollout.SideStable, rollout.SideCanary} {
			w.drift[v] = by*w.drift[v] + .2*math.Sqrt(1-by*by)*w.r.NormFloat64()
		}
	}
}

// stalls make all answers of one version take ten times as long for a second.
func stalls(w *world) {
	for _, v := range []rollout.Side{rollout.SideStable, rollout.SideCanary} {
		w.drift[v] = 0
		if w.r.IntN(60) == 0 {
			w.drift[v] = math.Log(10)
		}
	}
}

// outages fail all requests of both versions for a second.
func outages(w *world) {
	w.noise = 1
	if w.r.IntN(60) == 0 {
		w.noise = 1 / usualErrors
	}
}
