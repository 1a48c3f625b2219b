package verdict

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
)

func key(metric string) measure.Key {
	return measure.Key{Meter: "lighthouse", Subject: "/ mobile", Metric: metric}
}

func checked(metric string, value, limit float64) budget.Checked {
	return budget.Checked{
		Budget: budget.Budget{Meter: "lighthouse", Metric: metric, Operator: budget.Less, Limit: limit, Unit: measure.Milliseconds, Severity: budget.Error, From: "default"},
		Key:    key(metric), Metric: measure.Metric{Name: metric, Unit: measure.Milliseconds},
		Value: value, Rounds: 5, Met: value < limit,
	}
}

func compared(metric string, change compare.Change) compare.Comparison {
	return compare.Comparison{
		Key: key(metric), Metric: measure.Metric{Name: metric, Unit: measure.Milliseconds}, Against: compare.AgainstBase,
		Change: change, Base: 1000, Head: 1200, Shift: 200, CouldSee: 80, Why: "Three rounds can prove nothing.",
	}
}

// healthy is a run that passes.
func healthy() Input {
	return Input{
		Policy: Policy{Rule: compare.Rule{Power: 0.8}, Data: true, Baseline: true},
		Series: []measure.Series{
			{Key: key("lcp"), Head: []measure.Point{{Value: 1200}}},
			{Key: measure.Key{Meter: "load", Subject: "basic", Metric: "p95"}, Head: []measure.Point{{Value: 12}}},
		},
		Budgets:     []budget.Checked{checked("lcp", 1200, 2500), checked("fcp", 800, 1800)},
		Comparisons: []compare.Comparison{compared("lcp", compare.Same), compared("fcp", compare.Same)},
		Compared:    []string{"base abc1234, 5 rounds each"},
		Assertions:  []Assertion{{Meter: "load", Subject: "basic", Text: "p(95)<2000", Holds: true}},
		Meters:      []Meter{{Name: "load", Health: Healthy}, {Name: "lighthouse", Health: Healthy}, {Name: "bundle", Health: NotApplicable}, {Name: "journey", Health: LeftOut}},
	}
}

func reasons(r Result) string {
	var b strings.Builder
	for _, reason := range r.Reasons {
		fmt.Fprintln(&b, reason.Text)
	}
	return b.String()
}

func TestJudge(t *testing.T) {
	t.Parallel()
	missing := func(in *Input, severity budget.Severity) {
		in.Budgets = append(in.Budgets, budget.Checked{
			Budget: budget.Budget{Meter: "lighthouse", Metric: "tbt", Operator: budget.AtMost, Limit: 200, Severity: severity},
			Key:    key("tbt"), Missing: "2 rounds gave no value of tbt",
		})
	}
	for name, tt := range map[string]struct {
		change func(*Input)
		want   Verdict
		reason string
	}{
		"healthy":        {func(*Input) {}, Pass, "2 limits hold.\nNo metric of 2 got worse, compared with base abc1234, 5 rounds each; this run could have seen changes of 8 %, with a probability of 80 %.\n"},
		"limit":          {func(in *Input) { in.Budgets[1] = checked("fcp", 1800, 1800) }, Refused, "fcp of / mobile is 1.8 s (median of 5 rounds); the limit is < 1.8 s, by default."},
		"close limit":    {func(in *Input) { in.Budgets[1] = checked("fcp", 1800.3, 1800.2) }, Refused, "fcp of / mobile is 1.8003 s (median of 5 rounds); the limit is < 1.8002 s"},
		"warning":        {func(in *Input) { in.Budgets[1] = checked("fcp", 1900, 1800); in.Budgets[1].Severity = budget.Warn }, Pass, "1 limit holds.\nNo metric"},
		"warning named":  {func(in *Input) { in.Budgets[1] = checked("fcp", 1900, 1800); in.Budgets[1].Severity = budget.Warn }, Pass, "Warning: fcp of / mobile is 1.9 s"},
		"severity":       {func(in *Input) { in.Budgets[1] = checked("fcp", 1900, 1800); in.Budgets[1].Severity = "" }, Inconclusive, "has no value: its severity is unknown"},
		"no value":       {func(in *Input) { missing(in, budget.Error) }, Inconclusive, "The limit tbt <= 200 of / mobile has no value: 2 rounds gave no value of tbt."},
		"no value, warn": {func(in *Input) { missing(in, budget.Warn) }, Pass, "Warning: 1 limit that only warns has no value."},
		"no value, optional": {func(in *Input) { missing(in, budget.Error); in.Policy.Optional = []string{"lighthouse"} }, Pass,
			"1 limit of an optional meter has no value."},
		"not applicable": {func(in *Input) {
			in.Budgets[1] = budget.Checked{Budget: in.Budgets[1].Budget, NotApplicable: "removed"}
		}, Pass,
			"1 limit does not apply to this run."},
		"worse": {func(in *Input) { in.Comparisons[0].Change = compare.Worse }, Refused,
			"lcp of / mobile got worse: 1.2 s instead of 1 s, +20 %, against the base."},
		"better":          {func(in *Input) { in.Comparisons[0].Change = compare.BetterThan }, Pass, "lcp of / mobile got better"},
		"assertion":       {func(in *Input) { in.Assertions[0].Holds = false; in.Assertions[0].Why = "p(95) is 2100." }, Refused, "load, basic, round 1: p(95)<2000 does not hold: p(95) is 2100."},
		"not enough data": {func(in *Input) { in.Comparisons[0].Change = compare.NotEnoughData }, Inconclusive, "There is not enough data to say whether lighthouse / mobile lcp changed: Three rounds can prove nothing."},
		"unknown change":  {func(in *Input) { in.Comparisons[0].Change = "" }, Inconclusive, "not enough data"},
		"few earlier runs": {func(in *Input) {
			in.Comparisons[0].Change, in.Comparisons[0].Against = compare.NotEnoughData, compare.AgainstBaseline
			in.Policy.Baseline = false
		}, Pass, "There is not enough data to say whether 1 metric changed."},
		"few earlier runs, needed": {func(in *Input) {
			in.Comparisons[0].Change, in.Comparisons[0].Against = compare.NotEnoughData, compare.AgainstAnchor
			in.Policy.Baseline = true
		}, Inconclusive, "There is not enough data"},
		"no data allowed": {func(in *Input) { in.Comparisons[0].Change = compare.NotEnoughData; in.Policy.Data = false }, Pass, "No metric of 1 got worse"},
		"no data, said":   {func(in *Input) { in.Comparisons[0].Change = compare.NotEnoughData; in.Policy.Data = false }, Pass, "There is not enough data to say whether 1 metric changed."},
		"no data at all": {func(in *Input) {
			in.Comparisons = in.Comparisons[:1]
			in.Comparisons[0].Change = compare.NotEnoughData
			in.Policy.Data = false
		}, Pass, "None of 1 comparison had enough data"},
		"no baseline":       {func(in *Input) { in.Comparisons, in.Uncompared = nil, "no run is stored" }, Inconclusive, "There is nothing to compare with: no run is stored."},
		"no baseline, fine": {func(in *Input) { in.Comparisons, in.Policy.Baseline, in.Uncompared = nil, false, "no base is named" }, Pass, "Nothing was compared: no base is named."},
		"crashed":           {func(in *Input) { in.Meters[0].Health, in.Meters[0].Why = Crashed, "exit status 107." }, Inconclusive, "The values of load are not believed: crashed: exit status 107."},
		"partial":           {func(in *Input) { in.Meters[0].Health, in.Meters[0].Why = Partial, "132 iterations were dropped" }, Inconclusive, "partial: 132 iterations were dropped."},
		"no health":         {func(in *Input) { in.Meters[0].Health = "" }, Inconclusive, "load are not believed: its health is not known"},
		"optional":          {func(in *Input) { in.Meters[0].Health, in.Policy.Optional = TimedOut, []string{"load"} }, Pass, "A run can pass without load: the values of load are not believed: timed out."},
		"healthy, nothing":  {func(in *Input) { in.Series = in.Series[:1] }, Inconclusive, "The meter load counts as healthy, and gave no value."},
		"nothing":           {func(in *Input) { in.Series = nil }, Inconclusive, "Nothing was measured."},
		"only the base":     {func(in *Input) { in.Series[0].Base, in.Series[0].Head = in.Series[0].Head, nil }, Inconclusive, "The meter lighthouse counts as healthy"},
		"all idle":          {func(in *Input) { *in = Input{Meters: in.Meters[2:]} }, Inconclusive, "Nothing was measured."},
		"all optional, all sick": {func(in *Input) {
			in.Policy.Optional = []string{"load", "lighthouse"}
			in.Meters[0].Health, in.Meters[1].Health = Crashed, Crashed
		}, Inconclusive, "Nothing was measured."},
		"refused beats inconclusive": {func(in *Input) {
			in.Meters[0].Health = Crashed
			in.Comparisons[0].Change = compare.Worse
			missing(in, budget.Error)
		}, Refused, "against the base.\nThe values of load are not believed: crashed.\nThe limit tbt"},
		"no limit":   {func(in *Input) { in.Budgets = nil }, Pass, "No limit was held against a value."},
		"blind":      {func(in *Input) { in.Comparisons[1].CouldSee = math.Inf(1) }, Pass, "for 1 metric it could not have seen any change."},
		"two powers": {func(in *Input) { in.Comparisons[1].CouldSee = 250 }, Pass, "changes of 8 % to 25 %, depending on the metric"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := healthy()
			tt.change(&in)
			r := Judge(in)
			if r.Verdict != tt.want || !strings.Contains(reasons(r), tt.reason) {
				t.Errorf("Judge is %s for\n%swant %s for %q", r.Verdict, reasons(r), tt.want, tt.reason)
			}
			if want := map[bool]exit.Status{true: exit.Done, false: exit.GateRefused}[tt.want == Pass]; r.Exit() != want {
				t.Errorf("the exit status of %s is %v", r.Verdict, r.Exit())
			}
		})
	}
}

// A meter that crashed leaves many limits without a value: most of them share a reason.
func TestManyLimitsWithoutAValue(t *testing.T) {
	t.Parallel()
	in := healthy()
	for i := range 40 {
		b := checked(fmt.Sprint("m", i), 0, 1)
		b.Missing = "it crashed"
		in.Budgets = append(in.Budgets, b)
	}
	r := Judge(in)
	last := r.Reasons[len(r.Reasons)-1]
	if len(r.Reasons) != 4 || r.Verdict != Inconclusive || last.Text != "37 more limits of lighthouse have no value." || len(last.Keys) != 37 {
		t.Errorf("%s for\n%s", r.Verdict, reasons(r))
	}
}

func TestNothingIsNeverAPass(t *testing.T) {
	t.Parallel()
	for _, in := range []Input{{}, {Meters: []Meter{{Name: "x", Health: Healthy}}}, {Budgets: []budget.Checked{checked("lcp", 1, 2)}}, {Assertions: []Assertion{{Holds: true}}}} {
		if r := Judge(in); r.Verdict != Inconclusive || len(r.Reasons) == 0 {
			t.Errorf("%+v: %s", in, r.Verdict)
		}
	}
}

// A random run: any budgets, comparisons, assertions, healths and policy.
func random(r *rand.Rand) Input {
	in := healthy()
	in.Policy.Data, in.Policy.Baseline = r.IntN(2) == 0, r.IntN(2) == 0
	for i := range in.Meters[:2] {
		if r.IntN(6) == 0 {
			in.Meters[i].Health = anyHealth(r)
		}
		if r.IntN(4) == 0 {
			in.Policy.Optional = append(in.Policy.Optional, in.Meters[i].Name)
		}
	}
	for i := range r.IntN(3) {
		in.Budgets = append(in.Budgets, randomBudget(r, fmt.Sprint("m", i)))
	}
	if r.IntN(3) == 0 {
		in.Comparisons = nil
	}
	for i := range r.IntN(3) {
		changes := []compare.Change{compare.Same, compare.Same, compare.Same, compare.BetterThan, compare.NotEnoughData, compare.Worse}
		in.Comparisons = append(in.Comparisons, compared(fmt.Sprint("c", i), changes[r.IntN(len(changes))]))
	}
	if r.IntN(8) == 0 {
		in.Assertions[0].Holds = false
	}
	if r.IntN(8) == 0 {
		in.Series = in.Series[:r.IntN(2)]
	}
	return in
}

func anyHealth(r *rand.Rand) Health {
	return []Health{Missing, WrongChecksum, Denied, Crashed, TimedOut, OutOfMemory, Unreadable, Partial, ""}[r.IntN(9)]
}

func randomBudget(r *rand.Rand, metric string) budget.Checked {
	b := checked(metric, float64(r.IntN(1900)), 1800)
	switch r.IntN(6) {
	case 0:
		b.Missing = "no value"
	case 1:
		b.NotApplicable = "gone"
	case 2:
		b.Severity = budget.Warn
	}
	return b
}

// failures are what can go wrong in a run beside what went wrong already.
var failures = []func(*rand.Rand, *Input){
	func(r *rand.Rand, in *Input) { in.Budgets = append(slices.Clone(in.Budgets), checked("new", 2, 1)) },
	func(r *rand.Rand, in *Input) {
		b := checked("new", 2, 3)
		b.Missing = "no value"
		in.Budgets = append(slices.Clone(in.Budgets), b)
	},
	func(r *rand.Rand, in *Input) {
		in.Comparisons = append(slices.Clone(in.Comparisons), compared("new", compare.Worse))
	},
	func(r *rand.Rand, in *Input) {
		// One that was Same is not known any more.
		in.Comparisons = slices.Clone(in.Comparisons)
		for i := range in.Comparisons {
			if in.Comparisons[i].Change == compare.Same {
				in.Comparisons[i].Change = compare.NotEnoughData
				break
			}
		}
	},
	func(r *rand.Rand, in *Input) {
		in.Assertions = append(slices.Clone(in.Assertions), Assertion{Meter: "load"})
	},
	func(r *rand.Rand, in *Input) {
		in.Meters = slices.Clone(in.Meters)
		in.Meters[r.IntN(2)].Health = anyHealth(r)
	},
	func(r *rand.Rand, in *Input) { in.Series = nil },
	func(r *rand.Rand, in *Input) { in.Policy.Optional = nil },
	func(r *rand.Rand, in *Input) { in.Policy.Data, in.Policy.Baseline = true, true },
}

func TestJudgeProperties(t *testing.T) {
	t.Parallel()
	seen := map[Verdict]int{}
	for seed := range uint64(6_000) {
		r := rand.New(rand.NewPCG(seed, 1))
		in := random(r)
		before := Judge(in)
		seen[before.Verdict]++
		if len(before.Reasons) == 0 {
			t.Errorf("seed %d: %s without a reason", seed, before.Verdict)
		}
		after := in
		which := r.IntN(len(failures))
		failures[which](r, &after)
		switch got := Judge(after); {
		case got.Verdict == Pass && before.Verdict != Pass, before.Verdict == Refused && got.Verdict != Refused:
			t.Errorf("seed %d: failure %d makes %s of %s:\n%s", seed, which, got.Verdict, before.Verdict, reasons(got))
		}
		mixed := in
		mixed.Budgets, mixed.Comparisons, mixed.Meters, mixed.Series = slices.Clone(in.Budgets), slices.Clone(in.Comparisons), slices.Clone(in.Meters), slices.Clone(in.Series)
		slices.Reverse(mixed.Budgets)
		slices.Reverse(mixed.Comparisons)
		slices.Reverse(mixed.Meters)
		slices.Reverse(mixed.Series)
		if diff := cmp.Diff(before, Judge(mixed), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("seed %d: another order of the input is another result: %s", seed, diff)
		}
	}
	if seen[Pass] < 300 || seen[Refused] < 300 || seen[Inconclusive] < 300 {
		t.Errorf("the random runs are one-sided: %v", seen)
	}
}

// FuzzJudge makes runs of numbers that no meter should give.
func FuzzJudge(f *testing.F) {
	f.Add(1.0, 2.0, 0.0, "same", "error", "healthy")
	f.Add(math.NaN(), math.Inf(1), -1.0, "worse", "warn", "")
	f.Fuzz(func(t *testing.T, value, limit, could float64, change, severity, health string) {
		in := healthy()
		b := checked("lcp", value, limit)
		b.Severity = budget.Severity(severity)
		in.Budgets = append(in.Budgets, b)
		c := compared("lcp", compare.Change(change))
		c.CouldSee, c.Base, c.Shift = could, value, limit
		in.Comparisons = append(in.Comparisons, c)
		in.Meters[0].Health = Health(health)
		r := Judge(in)
		known := change == "same" || change == "better"
		if r.Verdict == Pass && (!known || severity != "warn" && !(value < limit) && severity != "off") {
			t.Fatalf("a pass: %s", reasons(r))
		}
		for _, reason := range r.Reasons {
			if reason.Text == "" || !strings.HasSuffix(reason.Text, ".") {
				t.Fatalf("%q is no sentence", reason.Text)
			}
		}
	})
}
