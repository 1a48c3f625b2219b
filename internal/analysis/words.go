package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
)

func sentence(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// soFar is what a dwell that goes on looks like.
func (j *Judge) soFar() string {
	for _, s := range j.series {
		if s.Errors != nil {
			total, failed := s.failures.Of(rollout.SideCanary)
			return sentence("%s failed %.0f of %.0f requests so far, limit %s", evidence.Who(s.Name, rollout.SideCanary), failed, total, evidence.Percent(s.Errors.Limit()))
		}
	}
	return "watching"
}

// passed says why a step is a success: by its first metric, and how many more.
func (j *Judge) passed(r Result) string {
	var parts []string
	for _, s := range j.series {
		if s.Errors != nil {
			parts = append(parts, sentence("%s, limit %s", s.failures.FailedOf(rollout.SideCanary), evidence.Percent(s.Errors.Limit())))
			if _, lost := s.failures.Of(rollout.SideUnattributed); lost > 0 {
				parts = append(parts, sentence("%.0f requests failed without an answer of either version", lost))
			}
		}
		if s.Latency != nil {
			if shift := s.latencies.Shift(); shift != nil {
				parts = append(parts, sentence("%s than stable (95 %% interval of the difference %s to %s)", shift.Words(), evidence.Short(shift.Low), evidence.Short(shift.High)))
			} else {
				parts = append(parts, "its latencies are compared with nothing, since stable has no traffic")
			}
		}
		if len(parts) > 0 {
			break
		}
	}
	switch n := j.more(r.Findings); {
	case n == 1:
		parts = append(parts, "one more metric passed too")
	case n > 1:
		parts = append(parts, sentence("%d more metrics passed too", n))
	}
	if r.Score != nil && *r.Score < 100 {
		parts = append(parts, sentence("score %g of 100", *r.Score))
	}
	return strings.Join(parts, "; ")
}

// more is how many metrics have passed beside the first.
func (j *Judge) more(fs []Finding) int {
	n := 0
	for _, s := range j.series[1:] {
		passed := !slices.ContainsFunc(fs, func(f Finding) bool { return f.Metric == s.Name && f.Verdict != rollout.VerdictSuccessful })
		if passed {
			n++
		}
	}
	return n
}

// losers names the findings that cost score.
func losers(fs []Finding) string {
	var names []string
	for _, f := range fs {
		if f.Verdict == rollout.VerdictFailed {
			names = append(names, f.Sentence)
		}
	}
	return strings.Join(names, "; ")
}

// ignored says which metrics did not speak although they were asked for.
func ignored(fs []Finding) []string {
	var warnings []string
	for _, f := range fs {
		if f.Verdict == rollout.VerdictInconclusive && f.Policy == rollout.PolicyIgnore {
			warnings = append(warnings, "not judged, as asked: "+f.Sentence)
		}
	}
	return warnings
}

// riseWords say how much slower the canary became from the step before.
func (s *series) riseWords() string {
	r, _ := s.rise()
	return sentence("%s answers in %s at the median, %.2g times what it took at %d %%; the last releases did not become slower like that, and nothing of stable is left to compare with",
		evidence.Who(s.Name, rollout.SideCanary), evidence.Short(s.latencies.Of(rollout.SideCanary).Quantile(.5)), math.Exp(r.Log), r.From)
}
