package words

import (
	"cmp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/quantity"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// A Rank says how much a row matters.
type Rank int

// Ranks, what matters most first.
const (
	RankRefused Rank = iota
	RankUnknown      // not measured, or not enough data
	RankWarned
	RankBetter
	RankQuiet
)

// String is the rank in a word.
func (r Rank) String() string {
	return [...]string{"refused", "unknown", "warning", "better", "quiet"}[min(max(r, 0), RankQuiet)]
}

// A Row is one series in a table of deltas: what was measured, what it is compared with,
// its limits and what follows. All texts are plain.
type Row struct {
	Key    measure.Key
	Metric string
	Of     string // the meter and subject
	Base   string
	Head   string
	Change string // the shift with its interval
	Limit  string
	Says   string // the verdict in words
	Rank   Rank
	Past   []Past
	From   []string // where its limits are written
	// Aside rows say that a limit of a detail holds, or is not for this run: a number of
	// them is enough where there is little room.
	Aside bool
	// Compared rows are of metrics that can be tested for changes.
	Compared bool
}

// Rows has a row for each series, and one for each limit that has none, what matters
// most first. A series that was compared with several things has a row for each.
func Rows(r verdict.Result) []Row {
	comparisons := map[measure.Key][]compare.Comparison{}
	for _, c := range r.Comparisons {
		comparisons[c.Key] = append(comparisons[c.Key], c)
	}
	budgets := map[measure.Key][]budget.Checked{}
	for _, c := range r.Budgets {
		budgets[c.Key] = append(budgets[c.Key], c)
	}
	var rows []Row
	for _, s := range r.Series {
		first := Row{Key: s.Key, Metric: Title(s.Metric, s.Key), Of: Subject(s.Key), Base: side(s, s.Base), Head: side(s, s.Head), Change: "–", Limit: "–", Rank: RankQuiet, Past: History(r, s)}
		first.limits(budgets[s.Key])
		first.Aside, first.Compared = s.Metric.Detail && first.Rank == RankQuiet, s.Metric.Compared
		delete(budgets, s.Key)
		rows = append(rows, first.compared(comparisons[s.Key], r.Policy.Rule.Alpha)...)
	}
	for _, c := range r.Budgets { // those without a series
		if all := budgets[c.Key]; len(all) > 0 {
			row := Row{Key: c.Key, Metric: Title(c.Metric, c.Key), Of: Subject(c.Key), Base: "–", Head: "–", Change: "–", Limit: "–", Rank: RankQuiet}
			row.limits(all)
			row.Aside = row.Rank == RankQuiet
			delete(budgets, c.Key)
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return a.place() - b.place() })
	return rows
}

// place orders rows: by rank, and of those that say nothing new first what can be
// compared, and last the details.
func (row Row) place() int {
	place := 3 * int(row.Rank)
	switch {
	case row.Aside:
		return place + 2
	case row.Compared:
		return place
	}
	return place + 1
}

func side(s measure.Series, points []measure.Point) string {
	if len(points) == 0 {
		return "–"
	}
	return quantity.Value(s.Metric.Unit, measure.Median(measure.Values(points)))
}

// limits adds what became of the row's limits.
func (row *Row) limits(all []budget.Checked) {
	var limits, says []string
	for _, c := range all {
		limits = append(limits, Limit(c))
		text := Kept(c)
		if hasValue(c) && c.Aggregation != budget.Median && c.Rounds > 1 {
			text += " (" + Measurement(c) + ", " + plain.Text(string(c.Aggregation), 20) + ")"
		}
		if why := cmp.Or(c.NotApplicable, c.Missing); why != "" {
			text += ": " + plain.Text(why, WhyLength)
		}
		says = append(says, text)
		row.From = append(row.From, plain.Text(c.From, 200))
		row.Rank = min(row.Rank, rankOf(c))
		if c.State() == budget.Failed {
			row.Head = Measurement(c)
		}
	}
	if len(limits) > 0 {
		row.Limit, row.Says = strings.Join(limits, ", "), strings.Join(says, ", ")
	}
}

func rankOf(c budget.Checked) Rank {
	switch s := c.State(); {
	case s == budget.Met || s == budget.DoesNotConcern:
		return RankQuiet
	case !Refuses(c):
		return RankWarned
	case s == budget.NoValue:
		return RankUnknown
	}
	return RankRefused
}

// compared returns a row for each comparison, the limits in the first one.
func (row Row) compared(all []compare.Comparison, alpha float64) []Row {
	if len(all) == 0 {
		row.Says = plain.Or(row.Says)
		return []Row{row}
	}
	var rows []Row
	for i, c := range all {
		one := row
		if i > 0 {
			one.Limit, one.Says, one.Rank, one.From = "–", "", RankQuiet, nil
		}
		if c.Against != compare.AgainstBase && c.Against != "" {
			one.Of += " against " + With(c.Against)
		}
		one.Change = Delta(c, alpha)
		if c.BaseN > 0 {
			one.Base = quantity.Beside(c.Metric.Unit, c.Base, c.Head)
			if i > 0 || row.Rank > RankWarned {
				one.Head = quantity.Beside(c.Metric.Unit, c.Head, c.Base)
			}
		}
		one.Says = strings.TrimPrefix(one.Says+"; "+Finding(c), "; ")
		one.Rank = min(one.Rank, rank(c))
		rows = append(rows, one)
	}
	return rows
}

func rank(c compare.Comparison) Rank {
	switch c.Change {
	case compare.Worse:
		return RankRefused
	case compare.BetterThan:
		return RankBetter
	case compare.Same:
		return RankQuiet
	case compare.NotEnoughData:
	}
	return RankUnknown
}

// bars are the heights of a line of bars.
var bars = []rune("▁▂▃▄▅▆▇█")

// Spark is a line of bars of the last n medians, "" for fewer than two. It goes from the
// least to the most of the runs that passed and the last one, so that one red run does
// not flatten the others.
func Spark(all []Past, n int) string {
	all = all[max(0, len(all)-n):]
	if len(all) < 2 {
		return ""
	}
	last := all[len(all)-1].Median
	low, high := last, last
	for _, p := range all {
		if p.Verdict == verdict.Pass {
			low, high = min(low, p.Median), max(high, p.Median)
		}
	}
	var b strings.Builder
	for _, p := range all {
		at := 0
		if high > low {
			at = int((p.Median/2 - low/2) / (high/2 - low/2) * float64(len(bars)-1)) // halves do not overflow
		}
		b.WriteRune(bars[min(max(at, 0), len(bars)-1)])
	}
	return b.String()
}
