package view

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Ended is a line about a meter that ended, for people who watch.
func Ended(m verdict.Meter) string { return words.Meter(m) }

// Text renders the end of a run for a terminal or a log: the measurements, what can't be
// believed, and last the verdict with its reasons.
func Text(r verdict.Result) string {
	var b strings.Builder
	loud, quiet := split(words.Rows(r))
	textRows(&b, append(loud, quiet...))
	for _, c := range append(words.Unmet(r), words.NotMeasured(r)...)[:min(len(words.Unmet(r))+len(words.NotMeasured(r)), 50)] {
		fmt.Fprintf(&b, "  %s\n", words.Checked(c))
	}
	for _, c := range words.Worse(r)[:min(len(words.Worse(r)), 50)] {
		fmt.Fprintf(&b, "  %s\n", words.Compared(c, r.Policy.Rule.Alpha))
	}
	for _, a := range words.Broken(r)[:min(len(words.Broken(r)), 20)] {
		fmt.Fprintf(&b, "  %s %s, round %d: %s: %s\n", plain.Text(a.Meter, 60), plain.Text(a.Subject, words.SubjectLength), a.Round+1, plain.Text(a.Text, 300), plain.Text(plain.Or(a.Why), 300))
	}
	for _, m := range words.Unhealthy(r) {
		fmt.Fprintf(&b, "  %s\n", Ended(m))
	}
	for _, with := range r.Compared {
		fmt.Fprintf(&b, "  compared with %s\n", plain.Text(with, 200))
	}
	fmt.Fprintf(&b, "%s\n", words.Headline(r))
	for _, reason := range r.Reasons[:min(len(r.Reasons), 20)] {
		fmt.Fprintf(&b, "  %s\n", plain.Text(reason.Text, 500))
	}
	fmt.Fprintf(&b, "  %s, load scenarios: %s\n", words.Status(r), words.Scenarios(r))
	return b.String()
}

// textRows writes rows as a table.
func textRows(b *strings.Builder, all []words.Row) {
	if len(all) == 0 {
		return
	}
	const most = 60
	shown := slices.DeleteFunc(slices.Clone(all), func(row words.Row) bool { return row.Aside })
	aside := len(all) - len(shown)
	all = shown
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	cut := func(s string) string { return plain.Text(s, 60) }
	fmt.Fprintln(t, "METRIC\tOF\tBASE\tHEAD\tCHANGE\tLIMIT\tVERDICT")
	for _, row := range all[:min(len(all), most)] {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cut(row.Metric), cut(row.Of), row.Base, row.Head, cut(row.Change), row.Limit, row.Says)
	}
	_ = t.Flush() // to a strings.Builder
	if aside > 0 {
		fmt.Fprintf(b, "%s of details, kept or not for this run: see %s/report.md\n", plain.Count(aside, "more limit"), Folder)
	}
	if left := len(all) - most; left > 0 {
		fmt.Fprintf(b, "%s more are in %s/analysis.json\n", plain.Number(left), Folder)
	}
}
