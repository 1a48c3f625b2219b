package result

import (
	"fmt"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/report"
)

// Marker identifies the pull request's one comment.
const Marker = "<!-- candlefish:pr-preview -->"

// maxComment is GitHub's limit, in characters.
const maxComment = 65536

// Summary renders a result for people, as the comment shows it.
func Summary(r Result, runID string) string {
	text := stateLine.ReplaceAllString(Body(r, runID, State{}), "")
	return strings.TrimPrefix(strings.TrimPrefix(text, Marker), "\n\n")
}

// Body renders the comment about a result, after a state that earlier runs left: with the
// marker, and cut at GitHub's limit with a note that says so.
func Body(r Result, runID string, before State) string {
	now := before.after(r, runID)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", Marker, now.line())
	switch {
	case r.Superseded != "":
		writeSuperseded(&b, r)
	case r.Goal == GoalDown:
		writeRemoval(&b, r, before)
	default:
		writeEnvironment(&b, r, before, now)
	}
	text := b.String()
	const cutOff = "\n\n*This comment is longer than GitHub allows; the run's summary has the rest.*\n"
	if len([]rune(text)) > maxComment {
		text = cut(text, maxComment-len(cutOff)) + cutOff
	}
	return text
}

// writeSuperseded reports a run that another event overtook: what it saw before says nothing
// about the preview of now.
func writeSuperseded(b *strings.Builder, r Result) {
	b.WriteString("## 🎭 Preview Environment\n\n")
	if r.Goal == GoalDown {
		fmt.Fprintf(b, "**Superseded**: %s, so its preview stays.%s\n\n", report.Escape(r.Superseded), runLink(r))
		return
	}
	fmt.Fprintf(b, "**Superseded** at %s: %s. This run reports nothing about the preview.%s\n\n", report.Code(Short(r.Commit)), report.Escape(r.Superseded), runLink(r))
	writeParts(b, r, State{})
}

func writeEnvironment(b *strings.Builder, r Result, before, now State) {
	b.WriteString("## 🎭 Preview Environment\n\n")
	commit, failed, ready := report.Code(Short(r.Commit)), r.Failed(), r.With(StatusReady)
	switch {
	case len(failed) == 0 && len(ready) == 1 && r.apart(before) != "":
		fmt.Fprintf(b, "**The %s is ready** at %s. %s%s\n\n", ready[0].Name, commit, verdict(r), r.apart(before))
	case len(failed) == 0:
		fmt.Fprintf(b, "**Ready** at %s. %s\n\n", commit, verdict(r))
	case len(failed) == 1 && len(ready) > 0:
		fmt.Fprintf(b, "**Partly ready** at %s: the %s is not.\n\n", commit, failed[0].Name)
	default:
		fmt.Fprintf(b, "**Not ready** at %s.\n\n", commit)
	}
	writeParts(b, r, before)
	writeChanges(b, now)
	writeChecks(b, r)
	if !r.deployed(before) {
		fmt.Fprintf(b, "Nothing was deployed.%s\n", runLink(r))
		return
	}
	fmt.Fprintf(b, "It is removed when the pull request is closed, or by a sweep after %s.%s\n", r.Expires.UTC().Format("2 January 2006, 15:04 MST"), runLink(r))
}

// deployed reports whether there is, or may be, anything of a preview to remove: by this run,
// or by one before. A stack that failed may exist without an ID that this run knows.
func (r Result) deployed(before State) bool {
	if r.Frontend.ID != "" || r.API.Status != StatusUnused && r.API.Status != "" {
		return true
	}
	return before.Goal == GoalUp && (before.Part(Frontend).URL != "" || before.Part(API).Status != "")
}

// verdict counts the checks.
func verdict(r Result) string {
	all, failed := 0, 0
	for _, p := range r.Parts() {
		for _, c := range p.Checks {
			all++
			if !c.OK {
				failed++
			}
		}
	}
	if failed > 0 {
		return fmt.Sprintf("Of %d checks %d failed; these fail no preview.", all, failed)
	}
	return fmt.Sprintf("All %d checks below passed.", all)
}

// apart names the part that this run does not manage, if there is or may be one.
func (r Result) apart(before State) string {
	for _, p := range r.With(StatusUnused) {
		if p.Name != Environment && (r.Partial || before.Part(p.Name).Status != "") {
			return fmt.Sprintf(" The %s was not part of this run.", p.Name)
		}
	}
	return ""
}

// maxChanges is how many changes a comment lists.
const maxChanges = 20

func writeChanges(b *strings.Builder, now State) {
	if now.Since == "" {
		return
	}
	fmt.Fprintf(b, "Since the last push (%s):", report.Code(Short(now.Since)))
	for _, c := range now.Changes[:min(len(now.Changes), maxChanges)] {
		fmt.Fprintf(b, " %s;", report.Escape(c))
	}
	if extra := len(now.Changes) - maxChanges; extra > 0 {
		fmt.Fprintf(b, " and %d more;", extra)
	}
	b.WriteString("\n\n")
}

// writeRemoval claims no more than what was looked for: all is gone only if both parts were
// asked for, nothing of others is there, and nothing stays.
func writeRemoval(b *strings.Builder, r Result, before State) {
	b.WriteString("## 🧹 Preview Environment Cleaned Up\n\n")
	rest := removalRest(r, before)
	switch failed := r.Failed(); {
	case len(failed) > 0:
		b.WriteString("**Not everything is gone.** Run the cleanup again, or remove the listed parts by hand.\n\n")
	case rest == "" && r.Frontend.Status != StatusUnused && r.API.Status != StatusUnused:
		b.WriteString("Nothing is left. Each line was verified.\n\n")
	default:
		fmt.Fprintf(b, "Verified as gone: %s.%s\n\n", strings.Join(names(r.With(StatusRemoved, StatusAbsent)), ", "), rest)
	}
	writeParts(b, r, before)
	writeChecks(b, r)
	if text := runLink(r); text != "" {
		b.WriteString(strings.TrimSpace(text) + "\n")
	}
}

// removalRest says what a removal leaves, and what it did not look at.
func removalRest(r Result, before State) string {
	text := r.apart(before)
	if len(r.Foreign) > 0 {
		text += fmt.Sprintf(" Not ours and left alone: deploys %s.", report.Escape(strings.Join(r.Foreign, ", ")))
	}
	if len(r.Kept) > 0 {
		text += fmt.Sprintf(" Kept, as the template says: %s.", report.Escape(strings.Join(r.Kept, ", ")))
	}
	if len(r.Unasked) > 0 {
		text += fmt.Sprintf(" Gone by AWS's word alone: %s.", report.Escape(strings.Join(r.Unasked, ", ")))
	}
	if r.Address != "" {
		text += " " + report.Escape(r.Address) + "."
	}
	for _, p := range r.With(StatusKept) {
		text += fmt.Sprintf(" The %s %s stays.", strings.ToLower(p.Name), report.Code(p.ID))
	}
	return text
}

func names(parts []Part) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p.Name)
	}
	return all
}

func runLink(r Result) string {
	if r.RunURL == "" {
		return ""
	}
	return " [The run](" + r.RunURL + ")."
}

// writeParts shows the parts, with the commit that each answered with. Those of another step
// of the workflow are shown as that one saw them.
func writeParts(b *strings.Builder, r Result, before State) {
	b.WriteString("| Part | Status | Where | Answers as | Took |\n|---|---|---|---|---:|\n")
	for _, p := range r.Parts() {
		took, status := p.Took.Round(100*time.Millisecond).String(), string(p.Status)
		if p.Status == StatusUnused {
			last := before.Part(p.Name)
			if last.Status == "" || p.Name == Environment {
				continue
			}
			p.URL, p.ID, p.Commit = last.URL, last.ID, last.Commit
			took, status = "–", string(last.Status)+" (by an earlier step)"
		}
		where, commit := p.URL, "–"
		if where == "" {
			where = p.ID
		}
		if p.Commit != "" {
			commit = report.Code(Short(p.Commit))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", p.Name, status, location(where), commit, took)
	}
	b.WriteString("\n")
	for _, p := range r.Parts() {
		if p.Detail != "" {
			fmt.Fprintf(b, "- %s: %s\n", p.Name, report.Escape(clip(p.Detail, 2000)))
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(b, "- %s\n", report.Escape(clip(w, 500)))
	}
	b.WriteString("\n")
}

func writeChecks(b *strings.Builder, r Result) {
	var rows []string
	for _, p := range r.Parts() {
		for _, c := range p.Checks {
			verdict := "passed"
			if !c.OK {
				verdict = "failed"
			}
			rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |", p.Name, report.Cell(c.Name), verdict, report.Cell(clip(c.Detail, 1000))))
		}
	}
	if len(rows) > 0 {
		fmt.Fprintf(b, "<details><summary>Checks</summary>\n\n| Part | Check | | Result |\n|---|---|---|---|\n%s\n\n</details>\n\n", strings.Join(rows, "\n"))
	}
}

func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}

// location renders an address as a link, and anything else as text.
func location(where string) string {
	if strings.HasPrefix(where, "http") {
		return report.Link(strings.TrimPrefix(where, "https://"), where)
	}
	return report.Cell(where)
}
