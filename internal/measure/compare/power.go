package compare

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/candlefish/deploy-action/internal/measure"
)

// gridStep is the ratio of the shifts that are tried, gridBelow how far below the
// largest the smallest is.
const gridStep, gridBelow = 1.02, 1e-6

// A power says how small a change would have been seen: it repeats the run with rounds
// drawn from those that there were, each side around its median, and plants changes.
type power struct {
	family  family
	rule    Rule
	level   float64
	floors  []measure.Floor
	units   []unit
	noise   []map[unit]float64 // by subject; around the side's median
	own     [][]float64        // the same without units
	centre  []float64          // by subject: base's median
	scale   []float64          // by subject: the change that a size of 1 is
	grid    []float64
	choices [][]int
	columns []column
	random  *rand.Rand
}

// see fills in CouldSee of a family's subjects.
func (f family) see(all []draft, r Rule, level float64, tails weights) {
	s := newPower(f, all, r, level, tails)
	sizes := make([][]float64, len(f.samples))
	for range s.repeats() {
		run := s.draw()
		seen := map[int][]bool{}
		for i := range f.samples {
			at := sort.Search(len(s.grid), func(g int) bool {
				if _, ok := seen[g]; !ok {
					seen[g] = s.reports(run, s.grid[g])
				}
				return seen[g][i]
			})
			size := math.Inf(1)
			if at < len(s.grid) {
				size = s.grid[at]
			}
			sizes[i] = append(sizes[i], size)
		}
	}
	for i, x := range f.samples {
		slices.Sort(sizes[i])
		at := int(math.Ceil(r.Power*float64(len(sizes[i])))) - 1
		all[x.at].CouldSee = max(sizes[i][at]*s.scale[i], x.least)
		if math.IsInf(all[x.at].CouldSee, 1) && all[x.at].Change == Same {
			all[x.at].none("no change was proven, and none of any size could have been")
		}
	}
}

// repeats is how often the run is repeated: less with many subjects, which take longer.
func (s *power) repeats() int {
	switch n := len(s.family.samples); {
	case n <= 2:
		return 200
	case n <= closedSubjects:
		return 100
	default:
		return 50
	}
}

func newPower(f family, all []draft, r Rule, level float64, tails weights) *power {
	s := &power{family: f, rule: r, level: level, units: f.units()}
	s.columns = f.columns(s.units, tails)
	seed, largest := fnv.New64a(), 0.0
	for _, x := range f.samples {
		centre := measure.Median(x.base)
		noise, values := residuals(x), slices.Concat(x.head, x.base)
		_ = binary.Write(seed, binary.LittleEndian, values)
		spread := slices.Max(values) - slices.Min(values) // of everything: the change is in it, and that bounds more
		scale := math.Abs(centre)
		if scale <= 1e-9*spread || scale == 0 {
			scale = max(x.least, spread, 1e-300)
		}
		largest = max(largest, (4*spread+4*x.least)/scale)
		s.floors = append(s.floors, all[x.at].Floor)
		s.centre, s.scale, s.noise = append(s.centre, centre), append(s.scale, scale), append(s.noise, noise)
		var own []float64
		for _, u := range x.units {
			own = append(own, noise[u])
		}
		s.own = append(s.own, own)
	}
	if largest == 0 {
		largest = 1
	}
	largest = min(largest, most)
	for size := largest * gridBelow; size < largest*gridStep; size *= gridStep {
		s.grid = append(s.grid, size)
	}
	heads := 0
	for _, u := range s.units {
		if u.side == measure.Head {
			heads++
		}
	}
	if len(f.samples) > 1 {
		some := max(int(2/level), 8000/len(f.samples))
		s.choices = choices(len(s.units), heads, min(1000, some), min(999, some))
	}
	s.random = rand.New(rand.NewPCG(seed.Sum64(), 0))
	return s
}

// residuals are what values differ by from the median of their side, widened since the
// median is that of the same few values.
func residuals(x *sample) map[unit]float64 {
	n := float64(len(x.units))
	widen := math.Sqrt(n / max(1, n-2))
	noise := map[unit]float64{}
	for i, v := range slices.Concat(x.head, x.base) {
		middle := measure.Median(x.head)
		if i >= len(x.head) {
			middle = measure.Median(x.base)
		}
		noise[x.units[i]] = (v - middle) * widen
	}
	return noise
}

// draw repeats the run, by subject. A round is drawn for all subjects together.
func (s *power) draw() []repeat {
	from := map[unit]unit{}
	for _, u := range s.units {
		from[u] = s.units[s.random.IntN(len(s.units))]
	}
	run := make([]repeat, len(s.family.samples))
	for i, x := range s.family.samples {
		values := make([]float64, len(x.units))
		for k, u := range x.units {
			v, ok := s.noise[i][from[u]]
			if !ok {
				v = s.own[i][s.random.IntN(len(s.own[i]))]
			}
			values[k] = s.centre[i] + v
		}
		again := repeat{head: values[:len(x.head)], base: values[len(x.head):]}
		again.shift = shiftOf(again.head, again.base)
		again.least = least(s.floors[i], measure.Median(again.base))
		run[i] = again
	}
	return run
}

// A repeat is the run again, without a change.
type repeat struct {
	head, base []float64
	shift      float64 // that there is anyway
	least      float64
}

// reports says, for each subject, whether a repeated run reports a change of this size
// in all subjects.
func (s *power) reports(run []repeat, size float64) []bool {
	own, effects, clear := make([]float64, len(run)), make([]float64, len(run)), false
	for i, again := range run {
		values := slices.Concat(again.head, again.base)
		for k := range again.head {
			values[k] += size * s.scale[i]
		}
		s.columns[i].rank(values)
		own[i], effects[i] = s.columns[i].observed(len(again.head))
		clear = clear || atMost(own[i], s.level)
	}
	reports, asked, whole := make([]bool, len(run)), false, false
	for i, again := range run {
		needed := s.level
		if !clear {
			needed = s.rule.Alpha // by the family's test alone
		}
		if !atMost(own[i], needed) || effects[i] < s.rule.Effect || again.shift+size*s.scale[i] <= again.least {
			continue
		}
		if !asked {
			asked, whole = true, s.whole(clear)
		}
		reports[i] = whole
	}
	return reports
}

// whole is the family's test: whether so few choices have a statistic as large as the
// observed one. That of one subject is its own, which is clear or not.
func (s *power) whole(clear bool) bool {
	if len(s.columns) == 1 {
		return clear
	}
	statistic := func(choice []int) float64 {
		sum := 0.0
		for i := range s.columns {
			sum += s.columns[i].weight(choice)
		}
		return sum
	}
	observed, left := statistic(s.choices[0])*nearly, s.level*(1+1e-9)*float64(len(s.choices))
	for _, choice := range s.choices {
		if statistic(choice) < observed {
			continue
		}
		if left--; left < 0 {
			return false
		}
	}
	return true
}

// observed returns the p-value, without the correction for ties, which drawn rounds
// have more of, and Cliff's delta.
func (c *column) observed(heads int) (p, effect float64) {
	sum, bases := 0, len(c.places)-heads
	for _, at := range c.places[:heads] {
		sum += c.ranks[at]
	}
	return math.Pow(c.table[heads][sum], -1/sharpness), float64(sum-heads*(heads+1))/float64(heads*bases) - 1
}
