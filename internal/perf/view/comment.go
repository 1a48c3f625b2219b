package view

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Summary renders the summary of the step, with charts.
func Summary(r verdict.Result, p Page) string {
	return plain.Fitted(plain.MaxSummary, func(s string) int { return len(s) }, func(rows int) string { return brief(r, p, rows, true) })
}

// Comment renders the pull request's comment, with [Marker] and a digest of what it
// says; see [plain.Same].
func Comment(r verdict.Result, p Page) string {
	return plain.Fitted(plain.MaxComment, utf8.RuneCountInString, func(rows int) string {
		return plain.Sticky(Marker, brief(r, Page{LeftOut: p.LeftOut}, rows, false), p.Run)
	})
}

// brief is the report in short: the verdict, what changed or failed, and folded the
// rest. It has no times of the run, so that two runs with the same values say the same.
func brief(r verdict.Result, p Page, rows int, charts bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", Title)
	opening(&b, r, 20)
	context(&b, r)
	failed(&b, r)
	loud, quiet := split(words.Rows(r))
	table(&b, "What changed or failed", loud, rows)
	broken(&b, r, min(rows, 20))
	if charts {
		relative(&b, r)
		histories(&b, r, loud, 4)
	}
	fold(&b, plain.Count(len(quiet), "other measurement"), quiet, func(b *strings.Builder) { table(b, "", quiet, rows) })
	fold(&b, "Meters and environment", r.Meters, func(b *strings.Builder) { meters(b, r); environment(b, r) })
	if p.LeftOut != "" {
		b.WriteString(plain.Markdown(p.LeftOut, 300) + "\n\n")
	}
	links(&b, p)
	return b.String()
}

func split(rows []words.Row) (loud, quiet []words.Row) {
	for _, row := range rows {
		if row.Rank < words.RankQuiet {
			loud = append(loud, row)
		} else {
			quiet = append(quiet, row)
		}
	}
	return loud, quiet
}

// opening writes the verdict and its reasons.
func opening(b *strings.Builder, r verdict.Result, most int) {
	fmt.Fprintf(b, "%s **%s**\n\n", words.Emoji(r), words.Headline(r))
	for _, reason := range r.Reasons[:min(len(r.Reasons), most)] {
		fmt.Fprintf(b, "- %s%s\n", plain.Markdown(reason.Text, 500), keys(reason))
	}
	if left := len(r.Reasons) - most; left > 0 {
		fmt.Fprintf(b, "- and %s\n", plain.Count(left, "more reason"))
	}
	if len(r.Reasons) > 0 {
		b.WriteString("\n")
	}
}

// keys names the first series of a reason.
func keys(reason verdict.Reason) string {
	const shown = 5
	var some []string
	for _, k := range reason.Keys[:min(len(reason.Keys), shown)] {
		some = append(some, plain.Cell(k.String(), 200))
	}
	switch {
	case len(some) == 0:
		return ""
	case len(reason.Keys) > shown:
		return " (" + strings.Join(some, ", ") + " and " + plain.Number(len(reason.Keys)-shown) + " more)"
	}
	return " (" + strings.Join(some, ", ") + ")"
}

// context says of what the values are, and what they were compared with.
func context(b *strings.Builder, r verdict.Result) {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+": "+plain.Cell(value, 200))
		}
	}
	add("Environment", r.Target)
	add("URL", r.URL)
	add("Commit", plain.Short(r.Commit))
	for _, with := range r.Compared[:min(len(r.Compared), 5)] {
		parts = append(parts, "Compared with "+plain.Markdown(with, 200))
	}
	if len(r.Compared) == 0 {
		parts = append(parts, "Compared with nothing, limits only")
	}
	parts = append(parts, "Load scenarios: "+words.Scenarios(r))
	b.WriteString(strings.Join(parts, ". ") + ".\n\n")
}

// failed lists the meters that can't be believed.
func failed(b *strings.Builder, r verdict.Result) {
	bad := words.Unhealthy(r)
	const most = 30
	for _, m := range bad[:min(len(bad), most)] {
		m.Took = 0
		fmt.Fprintf(b, "- %s\n", plain.Markdown(words.Meter(m), 900))
	}
	if left := len(bad) - most; left > 0 {
		fmt.Fprintf(b, "- and %s\n", plain.Count(left, "more meter"))
	}
	if len(bad) > 0 {
		b.WriteString("\n")
	}
}

// table writes rows, at most n of them.
func table(b *strings.Builder, title string, rows []words.Row, n int) {
	if title != "" {
		if fmt.Fprintf(b, "### %s (%s)\n\n", title, plain.Number(len(rows))); len(rows) == 0 {
			b.WriteString("Nothing.\n\n")
			return
		}
	}
	b.WriteString("| Metric | Base | Head | Change | Limit | Verdict | Last runs |\n|---|---:|---:|---|---|---|---|\n")
	text := func(s string) string { return plain.Markdown(s, 700) }
	for _, row := range rows[:min(len(rows), n)] {
		says := text(row.Says)
		if row.Rank == words.RankRefused {
			says = "**" + says + "**"
		}
		fmt.Fprintf(b, "| %s of %s | %s | %s | %s | %s | %s | %s |\n", text(row.Metric), plain.Cell(row.Of, 200), text(row.Base), text(row.Head), text(row.Change), text(row.Limit), says, plain.Or(words.Spark(row.Past, 20)))
	}
	if left := len(rows) - n; left > 0 {
		fmt.Fprintf(b, "\n%s more are in %s.\n", plain.Number(left), report.Code(Folder+"/analysis.json"))
	}
	b.WriteString("\n")
}

// broken lists the tools' own checks that failed.
func broken(b *strings.Builder, r verdict.Result, most int) {
	all := words.Broken(r)
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "### Checks of the tools that failed (%s)\n\n", plain.Number(len(all)))
	for _, a := range all[:min(len(all), most)] {
		fmt.Fprintf(b, "- %s in round %d of %s: %s\n", plain.Markdown(a.Text, 300), a.Round+1, plain.Cell(a.Meter+" "+a.Subject, 200), plain.Markdown(plain.Or(a.Why), 300))
	}
	if left := len(all) - most; left > 0 {
		fmt.Fprintf(b, "- and %s more\n", plain.Number(left))
	}
	b.WriteString("\n")
}

// fold writes a folded part, if there is something in it.
func fold[T any](b *strings.Builder, title string, of []T, write func(*strings.Builder)) {
	if len(of) == 0 {
		return
	}
	fmt.Fprintf(b, "<details><summary>%s</summary>\n\n", title)
	write(b)
	b.WriteString("</details>\n\n")
}

func links(b *strings.Builder, p Page) {
	var parts []string
	if link := plain.RunLink(p.Run); link != "" {
		parts = append(parts, "Details: "+link)
	}
	if p.Artifact != "" {
		parts = append(parts, report.Link("charts, reports and traces", p.Artifact))
	}
	if len(parts) > 0 {
		b.WriteString(strings.Join(parts, ", ") + ".\n")
	}
}
