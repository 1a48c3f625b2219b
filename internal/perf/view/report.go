package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/words"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// maxRows is how many measurements the Markdown report lists; JSON has all.
const maxRows = 1000

// Report renders performance-report/report.md: all that the run says.
func Report(r verdict.Result, p Page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", Title)
	opening(&b, r, 100)
	facts(&b, r, p)
	failed(&b, r)
	loud, quiet := split(words.Rows(r))
	table(&b, "What changed or failed", loud, maxRows)
	broken(&b, r, 200)
	relative(&b, r)
	histories(&b, r, loud, 12)
	table(&b, "Other measurements", quiet, maxRows)
	limits(&b, r)
	comparisons(&b, r)
	b.WriteString("### Meters\n\n")
	meters(&b, r)
	environment(&b, r)
	files(&b, r)
	if p.Command != "" {
		fmt.Fprintf(&b, "### Repeat it locally\n\n%s\n", report.Code(p.Command))
	}
	return b.String()
}

func facts(b *strings.Builder, r verdict.Result, p Page) {
	b.WriteString("| | |\n|---|---|\n")
	row := func(name, value string) {
		if value != "" && value != "–" {
			fmt.Fprintf(b, "| %s | %s |\n", name, value)
		}
	}
	row("Verdict", string(words.Verdict(r)))
	row("Status", words.Status(r))
	row("Environment", plain.Cell(r.Target, 100))
	row("Load scenarios", words.Scenarios(r))
	row("Target URL", plain.Cell(r.URL, 300))
	row("Base URL", plain.Cell(r.BaseURL, 300))
	row("Repository", plain.Cell(r.Repository, 200))
	row("Commit", plain.Cell(r.Commit, 100))
	row("Ref", plain.Cell(r.Ref, 200))
	for _, with := range r.Compared {
		row("Compared with", plain.Markdown(with, 200))
	}
	row("Measured at", plain.Moment(r.At)+", in "+plain.Took(r.Took)+", of which "+plain.Took(r.Own)+" were not measuring")
	row("Run", plain.RunLink(p.Run))
	b.WriteString("\n")
}

// limits writes every limit in a sentence.
func limits(b *strings.Builder, r verdict.Result) {
	if len(r.Budgets) == 0 {
		return
	}
	fmt.Fprintf(b, "### Limits (%s)\n\n| Limit | Result | Written in |\n|---|---|---|\n", plain.Number(len(r.Budgets)))
	for _, c := range r.Budgets[:min(len(r.Budgets), maxRows)] {
		fmt.Fprintf(b, "| %s | %s | %s |\n", plain.Markdown(words.Checked(c), 900), words.Kept(c), plain.Cell(c.From, 200))
	}
	b.WriteString("\n")
}

// comparisons writes every comparison with the numbers of its test.
func comparisons(b *strings.Builder, r verdict.Result) {
	if len(r.Comparisons) == 0 {
		return
	}
	fmt.Fprintf(b, "### Comparisons (%s)\n\n| Comparison | Values | p, corrected | Effect | Why |\n|---|---|---:|---:|---|\n", plain.Number(len(r.Comparisons)))
	for _, c := range r.Comparisons[:min(len(r.Comparisons), maxRows)] {
		fmt.Fprintf(b, "| %s | %d and %d | %.3g, %.3g | %.2f | %s |\n", plain.Markdown(words.Compared(c, r.Policy.Rule.Alpha), 900), c.BaseN, c.HeadN, c.P, c.Adjusted, c.Effect, plain.Markdown(plain.Or(c.Why), 500))
	}
	b.WriteString("\n")
}

func meters(b *strings.Builder, r verdict.Result) {
	if len(r.Meters) == 0 {
		b.WriteString("No meter ran.\n\n")
		return
	}
	b.WriteString("| Meter | Measures | Health | Rounds | Versions | Isolation |\n|---|---|---|---:|---|---|\n")
	for _, m := range r.Meters[:min(len(r.Meters), 100)] {
		health := string(m.Health)
		if m.Why != "" {
			health += ": " + m.Why
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", plain.Markdown(m.Name, 60), plain.Markdown(m.Does, 100), plain.Markdown(health, 500), plain.Number(m.Rounds), plain.Markdown(plain.Or(versions(m.Versions)), 300), plain.Markdown(plain.Or(strings.Join(m.Isolated, ", ")), 300))
	}
	b.WriteString("\n")
	for _, m := range r.Meters[:min(len(r.Meters), 100)] {
		for _, n := range m.Notes[:min(len(m.Notes), 20)] {
			fmt.Fprintf(b, "- %s: %s\n", plain.Markdown(m.Name, 60), plain.Markdown(n, 300))
		}
	}
	b.WriteString("\n")
}

func versions(all map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, name+" "+all[name])
	}
	return strings.Join(parts, ", ")
}

func environment(b *strings.Builder, r verdict.Result) {
	fmt.Fprintf(b, "Measured in %s.\n\n", plain.Cell(r.Environment.Key(), 500))
}

// files lists what is kept for people, the representative rounds first.
func files(b *strings.Builder, r verdict.Result) {
	if len(r.Files) == 0 {
		return
	}
	all := slices.Clone(r.Files)
	slices.SortStableFunc(all, func(a, b verdict.File) int {
		switch {
		case a.Representative == b.Representative:
			return 0
		case a.Representative:
			return -1
		}
		return 1
	})
	const most = 300
	fmt.Fprintf(b, "### Kept files (%s)\n\n", plain.Number(len(all)))
	for _, f := range all[:min(len(all), most)] {
		note := ""
		if f.Representative {
			note = ", nearest to the medians"
		}
		fmt.Fprintf(b, "- %s of %s, %s, round %d%s: %s\n", plain.Markdown(f.What, 100), plain.Cell(f.Meter+" "+f.Subject, 200), plain.Markdown(string(f.Side), 20), f.Round+1, note, report.Code(plain.Text(f.Path, 300)))
	}
	if left := len(all) - most; left > 0 {
		fmt.Fprintf(b, "- and %s\n", plain.Count(left, "more file"))
	}
	b.WriteString("\n")
}
