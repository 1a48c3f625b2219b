package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Markdown renders the job summary and the comment: the final status, the steps
// as a table, the weight over time, folded details, and the command that
// repeats the run locally.
func Markdown(r Result) string {
	for keep := 200; ; keep /= 2 {
		if s := markdown(r.fit(keep), keep); len(s) <= MaxSize || keep == 0 {
			return s
		}
	}
}

func markdown(r Result, keep int) string {
	var b strings.Builder
	w := writer{code: Code, text: Escape}
	fmt.Fprintf(&b, "**%s**\n\n", r.verdict(w))
	facts(&b, r)
	steps(&b, r)
	tested(&b, r)
	chart(&b, r)
	compare(&b, r)
	failure(&b, r)
	if keep > 0 {
		details(&b, r)
	}
	if r.Image != "" || len(r.Command) > 0 {
		fmt.Fprintf(&b, "Repeat it locally:\n\n%s", block("sh", []string{r.command()}))
	}
	return b.String()
}

// facts lists the reason, the hint and the warnings.
func facts(b *strings.Builder, r Result) {
	if r.Reason != "" {
		fmt.Fprintf(b, "Reason: %s\n\n", Escape(r.Reason))
	}
	if r.Hint != "" {
		fmt.Fprintf(b, "What to do: %s\n\n", Escape(r.Hint))
	}
	if r.GitOpsURL != "" {
		fmt.Fprintf(b, "Image in Git: %s, %s\n\n", Escape(r.GitOpsStatus), Escape(r.GitOpsURL))
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(b, "- Warning: %s\n", Escape(w))
	}
	if r.UnsentRequests > 0 {
		fmt.Fprintf(b, "- Warning: %s probes could not be sent in time and are not counted\n", number(r.UnsentRequests))
	}
	if len(r.Warnings) > 0 || r.UnsentRequests > 0 {
		b.WriteString("\n")
	}
	if r.DurationSeconds > 0 {
		fmt.Fprintf(b, "%s.\n\n", r.took())
	}
}

func steps(b *strings.Builder, r Result) {
	if len(r.StepRecords) == 0 {
		return
	}
	b.WriteString("| Weight | Measured share (99.9 % interval) | Accepted / observed after | Dwell | Failed of all | Canary | Stable | p95 canary / stable | Verdict |\n")
	b.WriteString("|---:|---|---|---:|---:|---:|---:|---|---|\n")
	of := func(c Counts) string { return number(c.Failed) + " of " + number(c.Total) }
	for _, s := range r.StepRecords {
		verdict := Escape(string(s.Verdict))
		if s.Confirmation == Unconfirmed {
			verdict += ", weight not confirmed"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", s.title(), s.share(), s.followed(), s.Dwell,
			of(s.Requests.Counts), of(s.Requests.Canary), of(s.Requests.Stable), s.p95(), verdict)
	}
	b.WriteString("\n")
}

// chart draws the weight over time. Mermaid spaces a line's points evenly, so
// chart samples the steps.
func chart(b *strings.Builder, r Result) {
	if len(r.Weights) < 2 {
		return
	}
	ws := slices.SortedStableFunc(slices.Values(r.Weights), func(a, b WeightAt) int { return a.At.Compare(b.At) })
	start, end := ws[0].At, ws[len(ws)-1].At
	if r.CompletedAt.After(end) {
		end = r.CompletedAt
	}
	span := end.Sub(start)
	if span < time.Second {
		return
	}
	const points = 60
	values := make([]string, points)
	for i := range values {
		at, w := start.Add(span*time.Duration(i)/(points-1)), 0
		for _, x := range ws {
			if !x.At.After(at) {
				w = x.Weight
			}
		}
		values[i] = fmt.Sprint(w)
	}
	b.WriteString(block("mermaid", []string{
		"xychart-beta",
		`    title "Traffic to the new version"`,
		fmt.Sprintf(`    x-axis "seconds since the first weight" 0 --> %d`, int(span.Seconds())),
		`    y-axis "percent" 0 --> 100`,
		"    line [" + strings.Join(values, ", ") + "]",
	}))
	b.WriteString("\n")
}

// compare draws the 95th percentile of both versions by step.
func compare(b *strings.Builder, r Result) {
	var names, canary, stable []string
	for _, s := range r.StepRecords {
		if s.Latency.Canary != nil && s.Latency.Stable != nil {
			names = append(names, fmt.Sprintf("%q", s.title()))
			canary = append(canary, fmt.Sprintf("%.1f", s.Latency.Canary.P95))
			stable = append(stable, fmt.Sprintf("%.1f", s.Latency.Stable.P95))
		}
	}
	if len(names) < 2 {
		return
	}
	b.WriteString(block("mermaid", []string{
		"xychart-beta",
		`    title "p95 in ms by step: bars the new version, line the old one"`,
		"    x-axis [" + strings.Join(names, ", ") + "]",
		`    y-axis "ms"`,
		"    bar [" + strings.Join(canary, ", ") + "]",
		"    line [" + strings.Join(stable, ", ") + "]",
	}))
	b.WriteString("\n")
}

func failure(b *strings.Builder, r Result) {
	f := r.PodFailure
	if f == nil {
		return
	}
	fmt.Fprintf(b, "Pod %s: %s. %s\n\n", Code(f.Pod), Escape(f.Reason), Escape(f.Message))
	if len(f.LastLogLines) > 0 {
		lines, _ := tail(f.LastLogLines, 50)
		b.WriteString(block("text", lines) + "\n")
	}
}

func details(b *strings.Builder, r Result) {
	fold := func(title string, rows []string) {
		if len(rows) > 0 {
			fmt.Fprintf(b, "<details><summary>%s</summary>\n\n%s\n\n</details>\n\n", title, strings.Join(rows, "\n"))
		}
	}
	var rows []string
	row := func(name, value string) {
		if value != "" {
			rows = append(rows, fmt.Sprintf("- %s: %s", name, value))
		}
	}
	names := func(pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				row(pairs[i], Code(pairs[i+1]))
			}
		}
	}
	names("Environment", r.Environment, "Strategy", r.Strategy, "Service", r.Service, "Route", r.Route,
		"Image", r.Image, "Previous image", r.PreviousImage)
	for _, c := range r.Containers {
		if len(r.Containers) > 1 && c.Image != c.PreviousImage {
			row("Container "+Code(c.Name), Code(c.Image))
		}
	}
	for _, d := range r.ImageDigests {
		row("Digest of the pods", Code(d))
	}
	row("Run", Link(r.RunID, r.RunURL))
	fold("Deployment", rows)

	rows = nil
	for _, s := range r.StepRecords {
		line := fmt.Sprintf("- %s: %s", s.title(), Escape(s.Reason))
		if s.ConfirmedBy != "" {
			line += "; confirmed by " + Escape(s.ConfirmedBy)
		}
		rows = append(rows, line)
	}
	fold("Reasons by step", rows)
	fold("Findings of the judge", findings(r))

	rows = nil
	for _, p := range r.Pods {
		rows = append(rows, fmt.Sprintf("| %s | %s | %d | %d |", Cell(p.Name), Cell(p.UID), p.RestartsBefore, p.RestartsAfter))
	}
	if len(rows) > 0 {
		rows = append([]string{"| Pod | UID | Restarts before | and after promotion |", "|---|---|---:|---:|"}, rows...)
	}
	fold("Pods", rows)

	rows = nil
	for _, e := range r.Events {
		rows = append(rows, fmt.Sprintf("- %s %s", e.At.UTC().Format("15:04:05.0"), Escape(e.Message)))
	}
	fold("Events", rows)
}

// Escape escapes s so that Markdown shows it literally: no markup, no HTML, no
// link, no mention of a user or an issue.
func Escape(s string) string {
	s = Plain(clip(s, 2000))
	var b strings.Builder
	for i, r := range s {
		switch {
		case strings.ContainsRune("\\`*_[]<>&|~$", r):
			b.WriteByte('\\')
		case r == '/' && i > 0 && s[i-1] == ':', r == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"):
			b.WriteByte('\\') // https:// and www. no longer make a link
		}
		b.WriteRune(r)
		if r == '@' || r == '#' {
			b.WriteRune('\u200b') // GitHub finds mentions in the rendered text
		}
	}
	return b.String()
}

// Code returns s as inline code.
func Code(s string) string {
	s = strings.TrimSpace(Plain(clip(s, 500)))
	if s == "" {
		return "(unknown)"
	}
	fence := strings.Repeat("`", longestRun(s)+1)
	if len(fence) > 1 {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}

// Cell returns s as inline code for a table, where a bar would end the cell.
func Cell(s string) string { return strings.ReplaceAll(Code(s), "|", `\|`) }

// block returns lines as a fenced code block.
func block(lang string, lines []string) string {
	text := make([]string, len(lines))
	run := 2
	for i, l := range lines {
		text[i] = Plain(clip(l, 2000))
		run = max(run, longestRun(text[i])) // removed characters may join two runs
	}
	fence := strings.Repeat("`", run+1)
	return fence + lang + "\n" + strings.Join(text, "\n") + "\n" + fence + "\n"
}

// longestRun returns the length of the longest run of backticks in s.
func longestRun(s string) int {
	most, n := 0, 0
	for i := range len(s) {
		if n++; s[i] != '`' {
			n = 0
		}
		most = max(most, n)
	}
	return most
}

// Link returns text, as a link if url is one that needs no escaping.
func Link(text, url string) string {
	if text == "" {
		text = url
	}
	if text == "" {
		return ""
	}
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>()[]\\`|\"", r) }
	if !strings.HasPrefix(url, "https://") || strings.ContainsFunc(url, odd) {
		return Code(text)
	}
	return fmt.Sprintf("[%s](%s)", Escape(text), url)
}

// findings returns the judge's findings of all steps as a table, followed by
// the output of custom checks.
func findings(r Result) []string {
	var rows, outputs []string
	for _, s := range r.StepRecords {
		for _, f := range s.Findings {
			rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s |", s.title(), Cell(f.Metric), Cell(string(f.Check)), Cell(string(f.Verdict)), Cell(f.Sentence)))
			if len(f.Output) > 0 {
				lines, _ := tail(f.Output, 20)
				outputs = append(outputs, "", fmt.Sprintf("%s at %s printed:", Code(f.Metric), s.title()), "", block("text", lines))
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return slices.Concat([]string{"| Step | Metric | Check | Verdict | Finding |", "|---|---|---|---|---|"}, rows, outputs)
}
