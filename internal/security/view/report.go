package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// maxRows is how many findings the Markdown report lists; JSON has all.
const maxRows = 1000

// Report renders security-report.md: all that the scan says, with at most 1,000
// findings per table.
func Report(r verdict.Result, p Page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", Title)
	opening(&b, r, 100)
	facts(&b, r, p)
	classes(&b, r)
	needs(&b, r)
	limits(&b, r)
	active := words.Open(r.Findings)
	table(&b, "Findings", active, maxRows, findingColumns())
	table(&b, "Waived", words.Waived(r.Findings), maxRows, waivedColumns())
	attention(&b, r.Waivers)
	table(&b, "Fixed since the baseline", r.Fixed, maxRows, fixedColumns())
	tools(&b, r)
	speed(&b, r.Speed)
	yourself(&b, r, p, active)
	return b.String()
}

// opening writes the verdict and its reasons.
func opening(b *strings.Builder, r verdict.Result, most int) {
	fmt.Fprintf(b, "**%s**\n\n", words.Headline(r))
	for _, reason := range r.Reasons[:min(len(r.Reasons), most)] {
		fmt.Fprintf(b, "- %s%s\n", plain.Markdown(reason.Text, 500), ids(reason.IDs))
	}
	if left := len(r.Reasons) - most; left > 0 {
		fmt.Fprintf(b, "- and %s\n", plain.Count(left, "more reason"))
	}
	if len(r.Reasons) > 0 {
		b.WriteString("\n")
	}
}

// ids names the first findings of a reason.
func ids(all []string) string {
	const shown = 5
	var some []string
	for _, id := range all[:min(len(all), shown)] {
		some = append(some, plain.Cell(id, 100))
	}
	switch {
	case len(some) == 0:
		return ""
	case len(all) > shown:
		return " (" + strings.Join(some, ", ") + " and " + plain.Number(len(all)-shown) + " more)"
	}
	return " (" + strings.Join(some, ", ") + ")"
}

// facts writes the seed's table of score, status and level, and what was scanned.
func facts(b *strings.Builder, r verdict.Result, p Page) {
	b.WriteString("| | |\n|---|---|\n")
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "| %s | %s |\n", name, value)
		}
	}
	row("Security score", words.Score(r))
	row("Status", strings.TrimSpace(plain.Markdown(r.Band.Emoji, 10)+" "+plain.Markdown(words.Status(r), 60)))
	row("Scan level", plain.Markdown(string(r.Level), 20))
	row("Repository", code(r.Place.Repository))
	row("Commit", code(r.Place.Commit))
	row("Ref", code(r.Place.Ref))
	row("To scan", words.Extent(r.Place))
	if r.Compared != "" {
		row("Compared with", plain.Markdown(r.Compared, 200))
	}
	if r.OnlyNew {
		row("Limits apply to", "new findings only")
	}
	row("Scanned at", plain.Moment(r.At)+", in "+plain.Took(r.Took))
	row("Run", plain.RunLink(p.Run))
	b.WriteString("\n")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return plain.Cell(s, 200)
}

func classes(b *strings.Builder, r verdict.Result) {
	b.WriteString("## What was found\n\n| | Found | Worst | Waived | Scanned by |\n|---|---|---|---:|---|\n")
	for _, c := range words.Claims(r) {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", words.Noun(c.Class), c.Found, plain.Or(c.Worst), plain.Number(c.Waived), plain.Markdown(c.Seen, 500))
	}
	b.WriteString("\n")
}

func needs(b *strings.Builder, r verdict.Result) {
	fmt.Fprintf(b, "## What level %s requires\n\n", plain.Markdown(string(r.Level), 20))
	if len(r.Needs) == 0 {
		b.WriteString("Nothing is known about what it requires.\n\n")
		return
	}
	b.WriteString("| Required | Met | By, or why not |\n|---|---|---|\n")
	for _, n := range r.Needs {
		met, why := "yes", n.By
		if !n.Met {
			met, why = "**no**", n.Why
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", plain.Markdown(n.What, 200), met, plain.Markdown(plain.Or(why), 500))
	}
	b.WriteString("\n")
}

// limits writes what counts against each budget.
func limits(b *strings.Builder, r verdict.Result) {
	b.WriteString("## Limits\n\n")
	if len(r.Spent) == 0 {
		b.WriteString("No severity has a limit: findings are only reported.\n\n")
		return
	}
	b.WriteString("| Severity | Class | Counted | Allowed |\n|---|---|---:|---:|\n")
	for _, s := range r.Spent {
		class, counted := "all", plain.Number(s.Count)
		if s.Class != "" {
			class = plain.Markdown(string(s.Class), 30)
		}
		if s.Exceeded() {
			counted = "**" + counted + "**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", s.Severity, class, counted, plain.Number(s.Max))
	}
	b.WriteString("\n")
}

// A column is one of a table of findings.
type column struct {
	name string
	of   func(words.Row) string
}

func findingColumns() []column {
	return []column{
		{"Severity", func(r words.Row) string { return r.Severity }},
		{"Finding", func(r words.Row) string {
			text := plain.Markdown(r.Title, words.TitleLength)
			if r.Note != "" {
				text += " (" + plain.Markdown(r.Note, 200) + ")"
			}
			return text
		}},
		{"Where", func(r words.Row) string { return plain.Cell(r.Where, words.WhereLength) }},
		{"Names", func(r words.Row) string { return plain.Or(plain.Markdown(strings.Join(r.Names, ", "), 200)) }},
		{"Fix", func(r words.Row) string { return plain.Or(plain.Markdown(r.Fix, 100)) }},
		{"Tools", func(r words.Row) string { return plain.Markdown(strings.Join(r.Tools, ", "), 200) }},
		{"State", func(r words.Row) string { return r.State }},
		{"ID", func(r words.Row) string { return plain.Cell(r.ID, 100) }},
	}
}

func waivedColumns() []column {
	all := findingColumns()
	return append(all[:3:3],
		column{"Reason", func(r words.Row) string { return plain.Or(plain.Markdown(r.Waived.Reason, 300)) }},
		column{"Owner", func(r words.Row) string { return plain.Or(plain.Markdown(r.Waived.Owner, 60)) }},
		column{"Until", func(r words.Row) string { return plain.Day(r.Waived.Expires) }},
		column{"By", func(r words.Row) string { return plain.Cell(r.Waived.By, 100) }},
		all[len(all)-1])
}

func fixedColumns() []column {
	all := findingColumns()
	return append(slices.Clone(all[:3]), all[len(all)-1])
}

// table writes findings in the order they have, and how many it leaves out.
func table(b *strings.Builder, title string, all []finding.Finding, most int, columns []column) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "## %s (%s)\n\n", title, plain.Number(len(all)))
	head, rule := "|", "|"
	for _, c := range columns {
		head += " " + c.name + " |"
		rule += "---|"
	}
	fmt.Fprintf(b, "%s\n%s\n", head, rule)
	for _, f := range all[:min(len(all), most)] {
		r := words.RowOf(f)
		b.WriteString("|")
		for _, c := range columns {
			b.WriteString(" " + c.of(r) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	if left := len(all) - most; left > 0 {
		fmt.Fprintf(b, "%s more are in `security-report.json`.\n\n", plain.Number(left))
	}
}

// attention writes the waivers that need somebody.
func attention(b *strings.Builder, w verdict.Waivers) {
	rows := 0
	for _, part := range []struct {
		state string
		notes []verdict.WaiverNote
	}{{"refused", w.Refused}, {"expired", w.Expired}, {"ends soon", w.Soon}, {"matches nothing", w.Unused}} {
		for _, n := range part.notes {
			if rows == 0 {
				b.WriteString("## Waivers that need attention\n\n| Waiver | For | State | Owner | Until | Why |\n|---|---|---|---|---|---|\n")
			}
			if rows++; rows > maxRows {
				continue
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", plain.Cell(n.Name, 100), plain.Cell(n.What, 100), part.state, plain.Or(plain.Markdown(n.Owner, 60)), plain.Day(n.Expires), plain.Or(plain.Markdown(n.Why, 300)))
		}
	}
	if left := rows - maxRows; left > 0 {
		fmt.Fprintf(b, "\n%s more are in `security-report.json`.\n", plain.Number(left))
	}
	if rows > 0 {
		b.WriteString("\n")
	}
}
