package lighthouse

import (
	"maps"
	"slices"

	"github.com/candlefish/deploy-action/internal/measure"
)

// Representative implements meter.Chooser as lighthouse-ci chooses: the round with the
// smallest (FCP - median FCP)² + (TTI - median TTI)², where the median of an even number
// of values is the upper one, and a missing value counts as 0. Of equals it is the
// earliest.
func (Lighthouse) Representative(series []measure.Series) map[string]int {
	type pair struct{ fcp, tti float64 }
	rounds := map[string]map[int]pair{}
	for _, s := range series {
		if rounds[s.Key.Subject] == nil {
			rounds[s.Key.Subject] = map[int]pair{}
		}
		for _, p := range s.Head {
			both := rounds[s.Key.Subject][p.Round]
			switch s.Key.Metric {
			case "first-contentful-paint":
				both.fcp = p.Value
			case "interactive":
				both.tti = p.Value
			}
			rounds[s.Key.Subject][p.Round] = both
		}
	}
	chosen := map[string]int{}
	for subject, of := range rounds {
		if len(of) == 0 {
			continue
		}
		var fcps, ttis []float64
		for _, p := range of {
			fcps, ttis = append(fcps, p.fcp), append(ttis, p.tti)
		}
		fcp, tti := upperMedian(fcps), upperMedian(ttis)
		far := func(round int) float64 {
			p := of[round]
			return (p.fcp-fcp)*(p.fcp-fcp) + (p.tti-tti)*(p.tti-tti)
		}
		best := slices.MinFunc(slices.Sorted(maps.Keys(of)), func(a, b int) int {
			switch x, y := far(a), far(b); {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		chosen[subject] = best
	}
	return chosen
}

func upperMedian(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
