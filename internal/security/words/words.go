// Package words says in plain text what a security scan saw: all views use these
// sentences, and escape them for their medium.
//
// Every sentence is a claim, so that "none found" appears only where healthy tools
// saw all that there was; else the words say what was not seen.
package words

import (
	"fmt"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// Headline says the verdict in one line of plain text. A result without a verdict
// is not a pass.
func Headline(r verdict.Result) string {
	switch {
	case r.Verdict == verdict.Pass && Whole(r):
		return fmt.Sprintf("The security gate passed at level %s.", r.Level)
	case r.Verdict == verdict.Refused && Whole(r):
		return "The security gate refused: findings exceed the limits."
	case r.Verdict == verdict.Refused:
		return fmt.Sprintf("The security gate refused: findings exceed the limits, and level %s was not scanned completely.", r.Level)
	}
	return fmt.Sprintf("The security gate is inconclusive: level %s was not scanned completely. This is not a pass.", r.Level)
}

// Score is the score in words: an upper bound unless all was seen.
func Score(r verdict.Result) string {
	if allSeen(r) {
		return fmt.Sprintf("%d/100", r.Score)
	}
	return fmt.Sprintf("at most %d/100, not all was scanned", r.Score)
}

// Status is the word of the seed's band. It says so if the scan did not see all:
// no score means excellent then.
func Status(r verdict.Result) string {
	status := plain.Text(r.Band.Status, 40)
	if allSeen(r) {
		return status
	}
	return "at best " + status
}

// allSeen is stricter than Whole: no tool at all failed, also none that another
// one replaces.
func allSeen(r verdict.Result) bool {
	for _, t := range r.Tools {
		if !Well(t) {
			return false
		}
	}
	return Whole(r)
}

// Well reports whether a tool did what it had to do.
func Well(t verdict.Tool) bool {
	return t.Health == verdict.Healthy || t.Health == verdict.NotApplicable || t.Health == verdict.LeftOut
}

// Unhealthy are the tools that did not do what they had to.
func Unhealthy(r verdict.Result) []verdict.Tool {
	var all []verdict.Tool
	for _, t := range r.Tools {
		if !Well(t) {
			all = append(all, t)
		}
	}
	return all
}

// Open are the findings that no waiver holds for, in their order.
func Open(all []finding.Finding) []finding.Finding { return filter(all, false) }

// Waived are the findings that a waiver holds for, in their order.
func Waived(all []finding.Finding) []finding.Finding { return filter(all, true) }

func filter(all []finding.Finding, waived bool) []finding.Finding {
	var some []finding.Finding
	for _, f := range all {
		if IsWaived(f) == waived {
			some = append(some, f)
		}
	}
	return some
}

// IsWaived reports whether a waiver holds. None does for a credential that works.
func IsWaived(f finding.Finding) bool {
	return f.Waived.Holds() && !Works(f)
}
