package judgebench

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// dwell is how long each of the steps is held.
const dwell = 5 * time.Minute

var steps = []int{5, 25, 50, 100}

// pinnedShare is the part of the requests that goes to one version alone.
const pinnedShare = .2

// A second is what was answered in it: of both versions, pinned to one of them, and
// signed by nobody.
type second struct{ stable, canary, pinned, nobody analysis.Point }

func (s scenario) second(w *world, weight int, at time.Time) second {
	sec := second{
		stable: analysis.Point{At: at, Side: rollout.SideStable}, canary: analysis.Point{At: at, Side: rollout.SideCanary},
		pinned: analysis.Point{At: at, Side: rollout.SideCanary, Pinned: true}, nobody: analysis.Point{At: at, Side: rollout.SideUnattributed},
	}
	if weight >= 50 {
		sec.pinned.Side = rollout.SideStable
	}
	for range poisson(w.r, w.rate) {
		p := &sec.stable
		switch {
		case w.r.Float64() < pinnedShare:
			p = &sec.pinned
		case w.r.IntN(100) < weight:
			p = &sec.canary
		}
		s.request(w, p, &sec.nobody)
	}
	return sec
}

// request makes one request to the version of p; nobody gets it if it is lost.
func (s scenario) request(w *world, p, nobody *analysis.Point) {
	canary := p.Side == rollout.SideCanary
	failing, lost := s.both*w.noise, s.bothLost
	if canary {
		failing, lost = max(s.errors, failing), max(s.lost, lost)
	}
	if w.r.Float64() < lost {
		if p.Pinned {
			p.Lost++
		} else {
			p = nobody
		}
		p.Total, p.Failed = p.Total+1, p.Failed+1
		return
	}
	p.Total++
	if w.r.Float64() < failing {
		p.Failed++
		return
	}
	v := s.tail(w, usualLatency*w.level*math.Exp(usualSpread*w.r.NormFloat64()+w.drift[p.Side]))
	if canary {
		v = s.latency(w, v)
		if s.wrong != "" {
			if p.Wrong == nil {
				p.Wrong = map[analysis.Wrong]float64{}
			}
			p.Wrong[s.wrong]++
		}
	}
	seconds := analysis.Number(v)
	p.Latency = append(p.Latency, analysis.Bucket{Over: seconds, Upto: seconds, N: 1})
}

// poisson draws how many requests come in a second.
func poisson(r *rand.Rand, mean float64) int {
	if mean > 50 {
		return max(int(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())), 0)
	}
	limit, p, n := math.Exp(-mean), 1.0, 0
	for {
		if p *= r.Float64(); p < limit {
			return n
		}
		n++
	}
}

// An outcome is what one way of judging made of one rollout: stopped after so many
// seconds of canary traffic, held, or neither.
type outcome struct {
	ended         bool
	stopped, held bool
	after         float64
}

// rollout runs one rollout to its end by each of the judges, in their order.
func (s scenario) rollout(seed uint64) []outcome {
	r := rand.New(rand.NewPCG(seed, 11))
	var last analysis.Rises
	for range s.releases {
		before := scenario{rate: s.rate, both: s.both, errors: s.both, latency: same, tail: times(s.then)}
		last = before.release(r, last, nil)
	}
	outcomes := make([]outcome, len(judges))
	s.release(r, last, outcomes)
	return outcomes
}

// release runs a rollout until all judges have ended it, and returns what its
// successor is compared with. Without outcomes it is a release of before: it is
// promoted whatever the judge says.
func (s scenario) release(r *rand.Rand, last analysis.Rises, outcomes []outcome) analysis.Rises {
	defaults := config.Default()
	judge := analysis.NewJudge(defaults, len(steps))
	w := &world{r: r, rate: s.rate, level: 1, noise: 1, drift: map[rollout.Side]float64{}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 30 {
		now = now.Add(time.Second)
		sec := s.second(w, 0, now)
		judge.Add(config.ProbeMetric, sec.stable, sec.nobody)
	}
	ours := &outcome{}
	if len(outcomes) > 0 {
		ours = &outcomes[0]
	}
	for i, weight := range steps {
		judge.Begin(analysis.Begin{Step: i, Weight: weight, At: now, Rises: last})
		judge.Confirmed(now)
		peers := rivals{weight: weight}
		began := now
		for extensions := 0; ; {
			now, w.second = now.Add(time.Second), w.second+1
			if s.each != nil {
				s.each(w)
			}
			sec := s.second(w, weight, now)
			elapsed := now.Sub(began)
			if len(outcomes) > 0 && elapsed <= dwell {
				peers.add(sec)
				peers.judge(elapsed, outcomes[1:], float64(w.second))
			}
			verdict := rollout.VerdictSuccessful
			if !ours.ended {
				judge.Add(config.ProbeMetric, sec.stable, sec.canary, sec.pinned, sec.nobody)
				verdict = judge.Look(analysis.Moment{Now: now, Elapsed: elapsed, Dwell: dwell * time.Duration(1+extensions)}).Verdict
			}
			if verdict == rollout.VerdictInconclusive && extensions < *defaults.MaxExtensions && len(outcomes) > 0 {
				extensions++
				continue
			}
			if len(outcomes) > 0 && (verdict == rollout.VerdictFailed || verdict == rollout.VerdictInconclusive) {
				*ours = outcome{ended: true, stopped: verdict == rollout.VerdictFailed, held: verdict == rollout.VerdictInconclusive, after: float64(w.second)}
			}
			if elapsed >= dwell && verdict != rollout.VerdictPending {
				break
			}
		}
	}
	return judge.Rises()
}
