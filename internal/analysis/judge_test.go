package analysis

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// sorted is a Distribution of samples in order.
type sorted []time.Duration

func (s sorted) Len() int64                  { return int64(len(s)) }
func (s sorted) At(rank int64) time.Duration { return s[min(max(rank, 1), int64(len(s)))-1] }

// flat is n latencies, evenly from lo to hi.
type flat struct {
	n      int64
	lo, hi time.Duration
}

func (f flat) Len() int64 { return f.n }
func (f flat) At(rank int64) time.Duration {
	return f.lo + time.Duration(float64(f.hi-f.lo)*float64(rank)/float64(f.n))
}

func counts(total, failed int64) Counts {
	return Counts{Total: total, Failed: failed, Latency: flat{total - failed, 10 * ms, 30 * ms}}
}

// healthy is a step at its end with nothing wrong.
func healthy() Observation {
	return Observation{Elapsed: time.Minute, Dwell: time.Minute, Weight: 25, Canary: counts(1000, 3), Stable: counts(3000, 5)}
}

func TestLook(t *testing.T) {
	t.Parallel()
	slow := func(n int64, lo, hi time.Duration) Counts { return Counts{Total: n, Latency: flat{n, lo, hi}} }
	for _, c := range []struct {
		name    string
		change  func(*Observation)
		verdict Verdict
		rule    Rule
		reason  string
	}{
		{"healthy", func(*Observation) {}, Successful, RulePassed, "failed 3 of 1000 answers (0.3 %"},
		{"still dwelling", func(o *Observation) { o.Elapsed = time.Second }, Pending, RuleDwell, "so far"},
		{"nothing yet", func(o *Observation) { o.Elapsed = time.Second; o.Canary = Counts{} }, Pending, RuleDwell, "no answer"},

		{"crash, at once", func(o *Observation) {
			o.Elapsed = time.Second
			o.Conditions = []Condition{{CrashLoop, "web-canary-1: exit code 1"}}
		}, Failed, RuleCondition, "crashes again and again: web-canary-1"},
		{"a fact without words", func(o *Observation) { o.Conditions = []Condition{{Kind: "Evicted"}} }, Failed, RuleCondition, "Evicted"},
		{"a fact outranks everything", func(o *Observation) {
			*o = Observation{Conditions: []Condition{{Kind: ImagePull}}}
		}, Failed, RuleCondition, "cannot be pulled"},

		{"30 % errors, at once", func(o *Observation) { o.Elapsed = time.Second; o.Canary = counts(40, 12) }, Failed, RuleErrors, "12 of 40"},
		{"both fail", func(o *Observation) { o.Canary = counts(400, 120); o.Stable = counts(400, 110) }, Failed, RuleErrors, "stable failed 110 of 400"},
		{"at the limit", func(o *Observation) { o.Canary = counts(1000, 50) }, Successful, RulePassed, "5 %"},
		{"just past the limit", func(o *Observation) { o.Canary = counts(1000, 51) }, Failed, RuleErrors, "5.1 %"},
		{"past it while dwelling: not yet", func(o *Observation) { o.Elapsed = time.Second; o.Canary = counts(1000, 51) }, Pending, RuleDwell, ""},

		{"dead canary behind the gateway, weight 5", func(o *Observation) {
			o.Elapsed, o.Weight, o.Canary, o.Stable, o.Unattributed = 2*time.Second, 5, Counts{}, counts(95, 0), counts(5, 5)
		}, Failed, RuleUnattributed, "5 requests failed without an answer from either"},
		{"the same was usual before", func(o *Observation) {
			o.Weight, o.Canary, o.Stable, o.Unattributed, o.Before = 5, counts(300, 0), counts(5700, 0), counts(60, 60), counts(5000, 50)
		}, Successful, RulePassed, ""},
		{"some, and not known whose", func(o *Observation) {
			o.Weight, o.Canary, o.Stable, o.Unattributed = 5, counts(300, 0), counts(5700, 0), counts(20, 20)
		}, Inconclusive, RuleUnattributed, "whose they are is not known"},
		{"unsigned but answered", func(o *Observation) { o.Unattributed = counts(500, 0) }, Successful, RulePassed, ""},

		{"no answers", func(o *Observation) { o.Canary, o.Stable = Counts{}, Counts{} }, Inconclusive, RuleNoData, "no answers at all"},
		{"old answers", func(o *Observation) { o.Age = time.Minute }, Inconclusive, RuleStale, "1m0s old"},
		{"stable silent", func(o *Observation) { o.Stable = Counts{} }, Inconclusive, RuleNoStable, "nothing to compare"},
		{"stable silent at 100", func(o *Observation) { o.Weight, o.Stable = 100, Counts{} }, Successful, RulePassed, "nothing of stable to compare"},
		{"canary silent", func(o *Observation) { o.Canary = Counts{} }, Inconclusive, RuleSamples, "too few"},
		{"few answers", func(o *Observation) { o.Canary = counts(99, 0) }, Inconclusive, RuleSamples, "at least 100"},
		{"few answers, many of them failed", func(o *Observation) { o.Canary = counts(10, 2) }, Inconclusive, RuleSamples, "2 of 10"},

		{"three times as slow, at once", func(o *Observation) {
			o.Elapsed, o.Canary = 2*time.Second, slow(500, 50*ms, 70*ms)
		}, Failed, RuleLatency, "60 ms against"},
		{"three times as slow but by 2 ms", func(o *Observation) {
			o.Canary, o.Stable = slow(500, 3*ms, 3*ms), slow(500, 1*ms, 1*ms)
		}, Successful, RulePassed, ""},
		{"slower, within the ratio", func(o *Observation) { o.Canary = slow(500, 30*ms, 40*ms) }, Successful, RulePassed, ""},
		{"slower by chance perhaps", func(o *Observation) {
			o.Canary, o.Stable = slow(100, 2*ms, 84*ms), slow(100, 2*ms, 38*ms)
		}, Inconclusive, RuleLatency, "may be chance"},
		{"slow at 100, against before", func(o *Observation) {
			o.Weight, o.Stable, o.Reference = 100, Counts{}, flat{1000, 10 * ms, 20 * ms}
			o.Canary = slow(500, 50*ms, 60*ms)
		}, Failed, RuleLatency, "median"},
		{"p95 past the limit, at once", func(o *Observation) {
			o.Elapsed = time.Second
			o.Canary, o.Stable = slow(500, 2100*ms, 2200*ms), slow(500, 2000*ms, 2200*ms)
		}, Failed, RuleLatencyMax, "limit 2s"},
		{"p95 just past it", func(o *Observation) {
			o.Canary, o.Stable = slow(1000, 1000*ms, 2060*ms), slow(1000, 1000*ms, 2060*ms)
		}, Failed, RuleLatencyMax, "limit 2s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := healthy()
			c.change(&o)
			r := NewJudge(DefaultLimits()).Look(o)
			if r.Verdict != c.verdict || r.Rule != c.rule || !strings.Contains(strings.ReplaceAll(r.Reason, "60ms", "60 ms"), c.reason) {
				t.Errorf("got %s by %s: %s\nwant %s by %s with %q", r.Verdict, r.Rule, r.Reason, c.verdict, c.rule, c.reason)
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

func TestFailedStays(t *testing.T) {
	t.Parallel()
	j := NewJudge(DefaultLimits())
	o := healthy()
	o.Conditions = []Condition{{Kind: Restarted}}
	first := j.Look(o)
	if again := j.Look(healthy()); again != first || again.Verdict != Failed {
		t.Errorf("then %+v, first %+v", again, first)
	}
}

func TestZeroErrorLimit(t *testing.T) {
	t.Parallel()
	l := DefaultLimits()
	l.ErrorRate, l.SuccessRate = 0, 1
	o := healthy()
	o.Elapsed, o.Canary = time.Second, counts(50, 1)
	if r := NewJudge(l).Look(o); r.Verdict != Failed || r.Evidence != maxEvidence {
		t.Errorf("one failure: %+v", r)
	}
	o.Elapsed, o.Canary = time.Minute, counts(500, 0)
	if r := NewJudge(l).Look(o); r.Verdict != Successful {
		t.Errorf("no failure: %+v", r)
	}
}

func TestLimitsValidate(t *testing.T) {
	t.Parallel()
	if err := DefaultLimits().Validate(); err != nil {
		t.Error(err)
	}
	err := Limits{ErrorRate: 1, SuccessRate: 2, LatencyFloor: -1, LatencyMax: -1}.Validate()
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"error rate", "success rate", "min samples", "ratio", "floor", "max", "stale", "alpha"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

// Whatever is seen, success needs fresh answers of both within the limits.
func TestSuccessIsEarned(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	l := DefaultLimits()
	n := 0
	for range 5000 {
		c := func() Counts {
			total := r.Int64N(400)
			if r.IntN(5) == 0 {
				total = 0
			}
			failed := int64(0)
			if total > 0 && r.IntN(2) == 0 {
				failed = r.Int64N(total/8 + 1)
			}
			return Counts{total, failed, flat{total - failed, ms, time.Duration(r.Int64N(int64(3 * time.Second)))}}
		}
		o := Observation{Elapsed: time.Duration(r.IntN(3)) * time.Minute, Dwell: time.Minute, Age: time.Duration(r.IntN(20)) * time.Second,
			Weight: []int{0, 5, 25, 100}[r.IntN(4)], Canary: c(), Stable: c(), Unattributed: c()}
		res := NewJudge(l).Look(o)
		if res.Verdict != Successful {
			continue
		}
		n++
		if o.Elapsed < o.Dwell || o.Age > l.Stale || o.Canary.Total < l.MinSamples || o.Stable.Total == 0 && o.Weight < 100 ||
			res.Canary.ErrorRate > l.ErrorRate || res.Canary.P95 > l.LatencyMax || len(o.Conditions) > 0 {
			t.Fatalf("%+v\nis a success: %+v", o, res)
		}
	}
	if n == 0 {
		t.Error("nothing was successful, the test tests nothing")
	}
}

// The stake is fair: at the limit itself its mean is 1 after any number of answers.
func TestEvidenceIsFair(t *testing.T) {
	t.Parallel()
	for _, limit := range []float64{.01, .05, .2} {
		for _, n := range []int64{1, 10, 200} {
			mean := 0.0
			for k := range n + 1 {
				lk, _ := math.Lgamma(float64(k) + 1)
				ln, _ := math.Lgamma(float64(n) + 1)
				lnk, _ := math.Lgamma(float64(n-k) + 1)
				mean += math.Exp(ln - lk - lnk + float64(k)*math.Log(limit) + float64(n-k)*math.Log1p(-limit) + evidence(n, k, limit))
			}
			if math.Abs(mean-1) > 1e-9 {
				t.Errorf("limit %v, %d answers: mean %v, want 1", limit, n, mean)
			}
		}
	}
}

// answersToFail returns how many answers of a canary failing at rate it took, -1
// when most were not enough. Evidence rises at failures alone, so looking at these
// is looking at every answer.
func answersToFail(r *rand.Rand, l Limits, rate float64, most int64) int64 {
	failed := int64(0)
	for n := int64(1); n <= most; n++ {
		if r.Float64() >= rate {
			continue
		}
		failed++
		if evidence(n, failed, l.ErrorRate) >= math.Log(1/l.Alpha) {
			return n
		}
	}
	return -1
}

func TestBrokenCanaryIsOutSoon(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		rate        float64
		median, p95 int64
	}{{.10, 400, 900}, {.20, 60, 130}, {.30, 25, 50}, {.50, 10, 20}, {1, 3, 3}} {
		var ns []int64
		for range 2000 {
			n := answersToFail(r, DefaultLimits(), c.rate, 5000)
			if n < 0 {
				t.Fatalf("a canary failing %v of its answers stayed for 5000", c.rate)
			}
			ns = append(ns, n)
		}
		slices.Sort(ns)
		m, p := ns[len(ns)/2], ns[len(ns)*95/100]
		t.Logf("%3.0f %% errors: out after %3d answers (median), %3d (p95)", 100*c.rate, m, p)
		if m > c.median || p > c.p95 {
			t.Errorf("%v errors: median %d, p95 %d answers, want at most %d and %d", c.rate, m, p, c.median, c.p95)
		}
	}
}

// The judge itself, asked after every answer, stops where the simulation does.
func TestLookAfterEveryAnswer(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		want := answersToFail(rand.New(rand.NewPCG(5, seed)), DefaultLimits(), .3, 5000)
		r, j := rand.New(rand.NewPCG(5, seed)), NewJudge(DefaultLimits())
		o := Observation{Dwell: time.Hour, Weight: 5, Stable: counts(1000, 0)}
		for j.Look(o).Verdict == Pending {
			o.Canary.Total++
			if r.Float64() < .3 {
				o.Canary.Failed++
			}
		}
		if o.Canary.Total != want {
			t.Errorf("seed %d: out after %d answers, want %d", seed, o.Canary.Total, want)
		}
	}
}

// binomial counts successes by the gaps between them.
func binomial(r *rand.Rand, n int64, p float64, each func(at, k int64)) (k int64) {
	for at := int64(0); ; {
		at += 1 + int64(math.Log(1-r.Float64())/math.Log1p(-p))
		if at > n {
			return k
		}
		k++
		each(at, k)
	}
}

func TestHealthyCanariesGoOn(t *testing.T) {
	t.Parallel()
	const rollouts = 10_000
	l := DefaultLimits()
	r := rand.New(rand.NewPCG(7, 8))
	stopped := map[Rule]int{}
	all := 0
	for range rollouts {
		rate, perSecond := .001+.009*r.Float64(), 35+r.Float64()*165
	steps:
		for _, weight := range []int{5, 25, 50, 100} {
			n := int64(perSecond * 60 * float64(weight) / 100)
			crossed := false
			failed := binomial(r, n, rate, func(at, k int64) {
				// At a rate within the limit every bet has lost.
				crossed = crossed || float64(k) > l.ErrorRate*float64(at) && evidence(at, k, l.ErrorRate) >= math.Log(1/l.Alpha)
			})
			none := func(int64, int64) {}
			o := Observation{Elapsed: time.Minute, Dwell: time.Minute, Weight: weight, Canary: counts(n, failed),
				Unattributed: counts(0, binomial(r, int64(perSecond*60), .0005, none)),
				Before:       counts(1000, binomial(r, 1000, .0005, none))}
			if weight < 100 {
				m := int64(perSecond * 60 * float64(100-weight) / 100)
				o.Stable = counts(m, binomial(r, m, rate, none))
			}
			switch res := NewJudge(l).Look(o); {
			case crossed:
				stopped[RuleErrors]++
			case res.Verdict != Successful:
				stopped[res.Rule]++
			default:
				continue
			}
			all++
			break steps
		}
	}
	t.Logf("%d of %d healthy rollouts stopped: %v", all, rollouts, stopped)
	if all*100 >= rollouts {
		t.Errorf("%d of %d healthy rollouts stopped, want under 1 %%", all, rollouts)
	}
}

// With the same latencies on both sides, a look every second for a minute finds
// no difference, heavy tails and all.
func TestSameLatencyGoesOn(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 10))
	const runs = 50
	stopped := 0
	for range runs {
		j := NewJudge(DefaultLimits())
		var canary, stable sorted
		add := func(s sorted, n int) sorted {
			for range n {
				s = append(s, time.Duration(20*math.Exp(r.NormFloat64())*float64(ms)))
			}
			slices.Sort(s)
			return s
		}
		for second := range 61 {
			canary, stable = add(canary, 5), add(stable, 20)
			o := Observation{Elapsed: time.Duration(second) * time.Second, Dwell: time.Minute, Weight: 20,
				Canary: Counts{Total: canary.Len(), Latency: canary}, Stable: Counts{Total: stable.Len(), Latency: stable}}
			if v := j.Look(o).Verdict; v == Failed || v == Inconclusive {
				stopped++
				break
			}
		}
	}
	if stopped > 0 {
		t.Errorf("%d of %d rollouts stopped", stopped, runs)
	}
}

func TestSlowCanaryIsOutSoon(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 12))
	var took []int
	for range 100 {
		j := NewJudge(DefaultLimits())
		var canary, stable sorted
		for second := 1; ; second++ {
			for range 5 {
				canary = append(canary, time.Duration(60*math.Exp(.5*r.NormFloat64())*float64(ms)))
			}
			for range 95 {
				stable = append(stable, time.Duration(20*math.Exp(.5*r.NormFloat64())*float64(ms)))
			}
			slices.Sort(canary)
			slices.Sort(stable)
			o := Observation{Elapsed: time.Duration(second) * time.Second, Dwell: time.Hour, Weight: 5,
				Canary: Counts{Total: canary.Len(), Latency: canary}, Stable: Counts{Total: stable.Len(), Latency: stable}}
			if j.Look(o).Verdict == Failed {
				took = append(took, second)
				break
			}
			if second > 120 {
				t.Fatal("a canary three times as slow stayed for two minutes")
			}
		}
	}
	slices.Sort(took)
	t.Logf("three times the median at 5 answers a second: out after %d s (median), %d s (p95)", took[50], took[95])
	if took[50] > 30 {
		t.Errorf("median %d s, want at most 30", took[50])
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	var s sorted
	for i := range 100 {
		s = append(s, time.Duration(i+1)*ms)
	}
	// P(Bin(100, 1/2) <= 39) = 0.0176 and <= 40 is over 0.025, so 40 and 61.
	if lo, hi := bounds(s, .5, .025); lo != 40*ms || hi != 61*ms {
		t.Errorf("bounds of the median %v, %v, want 40ms, 61ms", lo, hi)
	}
	if lo, hi := bounds(s[:3], .5, .025); lo != 0 || hi != 0 {
		t.Errorf("three samples have no bounds, got %v, %v", lo, hi)
	}
	if lo, hi := bounds(nil, .5, .025); lo != 0 || hi != 0 {
		t.Errorf("no samples: %v, %v", lo, hi)
	}
}

func BenchmarkLook(b *testing.B) {
	o := healthy()
	o.Canary, o.Stable = counts(60_000, 100), counts(60_000, 100)
	j := NewJudge(DefaultLimits())
	for b.Loop() {
		o.Elapsed = time.Duration(b.N) * time.Second
		j.Look(o)
	}
}
