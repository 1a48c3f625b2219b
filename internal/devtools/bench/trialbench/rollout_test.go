package trialbench

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/devtools/bench/trialbench/recorded"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A scribe is a judge that writes down what it is told, and says what it was told to
// say: nothing before the end of a dwell, then what verdict returns.
type scribe struct {
	verdict func(step, looks int) analysis.Result

	step      int
	atEnd     int // looks at an end of the dwell, in this step
	begins    []analysis.Begin
	confirmed []time.Time
	points    []analysis.Point
	steps     []int // of each point; -1 before the first weight
	looks     []analysis.Moment
}

func newScribe(verdict func(step, looks int) analysis.Result) *scribe {
	return &scribe{step: -1, verdict: verdict}
}

func (s *scribe) Add(_ string, ps ...analysis.Point) {
	for _, p := range ps {
		s.points, s.steps = append(s.points, p), append(s.steps, s.step)
	}
}

func (s *scribe) Begin(b analysis.Begin) {
	s.step, s.atEnd = b.Step, 0
	s.begins = append(s.begins, b)
}

func (s *scribe) Confirmed(at time.Time) { s.confirmed = append(s.confirmed, at) }
func (s *scribe) Rises() analysis.Rises  { return nil }

func (s *scribe) Look(m analysis.Moment) analysis.Result {
	s.looks = append(s.looks, m)
	if m.Elapsed < m.Dwell {
		return analysis.Result{Verdict: rollout.VerdictPending}
	}
	s.atEnd++
	return s.verdict(s.step, s.atEnd)
}

// always is a judge's answer at every end of a dwell.
func always(v rollout.Verdict) func(int, int) analysis.Result {
	return func(int, int) analysis.Result { return analysis.Result{Verdict: v} }
}

func run(s row, o options, seed uint64, verdict func(int, int) analysis.Result) (*scribe, outcome) {
	j := newScribe(verdict)
	s = s.withDefaults()
	return j, newTrial(s, o, rand.New(rand.NewPCG(seed, 1)), j, s.causes).run()
}

func usual() options { return options{step: 30 * time.Second, rate: 50, pinned: true} }

// totals sums up the answers of a step by whose they are.
func (s *scribe) totals(step int) map[source]*analysis.Point {
	sums := map[source]*analysis.Point{}
	for i, p := range s.points {
		if s.steps[i] != step {
			continue
		}
		of := source{p.Side, p.Pinned}
		if sums[of] == nil {
			sums[of] = &analysis.Point{}
		}
		sums[of].Total += p.Total
		sums[of].Failed += p.Failed
	}
	return sums
}

// A step's unpinned requests are split by its weight; they are up to 400 a second until
// it is seen, and 50 a second afterwards, of which a fifth is pinned: below 50 % to the
// canary.
func TestTrafficOfSteps(t *testing.T) {
	t.Parallel()
	o := usual()
	o.step = 5 * time.Minute
	j, end := run(healthy("x").free(), o, 1, always(rollout.VerdictSuccessful))
	if end.end != promoted || len(j.begins) != 4 || len(j.confirmed) != 4 {
		t.Fatalf("ended %v after %d steps, %d of them seen", end, len(j.begins), len(j.confirmed))
	}
	for i, b := range j.begins {
		sums := j.totals(i)
		total := func(side rollout.Side, pinned bool) float64 {
			if p := sums[source{side, pinned}]; p != nil {
				return p.Total
			}
			return 0
		}
		unpinned := total(rollout.SideStable, false) + total(rollout.SideCanary, false)
		weight := float64(b.Weight) / 100
		near(t, fmt.Sprintf("share at %d %%", b.Weight), total(rollout.SideCanary, false)/unpinned, weight, 4*math.Sqrt(weight*(1-weight)/unpinned)+0.04*weight)
		toCanary, toStable := total(rollout.SideCanary, true), total(rollout.SideStable, true)
		if b.Weight >= 50 {
			toCanary, toStable = toStable, toCanary
		}
		near(t, fmt.Sprintf("share of pinned requests of 50/s at %d %%", b.Weight), toCanary/(300*50), pinnedShare, 0.01)
		if toStable != 0 {
			t.Errorf("%g pinned requests go to the other side at %d %%", toStable, b.Weight)
		}
		if n := unpinned + toCanary; n < 300*50*0.98 || n > 300*50+4*400 {
			t.Errorf("%g requests at %d %%, want about %d", n, b.Weight, 300*50)
		}
	}
}

func TestWithoutPinnedRequests(t *testing.T) {
	t.Parallel()
	o := usual()
	o.pinned = false
	j, _ := run(healthy("x"), o, 1, always(rollout.VerdictSuccessful))
	for _, p := range j.points {
		if p.Pinned {
			t.Fatalf("%+v is pinned", p)
		}
	}
}

// Points are no longer than a flush and a gap between answers, come in the order of
// time, and a failure ends one at once.
func TestPoints(t *testing.T) {
	t.Parallel()
	j, _ := run(sick("x", wrong(both, evidence.WrongEmpty, 0.2, 1), failing(canary, 0.05), lost(canary, 0.05)), usual(), 2, always(rollout.VerdictSuccessful))
	last := map[source]time.Time{}
	var answered, empty float64
	for i, p := range j.points {
		if i > 0 && p.At.Before(j.points[i-1].At) {
			t.Fatalf("point %d is of %s, the one before it of %s", i, p.At, j.points[i-1].At)
		}
		if p.Failed > 1 || p.Total > 0.6*400 {
			t.Errorf("%g of %g requests failed in one point", p.Failed, p.Total)
		}
		if p.Failed+float64(len(p.Latency)) != p.Total {
			t.Errorf("%g requests, %g failed, %d latencies", p.Total, p.Failed, len(p.Latency))
		}
		if p.Side == rollout.SideUnattributed && (p.Pinned || p.Failed != p.Total) {
			t.Errorf("an unattributed point has %g failures of %g, pinned %t", p.Failed, p.Total, p.Pinned)
		}
		last[source{p.Side, p.Pinned}] = p.At
		answered += p.Total - p.Failed
		empty += p.Wrong[evidence.WrongEmpty]
	}
	near(t, "share of empty answers among those that did not fail", empty/answered, 0.2, 0.02)
	if len(last) != len(sources) {
		t.Errorf("points are of %d sources, want %d", len(last), len(sources))
	}
}

// Answers to requests from before a weight are nobody's business.
func TestAnswersToEarlierRequests(t *testing.T) {
	t.Parallel()
	second := func(*rand.Rand) effect { return func(_ request, a *answer) { a.latency = 1 } }
	j, _ := run(healthy("x", second), usual(), 8, always(rollout.VerdictSuccessful))
	for i, p := range j.points {
		if j.steps[i] >= 0 && p.Total > 0 && p.At.Sub(j.begins[j.steps[i]].At) < time.Second {
			t.Errorf("%g answers after a second came %s after the weight", p.Total, p.At.Sub(j.begins[j.steps[i]].At))
		}
	}
}

// Lost requests that were pinned are the canary's, others nobody's.
func TestLostRequestsAreUnattributedUnlessPinned(t *testing.T) {
	t.Parallel()
	o := usual()
	o.step = 5 * time.Minute
	j, _ := run(sick("x", lost(canary, 0.1)).free(), o, 3, always(rollout.VerdictSuccessful))
	sums := j.totals(1) // 25 %
	pinned, nobodys := sums[source{rollout.SideCanary, true}], sums[source{rollout.SideUnattributed, false}]
	near(t, "pinned failures", pinned.Failed/pinned.Total, 0.1, 0.025)
	if own := sums[source{rollout.SideCanary, false}]; own.Failed != 0 {
		t.Errorf("%g lost requests have a version", own.Failed)
	}
	all := nobodys.Total + sums[source{rollout.SideCanary, false}].Total
	near(t, "failures of nobody", nobodys.Failed/all, 0.1, 0.02)
}

// The judge is asked within a second, and at each end of a dwell; an end of the
// extended one is at its whole length.
func TestLooksAndExtensions(t *testing.T) {
	t.Parallel()
	j, end := run(healthy("x"), usual(), 4, always(rollout.VerdictInconclusive))
	if end.end != held || len(j.begins) != 1 || j.atEnd != 3 {
		t.Fatalf("ended %v in step %d after %d ends of its dwell, want held in step 0 after 3", end.end, len(j.begins)-1, j.atEnd)
	}
	var ends []time.Duration
	for i, m := range j.looks {
		if m.Elapsed == m.Dwell {
			ends = append(ends, m.Elapsed)
		}
		if i > 0 && m.Now.Sub(j.looks[i-1].Now) > 1100*time.Millisecond {
			t.Errorf("nothing was asked between %s and %s", j.looks[i-1].Now, m.Now)
		}
	}
	if want := "[30s 1m0s 1m30s]"; fmt.Sprint(ends) != want {
		t.Errorf("ends of the dwell: %v, want %s", ends, want)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	say := func(v rollout.Verdict, p rollout.Policy) func(int, int) analysis.Result {
		return func(step, looks int) analysis.Result {
			if step < 2 {
				return analysis.Result{Verdict: rollout.VerdictSuccessful}
			}
			return analysis.Result{Verdict: v, Policy: p, Findings: []analysis.Finding{{Check: "one", Verdict: v}, {Check: "other"}}}
		}
	}
	for _, c := range []struct {
		verdict rollout.Verdict
		policy  rollout.Policy
		want    end
		looks   int
	}{
		{rollout.VerdictFailed, "", aborted, 1},
		{rollout.VerdictInconclusive, rollout.PolicyHold, held, 1},
		{rollout.VerdictInconclusive, rollout.PolicyAbort, aborted, 1},
		{rollout.VerdictInconclusive, rollout.PolicyExtend, held, 3},
		{rollout.VerdictPending, "", held, 3},
		{rollout.VerdictSuccessful, "", promoted, 1},
	} {
		j, got := run(healthy("x").since(1), usual(), 5, say(c.verdict, c.policy))
		if got.end != c.want || j.atEnd != c.looks {
			t.Errorf("%s with %q: %v after %d looks, want %v after %d", c.verdict, c.policy, got.end, j.atEnd, c.want, c.looks)
		}
		if c.want == promoted {
			continue
		}
		near(t, "seconds since step 1", got.seconds, float64(60+30*(c.looks-1)), 5)
		if got.by != "one" || got.answers < 300 || got.answers > 4000 {
			t.Errorf("%s: decided by %q after %d answers", c.verdict, got.by, got.answers)
		}
	}
}

// A route that is late is seen late, and the dwell begins when it follows.
func TestLateRoute(t *testing.T) {
	t.Parallel()
	s := healthy("x").with(func(s *row) { s.late = 12 })
	j, _ := run(s, usual(), 6, always(rollout.VerdictSuccessful))
	near(t, "seconds until 100 % is seen", j.confirmed[3].Sub(j.begins[3].At).Seconds(), 13.5, 1)
	near(t, "seconds until 50 % is seen", j.confirmed[2].Sub(j.begins[2].At).Seconds(), 2, 1)
	s.late = 61
	j, got := run(s, usual(), 6, always(rollout.VerdictSuccessful))
	if got.end != aborted || got.by != "unconfirmed" || len(j.confirmed) != 3 {
		t.Errorf("a route that never follows: %+v", got)
	}
}

// Every row can be simulated, and the same seed makes the same of it.
func TestSeedDecidesAll(t *testing.T) {
	t.Parallel()
	o := usual()
	o.step = 2 * time.Second
	transcript := func(s row, seed uint64) uint64 {
		j, got := run(s, o, seed, always(rollout.VerdictSuccessful))
		h := fnv.New64a()
		fmt.Fprintln(h, got, j.begins, j.confirmed, len(j.looks))
		for _, p := range j.points {
			for _, x := range []int64{p.At.UnixNano(), int64(p.Total), int64(p.Failed), int64(len(p.Wrong))} {
				_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(x))) // never fails
			}
			for _, b := range p.Latency {
				_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(float64(b.Upto))))
			}
		}
		return h.Sum64()
	}
	for _, s := range append(rows(), replays(recorded.Series{{0.02, 0.03}, {0.04}})...) {
		one, again, other := transcript(s, 1), transcript(s, 1), transcript(s, 2)
		if one != again || one == other {
			t.Errorf("%s: transcripts %x and %x of one seed, %x of another", s.name, one, again, other)
		}
	}
}

// A row has last releases as soon as it says what they had, be it nothing.
func TestReleasesBefore(t *testing.T) {
	t.Parallel()
	o := usual()
	o.pinned = false // with stable's own answers at 100 % nothing need be kept
	for name, c := range map[string]struct {
		row
		want bool
	}{
		"none":             {healthy("x"), false},
		"alike":            {healthy("x").after(), true},
		"with other speed": {healthy("x").after(slower(both, 2)), true},
	} {
		shown := releasesBefore(c.withDefaults(), o, source1(), config.Default())
		if got := len(shown[config.ProbeMetric]) > 0; got != c.want {
			t.Errorf("%s: last releases showed %v, want something: %t", name, shown, c.want)
		}
	}
}

// The real judge stops a canary that fails every fifth request, with the same table
// each time.
func TestMeasure(t *testing.T) {
	t.Parallel()
	o := usual()
	o.runs, o.seed, o.only = 4, 7, "errors 20 %"
	chosen, err := choose(o)
	if err != nil || len(chosen) != 1 {
		t.Fatalf("%d rows, %v, want 1", len(chosen), err)
	}
	var tables []string
	for range 2 {
		l, err := measure(t.Context(), chosen[0], o)
		if err != nil || l.ends != [3]int{aborted: 4} {
			t.Fatalf("ends %v, %v, want 4 aborted", l.ends, err)
		}
		tables = append(tables, table{options: o, lines: []line{l}}.String())
	}
	if tables[0] != tables[1] {
		t.Errorf("one seed, two tables:\n%s\n%s", tables[0], tables[1])
	}
}
