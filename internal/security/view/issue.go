package view

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// IssueTitle is the title of the one issue about critical findings.
const IssueTitle = "🔥 Critical Security Issues Detected"

// IssueMarker identifies it.
const IssueMarker = "<!-- candlefish:security-issue -->"

// Issue renders the body of the issue, without marker. It has no times and no run,
// so that it changes only when what was found does.
func Issue(r verdict.Result) string {
	const most = 60000 // leaves room for what the issue's owner adds
	all := words.Criticals(r)
	return plain.Fitted(most, utf8.RuneCountInString, func(rows int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "%s at level %s.", plain.Count(len(all), "critical finding"), plain.Markdown(cmp.Or(string(r.Level), "unknown"), 20))
		if r.Place.Ref != "" {
			fmt.Fprintf(&b, " Ref: %s.", code(r.Place.Ref))
		}
		fmt.Fprintf(&b, " Security score: %s.\n\n", words.Score(r))
		table(&b, "Critical findings", all, rows, briefColumns())
		if !words.Whole(r) {
			b.WriteString("The last scan did not see all that its level requires, so there may be more.\n\n")
		}
		failed(&b, r)
		b.WriteString("This issue is updated by each scan, and closed by the first complete scan that finds none of these.\n")
		return b.String()
	})
}

// Line is a finding in one line of Markdown, for a list.
func Line(f finding.Finding) string {
	r := words.RowOf(f)
	text := fmt.Sprintf("%s: %s", r.Severity, plain.Markdown(r.Title, words.TitleLength))
	if r.Where != "" {
		text += " in " + plain.Cell(r.Where, words.WhereLength)
	}
	return text
}
