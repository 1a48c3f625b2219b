package report

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Text renders the final block for a terminal or a log: the final status, the
// reason, one line per step, and a hint. It is plain text without colour.
func Text(r Result) string {
	r, _ = r.cut(50)
	plainly := func(s string) string { return Plain(clip(s, 1000)) }
	var b strings.Builder
	fmt.Fprintln(&b, r.verdict(writer{code: plainly, text: plainly}))
	if r.Reason != "" {
		fmt.Fprintln(&b, "  reason:", plainly(r.Reason))
	}
	if len(r.StepRecords) > 0 {
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "  weight\tmeasured share\taccepted / observed after\tdwell\trequests\tfailed\tp95 canary / stable\tverdict")
		for _, s := range r.StepRecords {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.title(), s.share(), s.followed(), s.Dwell,
				number(s.Requests.Total), number(s.Requests.Failed), s.p95(), plainly(string(s.Verdict)))
		}
		_ = t.Flush() // to a strings.Builder
	}
	if f := r.PodFailure; f != nil {
		fmt.Fprintf(&b, "  pod %s: %s: %s\n", plainly(f.Pod), plainly(f.Reason), plainly(f.Message))
		lines, _ := tail(f.LastLogLines, 10)
		for _, l := range lines {
			fmt.Fprintln(&b, "    |", plainly(l))
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(&b, "  warning:", plainly(w))
	}
	if r.DurationSeconds > 0 {
		fmt.Fprintln(&b, "  "+r.took())
	}
	if r.Hint != "" {
		fmt.Fprintln(&b, "  hint:", plainly(r.Hint))
	}
	return b.String()
}
