package compare

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/candlefish/deploy-action/internal/measure"
)

// A noise makes the values of one subject, base and head in turn: A B A B.
type noise func(r *rand.Rand, rounds int, slow []float64) (base, head []float64)

// noises are what runs on shared machines look like. slow is how slow the machine is at
// the time of each value, which all subjects of a round share.
var noises = map[string]noise{
	"lognormal": each(func(r *rand.Rand, slow float64) float64 { return 1000 * math.Exp(.08*r.NormFloat64()+.02*slow) }),
	"heavy tails": each(func(r *rand.Rand, slow float64) float64 {
		return 1000 * (1 + .05*math.Abs(r.NormFloat64()/(.05+r.Float64())))
	}),
	"bimodal":          each(func(r *rand.Rand, slow float64) float64 { return 1000 + 300*float64(r.IntN(2)) + 20*r.NormFloat64() }),
	"drift of rounds":  each(func(r *rand.Rand, slow float64) float64 { return 1000 * math.Exp(.1*slow+.01*r.NormFloat64()) }),
	"quantised":        each(func(r *rand.Rand, slow float64) float64 { return 50 * math.Round((1000+40*r.NormFloat64())/50) }),
	"mostly zero":      each(func(r *rand.Rand, slow float64) float64 { return max(0, math.Round(10*(r.NormFloat64()-.5))/100) }),
	"shared slow runs": each(func(r *rand.Rand, slow float64) float64 { return 1000 * (1 + .3*max(0, slow-1)) }),
}

func each(value func(*rand.Rand, float64) float64) noise {
	return func(r *rand.Rand, rounds int, slow []float64) (base, head []float64) {
		for i := range rounds {
			base = append(base, value(r, slow[2*i]))
			head = append(head, value(r, slow[2*i+1]))
		}
		return base, head
	}
}

// machine is how slow the machine is over 2n runs: a slow wave and single slow runs,
// autocorrelated.
func machine(r *rand.Rand, n int) []float64 {
	slow, state := make([]float64, 2*n), r.NormFloat64()
	for i := range slow {
		state = .7*state + .714*r.NormFloat64()
		slow[i] = state
		if r.IntN(10) == 0 {
			slow[i] += 3
		}
	}
	return slow
}

// A run makes series: families with strata subjects each.
type run struct {
	families, strata, rounds int
	noise                    noise
	worse                    map[string]float64 // factor on head by metric, all subjects
	only                     string             // the one subject that is worse; "" for all
	floor                    measure.Floor
}

func (s run) series(r *rand.Rand) []measure.Series {
	slow := machine(r, s.rounds)
	var all []measure.Series
	for f := range s.families {
		name := fmt.Sprint("m", f)
		for k := range s.strata {
			subject := fmt.Sprint("s", k)
			base, head := s.noise(r, s.rounds, slow)
			factor := 1.0
			if by, ok := s.worse[name]; ok && (s.only == "" || s.only == subject) {
				factor = by
			}
			for i := range head {
				head[i] *= factor
			}
			all = append(all, seriesOf(name, subject, s.floor, base, head))
		}
	}
	return all
}

func seriesOf(metric, subject string, floor measure.Floor, base, head []float64) measure.Series {
	return measure.Series{
		Key:    measure.Key{Meter: "lighthouse", Subject: subject, Metric: metric},
		Metric: measure.Metric{Name: metric, Unit: measure.Milliseconds, Better: measure.Lower, Compared: true, Floor: floor},
		Base:   points(base), Head: points(head),
	}
}

func points(values []float64) []measure.Point {
	all := make([]measure.Point, len(values))
	for i, v := range values {
		all[i] = measure.Point{Round: i, Value: v}
	}
	return all
}

// tiny is a floor that hides nothing, so that the tests alone decide.
var tiny = measure.Floor{Absolute: 1e-12}

// binomialMost is how many of n may happen with probability p each: four standard
// deviations over the mean, exceeded by chance once in 30,000 tests.
func binomialMost(n int, p float64) int {
	return int(float64(n)*p + 4*math.Sqrt(float64(n)*p*(1-p)))
}
