package view

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/security/words"
)

// Marker identifies the pull request's one comment about security.
const Marker = "<!-- candlefish:security-gate -->"

// The sizes of views on GitHub: a comment and an issue in characters, a summary in
// bytes. Summary stays far below its limit of 1 MiB, since other steps have one too.
const (
	maxComment = 65536
	maxSummary = 256 << 10
)

// Summary renders the summary of the step.
func Summary(r verdict.Result, p Page) string {
	return fitted(maxSummary, func(s string) int { return len(s) }, func(rows int) string { return brief(r, p, rows, r.Findings) })
}

// Comment renders the pull request's comment, with [Marker] and a digest of what it
// says; see [Same].
func Comment(r verdict.Result, p Page) string {
	return fitted(maxComment, utf8.RuneCountInString, func(rows int) string {
		text := brief(r, Page{Waivers: p.Waivers, LeftOut: p.LeftOut}, rows, newOnes(r))
		text = Marker + "\n" + digest(text) + "\n\n" + text
		if link := runLink(p); link != "" {
			text += "\nDetails: " + link + ".\n"
		}
		return text
	})
}

// fitted renders with fewer and fewer rows until the text fits.
func fitted(most int, size func(string) int, render func(rows int) string) string {
	for rows := 50; ; rows /= 2 {
		if s := render(rows); rows == 0 || size(s) <= most {
			return s
		}
	}
}

var digestLine = regexp.MustCompile(`<!-- candlefish:says [0-9a-f]{32} -->`)

// digest is a hidden line by which two comments that say the same are known.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("<!-- candlefish:says %s -->", hex.EncodeToString(sum[:16]))
}

// Same reports whether two comments say the same but for the link to their runs:
// then there is nothing to write.
func Same(a, b string) bool {
	of := digestLine.FindString(a)
	return of != "" && of == digestLine.FindString(b)
}

func newOnes(r verdict.Result) []finding.Finding {
	var all []finding.Finding
	for _, f := range r.Findings {
		if f.State != finding.StateExisting {
			all = append(all, f)
		}
	}
	return all
}

// brief is the report in short: verdict, what failed, the given findings, what is
// fixed. It has no times and durations, so that two scans of a commit say the same.
func brief(r verdict.Result, p Page, rows int, shown []finding.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", Title)
	opening(&b, r, 20)
	fmt.Fprintf(&b, "Score: **%s** %s. Level: %s.", words.Score(r), md(r.Band.Emoji, 10), md(cmp.Or(string(r.Level), "unknown"), 20))
	if r.Place.Commit != "" {
		fmt.Fprintf(&b, " Commit: %s.", code(words.Short(r.Place.Commit)))
	}
	if r.Compared != "" {
		fmt.Fprintf(&b, " Compared with %s.", md(r.Compared, 200))
	}
	if r.OnlyNew {
		b.WriteString(" The limits apply to new findings only.")
	}
	b.WriteString("\n\n")
	failed(&b, r)
	shortClasses(&b, r)
	title := "Findings"
	if r.Compared != "" && len(shown) < len(r.Findings) {
		title = "New findings"
	}
	table(&b, title, words.Open(shown), rows, briefColumns())
	if n := len(words.Waived(r.Findings)); n > 0 {
		fmt.Fprintf(&b, "Waived: %s.\n\n", words.Count(n, "finding"))
	}
	needPeople(&b, r.Waivers)
	fixed(&b, r.Fixed, min(rows, 10))
	if p.LeftOut != "" {
		b.WriteString(md(p.LeftOut, 300) + "\n\n")
	}
	if link := runLink(p); link != "" {
		fmt.Fprintf(&b, "Details: %s.\n", link)
	}
	return b.String()
}

// failed lists the tools that can't be believed. What their failures mean is among
// the reasons of the verdict.
func failed(b *strings.Builder, r verdict.Result) {
	bad := words.Unhealthy(r)
	const most = 30
	for _, t := range bad[:min(len(bad), most)] {
		fmt.Fprintf(b, "- %s: %s", md(t.Name, 60), health(t))
		if t.Hint != "" {
			fmt.Fprintf(b, ". To do: %s", md(t.Hint, 300))
		}
		b.WriteString("\n")
	}
	if left := len(bad) - most; left > 0 {
		fmt.Fprintf(b, "- and %s\n", words.Count(left, "more tool"))
	}
	if len(bad) > 0 {
		b.WriteString("\n")
	}
}

func shortClasses(b *strings.Builder, r verdict.Result) {
	b.WriteString("| | Found | Worst | Scanned by |\n|---|---|---|---|\n")
	for _, c := range words.Claims(r) {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", words.Noun(c.Class), c.Found, words.Or(c.Worst), md(c.Seen, 200))
	}
	b.WriteString("\n")
}

func briefColumns() []column {
	all := findingColumns()
	return []column{all[0], all[1], all[2], all[4], all[5], all[7]}
}

func needPeople(b *strings.Builder, w verdict.Waivers) {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{len(w.Refused), "refused"}, {len(w.Expired), "expired"}, {len(w.Soon), "ending soon"}, {len(w.Unused), "matching nothing"}} {
		if p.n > 0 {
			parts = append(parts, words.Number(p.n)+" "+p.what)
		}
	}
	if len(parts) > 0 {
		fmt.Fprintf(b, "Waivers that need attention: %s.\n\n", strings.Join(parts, ", "))
	}
}

func fixed(b *strings.Builder, all []finding.Finding, most int) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "Fixed: %s.\n", words.Count(len(all), "finding"))
	for _, f := range all[:min(len(all), most)] {
		r := words.RowOf(f)
		fmt.Fprintf(b, "- %s %s %s\n", r.Severity, md(r.Title, words.TitleLength), cell(r.Where, words.WhereLength))
	}
	b.WriteString("\n")
}
