package htmlreport

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/quantity"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// The size of a chart, and of its plot, in pixels.
const (
	chartWidth, chartHeight = 640, 180
	left, right             = 76, 560
	top, bottom             = 14, 150
)

type (
	// A mark is a point of a chart.
	mark struct {
		X, Y    float64
		Refused bool // a diamond
		Unknown bool // hollow
	}
	// A level is a horizontal line with its label.
	level struct {
		Y     float64
		Text  string
		TextY float64
	}
	// A chart is the history of a series.
	chart struct {
		ID, Title, Desc string
		Path            string // of the line of medians
		Ticks           []level
		Limit, Anchor   *level
		Marks           []mark
		Now             *mark
		Rounds          []mark // of this run
		Low, High       float64
		First, Last     string
		Note            string // what is outside of the chart
	}
	// A strip has the rounds of both sides on one axis.
	strip struct {
		ID, Title, Desc string
		Base, Head      []mark
		BaseAt, HeadAt  float64 // medians
		From, To, Shift float64 // of the interval
		Bounded         bool
		Ticks           []level // Y is X here
	}
)

// An axis maps values to pixels.
type axis struct{ low, high, from, to float64 }

func (a axis) at(v float64) float64 {
	if a.high <= a.low {
		return (a.from + a.to) / 2
	}
	p := a.from + (inRange(v)-a.low)/(a.high-a.low)*(a.to-a.from)
	return math.Round(min(max(p, min(a.from, a.to)), max(a.from, a.to))*10) / 10
}

// ticks are up to five round values of the axis, with as many digits as tell them apart.
func (a axis) ticks(u measure.Unit) []level {
	step := math.Pow(10, math.Floor(math.Log10((a.high-a.low)/4)))
	for _, by := range []float64{2, 2.5, 2} { // 1, 2, 5, 10 times a power of ten
		if (a.high-a.low)/step > 4 {
			step *= by
		}
	}
	var all []level
	const most = 6
	for i := math.Ceil(a.low / step); i*step <= a.high && len(all) < most; i++ {
		v := i * step
		all = append(all, level{Y: a.at(v), Text: quantity.Beside(u, v, v+step)})
	}
	return all
}

// padded is an axis for values of which there is at least one.
func padded(values []float64, from, to float64) axis {
	low, high := inRange(values[0]), inRange(values[0])
	for _, v := range values {
		low, high = min(low, inRange(v)), max(high, inRange(v))
	}
	pad := (high - low) * 0.08
	if pad == 0 {
		pad = max(math.Abs(high)*0.05, 1e-6)
	}
	floor := low - pad
	if low >= 0 && floor < 0 {
		floor = 0
	}
	return axis{floor, high + pad, from, to}
}

// inRange keeps the arithmetic of charts finite.
func inRange(v float64) float64 { return min(max(v, -1e150), 1e150) }

// far reports whether a level would flatten the values.
func far(v float64, values []float64) bool {
	a := padded(values, 0, 1)
	span := a.high - a.low
	return v > a.high+1.5*span || v < a.low-1.5*span
}

// newChart draws the medians of the last runs; nil for none. The mark of this run shows
// what became of this metric.
func newChart(id string, s measure.Series, row words.Row, limit, anchor *float64, title string) *chart {
	past := slices.Clone(row.Past)
	if len(past) == 0 {
		return nil
	}
	if now := &past[len(past)-1]; now.Now {
		switch row.Rank {
		case words.RankRefused:
			now.Verdict = verdict.Refused
		case words.RankUnknown:
			now.Verdict = verdict.Inconclusive
		case words.RankWarned, words.RankBetter, words.RankQuiet:
			now.Verdict = verdict.Pass
		}
	}
	u := s.Metric.Unit
	c := &chart{ID: id + "-history", Title: "Last runs: " + title, First: past[0].Day, Last: past[len(past)-1].Day}
	var values []float64
	for _, p := range past {
		values = append(values, p.Median)
	}
	values = append(values, measure.Values(s.Head)...)
	var notes []string
	shown := values
	for _, one := range []struct {
		at   *float64
		name string
	}{{limit, "limit"}, {anchor, "anchor"}} {
		switch {
		case one.at == nil:
		case far(*one.at, values):
			notes = append(notes, fmt.Sprintf("The %s, %s, is outside of the chart.", one.name, quantity.Value(u, *one.at)))
		default:
			shown = append(shown, *one.at)
		}
	}
	c.Note = strings.Join(notes, " ")
	y := padded(shown, bottom, top)
	c.lines(u, y, limit, anchor, values)
	c.points(s, y, past)
	c.Desc = describe(u, row.Past)
	return c
}

// lines adds the scale, the limit and the anchor.
func (c *chart) lines(u measure.Unit, y axis, limit, anchor *float64, values []float64) {
	c.Ticks = y.ticks(u)
	line := func(v *float64, text string) *level {
		if v == nil || far(*v, values) {
			return nil
		}
		at := y.at(*v)
		return &level{Y: at, Text: text, TextY: at + 4}
	}
	c.Limit, c.Anchor = line(limit, "limit"), line(anchor, "anchor")
	if c.Limit != nil && c.Anchor != nil && math.Abs(c.Limit.TextY-c.Anchor.TextY) < 13 { // labels beside each other
		higher, lower := c.Limit, c.Anchor
		if lower.Y < higher.Y {
			higher, lower = lower, higher
		}
		middle := (higher.TextY + lower.TextY) / 2
		higher.TextY, lower.TextY = middle-6.5, middle+6.5
	}
}

// points adds the line of medians, its markers, and the rounds of this run.
func (c *chart) points(s measure.Series, y axis, past []words.Past) {
	x := axis{0, float64(max(len(past)-1, 1)), left + 8, right - 10}
	var b strings.Builder
	for i, p := range past {
		at := mark{X: x.at(float64(i)), Y: y.at(p.Median), Refused: p.Verdict == verdict.Refused, Unknown: p.Verdict != verdict.Refused && p.Verdict != verdict.Pass}
		if len(past) == 1 {
			at.X = (left + right) / 2
		}
		fmt.Fprintf(&b, "%c%g %g", "ML"[min(i, 1)], at.X, at.Y)
		if p.Now {
			c.Now = &at
		} else if at.Refused || at.Unknown {
			c.Marks = append(c.Marks, at)
		}
	}
	c.Path = b.String()
	if c.Now == nil || len(s.Head) == 0 {
		return
	}
	values := measure.Values(s.Head)
	c.Low, c.High = y.at(values[0]), y.at(values[0])
	for _, v := range values[:min(len(values), 100)] {
		at := y.at(v)
		c.Low, c.High = max(c.Low, at), min(c.High, at) // pixels go down
		c.Rounds = append(c.Rounds, mark{X: c.Now.X, Y: at})
	}
}

// describe is a chart in words.
func describe(u measure.Unit, past []words.Past) string {
	low, high, red := past[0].Median, past[0].Median, 0
	for _, p := range past {
		low, high = min(low, p.Median), max(high, p.Median)
		if p.Verdict == verdict.Refused {
			red++
		}
	}
	return fmt.Sprintf("Medians of %s, from %s to %s. The last one is %s. %s refused.", plain.Count(len(past), "run"), quantity.Value(u, low), quantity.Value(u, high), quantity.Value(u, past[len(past)-1].Median), plain.Number(red))
}

// newStrip draws the rounds of base and head; nil without both.
func newStrip(id string, s measure.Series, c compare.Comparison, alpha float64, title string) *strip {
	if len(s.Base) == 0 || len(s.Head) == 0 {
		return nil
	}
	base, head := measure.Values(s.Base), measure.Values(s.Head)
	at := measure.Median(base)
	values := append(append([]float64{}, base...), head...)
	bounded := c.Bounded && !c.Metric.Exact && !math.IsInf(c.Low, 0) && !math.IsInf(c.High, 0) && c.BaseN > 0
	if bounded {
		values = append(values, at+c.Low, at+c.High)
	}
	x := padded(values, left, right)
	p := &strip{ID: id + "-rounds", Title: "Rounds: " + title, BaseAt: x.at(at), HeadAt: x.at(measure.Median(head)), Bounded: bounded}
	p.Ticks = x.ticks(s.Metric.Unit)
	p.Base, p.Head = dots(base, x, 28), dots(head, x, 62)
	p.Desc = fmt.Sprintf("%s of base with the median %s, %s of head with the median %s.", plain.Count(len(base), "round"), quantity.Value(s.Metric.Unit, at), plain.Count(len(head), "round"), quantity.Value(s.Metric.Unit, measure.Median(head)))
	if bounded {
		p.From, p.To, p.Shift = x.at(at+c.Low), x.at(at+c.High), x.at(at+c.Shift)
		p.Desc += " Change: " + words.Delta(c, alpha) + "."
	}
	return p
}

// dots are the values of a side around a height, beside each other where they are equal.
func dots(values []float64, x axis, height float64) []mark {
	var all []mark
	for i, v := range values[:min(len(values), 100)] {
		all = append(all, mark{X: x.at(v), Y: height + float64(i%3-1)*5})
	}
	return all
}
