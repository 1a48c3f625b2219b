package trialbench

import (
	"math"
	"math/rand/v2"
)

// An ar1 is a Gaussian process with one value per second and the correlation φ
// between neighbours, sigma wide, in its stationary distribution.
type ar1 struct {
	r          *rand.Rand
	phi, sigma float64
	second     int
	value      float64
}

func newAR1(r *rand.Rand, phi, sigma float64) *ar1 {
	return &ar1{r: r, phi: phi, sigma: sigma, value: sigma * r.NormFloat64()}
}

// at returns the value at a time, which may not go back.
func (p *ar1) at(seconds float64) float64 {
	for ; p.second < int(seconds); p.second++ {
		p.value = p.phi*p.value + p.sigma*math.Sqrt(1-p.phi*p.phi)*p.r.NormFloat64()
	}
	return p.value
}

// wandering lets the speed of each version wander by itself.
func wandering(phi, sigma float64) cause {
	return func(r *rand.Rand) effect {
		stable, trial := newAR1(r, phi, sigma), newAR1(r, phi, sigma)
		return func(q request, a *answer) {
			s, t := stable.at(q.at), trial.at(q.at)
			if q.canary() {
				s = t
			}
			a.latency *= math.Exp(s)
		}
	}
}

// A spell alternates between off and on, each for an exponential time.
type spell struct {
	r           *rand.Rand
	gap, length float64 // means, in seconds
	active      bool
	until       float64 // the end of the state
}

// newSpell returns a spell in its stationary distribution.
func newSpell(r *rand.Rand, gap, length float64) *spell {
	s := &spell{r: r, gap: gap, length: length, active: r.Float64() < length/(gap+length)}
	s.until = s.mean() * r.ExpFloat64() // memoryless: what remains is as long as the whole
	return s
}

func (s *spell) mean() float64 {
	if s.active {
		return s.length
	}
	return s.gap
}

// on reports whether it is on at a time, which may not go back.
func (s *spell) on(seconds float64) bool {
	for seconds >= s.until {
		s.active = !s.active
		s.until += s.mean() * s.r.ExpFloat64()
	}
	return s.active
}

// bursts come every 30 s on average for 3 s and hit both versions: a share of the
// requests fails, the others take longer.
func bursts(factor, share float64) cause {
	return func(r *rand.Rand) effect {
		s := newSpell(r, 27, 3)
		return func(q request, a *answer) {
			if s.on(q.at) {
				a.latency *= factor
				a.failed = r.Float64() < share || a.failed
			}
		}
	}
}

// clumps let a share of each version's requests fail for a second now and then, each
// at other times.
func clumps(stable, trial, gap float64) cause {
	return func(r *rand.Rand) effect {
		one, other := newSpell(r, gap, 1), newSpell(r, gap, 1)
		return func(q request, a *answer) {
			s, share := one, stable
			if q.canary() {
				s, share = other, trial
			}
			a.failed = s.on(q.at) && r.Float64() < share || a.failed
		}
	}
}

// crashes let the canary be down now and then: the gateway answers for it, without a
// version.
func crashes(gap, length float64) cause {
	return func(r *rand.Rand) effect {
		down := newSpell(r, gap, length)
		return func(q request, a *answer) {
			if q.canary() && down.on(q.at) {
				a.lost, a.latency = true, 0.002
			}
		}
	}
}

// pauses stop each version by itself every gap seconds for length seconds on
// average; requests wait for the end.
func pauses(gap, length float64) cause {
	return func(r *rand.Rand) effect {
		stable, trial := newSpell(r, gap, length), newSpell(r, gap, length)
		return func(q request, a *answer) {
			s := stable
			if q.canary() {
				s = trial
			}
			if s.on(q.at) {
				a.latency += s.until - q.at
			}
		}
	}
}

// A moment is when something happens in a step.
type moment struct {
	step   int     // any step if negative
	after  float64 // seconds since the weight was written,
	spread float64 // and up to this share of the dwell later
	length float64 // seconds
}

// A span finds out whether a moment is now.
type span struct {
	moment
	r       *rand.Rand
	current int
	began   float64
}

func (m moment) span(r *rand.Rand) *span { return &span{moment: m, r: r, current: -1} }

// left returns how long the moment lasts from q on; 0 if it is not now.
func (s *span) left(q request) float64 {
	if q.step < 0 || s.step >= 0 && q.step != s.step {
		return 0
	}
	if s.current != q.step {
		s.current = q.step
		s.began = s.after + s.spread*q.dwell*s.r.Float64()
	}
	if q.in < s.began {
		return 0
	}
	return max(0, s.began+s.length-q.in)
}

// stall stops both versions; requests wait for the end.
func stall(m moment) cause {
	return func(r *rand.Rand) effect {
		s := m.span(r)
		return func(q request, a *answer) { a.latency += s.left(q) }
	}
}

// outage lets a share of all requests fail, with a version in the answer or without.
func outage(m moment, share float64, signed bool) cause {
	return func(r *rand.Rand) effect {
		s := m.span(r)
		return func(q request, a *answer) {
			if s.left(q) > 0 && r.Float64() < share {
				a.failed, a.lost, a.latency = signed, !signed, 0.002
			}
		}
	}
}

// drift is the day's wave of load, of which both versions feel the same.
func drift(amplitude, period float64) cause {
	return func(r *rand.Rand) effect {
		phase := 2 * math.Pi * r.Float64()
		return func(q request, a *answer) { a.latency *= 1 + amplitude*math.Sin(2*math.Pi*q.at/period+phase) }
	}
}

// warming makes the canary slower by factor for its first 30 s.
func warming(factor float64) cause {
	return func(*rand.Rand) effect {
		return func(q request, a *answer) {
			if q.canary() && q.trial < 30 {
				a.latency *= factor
			}
		}
	}
}

// easing is warming that fades with a time constant of 10 s.
func easing(factor float64) cause {
	return func(*rand.Rand) effect {
		return func(q request, a *answer) {
			if q.canary() {
				a.latency *= 1 + (factor-1)*math.Exp(-q.trial/10)
			}
		}
	}
}

// joining warms the new pods of each step, not only those of the first one.
func joining(factor float64) cause {
	return func(r *rand.Rand) effect {
		return func(q request, a *answer) {
			if q.canary() && q.in < 30 && r.Float64() < q.fresh {
				a.latency *= factor
			}
		}
	}
}

// filling is a cache of the canary that is empty at first; misses take five times
// as long.
func filling(r *rand.Rand) effect {
	return func(q request, a *answer) {
		if q.canary() && r.Float64() < math.Exp(-q.trial/10) {
			a.latency *= 5
		}
	}
}
