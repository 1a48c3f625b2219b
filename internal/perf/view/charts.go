package view

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// label returns s as a text that Mermaid can have between quotes: letters, digits and
// few signs.
func label(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" .,/-_()", r) {
			return r
		}
		return ' '
	}, plain.Text(s, n))
	return `"` + strings.Join(strings.Fields(s), " ") + `"`
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// rounded keeps 4 significant digits.
func rounded(v float64) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return 0 // can't be: it was printed just now
	}
	return f
}

// relative draws head in percent of base, for metrics of any unit in one chart.
func relative(b *strings.Builder, r verdict.Result) {
	const most = 12
	var names, heads, bases []string
	low, high := 100.0, 100.0
	for _, c := range r.Comparisons {
		if c.Base <= 0 || c.Head < 0 || len(names) == most {
			continue
		}
		v := rounded(100 * c.Head / c.Base)
		if math.IsInf(v, 0) || math.IsNaN(v) || v > 1e6 {
			continue
		}
		low, high = min(low, v), max(high, v)
		names = append(names, label(strconv.Itoa(len(names)+1)+" "+words.Title(c.Metric, c.Key), 30))
		heads, bases = append(heads, number(v)), append(bases, "100")
	}
	if len(names) == 0 {
		return
	}
	chart(b, "Head in percent of what it is compared with (the line)", "x-axis ["+strings.Join(names, ", ")+"]", "percent", 0, math.Ceil(high*1.1),
		"bar ["+strings.Join(heads, ", ")+"]", "line ["+strings.Join(bases, ", ")+"]")
}

// histories draws the medians of the last runs of rows, and their first limit.
func histories(b *strings.Builder, r verdict.Result, rows []words.Row, most int) {
	drawn := map[measure.Key]bool{}
	for _, row := range rows {
		if len(row.Past) < 3 || drawn[row.Key] {
			continue
		}
		if len(drawn) == most {
			return
		}
		drawn[row.Key] = true
		history(b, r, row)
	}
}

func history(b *strings.Builder, r verdict.Result, row words.Row) {
	unit, factor := scaleOf(r, row)
	var values, limits []string
	limit, limited := limitOf(r.Budgets, row.Key)
	limit = rounded(limit * factor)
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range row.Past {
		v := rounded(p.Median * factor)
		low, high = min(low, v), max(high, v)
		values, limits = append(values, number(v)), append(limits, number(limit))
	}
	lines := []string{"line [" + strings.Join(values, ", ") + "]"}
	if limited && limit <= 3*high { // one far away would flatten the line
		low, high = min(low, limit), max(high, limit)
		lines = append(lines, "line ["+strings.Join(limits, ", ")+"]")
	}
	pad := max((high-low)*0.1, math.Abs(high)*0.01, 1e-9)
	title := row.Metric + " of " + row.Of + ", last runs"
	if len(lines) > 1 {
		title += ", and its limit"
	}
	chart(b, title, fmt.Sprintf("x-axis \"runs, this one is the last\" 1 --> %d", len(values)), unit, max(rounded(low-pad), min(0, low)), rounded(high+pad), lines...)
}

// scaleOf is the unit of a chart and the factor of its values.
func scaleOf(r verdict.Result, row words.Row) (string, float64) {
	for _, s := range r.Series {
		if s.Key != row.Key {
			continue
		}
		switch s.Metric.Unit {
		case measure.Share:
			return "percent", 100
		case measure.Score:
			return "of 100", 100
		default:
			return string(s.Metric.Unit), 1
		}
	}
	return "", 1
}

func limitOf(all []budget.Checked, k measure.Key) (float64, bool) {
	for _, c := range all {
		if c.Key == k && c.State() != budget.DoesNotConcern {
			return c.Limit, true
		}
	}
	return 0, false
}

// chart writes a chart that GitHub renders. Both ends of the y-axis are finite, and the
// lower one is below the upper one.
func chart(b *strings.Builder, title, x, unit string, low, high float64, lines ...string) {
	if !(low < high) || math.IsInf(low, 0) || math.IsInf(high, 0) {
		return
	}
	fmt.Fprintf(b, "```mermaid\nxychart-beta\n    title %s\n    %s\n    y-axis %s %s --> %s\n", label(title, 120), x, label(unit, 20), number(low), number(high))
	for _, line := range lines {
		fmt.Fprintf(b, "    %s\n", line)
	}
	b.WriteString("```\n\n")
}
