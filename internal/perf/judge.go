package perf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/files"
	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/budget/budgetfile"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/history"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
	"github.com/candlefish/deploy-action/internal/perf/inputs"
	"github.com/candlefish/deploy-action/internal/perf/measuring"
)

// readBudgets reads the limits: those of files, and those of this version.
func (s *session) readBudgets() ([]budget.Budget, error) {
	options := budgetfile.Options{Meters: names(s.meters), Read: func(path string) ([]byte, error) { return files.Read(s.Within(path)) }}
	var written []budgetfile.File
	var errs []error
	for _, name := range s.v.List("budgets") {
		raw, err := files.Read(s.Within(name))
		if err != nil {
			errs = append(errs, fmt.Errorf("budgets: %w", err))
			continue
		}
		f, err := budgetfile.Parse(name, raw, options)
		if err != nil {
			errs = append(errs, fmt.Errorf("budgets: %w", err))
		}
		written = append(written, f)
	}
	var defaults []budget.Budget
	if s.v.Bool("default-budgets") {
		defaults = slices.Concat(budget.Defaults(), budget.Load(s.Load.P95, s.Load.P99, s.Load.Errors, s.Load.Rate))
	}
	return budgetfile.Join(defaults, written...), errors.Join(errs...)
}

// judge makes the result of what the meters measured.
func (s *session) judge(ctx context.Context, seen measuring.Seen, began time.Time) (verdict.Result, error) {
	env := s.environment(seen.Versions)
	past, err := s.ledger.past(ctx, env)
	if err != nil {
		return verdict.Result{}, err
	}
	checked := budget.Check(s.budgets, s.budgetRun(seen))
	seen.Series = withoutDetails(seen.Series, checked)
	in := verdict.Input{
		Policy: verdict.Policy{
			Rule: s.rule(), Data: s.v.Bool("require-data"), Baseline: s.v.Bool("require-baseline"), Optional: s.v.List("optional-meters"),
		},
		Environment: env, Target: s.v.String("environment"), URL: s.URL, BaseURL: s.BaseURL,
		Series: seen.Series, Budgets: checked, Assertions: seen.Assertions, Meters: seen.Meters, Files: seen.Files,
		History: past.Environment, Repository: s.Repository, Commit: s.commit(), Ref: s.a.Getenv("GITHUB_REF"),
		Link: s.a.RunURL(), At: s.now(), Took: s.now().Sub(began), Own: s.now().Sub(began) - seen.Busy,
	}
	switch s.Compare {
	case inputs.CompareBase:
		in.Comparisons = compare.Compare(s.withBase(seen), in.Policy.Rule)
		in.Compared, in.Uncompared = s.comparedWithBase(seen)
	case inputs.CompareBaseline:
		in.Comparisons = past.compare(seen.Series, in.Policy.Rule)
		in.Compared, in.Uncompared = past.words()
	}
	return verdict.Judge(in), nil
}

// withBase are the series to compare with the base. Samples may bring a base of their
// own or none, and what else is measured beside them was never given one.
func (s *session) withBase(seen measuring.Seen) []measure.Series {
	if s.BaseURL != "" || s.BaseDir != "" || s.v.String("compare") == inputs.CompareBase {
		return seen.Series
	}
	return slices.DeleteFunc(slices.Clone(seen.Series), func(one measure.Series) bool { return !slices.Contains(seen.Compared, one.Key.Meter) })
}

// withoutDetails leaves out the details that nobody has a limit for. The kept reports
// of the tools have them.
func withoutDetails(all []measure.Series, checked []budget.Checked) []measure.Series {
	limited := map[measure.Key]bool{}
	for _, c := range checked {
		limited[c.Key] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(s measure.Series) bool { return s.Metric.Detail && !limited[s.Key] })
}

func (s *session) rule() compare.Rule {
	rule := compare.DefaultRule()
	rule.Alpha, rule.Effect, rule.Floors = s.v.Float("alpha"), s.v.Float("effect"), s.Floors
	return rule
}

// budgetRun is what limits are held against.
func (s *session) budgetRun(seen measuring.Seen) budget.Run {
	run := budget.Run{
		Series: seen.Series, Lighthouse: seen.Versions["lighthouse"], URL: s.URL, Rounds: map[string]int{}, Representative: seen.Representative,
		Subjects: map[string][]string{},
	}
	for _, m := range seen.Meters {
		if m.Health == verdict.NotApplicable || m.Health == verdict.LeftOut {
			continue
		}
		run.Meters = append(run.Meters, m.Name)
		run.Rounds[m.Name] = m.Rounds
	}
	for key := range seen.Gaps {
		if !slices.Contains(run.Subjects[key.Meter], key.Subject) {
			run.Subjects[key.Meter] = append(run.Subjects[key.Meter], key.Subject)
		}
	}
	return run
}

// comparedWithBase says what was compared, or why nothing was.
func (s *session) comparedWithBase(seen measuring.Seen) (compared []string, uncompared string) {
	if len(seen.Compared) == 0 {
		return nil, "no meter measured the base"
	}
	where := cmp.Or(s.BaseURL, s.v.String("base-dir"), "the base's samples")
	return []string{fmt.Sprintf("%s, measured in turn in this job by %s", where, strings.Join(seen.Compared, ", "))}, ""
}

// A past is what earlier runs left.
type past struct {
	history.Environment
	stored bool   // there is a baseline
	why    string // nothing in it can be compared with; "" if something can
}

// past reads the baseline, for comparison and for charts.
func (l ledger) past(ctx context.Context, env measure.Environment) (past, error) {
	if l.Store == nil {
		return past{}, nil
	}
	file, err := l.Load(ctx)
	if err != nil {
		return past{}, fmt.Errorf("read the baseline in %s: %w", l.Where(), err)
	}
	found, _ := file.Find(env)
	return past{Environment: found, stored: true, why: file.New(env)}, nil
}

// compare holds the run against earlier ones, and against the anchor if there is one.
func (p past) compare(series []measure.Series, rule compare.Rule) []compare.Comparison {
	all := compare.Baseline(series, p.Environment, rule)
	if p.Anchor != nil {
		all = append(all, compare.Anchor(series, p.Environment, rule)...)
	}
	return all
}

// words say what a run was compared with.
func (p past) words() (compared []string, uncompared string) {
	if p.why != "" {
		return nil, p.why
	}
	runs := len(p.Compared())
	compared = []string{fmt.Sprintf("the newest %d runs of this environment that passed", runs)}
	if p.Anchor != nil {
		compared = append(compared, fmt.Sprintf("the anchor, which is the run of %s on commit %.10s", p.Anchor.At.Format(time.DateOnly), p.Anchor.Commit))
	}
	return compared, ""
}
