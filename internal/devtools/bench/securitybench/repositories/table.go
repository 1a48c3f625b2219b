package repositories

import (
	"fmt"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// markdown is a section of the report.
func markdown(all []repository) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## The gate on repositories of others\n\nEach scanner alone, and all of them in the gate at level %s.\n", verdict.Standard)
	for _, r := range all {
		b.WriteString(r.markdown())
	}
	return b.String()
}

func (r repository) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n%d files.\n\n| scanner | alone: exit status | alone: results | alone: time | in the gate | findings that it saw | only it saw |\n|---|--:|--:|--:|---|--:|--:|\n", r.name, r.files)
	for _, t := range r.gate.Tools {
		if t.Health == verdict.LeftOut && strings.Contains(t.Why, "not part of level") {
			continue
		}
		i := slices.IndexFunc(r.scanned, func(a alone) bool { return a.name == t.Name })
		if i < 0 {
			fmt.Fprintf(&b, "| %s | | | | %s: %s | | |\n", t.Name, t.Health, t.Why)
			continue
		}
		a := r.scanned[i]
		saw, only := r.seenBy(t.Name)
		health := string(t.Health)
		if t.Why != "" {
			health += ": " + t.Why
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %.1f s | %s | %d | %d |\n", strings.TrimSpace(t.Name+" "+a.version), statuses(a.statuses), len(a.sightings), a.took.Seconds(), health, saw, only)
	}
	total := 0
	for _, a := range r.scanned {
		total += len(a.sightings)
	}
	fmt.Fprintf(&b, "| **the gate** | **%d** | **%d** | **%.1f s** | **%s** | **%d** | |\n", r.status, total, r.gate.Took.Seconds(), r.gate.Verdict, len(r.gate.Findings))
	b.WriteString(r.counts())
	for _, need := range r.gate.Needs {
		if !need.Met {
			fmt.Fprintf(&b, "\nNot seen: %s. %s\n", need.What, need.Why)
		}
	}
	return b.String()
}

// seenBy counts the findings that a scanner saw, and those that no other one saw.
func (r repository) seenBy(tool string) (saw, only int) {
	for _, f := range r.gate.Findings {
		if !slices.ContainsFunc(f.Sightings, func(s finding.Sighting) bool { return s.Tool == tool }) {
			continue
		}
		saw++
		if !slices.ContainsFunc(f.Sightings, func(s finding.Sighting) bool { return s.Tool != tool }) {
			only++
		}
	}
	return saw, only
}

func statuses(all []int) string {
	if len(all) == 0 {
		return "our own"
	}
	var text []string
	for _, s := range slices.Compact(all) {
		text = append(text, fmt.Sprint(s))
	}
	return strings.Join(text, ", ")
}

// counts is the table of findings by class and severity.
func (r repository) counts() string {
	var b strings.Builder
	severities := finding.Severities()
	b.WriteString("\n| findings |")
	for _, s := range severities {
		fmt.Fprintf(&b, " %s |", s)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(severities)) + "\n")
	for _, class := range finding.Classes() {
		counted := map[finding.Severity]int{}
		for _, f := range r.gate.Findings {
			if f.Class == class {
				counted[f.Severity]++
			}
		}
		if len(counted) == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s |", class)
		for _, s := range severities {
			fmt.Fprintf(&b, " %d |", counted[s])
		}
		b.WriteString("\n")
	}
	return b.String()
}
