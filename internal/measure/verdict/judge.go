package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/history"
	"github.com/candlefish/deploy-action/internal/measure/quantity"
	"github.com/candlefish/deploy-action/internal/report/plain"
)

// An Input is what a verdict is made of. Judge changes nothing of it. The fields are
// those of [Result].
type Input struct {
	Policy      Policy
	Environment measure.Environment
	Target      string
	URL         string
	BaseURL     string
	Series      []measure.Series
	Budgets     []budget.Checked
	Comparisons []compare.Comparison
	Compared    []string
	// Uncompared says why there is nothing to compare with, in a few words: "no run of
	// this environment is stored yet"; "" if it is not known or there is something.
	Uncompared string
	Assertions []Assertion
	Meters     []Meter
	Files      []File
	History    history.Environment
	Repository string
	Commit     string
	Ref        string
	Link       string
	At         time.Time
	Took       time.Duration
	Own        time.Duration
}

// Judge says what a run says. A limit that does not hold, a metric that got worse or
// an assertion that does not hold refuses it, although something else could not be
// measured; then that is named too. It passes only if nothing is left in doubt that
// the policy asks for.
func Judge(in Input) Result {
	r := Result{
		Policy: in.Policy, Environment: in.Environment, Target: in.Target, URL: in.URL, BaseURL: in.BaseURL,
		Series: sortedSeries(in.Series), Budgets: sortedBudgets(in.Budgets), Comparisons: sortedComparisons(in.Comparisons),
		Compared: in.Compared, Assertions: sortedAssertions(in.Assertions), Meters: sortedMeters(in.Meters), Files: in.Files,
		History: in.History, Repository: in.Repository, Commit: in.Commit, Ref: in.Ref, Link: in.Link,
		At: in.At, Took: in.Took, Own: in.Own,
	}
	failures, doubts := r.failures(), r.doubts(in.Uncompared)
	switch {
	case len(failures) > 0:
		r.Verdict, r.Reasons = Refused, slices.Concat(failures, doubts, r.warnings())
	case len(doubts) > 0:
		r.Verdict, r.Reasons = Inconclusive, slices.Concat(doubts, r.warnings())
	default:
		r.Verdict, r.Reasons = Pass, r.passed(in.Uncompared)
	}
	return r
}

// Exit returns the exit status of a run with this result.
func (r Result) Exit() exit.Status {
	if r.Verdict == Pass {
		return exit.Done
	}
	return exit.GateRefused
}

// failures are the reasons to refuse the run.
func (r *Result) failures() []Reason {
	var reasons []Reason
	for _, b := range r.Budgets {
		if b.Severity == budget.Error && b.State() == budget.Failed {
			reasons = append(reasons, Reason{Text: limitText(b), Keys: []measure.Key{b.Key}})
		}
	}
	for _, c := range r.Comparisons {
		if c.Change == compare.Worse {
			reasons = append(reasons, Reason{Text: changeText(c, "got worse"), Keys: []measure.Key{c.Key}})
		}
	}
	for _, a := range r.Assertions {
		if !a.Holds {
			reasons = append(reasons, Reason{Text: assertionText(a)})
		}
	}
	return reasons
}

// doubts are the reasons not to let the run pass.
func (r *Result) doubts(uncompared string) []Reason {
	var reasons []Reason
	add := func(text string) { reasons = append(reasons, Reason{Text: text}) }
	if !r.measured("") {
		add("Nothing was measured.")
	}
	for _, m := range r.Meters {
		switch {
		case r.optional(m.Name) || idle(m):
		case m.Health != Healthy:
			add("The values of " + healthText(m) + ".")
		case !r.measured(m.Name):
			add(fmt.Sprintf("The meter %s counts as healthy, and gave no value.", m.Name))
		}
	}
	reasons = append(reasons, r.noValues()...)
	reasons = append(reasons, r.undecided()...)
	if r.Policy.Baseline && len(r.Comparisons) == 0 {
		add(fmt.Sprintf("There is nothing to compare with%s.", because(uncompared)))
	}
	return reasons
}

// noValues names the limits without a value: each, or if a meter has many, one for all.
func (r *Result) noValues() []Reason {
	const few = 3
	var meters []string
	of := map[string][]budget.Checked{}
	for _, b := range r.Budgets {
		if b.Severity == budget.Warn || !r.unchecked(b) || r.optional(b.Meter) {
			continue
		}
		if of[b.Meter] == nil {
			meters = append(meters, b.Meter)
		}
		of[b.Meter] = append(of[b.Meter], b)
	}
	var reasons []Reason
	for _, meter := range meters {
		all := of[meter]
		for _, b := range all[:min(len(all), few)] {
			reasons = append(reasons, Reason{Text: fmt.Sprintf("The limit %s %s %s%s has no value: %s.", b.Budget.Metric, b.Operator, quantity.Exact(unit(b), b.Limit), ofSubject(b.Key), cmp.Or(b.Missing, "its severity is unknown")), Keys: []measure.Key{b.Key}})
		}
		if rest := all[min(len(all), few):]; len(rest) > 0 {
			more := Reason{Text: plural(len(rest), "more limit of "+meter+" has", "more limits of "+meter+" have") + " no value."}
			for _, b := range rest {
				more.Keys = append(more.Keys, b.Key)
			}
			reasons = append(reasons, more)
		}
	}
	return reasons
}

// unchecked reports whether a limit was not decided: it has no value, or it failed with
// a severity that nobody knows.
func (r *Result) unchecked(b budget.Checked) bool {
	known := b.Severity == budget.Error || b.Severity == budget.Warn || b.Severity == budget.Off
	return b.State() == budget.NoValue || b.State() == budget.Failed && !known
}

// undecided names the comparisons without enough data: one reason per explanation.
func (r *Result) undecided() []Reason {
	var whys []string
	keys := map[string][]measure.Key{}
	for _, c := range r.Comparisons {
		if decided(c.Change) || r.optional(c.Key.Meter) || !r.needed(c.Against) {
			continue
		}
		if keys[c.Why] == nil {
			whys = append(whys, c.Why)
		}
		keys[c.Why] = append(keys[c.Why], c.Key)
	}
	var reasons []Reason
	for _, why := range whys {
		what := plain.Count(len(keys[why]), "metric")
		if len(keys[why]) == 1 {
			what = keys[why][0].String()
		}
		reasons = append(reasons, Reason{Text: fmt.Sprintf("There is not enough data to say whether %s changed%s.", what, because(why)), Keys: keys[why]})
	}
	return reasons
}

// needed reports whether a comparison must say something: with a base by Policy.Data,
// with earlier runs by Policy.Baseline, since the first ones have nothing before them.
func (r *Result) needed(a compare.Against) bool {
	if a == compare.AgainstBaseline || a == compare.AgainstAnchor {
		return r.Policy.Baseline
	}
	return r.Policy.Data
}

// decided reports whether a comparison says something. One that nobody knows does not.
func decided(c compare.Change) bool {
	return c == compare.Worse || c == compare.BetterThan || c == compare.Same
}

// measured reports whether a meter, or "" for any that is believed, gave a value or
// an assertion of head.
func (r *Result) measured(name string) bool {
	believed := func(meter string) bool {
		if name != "" {
			return meter == name
		}
		return slices.ContainsFunc(r.Meters, func(m Meter) bool { return m.Name == meter && m.Health == Healthy })
	}
	return slices.ContainsFunc(r.Series, func(s measure.Series) bool { return len(s.Head) > 0 && believed(s.Key.Meter) })
}

func (r *Result) optional(meter string) bool { return slices.Contains(r.Policy.Optional, meter) }

// idle reports whether nothing was asked of a meter.
func idle(m Meter) bool { return m.Health == NotApplicable || m.Health == LeftOut }

func sortedSeries(all []measure.Series) []measure.Series {
	return slices.SortedStableFunc(slices.Values(all), func(a, b measure.Series) int { return a.Key.Compare(b.Key) })
}

// sortedBudgets puts what failed first, errors before warnings, then what has no value.
func sortedBudgets(all []budget.Checked) []budget.Checked {
	rank := func(c budget.Checked) int {
		n := slices.Index([]budget.State{budget.Failed, budget.NoValue, budget.Met, budget.DoesNotConcern}, c.State())
		if c.Severity == budget.Warn {
			return 2*n + 1
		}
		return 2 * n
	}
	return slices.SortedStableFunc(slices.Values(all), func(a, b budget.Checked) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Key.Compare(b.Key), cmp.Compare(a.From, b.From), cmp.Compare(a.Text(), b.Text()), cmp.Compare(a.Aggregation, b.Aggregation))
	})
}

// sortedComparisons puts what is worse first, then what is not known.
func sortedComparisons(all []compare.Comparison) []compare.Comparison {
	rank := func(c compare.Comparison) int {
		return slices.Index([]compare.Change{compare.Same, compare.BetterThan, compare.NotEnoughData, compare.Worse}, c.Change)
	}
	return slices.SortedStableFunc(slices.Values(all), func(a, b compare.Comparison) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), a.Key.Compare(b.Key), cmp.Compare(a.Against, b.Against))
	})
}

func sortedAssertions(all []Assertion) []Assertion {
	return slices.SortedStableFunc(slices.Values(all), func(a, b Assertion) int {
		holds := 0
		if a.Holds != b.Holds {
			holds = 1
			if b.Holds {
				holds = -1
			}
		}
		return cmp.Or(holds, cmp.Compare(a.Meter, b.Meter), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Round, b.Round))
	})
}

func sortedMeters(all []Meter) []Meter {
	return slices.SortedStableFunc(slices.Values(all), func(a, b Meter) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Health, b.Health)) })
}
