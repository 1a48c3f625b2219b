package verdict

import (
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
)

// Score is 100, less 10 for each critical and 5 for each high finding that no
// waiver holds for, of all tools, and never below 0. Findings of the baseline are
// among them, and a credential that was verified as live is critical.
func Score(findings []finding.Finding) int {
	score := 100
	for _, f := range findings {
		if f.Waived.Holds() && !live(f) {
			continue
		}
		switch {
		case f.Severity == finding.Critical || live(f):
			score -= 10
		case f.Severity == finding.High:
			score -= 5
		}
	}
	return max(score, 0)
}

// BandOf returns the band of a score. A scan that did not pass is at best
// "needs-attention", whatever its score.
func BandOf(score int, v Verdict) Band {
	switch {
	case score >= 90 && v == Pass:
		return Band{"excellent", "🛡️", "good"}
	case score >= 75 && v == Pass:
		return Band{"good", "⚠️", "warning"}
	case score >= 50:
		return Band{"needs-attention", "🚨", "warning"}
	}
	return Band{"critical", "🔥", "danger"}
}

// ScoreText returns the score for people. Of a scan that did not see everything it
// is an upper bound, and says so.
func (r Result) ScoreText() string {
	if !r.Whole {
		return fmt.Sprintf("at most %d of 100", r.Score)
	}
	return fmt.Sprintf("%d of 100", r.Score)
}

// detectedWithin is the goal for the time from an advisory to its finding.
const detectedWithin = 24 * time.Hour

// speedOf says how fast the findings were detected. First says when a finding was
// first seen, by its ID; a new one without an entry is seen now.
func speedOf(findings []finding.Finding, first map[string]time.Time, now time.Time) Speed {
	var s Speed
	for _, f := range findings {
		known, seen := published(f), first[f.ID]
		if seen.IsZero() && f.State != finding.StateExisting {
			seen = now
		}
		switch {
		case known.IsZero() || seen.IsZero():
			s.Undated++
		case seen.Sub(known) <= detectedWithin:
			s.Within++
			s.Dated++
		default:
			s.Dated++
		}
	}
	return s
}

// published is the earliest time at which a tool says that the problem was known.
func published(f finding.Finding) time.Time {
	var first time.Time
	for _, s := range f.Sightings {
		if !s.Known.IsZero() && (first.IsZero() || s.Known.Before(first)) {
			first = s.Known
		}
	}
	return first
}
