package preview

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/report"
)

// marker is how the comment is found again.
const marker = "<!-- candlefish:pr-preview -->"

// maxComment is how many characters GitHub takes.
const maxComment = 65536

// A last is what a comment says to the next run, in a line that people do not see.
type last struct {
	Version int    `json:"v"`
	Commit  string `json:"commit"`
	Run     string `json:"run"`
	Goal    Goal   `json:"goal"`
}

var state = regexp.MustCompile(`(?m)^<!-- candlefish:pr-preview:state (\{.*\}) -->$`)

// lastOf reads what an earlier comment says; nothing where there is none, or where
// somebody changed it.
func lastOf(body string) last {
	var l last
	if m := state.FindStringSubmatch(body); m != nil && json.Unmarshal([]byte(m[1]), &l) == nil && l.Version == 1 {
		return l
	}
	return last{}
}

// newer says whether the comment is by a later run than this one: run ids are
// ID.ATTEMPT on GitHub, and those of other places have no order.
func (l last) newer(run string) bool {
	theirs, ok := order(l.Run)
	ours, ok2 := order(run)
	return ok && ok2 && (theirs[0] > ours[0] || theirs[0] == ours[0] && theirs[1] > ours[1])
}

func order(run string) (id [2]int64, ok bool) {
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

// Body is the comment about a result. It has the marker and at most as many
// characters as GitHub takes; what is cut is said.
func Body(r Result, runID string, before last) string {
	hidden, err := json.Marshal(last{1, r.Commit, runID, r.Goal})
	if err != nil {
		panic("preview: encode strings: " + err.Error())
	}
	var b strings.Builder
	// "--" may not stand in a comment of HTML.
	fmt.Fprintf(&b, "%s\n<!-- candlefish:pr-preview:state %s -->\n", marker, strings.ReplaceAll(string(hidden), "--", "- -"))
	if r.Goal == GoalDown {
		cleaned(&b, r)
	} else {
		environment(&b, r, before)
	}
	body := b.String()
	const cutOff = "\n\n*This comment was longer than GitHub takes; the rest is in the run's summary.*\n"
	if len([]rune(body)) > maxComment {
		body = cut(body, maxComment-len(cutOff)) + cutOff
	}
	return body
}

// visible is a comment without the lines that people do not see.
func visible(body string) string {
	return strings.TrimPrefix(strings.TrimPrefix(state.ReplaceAllString(body, ""), marker), "\n\n")
}

func environment(b *strings.Builder, r Result, before last) {
	b.WriteString("## 🎭 Preview Environment\n\n")
	switch failed := r.failed(); {
	case len(failed) == 0:
		fmt.Fprintf(b, "**Ready** at %s. Everything below was looked at.\n\n", report.Code(short(r.Commit)))
	case len(failed) == 1 && (r.Frontend.Status == Ready || r.API.Status == Ready):
		fmt.Fprintf(b, "**Partly ready** at %s: the %s is not.\n\n", report.Code(short(r.Commit)), failed[0].Name)
	default:
		fmt.Fprintf(b, "**Not ready** at %s.\n\n", report.Code(short(r.Commit)))
	}
	table(b, r)
	if before.Commit != "" && before.Commit != r.Commit && before.Goal == GoalUp {
		fmt.Fprintf(b, "Since the last push (%s):", report.Code(short(before.Commit)))
		for _, c := range r.Changes[:min(len(r.Changes), 20)] {
			fmt.Fprintf(b, " %s;", report.Escape(c))
		}
		if extra := len(r.Changes) - 20; extra > 0 {
			fmt.Fprintf(b, " and %d more;", extra)
		}
		b.WriteString("\n\n")
	}
	checks(b, r)
	fmt.Fprintf(b, "It is removed when the pull request is closed, and on %s at the latest.%s\n", r.Expires.UTC().Format("2 January 2006, 15:04 MST"), run(r))
}

func cleaned(b *strings.Builder, r Result) {
	b.WriteString("## 🧹 Preview Environment Cleaned Up\n\n")
	if failed := r.failed(); len(failed) == 0 {
		b.WriteString("Nothing is left. Each line was verified.\n\n")
	} else {
		b.WriteString("**Not everything is gone.** Run the cleanup again, or remove by hand what is listed.\n\n")
	}
	table(b, r)
	if text := run(r); text != "" {
		b.WriteString(strings.TrimSpace(text) + "\n")
	}
}

func run(r Result) string {
	if r.RunURL == "" {
		return ""
	}
	return " [The run](" + r.RunURL + ")."
}

// table shows both parts, with what each answered.
func table(b *strings.Builder, r Result) {
	b.WriteString("| Part | Status | Where | Answers as | Took |\n|---|---|---|---|---:|\n")
	for _, p := range []Part{r.Frontend, r.API} {
		if p.Status == Unused {
			continue
		}
		where, commit := p.URL, "–"
		if where == "" {
			where = p.ID
		}
		if p.Commit != "" {
			commit = report.Code(short(p.Commit))
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

func checks(b *strings.Builder, r Result) {
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
		fmt.Fprintf(b, "<details><summary>What was checked</summary>\n\n| Part | Check | | Seen |\n|---|---|---|---|\n%s\n\n</details>\n\n", strings.Join(rows, "\n"))
	}
}

func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}

// location is an address as a link, and anything else as it is.
func location(where string) string {
	if strings.HasPrefix(where, "http") {
		return report.Link(strings.TrimPrefix(where, "https://"), where)
	}
	return report.Cell(where)
}
