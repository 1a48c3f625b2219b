package compare

import (
	"cmp"
	"math"
	"slices"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/stat/twosample"
)

// Compare compares head with the base that was measured in the same job: one
// Comparison for each series whose metric is Compared, in the order of series.
func Compare(series []measure.Series, rule Rule) []Comparison {
	r := rule.known()
	drafts, tested, wanted := decide(series, r)
	tails := weights{}
	for _, f := range tested {
		f.see(drafts, r, r.Alpha/float64(len(tested)), tails)
	}
	all, strata := make([]Comparison, len(drafts)), 1
	for _, f := range wanted {
		strata = max(strata, len(f.samples))
	}
	for i := range drafts {
		all[i] = drafts[i].Comparison
		all[i].Why = drafts[i].sentence(len(wanted), strata, r)
	}
	return all
}

// A draft is a Comparison with what its sentence is made of.
type draft struct {
	Comparison
	floorOf                  string
	doubt                    string // about an exact metric
	subjects                 int    // that were tested in its family
	proven, provenBetter     bool   // whether or not it counts
	together, togetherBetter bool   // proven by the family's test alone
	betterP                  float64
}

// decide is Compare without CouldSee and sentences. It also returns the families that
// were tested and those that should have been.
func decide(series []measure.Series, r Rule) (drafts []draft, tested, wanted []family) {
	var samples []*sample
	for _, s := range series {
		if !s.Metric.Compared {
			continue
		}
		d := start(s, r)
		switch {
		case d.Change != "":
		case s.Metric.Exact:
			d.exact(s)
		default:
			x := newSample(len(drafts), s, d.Floor)
			d.estimate(x, r)
			samples = append(samples, x)
		}
		drafts = append(drafts, d)
	}
	wanted = gather(drafts, samples)
	tested = reachable(wanted, r.Alpha)
	mark(drafts, tested, r)
	return drafts, tested, wanted
}

// start fills in what needs no statistics.
func start(s measure.Series, r Rule) draft {
	d := draft{Comparison: Comparison{
		Key: s.Key, Metric: s.Metric, Against: AgainstBase, BaseN: len(s.Base), HeadN: len(s.Head),
		P: 1, Adjusted: 1, CouldSee: math.Inf(1), Low: math.Inf(-1), High: math.Inf(1),
	}}
	d.Floor, d.floorOf = r.FloorOf(s.Metric)
	if !finite(s.Head) || !finite(s.Base) {
		d.none("a value is not a finite number")
		return d
	}
	d.Base, d.Head = measure.Median(measure.Values(s.Base)), measure.Median(measure.Values(s.Head))
	switch {
	case twice(s.Head) || twice(s.Base):
		d.none("a round has two values")
	case len(s.Head) == 0:
		d.none("no round of head has a value")
	case len(s.Base) == 0:
		d.none("there is no base to compare with")
	}
	return d
}

// none says that there is nothing to decide by.
func (d *draft) none(why string) {
	d.Change, d.Why = NotEnoughData, why
}

// gather makes families of samples, in the order of their first one.
func gather(drafts []draft, samples []*sample) []family {
	type name struct{ meter, metric string }
	at := map[name]int{}
	var families []family
	for _, x := range samples {
		k := name{drafts[x.at].Key.Meter, drafts[x.at].Key.Metric}
		i, ok := at[k]
		if !ok {
			i = len(families)
			at[k] = i
			families = append(families, family{})
		}
		families[i].samples = append(families[i].samples, x)
	}
	return families
}

// reachable returns the families that are tested: as many as possible, those with the
// smallest possible p-values first, such that each of them could be rejected first.
// Only numbers of rounds decide, no values, so that the choice favours no result.
// Subjects that cannot reach the level of the first step are left out.
func reachable(families []family, alpha float64) []family {
	order := slices.Clone(families)
	slices.SortStableFunc(order, func(a, b family) int { return cmp.Compare(a.reach(), b.reach()) })
	n := len(order)
	for n > 0 && (!atMost(order[n-1].reach(), alpha/float64(n)) || n < len(order) && order[n].reach() == order[n-1].reach()) {
		n--
	}
	for i, f := range order[:n] {
		order[i].samples = slices.DeleteFunc(slices.Clone(f.samples), func(x *sample) bool { return !atMost(x.reach(), alpha/float64(n)) })
	}
	return order[:n]
}

// estimate fills in shift, interval, effect and the p-value. What is not tested remains
// without enough data.
func (d *draft) estimate(x *sample, r Rule) {
	sign := worseSign(d.Metric)
	shift, low, high := twosample.ShiftInterval(x.head, x.base, 1-r.Alpha)
	d.Shift, d.Low, d.High = sign*shift, sign*low, sign*high
	if sign < 0 {
		d.Low, d.High = d.High, d.Low
	}
	d.Bounded = !math.IsInf(low, 0) && !math.IsInf(high, 0)
	d.Effect = twosample.Cliff(x.head, x.base)
	d.P = twosample.Greater(x.head, x.base)
	d.Change = NotEnoughData
}

// mark decides the families, once for the worse and once for the better.
func mark(drafts []draft, families []family, r Rule) {
	tails, turned := weights{}, make([]family, len(families))
	for i, f := range families {
		turned[i] = f.turned()
		for _, x := range f.samples {
			drafts[x.at].Change, drafts[x.at].subjects = Same, len(f.samples)
		}
	}
	for i, v := range procedure(families, r.Alpha, tails) {
		for k, x := range families[i].samples {
			d := &drafts[x.at]
			d.Adjusted, d.proven, d.together = v.adjusted[k], v.named[k], v.together[k]
			if d.proven && x.counts(r.Effect) {
				d.Change = Worse
			}
		}
	}
	for i, v := range procedure(turned, r.Alpha, tails) {
		for k, x := range turned[i].samples {
			d := &drafts[x.at]
			d.betterP, d.provenBetter, d.togetherBetter = v.adjusted[k], v.named[k], v.together[k]
			if d.provenBetter && x.counts(r.Effect) {
				d.Change = BetterThan
			}
		}
	}
}

// A decision is what the procedure says of a family's subjects.
type decision struct {
	adjusted []float64
	named    []bool
	together []bool // named by its family's test alone
}

// procedure is the closed one of the package comment.
func procedure(families []family, alpha float64, tails weights) []decision {
	results, last := make([]tested, len(families)), make([]float64, len(families))
	for i, f := range families {
		results[i] = f.test(tails)
		last[i] = results[i].last
	}
	decisions := make([]decision, len(families))
	for i, t := range results {
		others := slices.Concat(last[:i], last[i+1:])
		slices.SortFunc(others, func(a, b float64) int { return cmp.Compare(b, a) })
		decisions[i] = t.decide(others, alpha)
	}
	return decisions
}

func (t tested) decide(others []float64, alpha float64) decision {
	d := decision{named: make([]bool, len(t.own)), together: make([]bool, len(t.own))}
	single := false
	for i, p := range t.alone {
		d.adjusted = append(d.adjusted, adjust(p, others))
		d.named[i] = atMost(d.adjusted[i], alpha)
		single = single || d.named[i]
	}
	whole := adjust(t.together, others)
	if single || !atMost(whole, alpha) {
		return d
	}
	for i, p := range t.own {
		if atMost(p, alpha) {
			d.adjusted[i], d.named[i], d.together[i] = whole, true, true
		}
	}
	return d
}

// adjust corrects the p-value of one family for the others, the largest first: for
// every k it holds against the k-1 that are hardest to reject. With p-values of
// families that have one subject each it is Holm's correction.
func adjust(p float64, others []float64) float64 {
	adjusted := p
	for i, other := range others {
		adjusted = max(adjusted, float64(i+2)*min(p, other))
	}
	return min(1, adjusted)
}
