package trialbench

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/devtools/bench/trialbench/recorded"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A request is one request at the moment when it leaves.
type request struct {
	at     float64 // seconds since the simulation began
	trial  float64 // seconds since the canary got its first traffic; negative before
	step   int     // -1 before the first weight
	in     float64 // seconds since the step's weight was written
	dwell  float64 // seconds that the step is held
	fresh  float64 // share of the canary's traffic that this step's new pods get
	side   rollout.Side
	pinned bool
}

func (q request) canary() bool { return q.side == rollout.SideCanary }

// An answer is what becomes of a request. The zero answer is a 200 after no time.
type answer struct {
	latency float64 // seconds
	failed  bool
	lost    bool           // failed, and nobody knows whose it was
	wrong   evidence.Wrong // in which way an answer that did not fail is wrong; empty if it is not
}

// An effect changes the answer to a request. Requests come in the order of their
// time.
type effect func(q request, a *answer)

// A cause makes the effect for one rollout, which is all randomness of r.
type cause func(r *rand.Rand) effect

// A who says which requests a cause touches.
type who func(q request) bool

func both(request) bool     { return true }
func canary(q request) bool { return q.canary() }
func stable(q request) bool { return q.side == rollout.SideStable }

// stableLater is stable from the second step on.
func stableLater(q request) bool { return stable(q) && q.step > 0 }

// last is the canary at the last step, where it has all traffic.
func last(q request) bool { return q.canary() && q.step == len(defaultSteps)-1 }

const median = 0.02 // of all shapes of latencies, in seconds

// lognormal are latencies with a standard deviation of sigma in their logarithm.
func lognormal(sigma float64) cause {
	return func(r *rand.Rand) effect {
		return func(_ request, a *answer) { a.latency = median * math.Exp(sigma*r.NormFloat64()) }
	}
}

// pareto are latencies of which P(X > x) = (least/x)^shape.
func pareto(shape float64) cause {
	least := median * math.Pow(2, -1/shape)
	return func(r *rand.Rand) effect {
		return func(_ request, a *answer) { a.latency = least * math.Pow(1-r.Float64(), -1/shape) }
	}
}

// paths are answers of two paths; the second one takes eight times as long, and has
// a share of the requests of each version.
func paths(stable, trial float64) cause {
	return func(r *rand.Rand) effect {
		return func(q request, a *answer) {
			share := stable
			if q.canary() {
				share = trial
			}
			a.latency = median / 2 * math.Exp(0.3*r.NormFloat64())
			if r.Float64() < share {
				a.latency *= 8
			}
		}
	}
}

// replayed are recorded latencies. Shared ones are of the same recorded time for both
// versions; else each version has a path of its own.
func replayed(s recorded.Series, shared bool) cause {
	return func(r *rand.Rand) effect {
		stable := s.Path(r)
		trial := stable
		if !shared {
			trial = s.Path(r)
		}
		return func(q request, a *answer) {
			of, canarys := stable.At(q.at), trial.At(q.at)
			if q.canary() {
				of = canarys
			}
			a.latency = of[r.IntN(len(of))]
		}
	}
}

// ties rounds latencies up to a multiple of unit.
func ties(unit time.Duration) cause {
	u := unit.Seconds()
	return func(*rand.Rand) effect {
		return func(_ request, a *answer) { a.latency = math.Ceil(a.latency/u) * u }
	}
}

// slower multiplies latencies.
func slower(w who, factor float64) cause { return tail(w, 1, factor) }

// tail multiplies the latencies of a share of the answers.
func tail(w who, share, factor float64) cause {
	return func(r *rand.Rand) effect {
		return func(q request, a *answer) {
			if w(q) && (share >= 1 || r.Float64() < share) {
				a.latency *= factor
			}
		}
	}
}

// over gives a share of the answers a latency from 2 to 4 s.
func over2s(w who, share float64) cause {
	return func(r *rand.Rand) effect {
		return func(q request, a *answer) {
			if w(q) && r.Float64() < share {
				a.latency = 2 + 2*r.Float64()
			}
		}
	}
}

// failing answers a share of the requests with an error that says whose it is.
func failing(w who, share float64) cause {
	return func(r *rand.Rand) effect {
		return func(q request, a *answer) { a.failed = w(q) && r.Float64() < share || a.failed }
	}
}

// lost leaves a share of the requests without an answer.
func lost(w who, share float64) cause {
	return func(r *rand.Rand) effect {
		return func(q request, a *answer) {
			if w(q) && r.Float64() < share {
				a.lost = true
				if a.latency = 0.001; r.Float64() < 0.5 {
					a.latency = timeout.Seconds()
				}
			}
		}
	}
}

// wrong answers a share of the requests with something else than asked for, in a
// fraction of the time.
func wrong(w who, kind evidence.Wrong, share, fraction float64) cause {
	return func(r *rand.Rand) effect {
		return func(q request, a *answer) {
			if w(q) && r.Float64() < share {
				a.wrong = kind
				a.latency *= fraction
			}
		}
	}
}
