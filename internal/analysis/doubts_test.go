package analysis

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A feed is what the canary, stable and nobody answer in one second, in this order.
type feed func(second int) [3]Point

// fed runs a step of a minute at weight with what feed gives each second, after half a
// minute in which stable answered 100 requests a second.
func fed(weight int, before Point, each feed) (Result, int) {
	judge := NewJudge(config.Default(), 4)
	now := epoch
	for range 30 {
		now = now.Add(time.Second)
		before.At, before.Side = now, rollout.SideUnattributed
		judge.Add(config.ProbeMetric, Point{At: now, Side: rollout.SideStable, Total: 100}, before)
	}
	began := now
	judge.Begin(Begin{Weight: weight, At: began})
	judge.Confirmed(began)
	for second := 0; ; second++ {
		now = now.Add(time.Second)
		for i, p := range each(second) {
			p.At, p.Side = now, []rollout.Side{rollout.SideCanary, rollout.SideStable, rollout.SideUnattributed}[i]
			judge.Add(config.ProbeMetric, p)
		}
		if r := judge.Look(Moment{now, now.Sub(began), time.Minute}); r.Verdict != rollout.VerdictPending {
			return r, second + 1
		}
	}
}

// answered is so many requests that took 20 ms each.
func answered(total, failed float64) Point {
	return Point{Total: total, Failed: failed, Latency: []Bucket{{Over: .02, Upto: .02, N: total - failed}}}
}

var silent Point

// Trouble that hits everybody, or that stable has just as much, does not fail a canary;
// its own does.
func TestWhoseFailuresTheyAre(t *testing.T) {
	t.Parallel()
	lost := func(n float64) Point { return Point{Total: n, Failed: n} }
	for name, c := range map[string]struct {
		weight  int
		before  Point
		each    feed
		verdict rollout.Verdict
		check   Check
		within  int // seconds
	}{
		"all requests fail for one second": {5, silent, func(s int) [3]Point {
			if s == 20 {
				return [3]Point{{}, {}, lost(100)}
			}
			return [3]Point{answered(5, 0), answered(95, 0)}
		}, rollout.VerdictSuccessful, "", 60},
		"nobody is answered any more": {5, silent, func(s int) [3]Point {
			if s >= 20 {
				return [3]Point{{}, {}, lost(100)}
			}
			return [3]Point{answered(5, 0), answered(95, 0)}
		}, rollout.VerdictFailed, CheckOutage, 32},
		"a burst of errors on both": {25, silent, func(s int) [3]Point {
			if s >= 20 && s < 30 {
				return [3]Point{answered(25, 10), answered(75, 30)}
			}
			return [3]Point{answered(25, 0), answered(75, 0)}
		}, rollout.VerdictInconclusive, CheckErrorRate, 60}, // 6.7 % of the canary's
		"the canary loses a tenth, and only the weight tells": {25, silent, func(s int) [3]Point {
			return [3]Point{answered(22.5, 0), answered(75, 0), lost(2.5)}
		}, rollout.VerdictFailed, CheckUnattributed, 20},
		"as many were lost before": {25, lost(2.5), func(s int) [3]Point {
			return [3]Point{answered(25, 0), answered(75, 0), lost(2.5)}
		}, rollout.VerdictSuccessful, "", 60},
		"2 % lost on both, seen with pinned requests": {5, lost(2), func(s int) [3]Point {
			c := answered(20, .4)
			c.Pinned, c.Lost = true, .4
			return [3]Point{c, answered(76, 0), lost(1.6)}
		}, rollout.VerdictSuccessful, "", 60},
		"the canary loses a tenth of its pinned requests": {5, silent, func(s int) [3]Point {
			c := answered(20, 2)
			c.Pinned, c.Lost = true, 2
			return [3]Point{c, answered(76, 0), lost(.4)}
		}, rollout.VerdictFailed, CheckUnattributed, 10},
		"a tenth is lost at 50, none of those pinned to stable": {50, silent, func(s int) [3]Point {
			st := answered(20, 0)
			st.Pinned = true
			return [3]Point{answered(36, 0), st, lost(4)}
		}, rollout.VerdictFailed, CheckUnattributed, 8},
		"a tenth is lost at 100, none of those pinned to stable": {100, silent, func(s int) [3]Point {
			st := answered(20, 0)
			st.Pinned = true
			return [3]Point{answered(72, 0), st, lost(8)}
		}, rollout.VerdictFailed, "", 8},
		"nobody is answered for four seconds at 100": {100, silent, func(s int) [3]Point {
			st := answered(20, 0)
			st.Pinned = true
			if s >= 10 && s < 14 {
				st.Failed, st.Lost = 20, 20
				return [3]Point{{}, st, lost(80)}
			}
			return [3]Point{answered(80, 0), st}
		}, rollout.VerdictSuccessful, "", 60},
		"redirects to a login page": {5, silent, func(int) [3]Point {
			c := answered(5, 0)
			c.Wrong = map[Wrong]float64{"redirect": 5, "status": 5}
			return [3]Point{c, answered(95, 0)}
		}, rollout.VerdictFailed, CheckStatus, 3},
		"redirects of both since the same minute": {5, silent, func(int) [3]Point {
			c, s := answered(5, 0), answered(95, 0)
			c.Wrong, s.Wrong = map[Wrong]float64{"redirect": 5}, map[Wrong]float64{"redirect": 95}
			return [3]Point{c, s}
		}, rollout.VerdictInconclusive, CheckRedirect, 60},
		"6 % are no proof of more than 5 %": {25, silent, func(s int) [3]Point {
			return [3]Point{answered(2.5, .15), answered(97.5, 1.8)}
		}, rollout.VerdictInconclusive, "", 60},
		"one answer of stable is not enough": {95, silent, func(s int) [3]Point {
			if s > 0 {
				return [3]Point{answered(100, 0), {}}
			}
			return [3]Point{answered(99, 0), answered(1, 0)}
		}, rollout.VerdictInconclusive, CheckData, 60},
		"NaN of 750": {25, silent, func(int) [3]Point {
			return [3]Point{answered(25, math.NaN()), answered(75, 0)}
		}, rollout.VerdictInconclusive, CheckData, 60},
		"1e308 failures": {25, silent, func(s int) [3]Point {
			if s == 5 {
				return [3]Point{{Total: 1e308, Failed: 1e308}, answered(75, 0)}
			}
			return [3]Point{answered(25, 0), answered(75, 0)}
		}, rollout.VerdictInconclusive, CheckData, 60},
		"ten times faster": {25, silent, func(int) [3]Point {
			c := answered(25, 0)
			c.Latency = []Bucket{{Over: .002, Upto: .002, N: 25}}
			return [3]Point{c, answered(75, 0)}
		}, rollout.VerdictInconclusive, CheckFaster, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, took := fed(c.weight, c.before, c.each)
			if r.Verdict != c.verdict || c.check != "" && decided(r) != c.check || took > c.within {
				t.Errorf("%s by %q after %d s: %s\nwant %s by %q within %d s", r.Verdict, decided(r), took, r.Reason, c.verdict, c.check, c.within)
			}
			if strings.Contains(r.Reason, "%!") || strings.Contains(r.Reason, "NaN of") {
				t.Errorf("reason %q", r.Reason)
			}
		})
	}
}

// A canary that is slow while its caches are cold is not failed, and one that stays slow
// is, after its warm-up.
func TestWarmUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cold    int // seconds
		verdict rollout.Verdict
	}{"cold for 30 s": {30, rollout.VerdictSuccessful}, "slow for good": {1000, rollout.VerdictFailed}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 2))
			judge := NewJudge(config.Default(), 4)
			judge.Begin(Begin{Weight: 25, At: epoch})
			judge.Confirmed(epoch)
			var at []rollout.Verdict
			for s := 1; s <= 90; s++ {
				now := epoch.Add(time.Duration(s) * time.Second)
				for side, n := range map[rollout.Side]int{rollout.SideCanary: 25, rollout.SideStable: 75} {
					p := Point{At: now, Side: side, Total: float64(n)}
					for range n {
						v := .02 * math.Exp(.4*r.NormFloat64())
						if side == rollout.SideCanary && s <= c.cold {
							v *= 3
						}
						p.Latency = append(p.Latency, Bucket{Over: Number(v), Upto: Number(v), N: 1})
					}
					judge.Add(config.ProbeMetric, p)
				}
				dwell := time.Duration((s+29)/30) * 30 * time.Second // extended twice
				if v := judge.Look(Moment{now, now.Sub(epoch), dwell}).Verdict; v != rollout.VerdictPending {
					at = append(at, v)
				}
			}
			if len(at) < 2 || at[0] != rollout.VerdictInconclusive || at[len(at)-1] != c.verdict {
				t.Errorf("verdicts %v, want Inconclusive first and %s last", at, c.verdict)
			}
		})
	}
}

// Far slower answers in a step that is no longer than the warm-up hold it.
func TestSlowAnswersInAWarmUp(t *testing.T) {
	t.Parallel()
	judge := NewJudge(config.Default(), 4)
	judge.Begin(Begin{Weight: 25, At: epoch})
	judge.Confirmed(epoch)
	var r Result
	for s := range 30 {
		now := epoch.Add(time.Duration(s+1) * time.Second)
		c, st := answered(25, 0), answered(75, 0)
		c.Latency = []Bucket{{Over: .02, Upto: .02, N: 22}, {Over: .4, Upto: .4, N: 3}}
		c.At, c.Side, st.At, st.Side = now, rollout.SideCanary, now, rollout.SideStable
		judge.Add(config.ProbeMetric, c, st)
		r = judge.Look(Moment{now, now.Sub(epoch), 30 * time.Second})
	}
	if r.Verdict != rollout.VerdictInconclusive || decided(r) != CheckSlow || !strings.Contains(r.Reason, "warming up") {
		t.Errorf("%s by %q: %s", r.Verdict, decided(r), r.Reason)
	}
}

// A metric that is not critical fails by the score, and is not excused as chance.
func TestAFailureThatIsNotCritical(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Metrics[0].Critical = new(false)
	l := newLab(4, c, 50)
	l.canary.errors = .35
	if r, _ := l.run(); r.Verdict != rollout.VerdictFailed || !strings.Contains(r.Reason, "score 0 of 100") {
		t.Errorf("%s: %s", r.Verdict, r.Reason)
	}
}

// A gauge that was past its limit before the canary had traffic counts from then on.
func TestAGaugeBeforeTheFirstWeight(t *testing.T) {
	t.Parallel()
	j := NewJudge(cpu(true, config.GaugeLimit{Max: new(.9), For: config.Duration(10 * time.Second)}, nil), 1)
	v := Number(.95)
	value := func(second int) Result {
		at := epoch.Add(time.Duration(second) * time.Second)
		j.Add("cpu", Point{At: at, Side: rollout.SideCanary, Value: &v})
		return j.Look(Moment{at, at.Sub(epoch), time.Minute})
	}
	for s := -20; s < 0; s++ {
		value(s)
	}
	j.Begin(Begin{Weight: 5, At: epoch})
	for s := range 12 {
		if r := value(s); (r.Verdict == rollout.VerdictFailed) != (s >= 10) {
			t.Errorf("after %d s: %s: %s", s, r.Verdict, r.Reason)
		}
	}
}

// A value past its limit all through a dwell that is too short to fail it holds the
// step, and so do values of which every other is no number.
func TestGaugesThatAreNoPass(t *testing.T) {
	t.Parallel()
	limit := config.GaugeLimit{Max: new(.9), For: config.Duration(2 * time.Minute)}
	for name, value := range map[string]func(int) float64{
		"past all through the dwell": func(int) float64 { return .95 },
		"every other not a number":   func(s int) float64 { return []float64{.5, math.NaN()}[s%2] },
	} {
		l := newLab(3, cpu(true, limit, nil), 50)
		var r Result
		for s := 0; r.Verdict == "" || r.Verdict == rollout.VerdictPending; s++ {
			l.second(50)
			v := Number(value(s))
			l.judge.Add("cpu", Point{At: l.now, Side: rollout.SideCanary, Subject: "pod-1", Value: &v})
			r = l.look()
		}
		if r.Verdict != rollout.VerdictInconclusive {
			t.Errorf("%s: %s: %s", name, r.Verdict, r.Reason)
		}
	}
}

// A canary that dies in the middle of a step is found soon, though it was well before.
func TestACanaryThatDies(t *testing.T) {
	t.Parallel()
	r, took := fed(25, silent, func(s int) [3]Point {
		c := answered(10, 0)
		c.Pinned = true
		if s < 30 {
			return [3]Point{c, answered(75, 0)}
		}
		c = Point{Total: 10, Failed: 10, Lost: 10, Pinned: true}
		return [3]Point{c, answered(30, 0), {Total: 10, Failed: 10}}
	})
	if r.Verdict != rollout.VerdictFailed || decided(r) != CheckUnattributed || took > 45 {
		t.Errorf("%s by %q after %d s: %s", r.Verdict, decided(r), took, r.Reason)
	}
}
