package view

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// Ended is a line about a tool that ended, for people who watch.
func Ended(t verdict.Tool) string {
	text := fmt.Sprintf("%s: %s", strings.TrimSpace(plain.Text(t.Name, 60)+" "+plain.Text(t.Version, 60)), t.Health)
	switch t.Health {
	case verdict.Healthy:
		extent, _ := words.Coverage(t.Coverage)
		text = fmt.Sprintf("%s: %s %s", strings.TrimSpace(plain.Text(t.Name, 60)+" "+plain.Text(t.Version, 60)), plain.Count(t.Found, "result"), extent)
		text = strings.TrimSpace(text)
	default:
		if t.Why != "" {
			text += ": " + plain.Text(t.Why, 500)
		}
		if t.Hint != "" {
			text += "; " + plain.Text(t.Hint, 300)
		}
	}
	if t.Took > 0 {
		text += ", " + plain.Took(t.Took)
	}
	return text
}

// Text renders the end of a scan for a terminal or a log: the findings, what was seen
// of each class, and last the verdict, whose reasons say what was not scanned.
func Text(r verdict.Result) string {
	var b strings.Builder
	textFindings(&b, words.Open(r.Findings))
	for _, c := range words.Claims(r) {
		fmt.Fprintf(&b, "  %s: %s", strings.ToLower(words.Noun(c.Class)), c.Found)
		if c.Seen != "–" {
			fmt.Fprintf(&b, ", %s", c.Seen)
		}
		b.WriteString("\n")
	}
	for _, t := range words.Unhealthy(r) {
		fmt.Fprintf(&b, "  %s\n", Ended(t))
	}
	if n := len(r.Fixed); n > 0 {
		fmt.Fprintf(&b, "  fixed since the baseline: %s\n", plain.Count(n, "finding"))
	}
	if n := len(words.Waived(r.Findings)); n > 0 {
		fmt.Fprintf(&b, "  waived: %s\n", plain.Count(n, "finding"))
	}
	for _, w := range [][]verdict.WaiverNote{r.Waivers.Refused, r.Waivers.Expired, r.Waivers.Soon, r.Waivers.Unused} {
		for _, n := range w[:min(len(w), 20)] {
			fmt.Fprintf(&b, "  waiver %s: %s\n", plain.Text(n.Name, 100), plain.Text(n.Why, 300))
		}
	}
	fmt.Fprintf(&b, "%s\n", words.Headline(r))
	for _, reason := range r.Reasons[:min(len(r.Reasons), 20)] {
		fmt.Fprintf(&b, "  %s\n", plain.Text(reason.Text, 500))
	}
	fmt.Fprintf(&b, "  score %s, %s\n", words.Score(r), words.Status(r))
	return b.String()
}

// textFindings writes the worst findings as a table.
func textFindings(b *strings.Builder, all []finding.Finding) {
	const most = 50
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, f := range all[:min(len(all), most)] {
		r := words.RowOf(f)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.Severity, r.State, r.ID, plain.Or(r.Where), r.Title)
	}
	_ = t.Flush() // to a strings.Builder
	if left := len(all) - most; left > 0 {
		fmt.Fprintf(b, "%s more are in security-report.json\n", plain.Number(left))
	}
}
