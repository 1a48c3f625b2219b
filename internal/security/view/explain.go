package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// Explain says for people all that is known of the findings that a text names: an ID
// or its beginning, a CVE or another name, or a rule as "tool/rule". It returns how
// many there are.
func Explain(r verdict.Result, name string) (string, int) {
	var b strings.Builder
	n := 0
	const most = 20
	for _, f := range slices.Concat(r.Findings, r.Fixed) {
		if !named(f, name) {
			continue
		}
		if n++; n <= most {
			explain(&b, r, f)
		}
	}
	if n > most {
		fmt.Fprintf(&b, "%s more have that name.\n", words.Number(n-most))
	}
	return b.String(), n
}

func named(f finding.Finding, name string) bool {
	const least = 6 // characters of the beginning of an ID
	if f.ID == name || len(name) >= least && strings.HasPrefix(f.ID, name) {
		return true
	}
	return slices.ContainsFunc(f.Sightings, func(s finding.Sighting) bool {
		return s.Tool+"/"+s.Rule == name || slices.ContainsFunc(s.IDs, func(id string) bool { return strings.EqualFold(id, name) })
	})
}

func explain(b *strings.Builder, r verdict.Result, f finding.Finding) {
	w := words.RowOf(f)
	fmt.Fprintf(b, "%s: %s\n", w.ID, w.Title)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "  %s: %s\n", name, value)
		}
	}
	line("severity", w.Severity)
	line("because", w.Why)
	line("class", w.Class)
	line("state", w.State)
	line("note", w.Note)
	line("names", strings.Join(w.Names, ", "))
	line("fix", w.Fix)
	if !slices.ContainsFunc(r.Fixed, func(other finding.Finding) bool { return other.ID == f.ID }) {
		line("counts", words.Plain(r.Policy.Count(f).Why, 300))
	}
	if f.Waived.Holds() {
		line("waiver", fmt.Sprintf("%s until %s: %s (%s)", words.Plain(f.Waived.By, 100), words.Day(f.Waived.Expires), words.Plain(f.Waived.Reason, 300), words.Plain(f.Waived.Owner, 60)))
	}
	const most = 50
	for _, s := range f.Sightings[:min(len(f.Sightings), most)] {
		one := words.RowOf(finding.Finding{Sightings: []finding.Sighting{s}})
		line(words.Plain(s.Tool+" "+s.Rule, 100), strings.TrimSuffix(words.Or(one.Where)+": "+words.Plain(s.Message, 1000), ": "))
		line("  see", words.Plain(s.Help, 500))
	}
	if left := len(f.Sightings) - most; left > 0 {
		fmt.Fprintf(b, "  and %s\n", words.Count(left, "more sighting"))
	}
	if !words.IsWaived(f) && !words.Works(f) && f.State != finding.StateFixed {
		b.WriteString("  to accept it for a time:\n")
		for l := range strings.Lines(Waive(f, r.At)) {
			b.WriteString("    " + l)
		}
	}
	b.WriteString("\n")
}
