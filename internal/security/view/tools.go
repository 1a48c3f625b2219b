package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// tools writes the seed's table of tools, with the health of each.
func tools(b *strings.Builder, r verdict.Result) {
	if len(r.Tools) == 0 {
		b.WriteString("## Tools\n\nNo tool ran.\n\n")
		return
	}
	b.WriteString("## Tools\n\n| Tool | Looks for | Health | Results | Saw | Planted problem | Version | Database | Isolation | Took |\n|---|---|---|---:|---|---|---|---|---|---:|\n")
	var notes []string
	for _, t := range r.Tools {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", plain.Markdown(t.Name, 60), plain.Markdown(t.Does, 100), health(t), words.Results(t), words.Saw(t),
			plain.Or(plain.Markdown(t.Planted, 200)), plain.Or(plain.Markdown(t.Version, 60)), words.Database(t, r.At), plain.Or(plain.Markdown(strings.Join(t.Isolated, ", "), 300)), plain.Took(t.Took))
		for _, n := range t.Notes {
			notes = append(notes, fmt.Sprintf("- %s: %s\n", plain.Markdown(t.Name, 60), plain.Markdown(n, 300)))
		}
		if t.Hint != "" {
			notes = append(notes, fmt.Sprintf("- %s: %s\n", plain.Markdown(t.Name, 60), plain.Markdown(t.Hint, 300)))
		}
	}
	b.WriteString("\n")
	for _, n := range notes {
		b.WriteString(n)
	}
	if len(notes) > 0 {
		b.WriteString("\n")
	}
}

// health is a tool's health with what was observed.
func health(t verdict.Tool) string {
	text := plain.Markdown(string(t.Health), 40)
	if !words.Well(t) {
		text = "**" + text + "**"
	}
	if t.Why != "" {
		text += ": " + plain.Markdown(t.Why, 300)
	}
	return text
}

// speed writes how fast problems were detected.
func speed(b *strings.Builder, s verdict.Speed) {
	b.WriteString("## Detection within 24 hours\n\n" + words.Detected(s) + "\n\n")
}

// yourself says how to repeat the scan and how to waive a finding.
func yourself(b *strings.Builder, r verdict.Result, p Page, active []finding.Finding) {
	level := r.Level
	if level == "" {
		level = verdict.Standard
	}
	fmt.Fprintf(b, "## Repeat it locally\n\n```sh\ngo tool mage security:%s\ngo tool mage security:explain\n```\n\n", plain.Text(string(level), 20))
	at := slices.IndexFunc(active, func(f finding.Finding) bool { return !words.Works(f) })
	if at < 0 {
		return
	}
	file := p.Waivers
	if file == "" {
		file = DefaultWaivers
	}
	fmt.Fprintf(b, "## Accept a finding for a time\n\nAdd it to the list in %s, with your own reason, owner and date:\n\n```yaml\n%s```\n", code(file), entry(active[at], r.At))
}

// entry is the waiver of a finding, as in a file of it alone. Nothing in it ends the
// block of code that it stands in.
func entry(f finding.Finding, at time.Time) string {
	return "version: 1\nwaivers:\n" + strings.ReplaceAll(verdict.WaiverYAML(f, at), "`", "'")
}
