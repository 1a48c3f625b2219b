package reconcile

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/report"
)

// Marker identifies the pull request's one comment.
const Marker = "<!-- candlefish:pr-preview -->"

// maxComment is GitHub's limit, in characters.
const maxComment = 65536

// A state is what a comment tells the next run, in a line that people do not see.
type state struct {
	Version int    `json:"v"`
	Commit  string `json:"commit"`
	Run     string `json:"run"`
	Goal    Goal   `json:"goal"`
}

var stateLine = regexp.MustCompile(`(?m)^<!-- candlefish:pr-preview:state (\{.*\}) -->$`)

// stateOf reads the state in a comment. It is empty without one, or if somebody edited
// it.
func stateOf(body string) state {
	var l state
	if m := stateLine.FindStringSubmatch(body); m != nil && json.Unmarshal([]byte(m[1]), &l) == nil && l.Version == 1 {
		return l
	}
	return state{}
}

// newerThan reports whether the comment is by a later run than the given one. Run ids
// are ID.ATTEMPT on GitHub, and others have no order.
func (l state) newerThan(run string) bool {
	theirs, ok := runOrder(l.Run)
	ours, ok2 := runOrder(run)
	return ok && ok2 && (theirs[0] > ours[0] || theirs[0] == ours[0] && theirs[1] > ours[1])
}

// runOrder splits a run id into run and attempt.
func runOrder(run string) (id [2]int64, ok bool) {
	a, b, found := strings.Cut(run, ".")
	if !found {
		return id, false
	}
	for i, s := range []string{a, b} {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return id, false
		}
		id[i] = n
	}
	return id, true
}

// Summary renders a result for people, as the comment shows it.
func Summary(r Result, runID string) string {
	text := stateLine.ReplaceAllString(body(r, runID, state{}), "")
	return strings.TrimPrefix(strings.TrimPrefix(text, Marker), "\n\n")
}

// body renders the comment about a result: with the marker, and cut at GitHub's limit
// with a note that says so.
func body(r Result, runID string, before state) string {
	hidden, err := json.Marshal(state{1, r.Commit, runID, r.Goal})
	if err != nil {
		panic("preview: encode strings: " + err.Error())
	}
	var b strings.Builder
	// An HTML comment must not contain "--".
	fmt.Fprintf(&b, "%s\n<!-- candlefish:pr-preview:state %s -->\n", Marker, strings.ReplaceAll(string(hidden), "--", "- -"))
	if r.Goal == GoalDown {
		writeRemoval(&b, r)
	} else {
		writeEnvironment(&b, r, before)
	}
	text := b.String()
	const cutOff = "\n\n*This comment is longer than GitHub allows; the run's summary has the rest.*\n"
	if len([]rune(text)) > maxComment {
		text = cut(text, maxComment-len(cutOff)) + cutOff
	}
	return text
}

func writeEnvironment(b *strings.Builder, r Result, before state) {
	b.WriteString("## 🎭 Preview Environment\n\n")
	switch failed := r.Failed(); {
	case len(failed) == 0:
		fmt.Fprintf(b, "**Ready** at %s. Everything below was verified.\n\n", report.Code(Short(r.Commit)))
	case len(failed) == 1 && (r.Frontend.Status == StatusReady || r.API.Status == StatusReady):
		fmt.Fprintf(b, "**Partly ready** at %s: the %s is not.\n\n", report.Code(Short(r.Commit)), failed[0].Name)
	default:
		fmt.Fprintf(b, "**Not ready** at %s.\n\n", report.Code(Short(r.Commit)))
	}
	writeParts(b, r)
	if before.Commit != "" && before.Commit != r.Commit && before.Goal == GoalUp {
		writeChanges(b, r, before)
	}
	writeChecks(b, r)
	fmt.Fprintf(b, "It is removed when the pull request is closed, and on %s at the latest.%s\n", r.Expires.UTC().Format("2 January 2006, 15:04 MST"), runLink(r))
}

// maxChanges is how many changes a comment lists.
const maxChanges = 20

func writeChanges(b *strings.Builder, r Result, before state) {
	fmt.Fprintf(b, "Since the last push (%s):", report.Code(Short(before.Commit)))
	for _, c := range r.Changes[:min(len(r.Changes), maxChanges)] {
		fmt.Fprintf(b, " %s;", report.Escape(c))
	}
	if extra := len(r.Changes) - maxChanges; extra > 0 {
		fmt.Fprintf(b, " and %d more;", extra)
	}
	b.WriteString("\n\n")
}

func writeRemoval(b *strings.Builder, r Result) {
	b.WriteString("## 🧹 Preview Environment Cleaned Up\n\n")
	if failed := r.Failed(); len(failed) == 0 {
		b.WriteString("Nothing is left. Each line was verified.\n\n")
	} else {
		b.WriteString("**Not everything is gone.** Run the cleanup again, or remove the listed parts by hand.\n\n")
	}
	writeParts(b, r)
	if text := runLink(r); text != "" {
		b.WriteString(strings.TrimSpace(text) + "\n")
	}
}

func runLink(r Result) string {
	if r.RunURL == "" {
		return ""
	}
	return " [The run](" + r.RunURL + ")."
}

// writeParts shows both parts, with the commit that each answered with.
func writeParts(b *strings.Builder, r Result) {
	b.WriteString("| Part | Status | Where | Answers as | Took |\n|---|---|---|---|---:|\n")
	for _, p := range []Part{r.Frontend, r.API} {
		if p.Status == StatusUnused {
			continue
		}
		where, commit := p.URL, "–"
		if where == "" {
			where = p.ID
		}
		if p.Commit != "" {
			commit = report.Code(Short(p.Commit))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", p.Name, p.Status, location(where), commit, p.Took.Round(100*time.Millisecond))
	}
	b.WriteString("\n")
	for _, p := range []Part{r.Frontend, r.API} {
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
	for _, p := range []Part{r.Frontend, r.API} {
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
