package analysis

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// An app answers requests in a simulated world, a second at a time.
type app struct {
	errors  float64                  // share of failed requests
	latency func(*rand.Rand) float64 // seconds
}

func lognormal(median, sigma float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return median * math.Exp(sigma*r.NormFloat64()) }
}

func good() app { return app{errors: .001, latency: lognormal(.02, .5)} }

// A lab is a judge with a step under way.
type lab struct {
	r      *rand.Rand
	judge  *Judge
	weight int
	rate   int // requests per second, all versions together
	canary app
	stable app
	dwell  time.Duration
	now    time.Time
	metric string
	mute   map[rollout.Side]bool
}

func newLab(seed uint64, c config.Config, weight int) *lab {
	l := &lab{r: rand.New(rand.NewPCG(seed, 1)), judge: NewJudge(c, 4), weight: weight, rate: 100, canary: good(), stable: good(), dwell: time.Minute, now: epoch, metric: config.ProbeMetric, mute: map[rollout.Side]bool{}}
	l.second(0) // what was answered before
	l.judge.Begin(Begin{Weight: weight, At: l.now})
	l.judge.Confirmed(l.now)
	return l
}

// second lets one second pass in which the canary gets weight percent.
func (l *lab) second(weight int) {
	l.now = l.now.Add(time.Second)
	n := map[rollout.Side]int{}
	for range l.rate {
		if l.r.IntN(100) < weight {
			n[rollout.SideCanary]++
		} else {
			n[rollout.SideStable]++
		}
	}
	for v, a := range map[rollout.Side]app{rollout.SideCanary: l.canary, rollout.SideStable: l.stable} {
		if l.mute[v] {
			continue
		}
		p := Point{At: l.now, Side: v, Total: float64(n[v])}
		r := rand.New(rand.NewPCG(l.r.Uint64(), uint64(len(v))))
		for range n[v] {
			if r.Float64() < a.errors {
				p.Failed++
				continue
			}
			at := Number(a.latency(r))
			p.Latency = append(p.Latency, Bucket{Over: at, Upto: at, N: 1})
		}
		l.judge.Add(l.metric, p)
	}
}

func (l *lab) look() Result {
	return l.judge.Look(Moment{Now: l.now, Elapsed: l.now.Sub(epoch) - time.Second, Dwell: l.dwell})
}

// run goes on until the judge has spoken, and returns how long that took.
func (l *lab) run() (Result, time.Duration) {
	for {
		l.second(l.weight)
		if r := l.look(); r.Verdict != rollout.VerdictPending {
			return r, l.now.Sub(epoch) - time.Second
		}
	}
}

// decided names the check of the finding that a result's reason is from.
func decided(r Result) Check {
	for _, f := range r.Findings {
		if f.Sentence == r.Reason {
			return f.Check
		}
	}
	return ""
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		change  func(*lab)
		verdict rollout.Verdict
		check   Check
		within  time.Duration
		reason  string
	}{
		{"healthy", func(*lab) {}, rollout.VerdictSuccessful, "", time.Minute, "limit 5 %"},
		{"30 % errors", func(l *lab) { l.canary.errors = .3 }, rollout.VerdictFailed, CheckErrors, 9 * time.Second, "the canary failed"},
		{"all fail", func(l *lab) { l.canary.errors = 1 }, rollout.VerdictFailed, CheckErrorRate, 3 * time.Second, "(100 %"},
		{"2 % errors against 0.1 %", func(l *lab) { l.canary.errors, l.weight, l.dwell = .02, 25, 5*time.Minute }, rollout.VerdictFailed, CheckErrors, 3 * time.Minute, "at the same time stable failed"},
		{"both at 3 %", func(l *lab) { l.canary.errors, l.stable.errors = .03, .03 }, rollout.VerdictSuccessful, "", time.Minute, ""},
		{"both at 30 %", func(l *lab) { l.canary.errors, l.stable.errors = .3, .3 }, rollout.VerdictInconclusive, CheckErrorRate, time.Minute, "stable failed"},
		{"twice as slow", func(l *lab) {
			l.weight, l.dwell = 25, 5*time.Minute
			l.canary.latency, l.stable.latency = lognormal(.04, .3), lognormal(.02, .3)
		}, rollout.VerdictFailed, CheckLatency, 70 * time.Second, "slower by"},
		{"10 % slower", func(l *lab) { l.canary.latency = lognormal(.022, .5) }, rollout.VerdictSuccessful, "", time.Minute, "than stable (95 % interval of the difference"},
		{"ten times as slow but by 2 ms", func(l *lab) { l.canary.latency, l.stable.latency = lognormal(.0022, .1), lognormal(.0002, .1) }, rollout.VerdictSuccessful, "", time.Minute, ""},
		{"one answer in four takes 3 s more", func(l *lab) {
			l.weight, l.dwell = 25, 2*time.Minute
			l.canary.latency = func(r *rand.Rand) float64 {
				if r.IntN(4) == 0 {
					return 1.5
				}
				return .02
			}
		}, rollout.VerdictFailed, CheckSlow, time.Minute, "times as often"},
		{"p95 of 2.5 s on both", func(l *lab) {
			l.weight = 50
			l.canary.latency, l.stable.latency = lognormal(2.5, .01), lognormal(2.5, .01)
		}, rollout.VerdictInconclusive, CheckLatencyMax, time.Minute, "limit 2s; stable has one of 2.5"},
		{"p95 of 2.5 s on the canary", func(l *lab) {
			l.weight = 50
			l.canary.latency, l.stable.latency = lognormal(2.5, .01), lognormal(1.9, .01)
		}, rollout.VerdictFailed, CheckLatencyMax, time.Minute, "limit 2s"},

		{"the canary is silent", func(l *lab) { l.mute[rollout.SideCanary] = true }, rollout.VerdictInconclusive, CheckData, time.Minute, "old"},
		{"stable is silent", func(l *lab) { l.mute[rollout.SideStable] = true }, rollout.VerdictInconclusive, CheckData, time.Minute, "old"},
		{"nobody answers", func(l *lab) { l.mute[rollout.SideStable], l.mute[rollout.SideCanary] = true, true }, rollout.VerdictInconclusive, CheckData, time.Minute, "no data at all"},
		{"thin traffic", func(l *lab) { l.rate = 10 }, rollout.VerdictInconclusive, CheckData, time.Minute, "too few to judge"},
		{"stable is silent at 100", func(l *lab) {
			l.weight = 100
			l.judge.Begin(Begin{Weight: 100, At: l.now})
			l.judge.Confirmed(l.now)
		}, rollout.VerdictSuccessful, "", time.Minute, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(7, config.Default(), 5)
			c.change(l)
			if l.weight != 5 && l.weight != 100 {
				l.judge.Begin(Begin{Weight: l.weight, At: l.now})
				l.judge.Confirmed(l.now)
			}
			if l.weight == 5 {
				l.rate = max(l.rate, 10)
			}
			if c.verdict == rollout.VerdictSuccessful && l.weight == 5 {
				l.rate = 100
			}
			r, took := l.run()
			if r.Verdict != c.verdict || c.check != "" && decided(r) != c.check || !strings.Contains(r.Reason, c.reason) {
				t.Errorf("%s by %q after %v: %s\nwant %s by %q with %q", r.Verdict, decided(r), took, r.Reason, c.verdict, c.check, c.reason)
			}
			if took > c.within {
				t.Errorf("took %v, want at most %v", took, c.within)
			}
			if strings.Contains(r.Reason, "%!") || r.Reason == "" {
				t.Errorf("reason %q", r.Reason)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		})
	}
}

// A failure that no version signed counts against the canary, beyond what was
// usual before.
func TestUnattributedFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		before, after float64 // unattributed failures a second
		verdict       rollout.Verdict
	}{{"none before", 0, 5, rollout.VerdictFailed}, {"as many before", 5, 5, rollout.VerdictSuccessful}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := NewJudge(config.Config{Version: 1, Metrics: []config.Metric{{Name: config.ProbeMetric, Errors: &config.ErrorLimits{}}}}.WithDefaults(config.Metric{}), 1)
			j.series[0].Latency = nil // as with a gateway's counters
			at := epoch
			for range 60 {
				at = at.Add(time.Second)
				j.Add(config.ProbeMetric, Point{At: at, Side: rollout.SideStable, Total: 100}, Point{At: at, Side: rollout.SideUnattributed, Total: c.before, Failed: c.before})
			}
			j.Begin(Begin{Weight: 5, At: at})
			j.Confirmed(at)
			began := at
			var r Result
			for range 60 {
				at = at.Add(time.Second)
				j.Add(config.ProbeMetric, Point{At: at, Side: rollout.SideStable, Total: 95}, Point{At: at, Side: rollout.SideCanary, Total: 5}, Point{At: at, Side: rollout.SideUnattributed, Total: c.after, Failed: c.after})
				if r = j.Look(Moment{at, at.Sub(began), time.Minute}); r.Verdict != rollout.VerdictPending {
					break
				}
			}
			if r.Verdict != c.verdict {
				t.Errorf("%s: %s, want %s", r.Verdict, r.Reason, c.verdict)
			}
		})
	}
}

func TestFailedStaysUntilTheNextStep(t *testing.T) {
	t.Parallel()
	l := newLab(1, config.Default(), 50)
	l.canary.errors = 1
	first, _ := l.run()
	l.canary.errors = 0
	for range 100 {
		l.second(50)
	}
	if again := l.look(); again.Verdict != rollout.VerdictFailed || again.Reason != first.Reason {
		t.Errorf("then %s: %s, first %s: %s", again.Verdict, again.Reason, first.Verdict, first.Reason)
	}
	l.judge.Begin(Begin{Step: 1, Weight: 100, At: l.now})
	if r := l.judge.Look(Moment{Now: l.now, Dwell: time.Minute}); r.Verdict != rollout.VerdictPending {
		t.Errorf("a new step begins with %s: %s", r.Verdict, r.Reason)
	}
}

func TestZeroErrorLimit(t *testing.T) {
	t.Parallel()
	c := config.Config{Version: 1, Metrics: []config.Metric{{Name: config.ProbeMetric, Errors: &config.ErrorLimits{Rate: new(0.0), Success: new(100.0)}}}}.WithDefaults(config.Metric{})
	l := newLab(1, c, 50)
	l.canary.errors = .05
	if r, took := l.run(); r.Verdict != rollout.VerdictFailed || took > 3*time.Second {
		t.Errorf("one failure is not allowed: %s after %v: %s", r.Verdict, took, r.Reason)
	}
	l = newLab(1, c, 50)
	l.canary.errors = 0
	if r, _ := l.run(); r.Verdict != rollout.VerdictSuccessful {
		t.Errorf("no failure: %s: %s", r.Verdict, r.Reason)
	}
}

// cpu is a config with one gauge beside the probe stream.
// late is a source whose data may be two minutes old.
type late struct{}

func (late) Key() string                             { return "late" }
func (late) StaleAfter() time.Duration               { return 2 * time.Minute }
func (late) Validate(config.Metric, config.Problems) {}

func cpu(critical bool, limit config.GaugeLimit, change func(*config.Metric)) config.Config {
	m := config.Metric{Name: "cpu", Source: late{}, Limit: &limit, Critical: &critical}
	if change != nil {
		change(&m)
	}
	return config.Config{Version: 1, Metrics: []config.Metric{m}}.WithDefaults(config.Metric{})
}

func TestGauges(t *testing.T) {
	t.Parallel()
	limit := config.GaugeLimit{Max: new(.9), Clear: new(.8), For: config.Duration(10 * time.Second)}
	steady := func(v float64) func(int) float64 { return func(int) float64 { return v } }
	for _, c := range []struct {
		name    string
		config  config.Config
		value   func(second int) float64
		verdict rollout.Verdict
		policy  rollout.Policy
		reason  string
	}{
		{"within", cpu(true, limit, nil), steady(.5), rollout.VerdictSuccessful, "", ""},
		{"past for long", cpu(true, limit, nil), steady(.95), rollout.VerdictFailed, "", "pod-1 has 0.95, limit at most 0.9 for 10s or longer, past it for 10s"},
		{"past now and then", cpu(true, limit, nil), func(s int) float64 { return []float64{.95, .95, .95, .7}[s%4] }, rollout.VerdictSuccessful, "", ""},
		{"between clear and limit is not back", cpu(true, limit, nil), func(s int) float64 { return []float64{.95, .85}[s%2] }, rollout.VerdictFailed, "", ""},
		{"not a number", cpu(true, limit, nil), steady(math.NaN()), rollout.VerdictInconclusive, rollout.PolicyExtend, "60 of 60 values are not a number"},
		{"not a number, policy fail", cpu(true, limit, func(m *config.Metric) { m.OnNaN = rollout.PolicyFail }), steady(math.NaN()), rollout.VerdictFailed, rollout.PolicyFail, "not a number"},
		{"not a number, policy hold", cpu(true, limit, func(m *config.Metric) { m.OnNaN = rollout.PolicyHold }), steady(math.NaN()), rollout.VerdictInconclusive, rollout.PolicyHold, "not a number"},
		{"not a number, ignored", cpu(true, limit, func(m *config.Metric) { m.OnNaN = rollout.PolicyIgnore }), steady(math.NaN()), rollout.VerdictSuccessful, "", ""},
		{"no value", cpu(true, limit, nil), nil, rollout.VerdictInconclusive, rollout.PolicyExtend, "has no value"},
		{"a minimum", cpu(true, config.GaugeLimit{Min: new(2.0)}, nil), steady(1), rollout.VerdictFailed, "", "at least 2"},
		{"past, not critical: half the score", cpu(false, limit, nil), steady(.95), rollout.VerdictFailed, "", "score 50 of 100"},
		{"past, not critical and light: held", cpu(false, limit, func(m *config.Metric) { m.Weight = .2 }), steady(.95), rollout.VerdictInconclusive, rollout.PolicyHold, "score 83.33"},
		{"past, not critical and lighter", cpu(false, limit, func(m *config.Metric) { m.Weight = .01 }), steady(.95), rollout.VerdictSuccessful, "", "score 99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.config.Validate(); err != nil {
				t.Fatal(err)
			}
			l := newLab(3, c.config, 50)
			var r Result
			for s := range 200 {
				l.second(50)
				if c.value != nil {
					v := Number(c.value(s))
					l.judge.Add("cpu", Point{At: l.now, Side: rollout.SideCanary, Subject: "pod-1", Value: &v})
				}
				if r = l.look(); r.Verdict != rollout.VerdictPending {
					break
				}
			}
			if r.Verdict != c.verdict || r.Policy != c.policy || !strings.Contains(r.Reason, c.reason) {
				t.Errorf("%s, policy %q: %s\nwant %s, policy %q, with %q", r.Verdict, r.Policy, r.Reason, c.verdict, c.policy, c.reason)
			}
			if strings.HasSuffix(c.name, "ignored") && len(r.Warnings) != 1 {
				t.Errorf("warnings %q, want one that says what was not judged", r.Warnings)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEverythingIgnoredIsNoSuccess(t *testing.T) {
	t.Parallel()
	c := config.Default()
	m := &c.Metrics[0]
	m.OnNoData, m.OnFewSamples, m.OnNaN = rollout.PolicyIgnore, rollout.PolicyIgnore, rollout.PolicyIgnore
	l := newLab(1, c, 5)
	l.mute[rollout.SideCanary], l.mute[rollout.SideStable] = true, true
	if r, _ := l.run(); r.Verdict != rollout.VerdictInconclusive || !strings.Contains(r.Reason, "nothing left to judge by") {
		t.Errorf("%s: %s, want inconclusive", r.Verdict, r.Reason)
	}
}

// What is wrong with the data is never a pass, and says what it is.
func TestBadData(t *testing.T) {
	t.Parallel()
	users := func() config.Config {
		return config.Config{Version: 1, Metrics: []config.Metric{{Name: "users", Errors: &config.ErrorLimits{}}}}.WithDefaults(config.Metric{})
	}
	for name, c := range map[string]struct {
		feed   func(l *lab, second int)
		reason string
	}{
		"down":  {func(l *lab, _ int) { l.judge.Problem("users", "read http://x: connection refused", l.now) }, "connection refused"},
		"empty": {func(*lab, int) {}, "no data at all"},
		"one version only": {func(l *lab, _ int) {
			l.judge.Add("users", Point{At: l.now, Side: rollout.SideStable, Total: 100})
		}, "old"},
		"stable missing": {func(l *lab, _ int) {
			l.judge.Add("users", Point{At: l.now, Side: rollout.SideCanary, Total: 100})
		}, "nothing of stable"},
		"stale": {func(l *lab, s int) {
			if s < 20 {
				l.judge.Add("users", Point{At: l.now, Side: rollout.SideStable, Total: 100}, Point{At: l.now, Side: rollout.SideCanary, Total: 100})
			}
		}, "old, limit 30s"},
		"clock ahead": {func(l *lab, _ int) {
			at := l.now.Add(time.Hour)
			l.judge.Add("users", Point{At: at, Side: rollout.SideStable, Total: 100}, Point{At: at, Side: rollout.SideCanary, Total: 100})
		}, "in the future: the clocks disagree"},
		"clock behind": {func(l *lab, _ int) {
			at := l.now.Add(-time.Hour)
			l.judge.Add("users", Point{At: at, Side: rollout.SideStable, Total: 100}, Point{At: at, Side: rollout.SideCanary, Total: 100})
		}, "no data at all"},
		"wrong version": {func(l *lab, _ int) { l.judge.Add("users", Point{At: l.now, Side: "blue", Total: 100}) }, "no data at all"},
		"no latencies where they are asked for": {func(l *lab, _ int) {
			l.judge.series[1].Latency = config.Default().Metrics[0].Latency
			l.judge.Add("users", Point{At: l.now, Side: rollout.SideStable, Total: 100}, Point{At: l.now, Side: rollout.SideCanary, Total: 100})
		}, "0 latencies of the canary"},
		"goes away at the end": {func(l *lab, s int) {
			if s < 55 {
				l.judge.Add("users", Point{At: l.now, Side: rollout.SideStable, Total: 100}, Point{At: l.now, Side: rollout.SideCanary, Total: 100})
			} else {
				l.judge.Problem("users", "timed out", l.now)
			}
		}, "timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(5, users(), 50)
			var r Result
			for s := 0; r.Verdict == "" || r.Verdict == rollout.VerdictPending; s++ {
				l.second(50)
				c.feed(l, s)
				r = l.look()
			}
			if r.Verdict != rollout.VerdictInconclusive || r.Policy != rollout.PolicyExtend || !strings.Contains(r.Reason, c.reason) {
				t.Errorf("%s, policy %q: %s\nwant inconclusive, extend, with %q", r.Verdict, r.Policy, r.Reason, c.reason)
			}
		})
	}
}

func TestCustomChecks(t *testing.T) {
	t.Parallel()
	c := config.Config{Version: 1, Checks: []config.CustomCheck{{Name: "smoke", At: []int{50}}}}.WithDefaults(config.Metric{})
	l := newLab(1, c, 50)
	if len(l.judge.Due()) != 1 {
		t.Fatalf("due %v", l.judge.Due())
	}
	if r, _ := l.run(); r.Verdict != rollout.VerdictInconclusive || !strings.Contains(r.Reason, "smoke has not ended") {
		t.Errorf("a check that runs: %s: %s", r.Verdict, r.Reason)
	}
	l.judge.Custom(Finding{Metric: "smoke", Check: CheckCustom, Verdict: rollout.VerdictSuccessful, Critical: true, P: 1, Sentence: "smoke: exit status 0"})
	if r := l.look(); r.Verdict != rollout.VerdictSuccessful {
		t.Errorf("a check that passed: %s: %s", r.Verdict, r.Reason)
	}
	l.judge.Custom(Finding{Metric: "smoke", Check: CheckCustom, Verdict: rollout.VerdictFailed, Critical: true, P: 1, Sentence: "smoke: exit status 3"})
	if r := l.look(); r.Verdict != rollout.VerdictFailed || r.Reason != "smoke: exit status 3" {
		t.Errorf("a check that failed: %s: %s", r.Verdict, r.Reason)
	}
	l.judge.Begin(Begin{Weight: 100, At: l.now})
	if len(l.judge.Due()) != 0 {
		t.Errorf("due at 100: %v", l.judge.Due())
	}
}

// A rise in latency to the step that has no stable any more is held if the last
// releases had none, and never failed; a slow day is no rise.
func TestRises(t *testing.T) {
	t.Parallel()
	release := func(seed uint64, last Rises, day, rise float64) (Result, Rises) {
		l := newLab(seed, config.Default(), 50)
		l.canary.latency, l.stable.latency = lognormal(day*.02, .3), lognormal(day*.02, .3)
		l.run()
		l.judge.Begin(Begin{Step: 1, Weight: 100, At: l.now, Rises: last})
		l.judge.Confirmed(l.now)
		epoch := l.now
		l.canary.latency = lognormal(day*rise*.02, .3)
		for {
			l.second(100)
			if r := l.judge.Look(Moment{l.now, l.now.Sub(epoch), time.Minute}); r.Verdict != rollout.VerdictPending {
				return r, l.judge.Rises()
			}
		}
	}
	var last Rises
	for seed := range uint64(12) {
		rise := 1.0
		if seed == 0 {
			rise = 4
		}
		r, rises := release(seed, last, 1+.05*float64(seed), rise)
		if r.Verdict != rollout.VerdictSuccessful {
			t.Fatalf("release %d: %s: %s", seed, r.Verdict, r.Reason)
		}
		if last = rises; seed == 0 {
			last = nil // too few to know: not even four times as slow is held
		}
	}
	if n := len(last[config.ProbeMetric]); n != keptRises {
		t.Errorf("%d rises are kept, want %d", n, keptRises)
	}
	if r, _ := release(20, last, 1.6, 1); r.Verdict != rollout.VerdictSuccessful {
		t.Errorf("a slow day: %s: %s", r.Verdict, r.Reason)
	}
	if r, _ := release(21, last, 1, 4); r.Verdict != rollout.VerdictInconclusive || decided(r) != CheckRise {
		t.Errorf("four times as slow as a step before: %s: %s", r.Verdict, r.Reason)
	}
}

func BenchmarkLook(b *testing.B) {
	l := newLab(1, config.Default(), 5)
	for range 300 {
		l.second(5)
	}
	for b.Loop() {
		l.second(5)
		l.look()
	}
}

// A million latencies in a step of five minutes, with a look a second.
func BenchmarkMillion(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const seconds, perSecond = 300, 3334
	points := make([][]Point, seconds)
	for s := range points {
		at := epoch.Add(time.Duration(s+1) * time.Second)
		for side, n := range map[rollout.Side]int{rollout.SideCanary: perSecond / 4, rollout.SideStable: perSecond - perSecond/4} {
			p := Point{At: at, Side: side, Total: float64(n)}
			for range n {
				v := Number(.02 * math.Exp(.5*r.NormFloat64()))
				p.Latency = append(p.Latency, Bucket{Over: v, Upto: v, N: 1})
			}
			points[s] = append(points[s], p)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		j := NewJudge(config.Default(), 4)
		j.Begin(Begin{Weight: 25, At: epoch})
		j.Confirmed(epoch)
		for s, ps := range points {
			j.Add(config.ProbeMetric, ps...)
			j.Look(Moment{ps[0].At, time.Duration(s+1) * time.Second, 5 * time.Minute})
		}
	}
}
