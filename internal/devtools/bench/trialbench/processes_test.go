package trialbench

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/devtools/bench/trialbench/recorded"
	"github.com/candlefish/deploy-action/internal/rollout"
)

func source1() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// near reports an error unless got is within a distance of want.
func near(t *testing.T, what string, got, want, distance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= distance) {
		t.Errorf("%s = %g, want %g ± %g", what, got, want, distance)
	}
}

// moments are the mean, the variance and the correlation at a lag.
func moments(xs []float64, lag int) (mean, variance, correlation float64) {
	for _, x := range xs {
		mean += x
	}
	mean /= float64(len(xs))
	var together float64
	for i, x := range xs {
		variance += (x - mean) * (x - mean)
		if i >= lag {
			together += (x - mean) * (xs[i-lag] - mean)
		}
	}
	return mean, variance / float64(len(xs)), together / variance
}

// latencies are those of n requests at a rate per second under some causes.
func latencies(n int, rate float64, side rollout.Side, causes ...cause) []answer {
	r := source1()
	var effects []effect
	for _, c := range causes {
		effects = append(effects, c(r))
	}
	answers := make([]answer, n)
	for i := range answers {
		at := float64(i) / rate
		for _, e := range effects {
			e(request{at: at, trial: at, side: side, fresh: 1, dwell: 30, in: math.Mod(at, 30), step: int(at/30) % 4}, &answers[i])
		}
	}
	return answers
}

func each(answers []answer, of func(answer) float64) []float64 {
	xs := make([]float64, len(answers))
	for i, a := range answers {
		xs[i] = of(a)
	}
	return xs
}

func share(answers []answer, is func(answer) bool) float64 {
	mean, _, _ := moments(each(answers, func(a answer) float64 {
		if is(a) {
			return 1
		}
		return 0
	}), 1)
	return mean
}

// Gaps are uniform over 0 to 2/rate: mean 1/rate, variance (2/rate)²/12.
func TestPacer(t *testing.T) {
	t.Parallel()
	p := pacer{r: source1()}
	gaps := make([]float64, 100_000)
	for i := range gaps {
		at := p.next(50)
		gaps[i] = p.due - at
	}
	mean, variance, correlation := moments(gaps, 1)
	near(t, "mean gap", mean, 0.02, 0.0002)
	near(t, "variance", variance, 0.04*0.04/12, 0.000002)
	near(t, "correlation", correlation, 0, 0.01)
}

func TestLognormal(t *testing.T) {
	t.Parallel()
	for _, sigma := range []float64{0.5, 1} {
		logs := each(latencies(100_000, 50, rollout.SideStable, lognormal(sigma)), func(a answer) float64 { return math.Log(a.latency) })
		mean, variance, _ := moments(logs, 1)
		near(t, "mean of the logarithms", mean, math.Log(median), 0.02*sigma)
		near(t, "variance of the logarithms", variance, sigma*sigma, 0.03*sigma*sigma)
	}
}

// P(X > x) = (least/x)^1.5, with the median where the others have it.
func TestParetoTail(t *testing.T) {
	t.Parallel()
	answers := latencies(200_000, 50, rollout.SideStable, pareto(1.5))
	near(t, "share over the median", share(answers, func(a answer) bool { return a.latency > median }), 0.5, 0.005)
	for _, times := range []float64{10, 100} {
		want := 0.5 * math.Pow(times, -1.5)
		got := share(answers, func(a answer) bool { return a.latency > times*median })
		near(t, "share of the tail", got, want, 4*math.Sqrt(want/200_000))
	}
}

// The mean of the mixture is the sum of its paths' means.
func TestPaths(t *testing.T) {
	t.Parallel()
	for side, slow := range map[rollout.Side]float64{rollout.SideStable: 0.3, rollout.SideCanary: 0.35} {
		mean, _, _ := moments(each(latencies(100_000, 50, side, paths(0.3, 0.35)), func(a answer) float64 { return a.latency }), 1)
		near(t, "mean", mean, median/2*math.Exp(0.3*0.3/2)*(1+7*slow), 0.0005)
	}
}

// An AR(1) has the correlation φ^k at lag k, and its stationary variance from the
// first value on.
func TestAR1(t *testing.T) {
	t.Parallel()
	for _, phi := range []float64{0.9, 0.98} {
		xs := make([]float64, 200_000)
		p := newAR1(source1(), phi, sway)
		for i := range xs {
			xs[i] = p.at(float64(i) + 0.5)
		}
		for _, lag := range []int{1, 5, 20} {
			_, variance, correlation := moments(xs, lag)
			near(t, "variance", variance, sway*sway, 0.1*sway*sway)
			near(t, "correlation", correlation, math.Pow(phi, float64(lag)), 0.03)
		}
	}
	r, firsts := source1(), make([]float64, 20_000)
	for i := range firsts {
		firsts[i] = newAR1(r, 0.98, sway).at(0)
	}
	_, variance, _ := moments(firsts, 1)
	near(t, "variance of the first value", variance, sway*sway, 0.05*sway*sway)
}

// Both versions wander, each by itself.
func TestWanderingIsEachVersionsOwn(t *testing.T) {
	t.Parallel()
	e := wandering(0.9, sway)(source1())
	var sum, squares float64
	const seconds = 50_000
	for i := range seconds {
		one, other := answer{latency: 1}, answer{latency: 1}
		e(request{at: float64(i), side: rollout.SideStable}, &one)
		e(request{at: float64(i), side: rollout.SideCanary}, &other)
		sum += math.Log(one.latency) * math.Log(other.latency)
		squares += math.Log(one.latency) * math.Log(one.latency)
	}
	near(t, "variance", squares/seconds, sway*sway, 0.1*sway*sway)
	near(t, "covariance of the versions", sum/seconds, 0, 0.03*sway*sway)
}

// A spell is on length/(gap+length) of the time, and its state has the correlation
// exp(-τ(1/gap+1/length)).
func TestSpell(t *testing.T) {
	t.Parallel()
	s := newSpell(source1(), 19, 1)
	xs := make([]float64, 2_000_000)
	for i := range xs {
		if s.on(float64(i) / 10) {
			xs[i] = 1
		}
	}
	for _, lag := range []int{1, 5, 10} {
		mean, _, correlation := moments(xs, lag)
		near(t, "share", mean, 0.05, 0.002)
		near(t, "correlation", correlation, math.Exp(-float64(lag)/10*(1+1.0/19)), 0.02)
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	failed := func(a answer) bool { return a.failed }
	gone := func(a answer) bool { return a.lost }
	slow := func(a answer) bool { return a.latency >= 2*median }
	constant := func(*rand.Rand) effect { return func(_ request, a *answer) { a.latency = median } }
	for _, c := range []struct {
		name           string
		cause          cause
		is             func(answer) bool
		stable, canary float64
	}{
		{"failing", failing(both, 0.02), failed, 0.02, 0.02},
		{"failing canary", failing(canary, 0.05), failed, 0, 0.05},
		{"lost", lost(canary, 0.1), gone, 0, 0.1},
		{"tail", tail(canary, 0.01, 10), slow, 0, 0.01},
		{"over 2 s", over2s(both, 0.03), func(a answer) bool { return a.latency >= 2 && a.latency < 4 }, 0.03, 0.03},
		{"clumps", clumps(0.1, 0.25, 4), failed, 0.02, 0.05},
		{"errors of bursts", bursts(5, 0.1), failed, 0.01, 0.01},
		{"slow answers of bursts", bursts(5, 0.1), slow, 0.1, 0.1},
		{"lost by stable", lost(stable, 0.05), gone, 0.05, 0},
		{"crashes", crashes(27, 3), gone, 0, 0.1},
		{"pauses", pauses(10, 0.3), func(a answer) bool { return a.latency > median }, 0.3 / 10.3, 0.3 / 10.3},
		{"empty", wrong(canary, evidence.WrongEmpty, 0.05, 0.1), func(a answer) bool { return a.wrong == "empty" && a.latency < median/9 }, 0, 0.05},
	} {
		for side, want := range map[rollout.Side]float64{rollout.SideStable: c.stable, rollout.SideCanary: c.canary} {
			got := share(latencies(80_000, 6, side, constant, c.cause), c.is)
			near(t, c.name+" of "+string(side), got, want, 0.08*want)
		}
	}
}

// Half of the lost requests are reset, half time out.
func TestLostRequests(t *testing.T) {
	t.Parallel()
	answers := latencies(100_000, 50, rollout.SideCanary, lognormal(0.5), lost(both, 0.1))
	near(t, "reset", share(answers, func(a answer) bool { return a.lost && a.latency < 0.01 }), 0.05, 0.003)
	near(t, "timed out", share(answers, func(a answer) bool { return a.lost && a.latency >= timeout.Seconds() }), 0.05, 0.003)
}

// Whoever asks in a stall is answered after its end, and once per step.
func TestStall(t *testing.T) {
	t.Parallel()
	answers := latencies(30*4*100, 100, rollout.SideStable, stall(moment{step: -1, after: 2, spread: 0.8, length: 1}))
	near(t, "share of waiting requests", share(answers, func(a answer) bool { return a.latency > 0 }), 1.0/30, 0.001)
	for i, a := range answers {
		if end := float64(i)/100 + a.latency; a.latency > 0 && i > 0 && answers[i-1].latency > 0 {
			near(t, "end of the stall", end, float64(i-1)/100+answers[i-1].latency, 1e-9)
		}
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	m := moment{step: 1, after: 4, spread: 0.7, length: 3}
	for _, signed := range []bool{true, false} {
		answers := latencies(30*4*100, 100, rollout.SideStable, outage(m, 0.5, signed))
		is := func(a answer) bool { return a.failed && !a.lost }
		if !signed {
			is = func(a answer) bool { return a.lost }
		}
		near(t, "share within step 1", share(answers[3000:6000], is), 0.05, 0.01)
		near(t, "share of the other steps", share(append(answers[:3000:3000], answers[6000:]...), is), 0, 0)
	}
}

func TestWarmUp(t *testing.T) {
	t.Parallel()
	constant := func(*rand.Rand) effect { return func(_ request, a *answer) { a.latency = 1 } }
	mean := func(c cause, side rollout.Side, from, to float64) float64 {
		answers := latencies(100*1000, 1000, side, constant, c)[int(1000*from):int(1000*to)]
		m, _, _ := moments(each(answers, func(a answer) float64 { return a.latency }), 1)
		return m
	}
	near(t, "warming", mean(warming(3), rollout.SideCanary, 0, 30), 3, 0)
	near(t, "warm", mean(warming(3), rollout.SideCanary, 30, 100), 1, 0)
	near(t, "easing", mean(easing(3), rollout.SideCanary, 0, 30), 1+2*(1-math.Exp(-3))/3, 0.001)
	near(t, "filling", mean(filling, rollout.SideCanary, 0, 30), 1+4*(1-math.Exp(-3))/3, 0.03)
	near(t, "joining", mean(joining(3), rollout.SideCanary, 30, 60), 3, 0)
	for _, c := range []cause{warming(3), easing(3), filling, joining(3)} {
		near(t, "stable", mean(c, rollout.SideStable, 0, 100), 1, 0)
	}
}

// The wave's mean is 1 and its variance half the square of its height.
func TestDrift(t *testing.T) {
	t.Parallel()
	constant := func(*rand.Rand) effect { return func(_ request, a *answer) { a.latency = 1 } }
	mean, variance, _ := moments(each(latencies(30_000, 100, rollout.SideCanary, constant, drift(0.5, 300)), func(a answer) float64 { return a.latency }), 1)
	near(t, "mean", mean, 1, 0.001)
	near(t, "variance", variance, 0.125, 0.001)
}

func TestTies(t *testing.T) {
	t.Parallel()
	for _, a := range latencies(1000, 50, rollout.SideStable, lognormal(0.5), ties(10*time.Millisecond)) {
		if units := a.latency / 0.01; units < 1 || math.Abs(units-math.Round(units)) > 1e-9 {
			t.Errorf("%g s is no multiple of 10 ms", a.latency)
		}
	}
}

// Versions that share the recorded time have the same latencies at the same time.
func TestReplayed(t *testing.T) {
	t.Parallel()
	s := make(recorded.Series, 1000)
	for i := range s {
		s[i] = []float64{float64(i)}
	}
	for _, shared := range []bool{true, false} {
		e := replayed(s, shared)(source1())
		same := 0
		for i := range 1000 {
			var one, other answer
			e(request{at: float64(i), side: rollout.SideStable}, &one)
			e(request{at: float64(i), side: rollout.SideCanary}, &other)
			if one.latency == other.latency {
				same++
			}
		}
		if shared && same != 1000 || !shared && same > 10 {
			t.Errorf("shared %t: %d of 1000 moments are the same for both versions", shared, same)
		}
	}
}
