package finding

import (
	"fmt"
	"slices"
	"strings"
)

// Rate returns the severity of one sighting, and in words where it comes from.
// The first of these that a sighting has counts:
//
//  1. a secret that was verified as live is critical;
//  2. the tool's word on the scale critical, high, medium, low, as in Trivy's HIGH
//     or Semgrep's CRITICAL. A vendor's word knows how its package is built and
//     used; the score of the same vulnerability does not, so HIGH with a score of 9.8
//     or of 5.9 is high;
//  3. the score, of CVSS or security-severity: 9.0 and more critical, 7.0 high, 4.0
//     medium, above 0 low. GitHub's documentation says that critical is "over 9.0"
//     and high is up to 8.9; 9.0 itself is critical here, as in CVSS. What is no
//     score, below 0 or above 10, does not count;
//  4. SARIF's level, or a tool's word for the same: error is high, warning medium,
//     note low, none info. Semgrep's ERROR and ESLint's 2 are errors, ESLint's 1 is a
//     warning;
//  5. the default of the class: high for a secret and for a vulnerability that is
//     called, medium for all else.
//
// A [Finding] has the worst severity of its sightings. Defaults count only if no
// sighting says more, of a vulnerability also none of it elsewhere in the run: the Go
// vulnerability database has no severities, and the next tool may see the same CVE in
// another manifest. A vulnerability that CISA lists as exploited is critical, whatever
// the tools say, see package exploit.
func Rate(s Sighting) (Severity, string) {
	severity, why, _ := rate(s)
	return severity, why
}

// rate is Rate; said is whether the tool said it, so that it is no default.
func rate(s Sighting) (severity Severity, why string, said bool) {
	r := s.Rating
	if s.Class == ClassSecret && s.Secret.Live == LiveVerified {
		return Critical, "the secret was verified as live", true
	}
	if severity, ok := ParseSeverity(r.Word); ok && !isLevel(r.Word) {
		return severity, fmt.Sprintf("the tool's word %q", clip(r.Word)), true
	}
	if r.Score > 0 && r.Score <= 10 {
		return ofScore(r.Score), fmt.Sprintf("score %.1f", r.Score), true
	}
	for _, level := range []string{r.Level, r.Word} {
		if severity, ok := ParseSeverity(level); ok && isLevel(level) {
			return severity, fmt.Sprintf("level %q", clip(level)), true
		}
	}
	if s.Class == ClassSecret {
		return High, "the default of a secret", false
	}
	if s.Reach == ReachCalled {
		return High, "the default of a vulnerability that is called", false
	}
	return Medium, fmt.Sprintf("the default of class %s", s.Class), false
}

// isLevel reports whether a word is one of SARIF's levels, or of a linter's.
func isLevel(word string) bool {
	return slices.Contains([]string{"error", "warning", "warn", "note", "none", "off"}, strings.ToLower(strings.TrimSpace(word)))
}

// ofScore returns the severity of a score above 0.
func ofScore(score float64) Severity {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	}
	return Low
}

// A rating is a severity and where it comes from.
type rating struct {
	severity Severity
	why      string
	said     bool // by a tool; else it is a default
}

// worst returns the rating of a finding. Of several sightings with the same severity
// the first counts.
func worst(sightings []Sighting) rating {
	var best rating
	tools := map[string]bool{}
	for i, s := range sightings {
		severity, why, said := rate(s)
		if said {
			tools[s.Tool] = true
		}
		if i == 0 || said && !best.said || said == best.said && severity > best.severity {
			best = rating{severity, fmt.Sprintf("%s %s: %s", s.Tool, clip(s.Rule), why), said}
		}
	}
	if len(tools) > 1 {
		best.why += fmt.Sprintf("; the worst rating of %d tools", len(tools))
	}
	return best
}

// share gives vulnerabilities that no tool rates at their place the worst rating
// that one of their other places has.
func share(drafts []*draft, known *aliases) {
	best := map[int]rating{}
	for _, d := range drafts {
		if len(d.units[0].ids) == 0 || !d.rating.said {
			continue
		}
		n := known.of(d.units[0].ids[0])
		if r, ok := best[n]; !ok || d.rating.severity > r.severity {
			best[n] = d.rating
		}
	}
	for _, d := range drafts {
		if len(d.units[0].ids) > 0 && !d.rating.said {
			if r, ok := best[known.of(d.units[0].ids[0])]; ok {
				d.finding.Severity, d.finding.Why = r.severity, "at another place: "+r.why
			}
		}
	}
}

// clip bounds a word of a tool in a sentence.
func clip(word string) string {
	if len(word) > 80 {
		return strings.ToValidUTF8(word[:80], "") + "..."
	}
	return word
}
