// Package perftest has results of performance runs for tests: of each verdict, with the
// history of 50 runs, with many series, and with texts that try to be more than text.
package perftest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/measure/budget"
	"github.com/candlefish/deploy-action/internal/measure/compare"
	"github.com/candlefish/deploy-action/internal/measure/history"
	"github.com/candlefish/deploy-action/internal/measure/verdict"
)

// The time and commit of the runs.
var (
	Now  = time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	Head = strings.Repeat("a1", 20)
)

// Metrics that the results have.
var (
	LCP    = measure.Metric{Name: "largest-contentful-paint", Title: "Largest Contentful Paint", Unit: measure.Milliseconds, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 50, Relative: 0.03}}
	CLS    = measure.Metric{Name: "cumulative-layout-shift", Title: "Cumulative Layout Shift", Unit: measure.Shift, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 0.01}}
	TBT    = measure.Metric{Name: "total-blocking-time", Title: "Total Blocking Time", Unit: measure.Milliseconds, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 30, Relative: 0.05}}
	Score  = measure.Metric{Name: "performance", Title: "Performance score", Unit: measure.Score, Better: measure.Higher}
	P95    = measure.Metric{Name: "http_req_duration.p95", Title: "Request duration, 95th percentile", Unit: measure.Milliseconds, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 5, Relative: 0.05}}
	P99    = measure.Metric{Name: "http_req_duration.p99", Title: "Request duration, 99th percentile", Unit: measure.Milliseconds, Better: measure.Lower}
	Failed = measure.Metric{Name: "http_req_failed", Title: "Failed requests", Unit: measure.Share, Better: measure.Lower, Compared: true, Floor: measure.Floor{Absolute: 0.001}}
	Rate   = measure.Metric{Name: "http_reqs", Title: "Requests per second", Unit: measure.PerSecond, Better: measure.Higher}
	Gzip   = measure.Metric{Name: "gzip", Title: "Size, gzip", Unit: measure.Bytes, Better: measure.Lower, Compared: true, Exact: true, Floor: measure.Floor{Absolute: 512, Relative: 0.01}}
)

// Points are the values of rounds.
func Points(values ...float64) []measure.Point {
	var all []measure.Point
	for i, v := range values {
		all = append(all, measure.Point{Round: i, Value: v})
	}
	return all
}

func key(meter, subject string, m measure.Metric) measure.Key {
	return measure.Key{Meter: meter, Subject: subject, Metric: m.Name}
}

func series(meter, subject string, m measure.Metric, head, base []measure.Point) measure.Series {
	return measure.Series{Key: key(meter, subject, m), Metric: m, Head: head, Base: base}
}

// All returns the series of a run in which both sides are alike.
func All() []measure.Series {
	return []measure.Series{
		series("bundle", "/shop", Gzip, Points(61_240), Points(61_240)),
		series("lighthouse", "/ mobile", CLS, Points(0.021, 0.02, 0.02, 0.022, 0.021), Points(0.02, 0.021, 0.021, 0.02, 0.022)),
		series("lighthouse", "/ mobile", LCP, Points(2104, 2148, 2091, 2170, 2122), Points(2110, 2099, 2161, 2133, 2087)),
		series("lighthouse", "/ mobile", Score, Points(0.86, 0.85, 0.86, 0.85, 0.86), Points(0.86, 0.86, 0.85, 0.85, 0.86)),
		series("lighthouse", "/ mobile", TBT, Points(180, 212, 164, 190, 205), Points(188, 201, 175, 170, 199)),
		series("load", "basic", P95, Points(212, 219, 208, 215, 210), Points(211, 214, 220, 209, 213)),
		series("load", "basic", P99, Points(341, 380, 322, 350, 337), Points(345, 332, 371, 328, 340)),
		series("load", "basic", Failed, Points(0, 0, 0.0004, 0, 0), Points(0, 0.0003, 0, 0, 0)),
		series("load", "basic", Rate, Points(104, 103.6, 104.1, 103.9, 104), Points(104, 103.8, 104.2, 103.7, 104)),
	}
}

// Find returns the series of a metric.
func Find(all []measure.Series, metric string) *measure.Series {
	for i := range all {
		if all[i].Key.Metric == metric {
			return &all[i]
		}
	}
	panic("no series " + metric)
}

func check(s measure.Series, op budget.Operator, limit float64, severity budget.Severity, from string) budget.Checked {
	v := measure.Median(measure.Values(s.Head))
	met := map[budget.Operator]bool{budget.Less: v < limit, budget.AtMost: v <= limit, budget.More: v > limit, budget.AtLeast: v >= limit}[op]
	return budget.Checked{
		Budget: budget.Budget{Meter: s.Key.Meter, Metric: s.Key.Metric, Operator: op, Limit: limit, Aggregation: budget.Median, Severity: severity, From: from},
		Key:    s.Key, Metric: s.Metric, Value: v, Rounds: len(s.Head), Met: met,
	}
}

// Checked holds series against the limits of the results.
func Checked(all []measure.Series) []budget.Checked {
	return []budget.Checked{
		check(*Find(all, LCP.Name), budget.Less, 2500, budget.Error, "budget.json:12"),
		check(*Find(all, CLS.Name), budget.Less, 0.1, budget.Error, "default"),
		check(*Find(all, TBT.Name), budget.Less, 600, budget.Error, "default"),
		check(*Find(all, Score.Name), budget.More, 0.75, budget.Error, "default"),
		check(*Find(all, P95.Name), budget.Less, 2000, budget.Error, "default"),
		check(*Find(all, P99.Name), budget.Less, 5000, budget.Error, "default"),
		check(*Find(all, Failed.Name), budget.Less, 0.01, budget.Error, "default"),
		check(*Find(all, Rate.Name), budget.More, 100, budget.Warn, "perf/budget.json:31"),
		check(*Find(all, Gzip.Name), budget.AtMost, 60_000, budget.Warn, "perf/budget.json:40"),
	}
}

// Compared compares the compared metrics, all of them unchanged.
func Compared(all []measure.Series) []compare.Comparison {
	var cs []compare.Comparison
	for _, s := range all {
		if !s.Metric.Compared || len(s.Base) == 0 {
			continue
		}
		base, head := measure.Median(measure.Values(s.Base)), measure.Median(measure.Values(s.Head))
		spread := math.Max(base*0.03, 0.0004)
		if s.Metric.Exact {
			spread = 0
		}
		cs = append(cs, compare.Comparison{
			Key: s.Key, Metric: s.Metric, Against: compare.AgainstBase, Change: compare.Same, Base: base, Head: head, BaseN: len(s.Base), HeadN: len(s.Head),
			Shift: head - base, Low: head - base - spread, High: head - base + spread, Bounded: true, P: 0.4, Adjusted: 1, Effect: 0.1, Floor: s.Metric.Floor,
			CouldSee: 2 * spread, Why: "The test did not reject \"not worse\".",
		})
	}
	return cs
}

func meters() []verdict.Meter {
	isolated := []string{"environment", "read-only workspace", "memory", "time"}
	return []verdict.Meter{
		{Name: "bundle", Does: "sizes of bundles", Health: verdict.Healthy, Rounds: 1, Took: 200 * time.Millisecond},
		{Name: "gobench", Does: "Go benchmarks", Health: verdict.NotApplicable, Why: "no go.mod"},
		{Name: "lighthouse", Does: "Lighthouse audits of pages", Versions: map[string]string{"lighthouse": "13.5.0", "chrome": "156.0.7301.2"}, Health: verdict.Healthy, Rounds: 5, Isolated: isolated, Took: 4 * time.Minute},
		{Name: "load", Does: "load by k6", Versions: map[string]string{"k6": "2.2.0"}, Health: verdict.Healthy, Rounds: 5, Isolated: isolated, Took: 10 * time.Minute, Notes: []string{"scenario basic: 10 virtual users"}},
		{Name: "servertime", Does: "server timing from Prometheus", Health: verdict.LeftOut, Why: "no queries"},
	}
}

// noise is a small shift, the same for the same i.
func noise(i int) float64 { return math.Sin(float64(i)*12.9898) * math.Cos(float64(i)*4.1414) }

// History has n earlier runs of the series, some of them red, and an anchor.
func History(all []measure.Series, n int) history.Environment {
	e := history.Environment{Environment: environment(), Key: environment().Key()}
	for i := range n {
		run := history.Run{At: Now.Add(time.Duration(i-n) * 24 * time.Hour), Commit: fmt.Sprintf("%040x", i*7919+1), Verdict: string(verdict.Pass)}
		level := 0.95 + 0.05*float64(i)/float64(max(n, 1))
		if i%17 == 11 {
			run.Verdict, level = string(verdict.Refused), 1.4
		}
		if i%23 == 5 {
			run.Verdict = string(verdict.Inconclusive)
		}
		for j, s := range all {
			m := measure.Median(measure.Values(s.Head)) * (level + 0.03*noise(i*31+j))
			if s.Metric.Unit == measure.Score {
				m = math.Min(m, 1)
			}
			run.Values = append(run.Values, history.Value{Meter: s.Key.Meter, Subject: s.Key.Subject, Metric: s.Key.Metric, Unit: s.Metric.Unit, Better: s.Metric.Better, Median: m, Rounds: 5})
		}
		e.Runs = append(e.Runs, run)
	}
	if n > 0 {
		anchor := e.Runs[0]
		e.Anchor = &anchor
	}
	return e
}

func environment() measure.Environment {
	return measure.Environment{Runner: "ubuntu24 20261115.1.0", CPU: "AMD EPYC 7763 64-Core Processor", Cores: 4, Tools: map[string]string{"chrome": "156.0.7301.2", "k6": "2.2.0", "lighthouse": "13.5.0"}}
}

// Pass is a run that passes, with a base, a history and files.
func Pass() verdict.Result {
	all := All()
	r := verdict.Result{
		Verdict: verdict.Pass, Reasons: []verdict.Reason{{Text: "All 7 limits that refuse are kept, and no compared metric is worse."}},
		Policy:      verdict.Policy{Rule: compare.Rule{Alpha: 0.05, Effect: 0.33, Power: 0.8}, Data: true},
		Environment: environment(), Target: "staging", URL: "https://staging.shop.example", BaseURL: "https://base.shop.example",
		Series: all, Budgets: Checked(all), Comparisons: Compared(all), Compared: []string{"base b2b2b2b2b2, 5 rounds each, interleaved", "34 earlier runs of this environment"},
		Assertions: []verdict.Assertion{{Meter: "load", Subject: "basic", Text: "http_req_duration: p(95)<2000", Holds: true}},
		Meters:     meters(), History: History(all, 50), Repository: "acme/shop", Commit: Head, Ref: "refs/heads/main", Link: "https://github.com/acme/shop/actions/runs/7",
		At: Now, Took: 15 * time.Minute, Own: 1800 * time.Millisecond,
		Files: []verdict.File{
			{Meter: "lighthouse", Subject: "/ mobile", Side: measure.Head, Round: 3, What: "Lighthouse report", Path: "lighthouse/head-3/home-mobile.html", Representative: true},
			{Meter: "lighthouse", Subject: "/ mobile", Side: measure.Head, Round: 1, What: "Lighthouse report", Path: "lighthouse/head-1/home-mobile.html"},
			{Meter: "load", Subject: "basic", Side: measure.Head, Round: 0, What: "k6 dashboard", Path: "load/head-0/basic.html"},
		},
	}
	return r
}

// Worse makes a series of a result worse by a share, and the result refused.
func Worse(r *verdict.Result, metric string, by float64) {
	s := Find(r.Series, metric)
	for i := range s.Head {
		s.Head[i].Value *= 1 + by
	}
	r.Budgets = Checked(r.Series)
	for i := range r.Comparisons {
		if c := &r.Comparisons[i]; c.Key == s.Key {
			head := measure.Median(measure.Values(s.Head))
			c.Change, c.Head, c.Shift, c.P, c.Adjusted, c.Effect = compare.Worse, head, head-c.Base, 0.004, 0.028, 1
			c.Low, c.High = c.Shift*0.7, c.Shift*1.3
			c.Why = "Proven: above the floor, with a large effect."
			r.Comparisons[0], r.Comparisons[i] = r.Comparisons[i], r.Comparisons[0]
		}
	}
	r.Verdict = verdict.Refused
	r.Reasons = []verdict.Reason{{Text: s.Metric.Title + " of " + s.Key.Subject + " is worse than before.", Keys: []measure.Key{s.Key}}}
}

// Cases are the results that all views are tried on.
func Cases() map[string]verdict.Result {
	limit := Pass()
	lcp := Find(limit.Series, LCP.Name)
	for i := range lcp.Head {
		lcp.Head[i].Value += 400
		lcp.Base[i].Value += 400
	}
	limit.Budgets, limit.Comparisons = Checked(limit.Series), Compared(limit.Series)
	limit.Verdict, limit.Reasons = verdict.Refused, []verdict.Reason{{Text: "Largest Contentful Paint of / mobile is not below 2.5 s.", Keys: []measure.Key{lcp.Key}}}
	worse := Pass()
	Worse(&worse, P95.Name, 0.4)
	all := map[string]verdict.Result{"pass": Pass(), "limit": limit, "worse": worse, "few": few(), "sick": sick(), "both": both(), "empty": empty()}
	for name, r := range all {
		all[name] = Judged(r)
	}
	return all
}

// Judged is a result with the verdict and the reasons that follow from the rest of it.
func Judged(r verdict.Result) verdict.Result {
	return verdict.Judge(verdict.Input{
		Policy: r.Policy, Environment: r.Environment, Target: r.Target, URL: r.URL, BaseURL: r.BaseURL, Series: r.Series, Budgets: r.Budgets, Comparisons: r.Comparisons, Compared: r.Compared,
		Assertions: r.Assertions, Meters: r.Meters, Files: r.Files, History: r.History, Repository: r.Repository, Commit: r.Commit, Ref: r.Ref, Link: r.Link, At: r.At, Took: r.Took, Own: r.Own,
	})
}

// few has too few rounds to compare.
func few() verdict.Result {
	r := Pass()
	for i := range r.Series {
		s := &r.Series[i]
		s.Head, s.Base = s.Head[:min(2, len(s.Head))], s.Base[:min(2, len(s.Base))]
	}
	r.Budgets, r.Comparisons = Checked(r.Series), Compared(r.Series)
	reason := verdict.Reason{Text: "2 rounds on each side are too few to compare."}
	for i := range r.Comparisons {
		if c := &r.Comparisons[i]; !c.Metric.Exact {
			c.Change, c.Bounded, c.Low, c.High, c.CouldSee = compare.NotEnoughData, false, math.Inf(-1), math.Inf(1), math.Inf(1)
			c.Why = "2 rounds on each side can't prove any change; 5 can."
			reason.Keys = append(reason.Keys, c.Key)
		}
	}
	r.Verdict, r.Reasons = verdict.Inconclusive, []verdict.Reason{reason}
	return r
}

// sick has meters that can't be believed.
func sick() verdict.Result {
	r := Pass()
	doubt(&r)
	r.Verdict = verdict.Inconclusive
	r.Reasons = []verdict.Reason{{Text: "load: 132 iterations were dropped: the generator was the limit, not the service."}, {Text: "lighthouse is not installed.", Keys: []measure.Key{key("lighthouse", "/ mobile", LCP)}}}
	return r
}

// doubt lets k6 be overloaded, and Lighthouse be missing.
func doubt(r *verdict.Result) {
	var kept []measure.Series
	for _, s := range r.Series {
		if s.Key.Meter != "lighthouse" {
			kept = append(kept, s)
		}
	}
	r.Series, r.Comparisons, r.Files = kept, Compared(kept), r.Files[2:]
	for i := range r.Budgets {
		if b := &r.Budgets[i]; b.Meter == "lighthouse" {
			b.Missing, b.Value, b.Rounds, b.Met = "lighthouse is not installed", 0, 0, false
		}
	}
	for i := range r.Meters {
		switch m := &r.Meters[i]; m.Name {
		case "lighthouse":
			m.Health, m.Why, m.Hint, m.Rounds, m.Versions, m.Took = verdict.Missing, "lighthouse is not in PATH", "go tool mage tools:install", 0, nil, 0
		case "load":
			m.Health, m.Why = verdict.Partial, "132 iterations were dropped"
		}
	}
}

// both is refused, and not all was measured.
func both() verdict.Result {
	r := Pass()
	doubt(&r)
	failed := Find(r.Series, Failed.Name)
	for i := range failed.Head {
		failed.Head[i].Value = 0.031 + 0.001*float64(i)
	}
	for i := range r.Budgets {
		if r.Budgets[i].Key == failed.Key {
			r.Budgets[i] = check(*failed, budget.Less, 0.01, budget.Error, "default")
		}
	}
	r.Comparisons = Compared(r.Series)
	for i := range r.Comparisons {
		if c := &r.Comparisons[i]; c.Key == failed.Key {
			c.Change, c.Adjusted, c.Effect = compare.Worse, 0.012, 1
		}
	}
	r.Assertions = append(r.Assertions, verdict.Assertion{Meter: "load", Subject: "basic", Text: "checks: rate>0.99", Round: 1, Why: "0.967"})
	r.Verdict = verdict.Refused
	r.Reasons = []verdict.Reason{{Text: "3.3 % of requests failed in basic.", Keys: []measure.Key{failed.Key}}, {Text: "load: 132 iterations were dropped."}, {Text: "lighthouse is not installed."}}
	return r
}

// empty measured nothing.
func empty() verdict.Result {
	return verdict.Result{
		Verdict: verdict.Inconclusive, Reasons: []verdict.Reason{{Text: "Nothing was measured."}}, Target: "staging", Environment: environment(), Repository: "acme/shop", Commit: Head, At: Now,
		Meters: []verdict.Meter{{Name: "load", Does: "load by k6", Health: verdict.Crashed, Why: "k6 ended with status 107: a script error", Hint: "see load/head-0/stderr.txt"}},
	}
}
