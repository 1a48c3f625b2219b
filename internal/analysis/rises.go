package analysis

import (
	"math"
	"slices"

	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
)

// A Rise is how the canary's median latency of one metric changed from the step
// before to a step in which nothing of stable was left to compare with. Within one
// release a slow day makes no rise.
type Rise struct {
	From int     `json:"from"` // weight of the step before
	To   int     `json:"to"`
	Log  float64 `json:"log"` // of the ratio of the medians
}

// Rises are those of the last releases, the newest last, by metric.
type Rises map[string][]Rise

const (
	// keptRises is how many releases are remembered, for each pair of steps.
	keptRises = 10
	// leastRises is how many releases it takes to know how they vary.
	leastRises = 3
)

// Rises are those of the last releases with those of this one.
func (j *Judge) Rises() Rises {
	all := Rises{}
	for _, s := range j.series {
		list := slices.Concat(j.previous[s.Name], s.rises)
		if r, ok := s.rise(); ok {
			list = append(list, r)
		}
		if list = newest(list); len(list) > 0 {
			all[s.Name] = list
		}
	}
	return all
}

// newest are the last ones of each pair of steps.
func newest(list []Rise) []Rise {
	kept, count := []Rise{}, map[[2]int]int{}
	for _, r := range slices.Backward(list) {
		if k := [2]int{r.From, r.To}; count[k] < keptRises {
			count[k]++
			kept = append(kept, r)
		}
	}
	slices.Reverse(kept)
	return kept
}

// rise is that of the current step; ok is false where stable can be compared with, or
// where one of the two steps had too few answers.
func (s *series) rise() (r Rise, ok bool) {
	canary := s.latencies.Of(rollout.SideCanary)
	if s.Latency == nil || s.weight < 1 || s.before.median == 0 || canary.Total() < s.MinSamples || s.latencies.Of(rollout.SideStable).Total() >= s.MinSamples {
		return Rise{}, false
	}
	return Rise{From: s.before.weight, To: int(math.Round(100 * s.weight)), Log: math.Log(canary.Quantile(.5) / s.before.median)}, true
}

// steep is the p-value of "this release's answers became no slower from the step before
// than those of the last releases did"; ok is false with too few of them.
func (s *series) steep(previous []Rise) (p float64, ok bool) {
	r, ok := s.rise()
	if !ok {
		return 1, false
	}
	var logs []float64
	for _, o := range previous {
		if o.From == r.From && o.To == r.To {
			logs = append(logs, o.Log)
		}
	}
	if len(logs) < leastRises {
		return 1, false
	}
	if median := s.latencies.Of(rollout.SideCanary).Quantile(.5); median <= s.Latency.Allowed(s.before.median) {
		return 1, true
	}
	return stat.Beyond(r.Log, logs, .01), true // medians are exact to 1 % at best
}
