package trialbench

import (
	"cmp"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// How a rollout goes, beside what the options and the row say.
const (
	before      = 20.0 // seconds of stable alone
	propagation = 60.0 // seconds for a weight to be seen
	pinnedShare = 0.2  // of the requests while a step is judged
)

// A judge is asked about a rollout: analysis.Judge, and in tests one that writes down
// what it is told.
type judge interface {
	Add(metric string, ps ...analysis.Point)
	Begin(b analysis.Begin)
	Confirmed(at time.Time)
	Look(m analysis.Moment) analysis.Result
	Rises() analysis.Rises
}

// An end is how a rollout, or a step of it, ended.
type end int

const (
	promoted end = iota
	aborted
	held
)

// An outcome is the end of one rollout.
type outcome struct {
	end     end
	seconds float64 // from the begin of the defect to the verdict
	answers int     // of the canary by then, lost ones included
	by      string  // the check that decided
}

// A trial is one rollout and its judge.
type trial struct {
	row
	traffic
	feed
	config config.Config
	// previous is what the last releases showed. An earlier release is promoted
	// whatever the judge says.
	previous analysis.Rises
	earlier  bool

	looked  float64
	defect  float64 // when it began
	answers int     // of the canary since then
	result  analysis.Result
}

// simulate makes the i-th rollout of a row.
func simulate(s row, o options, i int) outcome {
	s = s.withDefaults()
	h := fnv.New64a()
	_, _ = h.Write([]byte(s.name)) // never fails
	r := rand.New(rand.NewPCG(o.seed, h.Sum64()+uint64(i)))
	c := config.Default()
	c.Metrics[0].MinSamples = 20 // as the input's default
	previous := releasesBefore(s, o, r, c)
	t := newTrial(s, o, r, analysis.NewJudge(c, len(s.steps)), s.causes)
	t.previous, t.config = previous, c
	return t.run()
}

// releasesBefore makes the last releases of a row that has some, as many as the judge
// believes, and returns what they showed.
func releasesBefore(s row, o options, r *rand.Rand, c config.Config) analysis.Rises {
	if s.last == nil {
		return nil
	}
	var shown analysis.Rises
	for range 3 {
		t := newTrial(s, o, r, analysis.NewJudge(c, len(s.steps)), s.last)
		t.earlier, t.previous = true, shown
		t.run()
		shown = t.judge.Rises()
	}
	return shown
}

// newTrial returns a rollout with the row's shape and background, and with causes.
func newTrial(s row, o options, r *rand.Rand, j judge, causes []cause) *trial {
	t := &trial{row: s, config: config.Default(), feed: newFeed(j), traffic: traffic{
		r: r, rate: cmp.Or(s.perSecond, o.rate), usePinned: o.pinned, dwell: o.step.Seconds(),
		step: -1, leaving: pacer{r: r},
	}}
	t.effects = append(t.effects, s.shape(r), failing(both, s.errors)(r))
	for _, c := range causes {
		t.effects = append(t.effects, c(r))
	}
	return t
}

// run makes the whole rollout.
func (t *trial) run() outcome {
	t.pass(before)
	for i, weight := range t.steps {
		t.begin(i, weight)
		e := t.dwells()
		if e != promoted {
			return outcome{end: e, seconds: t.now - t.defect, answers: t.answers, by: decisive(t.result)}
		}
	}
	return outcome{end: promoted}
}

// begin writes the weight of a step.
func (t *trial) begin(step, weight int) {
	lag := 0.2 + 0.8*t.r.Float64()
	if t.late > 0 && step == len(t.steps)-1 {
		lag = t.late
	}
	t.cut(t.now)
	t.judge.Begin(analysis.Begin{Step: step, Weight: weight, At: clock(t.now), Rises: t.previous})
	t.write(step, float64(weight)/100, lag)
	if step == t.onset {
		t.defect, t.answers = t.follows, 0
	}
}

// pass lets time go by until the judge is to be asked, or to a time. It reports
// whether that time has come.
func (t *trial) pass(until float64) bool {
	for {
		x, ok := t.next(until)
		if !ok {
			return true
		}
		if t.take(x) {
			return false
		}
	}
}

// take passes an answer on. It reports whether the judge is to be asked.
func (t *trial) take(x arrival) bool {
	if t.step >= 0 && x.request.at < t.written {
		return false // it says nothing of this weight
	}
	if x.canary() {
		t.answers++
	}
	t.add(x)
	if t.step < 0 {
		return false
	}
	ask := x.failed || x.at-t.looked >= lookEvery
	if !x.pinned && t.see(x) {
		t.cut(t.now)
		t.judge.Confirmed(clock(t.now))
		ask = true
	}
	if ask {
		t.looked = x.at
	}
	return ask
}

// dwells holds a step until its end.
func (t *trial) dwells() end {
	for extensions := 0; ; {
		until := t.written + propagation
		length := t.dwell * float64(1+extensions)
		if t.confirmed {
			until = t.followed + length
		}
		over := t.pass(max(until, t.now))
		if over && !t.confirmed {
			t.result = analysis.Result{Findings: []analysis.Finding{{Check: "unconfirmed", Verdict: rollout.VerdictFailed}}}
			return aborted
		}
		t.look(length)
		if t.result.Verdict == rollout.VerdictFailed && !t.earlier {
			return aborted
		}
		if t.confirmed && t.now >= t.followed+length {
			if t.earlier || t.result.Verdict == rollout.VerdictSuccessful {
				return promoted
			}
			if extensions++; !t.extend(extensions) {
				return t.then()
			}
		}
	}
}

// look asks the judge.
func (t *trial) look(length float64) {
	m := analysis.Moment{Now: clock(t.now), Dwell: duration(length)}
	if t.confirmed {
		m.Elapsed = duration(t.now - t.followed)
		if t.now >= t.followed+length {
			m.Elapsed = m.Dwell // whatever the rounding says
		}
	}
	t.result = t.judge.Look(m)
}

// policy is what follows the result that the judge had no verdict.
func (t *trial) policy() rollout.Policy { return cmp.Or(t.result.Policy, rollout.PolicyExtend) }

func (t *trial) extend(times int) bool {
	return t.policy() == rollout.PolicyExtend && times <= *t.config.MaxExtensions
}

func (t *trial) then() end {
	policy := t.policy()
	if policy == rollout.PolicyExtend {
		policy = t.config.Then
	}
	if policy == rollout.PolicyHold {
		return held
	}
	return aborted
}

// decisive names the checks that a result hangs on.
func decisive(r analysis.Result) string {
	var names []string
	for _, f := range r.Findings {
		if f.Verdict == r.Verdict || r.Verdict == "" {
			names = append(names, string(f.Check))
		}
	}
	return strings.Join(names, "+")
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
