package words

import (
	"fmt"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Whole reports whether a scan saw all that its level must contain. Only such a
// scan can say that something is gone.
func Whole(r verdict.Result) bool {
	for _, n := range r.Needs {
		if !n.Met {
			return false
		}
	}
	return r.Whole && (r.Verdict == verdict.Pass || r.Verdict == verdict.Refused)
}

// Results are a tool's; one that did not run has none, which is not 0.
func Results(t verdict.Tool) string {
	if t.Health != verdict.Healthy && t.Found == 0 {
		return "–"
	}
	return plain.Number(t.Found)
}

// Saw says how much a tool saw.
func Saw(t verdict.Tool) string {
	if t.Health == verdict.NotApplicable || t.Health == verdict.LeftOut {
		return "–"
	}
	text, _ := Coverage(t.Coverage)
	return plain.Or(strings.Trim(text, "()"))
}

// Database is the age of a tool's data at the time of the scan.
func Database(t verdict.Tool, at time.Time) string {
	if t.Database.IsZero() {
		return "–"
	}
	age := at.Sub(t.Database)
	switch {
	case age < 0:
		return plain.Day(t.Database)
	case age < 48*time.Hour:
		return fmt.Sprintf("%s (%d h old)", plain.Day(t.Database), int(age.Hours()))
	}
	return fmt.Sprintf("%s (%d days old)", plain.Day(t.Database), int(age.Hours()/24))
}

// Detected says how fast problems were detected.
func Detected(s verdict.Speed) string {
	undated := plain.Count(s.Undated, "finding") + " without a known date of publication"
	switch {
	case s.Dated == 0 && s.Undated == 0:
		return "There are no findings to measure it by."
	case s.Dated == 0:
		return "Not known: " + undated + "."
	}
	text := fmt.Sprintf("First seen within 24 hours after publication: %s of %s.", plain.Number(s.Within), plain.Count(s.Dated, "finding"))
	if s.Undated > 0 {
		text += " Not counted: " + undated + "."
	}
	return text
}

// Extent says how much there is to scan.
func Extent(p verdict.Place) string {
	return plain.Count(p.Commits, "commit") + ", " + plain.Count(p.Files, "file")
}

// Criticals are the critical findings that no waiver holds for. A credential that
// works is one.
func Criticals(r verdict.Result) []finding.Finding {
	var all []finding.Finding
	for _, f := range Open(r.Findings) {
		if f.Severity == finding.Critical || Works(f) {
			all = append(all, f)
		}
	}
	return all
}

func Works(f finding.Finding) bool {
	for _, s := range f.Sightings {
		if s.Secret.Live == finding.LiveVerified {
			return true
		}
	}
	return false
}
