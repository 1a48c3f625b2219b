package trialbench

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// A line sums up all rollouts of a row.
type line struct {
	row
	runs     int
	ends     [3]int // by end
	seconds  []float64
	answers  []float64
	deciding map[string]int
}

// summarize counts the outcomes of a row.
func summarize(s row, o options, outcomes []outcome) line {
	l := line{row: s, runs: o.runs, deciding: map[string]int{}}
	for _, x := range outcomes {
		l.ends[x.end]++
		if x.end == promoted {
			continue
		}
		l.deciding[x.by]++
		if x.end == aborted {
			l.seconds, l.answers = append(l.seconds, x.seconds), append(l.answers, float64(x.answers))
		}
	}
	slices.Sort(l.seconds)
	slices.Sort(l.answers)
	return l
}

func (l line) percent(e end) string {
	return fmt.Sprintf("%.3g", 100*float64(l.ends[e])/float64(l.runs))
}

// String is the line as a row of the table.
func (l line) String() string {
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s |", l.name, l.percent(aborted), l.percent(held), l.percent(promoted),
		quantile(l.seconds, 0.5), quantile(l.seconds, 0.95), quantile(l.answers, 0.5), l.checks())
}

// checks lists which checks decided, the most frequent first.
func (l line) checks() string {
	names := slices.SortedFunc(maps.Keys(l.deciding), func(a, b string) int {
		if d := l.deciding[b] - l.deciding[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var said []string
	for _, name := range names[:min(3, len(names))] {
		said = append(said, fmt.Sprintf("%s %d", name, l.deciding[name]))
	}
	return strings.Join(said, ", ")
}

// quantile is the value that a share of the sorted values does not exceed.
func quantile(sorted []float64, share float64) string {
	if len(sorted) == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)])
}

// A table has all lines of a measurement.
type table struct {
	options
	lines []line
}

// String returns the table as Markdown.
func (t table) String() string {
	var b strings.Builder
	pinned := "without pinned requests"
	if t.pinned {
		pinned = "a fifth of them pinned"
	}
	fmt.Fprintf(&b, "%d rollouts per row, %s per step, %g requests/s, %s, seed %d.\n", t.runs, t.step, t.rate, pinned, t.seed)
	fmt.Fprintf(&b, "None of %d is under %.2g %% with 95 %% confidence.\n", t.runs, 100*(1-math.Pow(0.05, 1/float64(t.runs))))
	for _, group := range []struct{ name, title string }{{"healthy", "Healthy: promoted is right"}, {"sick", "Sick: aborted is right"}} {
		head := fmt.Sprintf("\n| %s | Aborted %% | Held %% | Promoted %% | Seconds, median | p95 | Canary answers | Decided by |\n|---|---:|---:|---:|---:|---:|---:|---|\n", group.title)
		for _, l := range t.lines {
			if l.group() == group.name {
				b.WriteString(head + l.String() + "\n")
				head = ""
			}
		}
	}
	b.WriteString("\nSeconds and answers, as medians over the aborted rollouts, count from the begin of the defect.\n")
	return b.String()
}
