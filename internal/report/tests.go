package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// Tests are the requests that were sent to one version alone, by version. No other
// count has them.
type Tests struct {
	Stable Counts `json:"stable"`
	Canary Counts `json:"canary"`
}

// A Prewarm is how test requests warmed the new version before its first weight.
type Prewarm struct {
	Took     Seconds `json:"seconds"`
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"`
	// First and Last are the medians of its latency at the beginning and at the end, in
	// milliseconds; absent if there were too few answers.
	First   float64 `json:"first_median_ms,omitempty"`
	Last    float64 `json:"last_median_ms,omitempty"`
	Settled bool    `json:"settled"` // false if the time was up
}

// WrongAnswers are the answers that were no errors and still not what they should be,
// in each way, by version.
type WrongAnswers map[rollout.Side]map[evidence.Wrong]int64

// tested lists what test requests showed, and the wrong answers.
func tested(b *strings.Builder, r Result) {
	var lines []string
	if p := r.Prewarm; p != nil {
		lines = append(lines, p.sentence())
	}
	if t := r.TestRequests; t != nil {
		lines = append(lines, fmt.Sprintf("Test requests to one version alone: canary %s of %s failed, stable %s of %s",
			number(t.Canary.Failed), number(t.Canary.Total), number(t.Stable.Failed), number(t.Stable.Total)))
	}
	for _, s := range r.StepRecords {
		for _, side := range slices.Sorted(maps.Keys(s.WrongAnswers)) {
			lines = append(lines, fmt.Sprintf("Wrong answers at %s by %s: %s", s.title(), Escape(string(side)), Escape(ways(s.WrongAnswers[side]))))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(b, "- %s\n\n", strings.Join(lines, "\n- "))
	}
}

// ways lists how many answers were wrong in each way.
func ways(wrong map[evidence.Wrong]int64) string {
	var list []string
	for _, kind := range evidence.Wrongs {
		if n := wrong[kind]; n > 0 {
			list = append(list, fmt.Sprintf("%s %s", number(n), kind))
		}
	}
	return strings.Join(list, ", ")
}

// sentence describes a prewarm.
func (p Prewarm) sentence() string {
	s := fmt.Sprintf("Prewarmed for %s with %s test requests, %s of them failed", p.Took, number(int64(p.Requests)), number(int64(p.Failed)))
	if p.First > 0 {
		s += fmt.Sprintf("; the median fell from %.1f ms to %.1f ms", p.First, p.Last)
		if p.Last >= p.First {
			s = strings.Replace(s, "fell from", "went from", 1)
		}
	}
	if !p.Settled {
		s += "; it had not settled when the time was up"
	}
	return s
}
