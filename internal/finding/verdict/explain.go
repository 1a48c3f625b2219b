package verdict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/finding"
)

// Named returns the findings that a text names: an ID or another fingerprint, an
// identifier of a vulnerability, or at least six digits of an ID's beginning. An
// error says that there is none, or that several IDs begin so.
func (r Result) Named(text string) ([]finding.Finding, error) {
	var exact, begin []finding.Finding
	for _, f := range slices.Concat(r.Findings, r.Fixed) {
		switch {
		case f.ID == text || slices.Contains(f.Fingerprints, text) || slices.ContainsFunc(f.IDs, func(id string) bool { return strings.EqualFold(id, text) }):
			exact = append(exact, f)
		case len(text) >= 6 && strings.HasPrefix(f.ID, text):
			begin = append(begin, f)
		}
	}
	if len(exact) == 0 {
		exact = begin
		if len(begin) > 1 {
			return nil, badInput("%d findings have an ID that begins with %s: type more of it", len(begin), text)
		}
	}
	if len(exact) == 0 {
		return nil, badInput("no finding of this scan is called %q: want an ID of its report, or an identifier such as CVE-2021-23337", text)
	}
	return exact, nil
}

func badInput(format string, args ...any) error {
	return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf(format, args...)}
}

// failing returns the findings that refused the scan.
func (r Result) failing() []finding.Finding {
	var all []finding.Finding
	for _, f := range r.Findings {
		if r.Verdict == Refused && slices.ContainsFunc(r.Reasons, func(one Reason) bool { return slices.Contains(one.IDs, f.ID) }) {
			all = append(all, f)
		}
	}
	return all
}

// Explain says all that is known of the findings that a text names, see
// [Result.Named], or without a text of those that refused the scan: who saw them, how bad they are and why, whether they count, how to
// fix them and how to waive them. It is plain text for a terminal.
func Explain(r Result, text string) (string, error) {
	findings := r.failing()
	if text != "" {
		var err error
		if findings, err = r.Named(text); err != nil {
			return "", err
		}
	}
	if len(findings) == 0 {
		return "No finding refused this scan.\n", nil
	}
	var b strings.Builder
	for i, f := range findings {
		if i > 0 {
			b.WriteString("\n")
		}
		r.explain(&b, f)
	}
	return b.String(), nil
}

// explain writes about one finding.
func (r Result) explain(b *strings.Builder, f finding.Finding) {
	row := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(b, "%-10s %s\n", name, clean(text))
		}
	}
	fmt.Fprintf(b, "%s\n", clean(f.Title))
	row("ID", "%s", f.ID)
	row("Severity", "%s: %s", f.Severity, f.Why)
	row("Class", "%s", f.Class)
	row("Known as", "%s", strings.Join(f.IDs, ", "))
	row("State", "%s", r.stateText(f))
	row("Published", "%s", r.publishedText(f))
	row("Exploited", "%s", exploitedText(f))
	row("Counts", "%s", r.countText(f))
	for i, s := range f.Sightings {
		name := ""
		if i == 0 {
			name = "Seen by"
		}
		row(name, "%s", sightingText(s))
	}
	row("Fix", "%s", fixText(f))
	row("Waiver", "%s", r.waiverText(f))
	if f.State != finding.StateFixed && !live(f) && !f.Waived.Holds() {
		fmt.Fprintf(b, "\nTo waive it, add this to the list of security-waivers.yaml, with a reason and an owner:\n\n%s", WaiverYAML(f, r.At))
	}
}

func (r Result) stateText(f finding.Finding) string {
	if r.Compared == "" {
		return string(f.State) + ": there is no baseline"
	}
	return string(f.State) + ", compared with " + r.Compared
}

func (r Result) publishedText(f finding.Finding) string {
	known := published(f)
	if known.IsZero() {
		return ""
	}
	text := known.UTC().Format(time.DateOnly)
	if days := int(r.At.Sub(known) / (24 * time.Hour)); days >= 0 {
		text += ", " + count(days, "day") + " before this scan"
	}
	return text
}

func exploitedText(f finding.Finding) string {
	var all []string
	if f.Exploited {
		all = append(all, "yes: it is in CISA's list of exploited vulnerabilities")
	}
	if f.EPSS > 0 {
		all = append(all, fmt.Sprintf("within 30 days with a probability of %s %% (EPSS)", strconv.FormatFloat(f.EPSS*100, 'f', 1, 64)))
	}
	return strings.Join(all, "; ")
}

// countText says whether a finding counts, and against which budgets.
func (r Result) countText(f finding.Finding) string {
	if f.State == finding.StateFixed {
		return "no: it is not found any more"
	}
	c := r.Policy.Count(f)
	if !c.Counts {
		return "no. " + c.Why
	}
	text := "yes, as " + c.As.String() + ". " + c.Why
	limited := false
	for _, s := range r.Spent {
		if s.Severity == c.As && (s.Class == "" || s.Class == f.Class) {
			limited = true
			text += fmt.Sprintf(" Budget %s: %d found.", s.Budget, s.Count)
		}
	}
	if !limited {
		text += " There is no budget for it, so it refuses nothing."
	}
	return text
}

// sightingText says what one tool saw, and where.
func sightingText(s finding.Sighting) string {
	parts := []string{fmt.Sprintf("%s (%s)", s.Tool, s.Rule)}
	if at := where(s.Location); at != "" {
		parts = append(parts, at)
	}
	if s.Package.Name != "" {
		parts = append(parts, strings.TrimSpace(s.Package.Name+" "+s.Package.Version))
	}
	if s.Reach != finding.ReachUnknown {
		parts = append(parts, string(s.Reach))
	}
	switch s.Secret.Live {
	case finding.LiveUnknown:
	case finding.LiveVerified:
		parts = append(parts, "the credential works")
	case finding.LiveUnverified:
		parts = append(parts, "the service refused the credential")
	case finding.LiveError:
		parts = append(parts, "whether the credential works could not be found out")
	}
	if s.Suppressed != "" {
		parts = append(parts, "the tool itself accepts it: "+s.Suppressed)
	}
	return strings.Join(parts, "; ")
}

func where(l finding.Location) string {
	at := l.Path
	if l.Line > 0 {
		at += ":" + strconv.Itoa(l.Line)
	}
	for _, place := range []struct{ word, name string }{{"commit", l.Commit}, {"image", l.Image}, {"host", l.Host}} {
		if place.name != "" {
			at = strings.TrimSpace(at + " in " + place.word + " " + place.name)
		}
	}
	return strings.TrimPrefix(at, "in ")
}

// fixText says how to fix a finding, as far as its tools say.
func fixText(f finding.Finding) string {
	if f.Class == finding.ClassSecret {
		return "revoke the credential, replace it, and keep the new one out of the repository; removing it from the file leaves it in the history"
	}
	var fixes []string
	vulnerable := false
	for _, s := range f.Sightings {
		p := s.Package
		vulnerable = vulnerable || p.Name != ""
		if p.Fixed == "" {
			continue
		}
		fix := fmt.Sprintf("update %s from %s to %s", p.Name, p.Version, p.Fixed)
		if !slices.Contains(fixes, fix) {
			fixes = append(fixes, fix)
		}
	}
	if len(fixes) > 0 {
		return strings.Join(fixes, "; ")
	}
	if vulnerable {
		return "no tool knows a version without the problem"
	}
	for _, s := range f.Sightings {
		if s.Help != "" {
			return "see " + s.Help
		}
	}
	return ""
}

// waiverText says which waiver is for a finding, and whether it holds.
func (r Result) waiverText(f finding.Finding) string {
	var all []string
	if w := f.Waived; w.Holds() {
		text := w.By + " holds: " + w.Reason
		if w.Owner != "" {
			text += " (" + w.Owner + ")"
		}
		if !w.Expires.IsZero() {
			text += ", until " + w.Expires.Format(time.DateOnly)
		}
		all = append(all, text)
	}
	for _, n := range slices.Concat(r.Waivers.Expired, r.Waivers.Refused) {
		if slices.Contains(n.IDs, f.ID) {
			all = append(all, n.Name+" does not hold: "+n.Why)
		}
	}
	if len(all) == 0 {
		if live(f) {
			return "none holds for a credential that works"
		}
		return "none"
	}
	return strings.Join(all, "; ")
}

// waiverDays is how long a proposed waiver holds.
const waiverDays = 30

// WaiverYAML returns the entry that waives a finding, for the list of the file of
// waivers. Reason and owner are empty: the file is refused until people fill them in.
func WaiverYAML(f finding.Finding, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - fingerprint: %s\n", quote(f.ID))
	if len(f.Commits) > 0 {
		fmt.Fprintf(&b, "    commits: [%s]\n", strings.Join(quoteAll(f.Commits), ", "))
	}
	fmt.Fprintf(&b, "    reason: \"\"\n    owner: \"\"\n    kind: risk-accepted\n    created: %s\n    expires: %s\n",
		now.UTC().Format(time.DateOnly), now.UTC().AddDate(0, 0, waiverDays).Format(time.DateOnly))
	return b.String()
}

// quote keeps YAML from taking a fingerprint of digits for a number.
func quote(text string) string { return strconv.Quote(text) }

func quoteAll(texts []string) []string {
	var all []string
	for _, t := range texts {
		all = append(all, quote(t))
	}
	return all
}

// clean takes line breaks and control characters out of what tools say.
func clean(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)), " ")
}
