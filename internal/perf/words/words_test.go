package words_test

import (
	"math"
	"testing"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/perftest"
	"github.com/candlefish/deploy-action/internal/perf/words"
)

func TestDeltas(t *testing.T) {
	t.Parallel()
	lcp := compare.Comparison{Key: measure.Key{Meter: "lighthouse", Subject: "/ mobile", Metric: "x"}, Metric: perftest.LCP, Change: compare.Worse, Base: 2250, Head: 2430, BaseN: 5, HeadN: 5, Shift: 180, Low: 120, High: 260, Bounded: true, CouldSee: 180}
	if got := words.Delta(lcp, 0.05); got != "+180 ms (+8 %), 95 % between +120 ms and +260 ms" {
		t.Error(got)
	}
	if got := words.Compared(lcp, 0.05); got != "Largest Contentful Paint of lighthouse / mobile is worse than base: 2.25 s to 2.43 s, +180 ms (+8 %), 95 % between +120 ms and +260 ms" {
		t.Error(got)
	}
	same := lcp
	same.Change = compare.Same
	if got := words.Finding(same); got != "no change seen; this run could have seen a change of 8 % (180 ms)" {
		t.Error(got)
	}
	few := lcp
	few.Change, few.Bounded, few.High, few.CouldSee, few.Why = compare.NotEnoughData, false, math.Inf(1), math.Inf(1), "2 rounds on each side can't prove any change."
	if got := words.Finding(few) + "|" + words.Delta(few, 0.05); got != "not enough data: 2 rounds on each side can't prove any change.|+180 ms (+8 %), too few rounds for an interval" {
		t.Error(got)
	}
	// Nothing of it may claim that nothing changed when the run could have seen nothing.
	few.Change = compare.Same
	if got := words.Finding(few); got != "not enough data: 2 rounds on each side can't prove any change." {
		t.Error(got)
	}
	score := compare.Comparison{Metric: perftest.Score, Base: 0.86, Head: 0.8, BaseN: 5, HeadN: 5, Shift: -0.06, Low: -0.08, High: -0.04, Bounded: true}
	if got := words.Delta(score, 0.05); got != "-6 points (-7 %), 95 % between -8 points and -4 points" {
		t.Error(got)
	}
	if got := words.Delta(compare.Comparison{Metric: perftest.LCP}, 0.05); got != "–" {
		t.Error(got)
	}
	zero := compare.Comparison{Metric: perftest.Failed, BaseN: 5, HeadN: 5, Shift: 0.002, Low: 0.001, High: 0.003, Bounded: true}
	if got := words.Delta(zero, 0.01); got != "+0.2 percentage points, 99 % between +0.1 percentage points and +0.3 percentage points" {
		t.Error(got)
	}
}

// The words never pass what the judge does not, and pass all that it does.
func TestVerdictIsTheJudges(t *testing.T) {
	t.Parallel()
	want := map[string]verdict.Verdict{"pass": verdict.Pass, "limit": verdict.Refused, "worse": verdict.Refused, "few": verdict.Inconclusive, "sick": verdict.Inconclusive, "both": verdict.Refused, "empty": verdict.Inconclusive}
	for name, r := range perftest.Cases() {
		if r.Verdict != want[name] || words.Verdict(r) != r.Verdict {
			t.Errorf("%s: judged %s, shown as %s, want %s", name, r.Verdict, words.Verdict(r), want[name])
		}
		r.Policy.Optional, r.Policy.Data = []string{"lighthouse", "load"}, false
		if r = perftest.Judged(r); words.Verdict(r) != r.Verdict {
			t.Errorf("%s with optional meters: judged %s, shown as %s", name, r.Verdict, words.Verdict(r))
		}
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"pass": "0/1 failing healthy", "worse": "1/1 failing degraded", "both": "1/1 failing, which can't be believed degraded", "empty": "0/0 failing unknown", "few": "0/1 failing unknown", "sick": "0/1 failing, which can't be believed unknown", "limit": "0/1 failing degraded"} {
		r := perftest.Cases()[name]
		if got := words.Scenarios(r) + " " + words.Status(r); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestSpark(t *testing.T) {
	t.Parallel()
	past := func(values ...float64) []words.Past {
		var all []words.Past
		for _, v := range values {
			all = append(all, words.Past{Median: v, Verdict: verdict.Pass})
		}
		return all
	}
	for want, all := range map[string][]words.Past{"": past(1), "▁█": past(0, 1), "▁▁▁": past(5, 5, 5), "▁▄█": past(9, 0, 5, 10), "█▁": past(math.MaxFloat64, -math.MaxFloat64)} {
		if got := words.Spark(all, 3); got != want {
			t.Errorf("%v: %q, want %q", all, got, want)
		}
	}
}
