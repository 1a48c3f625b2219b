package analysis

import (
	"maps"
	"math"
	"slices"

	"github.com/candlefish/deploy-action/internal/stat"
)

// Blocks are the latencies of one version over a step, kept for the next release:
// a few stretches of time, each a list of values in seconds and how often they
// came, rounded to two digits.
type Blocks [][][2]float64

// keptBlocks is how many stretches are kept: enough to know how they vary.
const keptBlocks = 8

// Summaries are what the next release may compare itself with: the canary's
// latencies in this step, by metric.
func (j *Judge) Summaries() map[string]Blocks {
	all := map[string]Blocks{}
	for _, s := range j.series {
		if s.Latency == nil || s.latencies.canary.Total() < s.MinSamples {
			continue
		}
		kept := make([]stat.Hist, keptBlocks)
		order := slices.Sorted(maps.Keys(s.latencies.blocks))
		for rank, i := range order {
			kept[rank*keptBlocks/len(order)].Merge(s.latencies.blocks[i].canary)
		}
		var blocks Blocks
		for _, h := range kept {
			if h.Total() > 0 {
				blocks = append(blocks, rounded(h))
			}
		}
		all[s.Name] = blocks
	}
	return all
}

func rounded(h stat.Hist) [][2]float64 {
	counts := map[float64]float64{}
	for _, w := range h.Sample() {
		digits := math.Pow(10, math.Floor(math.Log10(w.V))-1)
		counts[math.Round(w.V/digits)*digits] += w.N
	}
	var list [][2]float64
	for _, v := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, [2]float64{v, math.Round(counts[v]*10) / 10})
	}
	return list
}

// stat is b as the second sample of a comparison.
func (b Blocks) stat() []stat.HistBlock {
	blocks := make([]stat.HistBlock, len(b))
	for i, list := range b {
		for _, w := range list {
			blocks[i].Second.Add(w[0], w[1])
		}
	}
	return blocks
}
