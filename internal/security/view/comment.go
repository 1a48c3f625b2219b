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

// Marker identifies the pull request's one comment about security.
const Marker = "<!-- candlefish:security-gate -->"

// Summary renders the summary of the step.
func Summary(r verdict.Result, p Page) string {
	return plain.Fitted(plain.MaxSummary, func(s string) int { return len(s) }, func(rows int) string { return brief(r, p, rows, r.Findings) })
}

// Comment renders the pull request's comment, with [Marker] and a digest of what it
// says; see [plain.Same].
func Comment(r verdict.Result, p Page) string {
	return plain.Fitted(plain.MaxComment, utf8.RuneCountInString, func(rows int) string {
		return plain.Sticky(Marker, brief(r, Page{Waivers: p.Waivers, LeftOut: p.LeftOut}, rows, newOnes(r)), p.Run)
	})
}

func newOnes(r verdict.Result) []finding.Finding {
	var all []finding.Finding
	for _, f := range r.Findings {
		if f.State != finding.StateExisting {
			all = append(all, f)
		}
	}
	return all
}

// brief is the report in short: verdict, what failed, the given findings, what is
// fixed. It has no times and durations, so that two scans of a commit say the same.
func brief(r verdict.Result, p Page, rows int, shown []finding.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", Title)
	opening(&b, r, 20)
	fmt.Fprintf(&b, "Score: **%s** %s. Level: %s.", words.Score(r), plain.Markdown(r.Band.Emoji, 10), plain.Markdown(cmp.Or(string(r.Level), "unknown"), 20))
	if r.Place.Commit != "" {
		fmt.Fprintf(&b, " Commit: %s.", code(plain.Short(r.Place.Commit)))
	}
	if r.Compared != "" {
		fmt.Fprintf(&b, " Compared with %s.", plain.Markdown(r.Compared, 200))
	}
	if r.OnlyNew {
		b.WriteString(" The limits apply to new findings only.")
	}
	b.WriteString("\n\n")
	failed(&b, r)
	shortClasses(&b, r)
	title := "Findings"
	if r.Compared != "" && len(shown) < len(r.Findings) {
		title = "New findings"
	}
	table(&b, title, words.Open(shown), rows, briefColumns())
	if n := len(words.Waived(r.Findings)); n > 0 {
		fmt.Fprintf(&b, "Waived: %s.\n\n", plain.Count(n, "finding"))
	}
	needPeople(&b, r.Waivers)
	fixed(&b, r.Fixed, min(rows, 10))
	if p.LeftOut != "" {
		b.WriteString(plain.Markdown(p.LeftOut, 300) + "\n\n")
	}
	if link := plain.RunLink(p.Run); link != "" {
		fmt.Fprintf(&b, "Details: %s.\n", link)
	}
	return b.String()
}

// failed lists the tools that can't be believed. What their failures mean is among
// the reasons of the verdict.
func failed(b *strings.Builder, r verdict.Result) {
	bad := words.Unhealthy(r)
	const most = 30
	for _, t := range bad[:min(len(bad), most)] {
		fmt.Fprintf(b, "- %s: %s", plain.Markdown(t.Name, 60), health(t))
		if t.Hint != "" {
			fmt.Fprintf(b, ". To do: %s", plain.Markdown(t.Hint, 300))
		}
		b.WriteString("\n")
	}
	if left := len(bad) - most; left > 0 {
		fmt.Fprintf(b, "- and %s\n", plain.Count(left, "more tool"))
	}
	if len(bad) > 0 {
		b.WriteString("\n")
	}
}

func shortClasses(b *strings.Builder, r verdict.Result) {
	b.WriteString("| | Found | Worst | Scanned by |\n|---|---|---|---|\n")
	for _, c := range words.Claims(r) {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", words.Noun(c.Class), c.Found, plain.Or(c.Worst), plain.Markdown(c.Seen, 200))
	}
	b.WriteString("\n")
}

func briefColumns() []column {
	all := findingColumns()
	return []column{all[0], all[1], all[2], all[4], all[5], all[7]}
}

func needPeople(b *strings.Builder, w verdict.Waivers) {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{len(w.Refused), "refused"}, {len(w.Expired), "expired"}, {len(w.Soon), "ending soon"}, {len(w.Unused), "matching nothing"}} {
		if p.n > 0 {
			parts = append(parts, plain.Number(p.n)+" "+p.what)
		}
	}
	if len(parts) > 0 {
		fmt.Fprintf(b, "Waivers that need attention: %s.\n\n", strings.Join(parts, ", "))
	}
}

func fixed(b *strings.Builder, all []finding.Finding, most int) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "Fixed: %s.\n", plain.Count(len(all), "finding"))
	for _, f := range all[:min(len(all), most)] {
		r := words.RowOf(f)
		fmt.Fprintf(b, "- %s %s %s\n", r.Severity, plain.Markdown(r.Title, words.TitleLength), plain.Cell(r.Where, words.WhereLength))
	}
	b.WriteString("\n")
}
