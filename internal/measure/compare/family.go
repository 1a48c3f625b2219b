package compare

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/stat/twosample"
)

const (
	// allSplits is up to how many ways to choose head's rounds all are tried: those of 8
	// and 8. Beyond, someSplits are drawn, by a generator that is always the same, and
	// with the observed one the test is still exact (Phipson and Smyth 2010).
	allSplits, someSplits = 12870, 9999
	// closedSubjects is up to how many subjects of a family all their subsets are
	// tested. With more, Holm's method is applied to the subjects' own p-values.
	closedSubjects = 8
)

// A family is one metric of a meter.
type family struct{ samples []*sample }

func (f family) turned() family {
	var t family
	for _, x := range f.samples {
		t.samples = append(t.samples, x.turned())
	}
	return t
}

// reach is the smallest p-value that the family can have.
func (f family) reach() float64 {
	least := 1.0
	for _, x := range f.samples {
		least = min(least, x.reach())
	}
	return least
}

// tested has the p-values of a family.
type tested struct {
	own      []float64 // of each subject
	alone    []float64 // of each subject, after the closed test of the family
	together float64   // of all subjects
	last     float64   // at which every set of subjects is rejected
}

// test tests "not worse". tails are kept between calls.
func (f family) test(tails weights) tested {
	r := tested{}
	for _, x := range f.samples {
		r.own = append(r.own, twosample.Greater(x.head, x.base))
	}
	if len(r.own) == 1 {
		return tested{own: r.own, alone: r.own, together: r.own[0], last: r.own[0]}
	}
	j := f.join(f.choices(), tails)
	all := 1<<len(r.own) - 1
	if len(r.own) > closedSubjects {
		r.together = j.p(j.everyone())
		for _, adjusted := range twosample.Adjusted(r.own) {
			r.alone = append(r.alone, max(adjusted, r.together))
		}
	} else {
		r.alone = slices.Clone(r.own)
		for set := 1; set <= all; set++ {
			r.set(set, j)
		}
	}
	r.last = slices.Max(r.alone)
	return r
}

// set tests one set of subjects, if it has more than one.
func (r *tested) set(set int, j joint) {
	var members []int
	for i := range r.own {
		if set>>i&1 == 1 {
			members = append(members, i)
		}
	}
	if len(members) < 2 {
		return
	}
	r.together = j.p(members) // the last set is that of all
	for _, i := range members {
		r.alone[i] = max(r.alone[i], r.together)
	}
}

// A joint is the permutation test of several subjects.
type joint struct {
	choices [][]int // of head's units, the observed one first
	width   int     // subjects
	rows    []float64
}

// sharpness is the exponent of p-values in a family's statistic. With 1, two subjects
// that are both nearly the worst possible are no more than one that is; with 1/2, one
// subject that is the worst possible is lost among eight that are not.
const sharpness = 2. / 3

// weights are the p-values of sums of ranks without ties, to the power of -sharpness, by
// the number of values and that of head's.
type weights map[[2]int][]float64

func (w weights) of(values, heads int) []float64 {
	key := [2]int{values, heads}
	if table, ok := w[key]; ok {
		return table
	}
	ranks := make([]int, values)
	for i := range ranks {
		ranks[i] = 2 * (i + 1)
	}
	null := twosample.NewRanks(ranks, heads)
	table := make([]float64, heads*(2*values-heads+1)+1)
	for sum := range table {
		table[sum] = math.Pow(max(null.AtLeast(sum), 1e-300), -sharpness)
	}
	w[key] = table
	return table
}

// choices are those of the family's units.
func (f family) choices() [][]int {
	units := f.units()
	heads := 0
	for heads < len(units) && units[heads].side == measure.Head {
		heads++
	}
	return choices(len(units), heads, allSplits, someSplits)
}

// join computes the weight of each subject for every choice of head's units.
func (f family) join(choices [][]int, tails weights) joint {
	columns := f.columns(f.units(), tails)
	j := joint{choices: choices, width: len(columns), rows: make([]float64, 0, len(choices)*len(columns))}
	for _, choice := range choices {
		for i := range columns {
			j.rows = append(j.rows, columns[i].weight(choice))
		}
	}
	return j
}

func (f family) columns(units []unit, tails weights) []column {
	columns := make([]column, len(f.samples))
	for i, x := range f.samples {
		places := make([]int, len(x.units))
		for k, u := range x.units {
			places[k] = slices.Index(units, u)
		}
		columns[i] = newColumn(len(units), places, tails, len(x.head))
		columns[i].rank(slices.Concat(x.head, x.base))
	}
	return columns
}

// units are all that a subject has a value of: head's, then base's, by round.
func (f family) units() []unit {
	var all []unit
	for _, x := range f.samples {
		all = append(all, x.units...)
	}
	slices.SortFunc(all, func(a, b unit) int {
		if a.side != b.side {
			if a.side == measure.Head {
				return -1
			}
			return 1
		}
		return a.round - b.round
	})
	return slices.Compact(all)
}

func (j joint) everyone() []int {
	all := make([]int, j.width)
	for i := range all {
		all[i] = i
	}
	return all
}

// p is the share of choices whose statistic is not less than the observed one.
func (j joint) p(members []int) float64 {
	sum := func(row []float64) float64 {
		total := 0.0
		for _, i := range members {
			total += row[i]
		}
		return total
	}
	observed, hits := sum(j.rows[:j.width])*nearly, 0
	for at := 0; at < len(j.rows); at += j.width {
		if sum(j.rows[at:at+j.width]) >= observed {
			hits++
		}
	}
	return float64(hits) / float64(len(j.choices))
}

// nearly absorbs the rounding of sums that are equal.
const nearly = 1 - 1e-9

// A column is one subject: the doubled rank of each unit, 0 where it has no value.
type column struct {
	places []int // in ranks, of its values
	ranks  []int
	table  [][]float64 // weights by the number of head's values
}

func newColumn(units int, places []int, tails weights, heads int) column {
	c := column{places: places, ranks: make([]int, units), table: make([][]float64, len(places)+1)}
	if units == len(places) { // no unit without a value: head has as many in every choice
		c.table[heads] = tails.of(units, heads)
		return c
	}
	for k := range c.table {
		c.table[k] = tails.of(len(places), k)
	}
	return c
}

// rank sets the values.
func (c *column) rank(values []float64) {
	for i, rank := range twosample.DoubleRanks(values) {
		c.ranks[c.places[i]] = rank
	}
}

func (c *column) weight(choice []int) float64 {
	sum, heads := 0, 0
	for _, i := range choice {
		if rank := c.ranks[i]; rank > 0 {
			sum += rank
			heads++
		}
	}
	return c.table[heads][sum]
}

// choices are ways to choose k of n, the first of them 0 to k-1: all if there are at
// most all, otherwise some more, drawn.
func choices(n, k, all, some int) [][]int {
	first := make([]int, k)
	for i := range first {
		first[i] = i
	}
	list := [][]int{first}
	if twosample.Splits(k, n-k) > float64(all) {
		r := rand.New(rand.NewPCG(uint64(n), uint64(k)))
		for range some {
			list = append(list, r.Perm(n)[:k])
		}
		return list
	}
	for next := following(first, n); next != nil; next = following(next, n) {
		list = append(list, next)
	}
	return list
}

// following is the next choice in lexical order, nil after the last.
func following(choice []int, n int) []int {
	k := len(choice)
	for i := k - 1; i >= 0; i-- {
		if choice[i] < n-k+i {
			next := slices.Clone(choice)
			for j := i; j < k; j++ {
				next[j] = choice[i] + 1 + j - i
			}
			return next
		}
	}
	return nil
}
