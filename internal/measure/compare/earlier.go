package compare

import (
	"fmt"
	"math"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/history"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/stat/twosample"
)

const (
	// leastJobs is how many earlier jobs a baseline needs, leastAnchored how many jobs
	// an anchor is compared with, this one included, and mostAnchored how many at most.
	leastJobs, leastAnchored, mostAnchored = 5, 3, 5
	// medianSpread is the variance of a median, relative to that of a mean, of values
	// with a normal distribution.
	medianSpread = math.Pi / 2
)

// Baseline compares head with the earlier jobs of its environment that passed. A job
// counts as one value, its median: rounds of one job do not show how jobs differ. Head
// is worse if it is outside of the prediction interval of a next job, by Student's
// distribution with the variance between jobs and Holm's method over all series, and
// beyond the floor. Shift is what head differs by from the mean of the jobs; Base is
// their median.
func Baseline(series []measure.Series, earlier history.Environment, rule Rule) []Comparison {
	return against(series, AgainstBaseline, rule, func(s measure.Series, d *draft) estimate {
		var jobs []float64
		rounds := math.MaxInt
		for _, run := range earlier.Compared() {
			if v, ok := value(run, s); ok {
				jobs, rounds = append(jobs, v.Median), min(rounds, v.Rounds)
			}
		}
		d.BaseN, d.HeadN, d.Base = len(jobs), 1, measure.Median(jobs)
		if n := leastJobs - len(jobs); n > 0 {
			d.none(fmt.Sprintf("there are %s of this environment that passed, %d more needed", plain.Count(len(jobs), "earlier job"), n))
			return estimate{}
		}
		if len(s.Head) < rounds {
			d.none(fmt.Sprintf("head has %s, the earlier jobs have %d or more", plain.Count(len(s.Head), "round"), rounds))
			return estimate{}
		}
		mean, deviation := moments(jobs)
		n := float64(len(jobs))
		d.Effect = worseSign(s.Metric) * twosample.Cliff([]float64{d.Head}, jobs)
		return estimate{shift: d.Head - mean, error: deviation * math.Sqrt(1+1/n), freedom: n - 1}
	})
}

// Anchor compares the last jobs of an environment, this one included, with its anchor:
// the median of the last three to five that passed. It sees drift whose single steps
// are too small for [Baseline]. The variance between jobs is that of the differences of
// neighbouring ones (von Neumann and others: Annals of Mathematical Statistics 12,
// 1941), which drift itself does not widen.
func Anchor(series []measure.Series, earlier history.Environment, rule Rule) []Comparison {
	return against(series, AgainstAnchor, rule, func(s measure.Series, d *draft) estimate {
		var jobs []float64
		for _, run := range earlier.Compared() {
			if v, ok := value(run, s); ok {
				jobs = append(jobs, v.Median)
			}
		}
		jobs = append(jobs, d.Head)
		last := jobs[max(0, len(jobs)-mostAnchored):]
		d.Head, d.HeadN = measure.Median(last), len(last)
		if earlier.Anchor == nil {
			d.none("no run of this environment is pinned")
			return estimate{}
		}
		anchor, ok := value(*earlier.Anchor, s)
		if !ok {
			d.none("the pinned run has no value of it")
			return estimate{}
		}
		d.Base, d.BaseN = anchor.Median, 1
		if n := leastAnchored - len(last); n > 0 {
			d.none(fmt.Sprintf("with this one there are %s of this environment that passed, %d more needed", plain.Count(len(last), "job"), n))
			return estimate{}
		}
		d.Effect = worseSign(s.Metric) * twosample.Cliff(last, []float64{anchor.Median})
		return estimate{
			shift:   d.Head - d.Base,
			error:   successive(jobs) * math.Sqrt(1+medianSpread/float64(len(last))),
			freedom: max(1, math.Floor(2*float64(len(jobs)-1)/3)),
		}
	})
}

// An estimate is a shift in the metric's unit, its standard error and its degrees of
// freedom; 0 without data.
type estimate struct{ shift, error, freedom float64 }

// against tests one estimate for each series, which measures it by of.
func against(series []measure.Series, what Against, rule Rule, of func(measure.Series, *draft) estimate) []Comparison {
	r := rule.known()
	var drafts []draft
	var estimates []estimate
	for _, s := range series {
		if !s.Metric.Compared {
			continue
		}
		alone := s
		alone.Base = s.Head // nothing is compared with the other side
		d, e := start(alone, r), estimate{}
		d.Against, d.Base, d.BaseN = what, 0, 0
		if d.Change == "" {
			e = of(s, &d)
		}
		drafts, estimates = append(drafts, d), append(estimates, e)
	}
	conclude(drafts, estimates, r)
	all := make([]Comparison, len(drafts))
	for i := range drafts {
		all[i] = drafts[i].Comparison
		all[i].Why = drafts[i].sentence(0, 0, r)
	}
	return all
}

// conclude decides all estimates together.
func conclude(drafts []draft, estimates []estimate, r Rule) {
	var at []int
	var worse, better []float64
	for i, e := range estimates {
		if e.freedom == 0 {
			continue
		}
		d, sign := &drafts[i], worseSign(drafts[i].Metric)
		half := e.error * twosample.StudentAt(r.Alpha/2, e.freedom)
		d.Shift, d.Low, d.High, d.Bounded = e.shift, e.shift-half, e.shift+half, true
		d.P = e.above(sign)
		at, worse, better = append(at, i), append(worse, d.P), append(better, e.above(-sign))
	}
	worse, better = twosample.Adjusted(worse), twosample.Adjusted(better)
	for k, i := range at {
		d, e := &drafts[i], estimates[i]
		floor := least(d.Floor, d.Base)
		d.Adjusted, d.betterP = worse[k], better[k]
		d.proven, d.provenBetter = atMost(worse[k], r.Alpha), atMost(better[k], r.Alpha)
		amount := worseSign(d.Metric) * d.Shift
		d.Change = Same
		switch {
		case d.proven && amount > floor && d.Effect >= r.Effect:
			d.Change = Worse
		case d.provenBetter && -amount > floor && -d.Effect >= r.Effect:
			d.Change = BetterThan
		}
		level := r.Alpha / float64(len(at))
		d.CouldSee = max(floor, e.error*(twosample.StudentAt(level, e.freedom)+twosample.StudentAt(1-r.Power, e.freedom)))
		if r.Power < .5 {
			d.CouldSee = max(floor, e.error*twosample.StudentAt(level, e.freedom))
		}
	}
}

// above is the one-sided p-value of "not more", in the direction of sign.
func (e estimate) above(sign float64) float64 {
	switch shift := sign * e.shift; {
	case e.error > 0:
		return twosample.StudentAbove(shift/e.error, e.freedom)
	case shift > 0:
		return 0 // nothing varied before
	default:
		return 1
	}
}

// value is that of a series in a run, if it is of the same meaning and can be computed
// with.
func value(run history.Run, s measure.Series) (history.Value, bool) {
	v, ok := run.Value(s.Key)
	return v, ok && v.Unit == s.Metric.Unit && v.Better == s.Metric.Better && math.Abs(v.Median) <= most
}

// moments are the mean and the standard deviation.
func moments(values []float64) (mean, deviation float64) {
	n, square := float64(len(values)), 0.0
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		square += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(square / (n - 1))
}

// successive is the standard deviation by the differences of neighbours.
func successive(values []float64) float64 {
	square := 0.0
	for i, v := range values[1:] {
		square += (v - values[i]) * (v - values[i])
	}
	return math.Sqrt(square / (2 * float64(len(values)-1)))
}
