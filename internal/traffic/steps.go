package traffic

import (
	"fmt"
	"slices"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/stat"
	"github.com/candlefish/deploy-action/internal/traffic/baseline"
	"github.com/candlefish/deploy-action/internal/traffic/entry"
)

// A Step has the measurements at one weight, from its write to the next.
type Step struct {
	// Promotion marks the time after the last weight, when both sides of the route
	// are the same pods; Bake the time after it, when the new version is judged on.
	Promotion, Bake bool
	// Reverted marks the way back from the promoted version to the warm one.
	Reverted     bool
	Number, Pods int // of a rolling update: the plan's step, from 1, and how many pods were asked to be new
	Weight       int
	WrittenAt    time.Time
	// Accepted and Observed are the times from the write to the gateway's
	// acceptance and to the answers that show the weight; 0 while unknown.
	Accepted, Observed time.Duration
	Dwell              time.Duration // held so far
	Share              stat.Progress // of the canary in the answers
	Confirmed          bool
	Verdict            analysis.Result
	Counts             probe.Counts // all answers since the write; set in a Snapshot
	// Tests are the requests since the write that were sent to one version alone, by
	// that version; Counts has none of them.
	Tests probe.Counts

	written, shown int // keys of the tally: from the write on, and from when answers showed the weight
}

// A WeightAt is one weight and the time of its write.
type WeightAt struct {
	At     time.Time
	Weight int
}

// steps has the steps so far and the answers by step.
type steps struct {
	tally   *probe.Tally
	tests   *probe.Tally // of the requests that were sent to one version alone
	parts   int          // of the tally
	list    []*Step
	weights []WeightAt
}

// begin starts a step: requests sent from its write on count for it.
func (s *steps) begin(step Step) {
	step.written = s.part(step.WrittenAt)
	s.list = append(s.list, &step)
}

// confirmed starts the part of a step in which the answers show its weight.
func (s *steps) confirmed(step *Step, at time.Time) { step.shown = s.part(at) }

// part starts the next part of the tally and returns its key, from 1.
func (s *steps) part(at time.Time) int {
	s.parts++
	s.tally.Begin(s.parts, at)
	s.tests.Begin(s.parts, at)
	return s.parts
}

// newest returns the running step, nil before the first.
func (s *steps) newest() *Step {
	if len(s.list) == 0 {
		return nil
	}
	return s.list[len(s.list)-1]
}

// counts returns what a tally has of all answers of a step.
func counts(tally *probe.Tally, step *Step) probe.Counts {
	c := tally.Step(step.written)
	if step.shown > 0 {
		c = c.Merge(tally.Step(step.shown))
	}
	if step.Reverted { // the sides were exchanged when the answers came
		c.Stable, c.Canary = c.Canary, c.Stable
	}
	return c
}

// view returns a step for display, with its counts.
func (s *steps) view(step *Step) Step {
	c := *step
	c.Counts, c.Tests = counts(s.tally, step), counts(s.tests, step)
	if shown := s.tally.Step(step.shown); c.Number > 0 && step.shown > 0 { // from the first answer of the new pods on
		c.Share = stat.Progress{N: int(shown.Stable.Total + shown.Canary.Total), K: int(shown.Canary.Total)}
	}
	if p := c.Share; c.Reverted && p.N > 0 {
		c.Share.K, c.Share.Lo, c.Share.Hi = p.N-p.K, p.N-p.Hi, p.N-p.Lo
	}
	return c
}

// preparing judges the time before the first weight, when failures can only
// come from the preparations: at most maxRate percent of the answers may fail, and more
// only as far as chance can explain.
func (s *steps) preparing(maxRate float64) (rollout.Verdict, string) {
	c := s.tally.Step(probe.Before)
	if c.Total() < baseline.Answers || !baseline.TooMany(c.Failed(), c.Total(), maxRate) {
		return rollout.VerdictPending, ""
	}
	return rollout.VerdictFailed, fmt.Sprintf("%d of %d requests failed before any weight was written", c.Failed(), c.Total())
}

// A confirmation says whether the answers of every entry point show the newest weight.
type confirmation struct {
	weight      int
	canary      int       // answers by the canary
	since       int       // answers since its last one
	sinceStable int       // answers since stable's last one
	presence    bool      // one answer by the canary at each entry point confirms it, whatever its share
	writtenAt   time.Time // requests sent before it do not count
	pages       entry.Division
	of          []*stat.Confirmer // by entry point
	confirmed   bool
	settling    bool        // the first weight of a process that goes on with a rollout
	followed    time.Time   // when the last gateway likely started to follow the weight
	follows     []time.Time // by entry point
	done        []bool      // by entry point: its answers show the weight
}

func (c *confirmation) begin(weight int, at time.Time) {
	from := float64(c.weight) / 100
	c.start(weight, at, func() *stat.Confirmer { return stat.NewConfirmer(from, float64(weight)/100) })
}

// resume begins with the first weight of a process that goes on with a rollout: what
// the answers showed before is not known.
func (c *confirmation) resume(weight int, at time.Time) {
	c.start(weight, at, func() *stat.Confirmer { return stat.NewSettling(float64(weight) / 100) })
	c.settling = true
}

func (c *confirmation) start(weight int, at time.Time, confirmer func() *stat.Confirmer) {
	*c = confirmation{weight: weight, writtenAt: at, pages: c.pages, follows: make([]time.Time, c.pages.Number()), done: make([]bool, c.pages.Number())}
	for range c.pages.Number() {
		c.of = append(c.of, confirmer())
	}
}

func (c *confirmation) begun() bool { return !c.writtenAt.IsZero() }

// needed returns the number of answers that the confirmation takes at least.
func (c *confirmation) needed() int { return len(c.of) * c.of[0].Needed() }

// answer adds one answer to a request sent after the write. It reports whether
// this answer confirms the weight.
func (c *confirmation) answer(a probe.Answer) bool {
	c.since++
	c.sinceStable++
	if a.Side == rollout.SideStable {
		c.sinceStable = 0
	}
	if a.Side != rollout.SideStable && a.Side != rollout.SideCanary {
		c.of[c.pages.Of(a)].Unattributed()
		return false
	}
	if a.Side == rollout.SideCanary {
		c.canary++
		c.since = 0
	}
	at := c.pages.Of(a)
	confirmed := c.of[at].Observe(a.Side == rollout.SideCanary) || c.presence && a.Side == rollout.SideCanary
	if !c.done[at] && c.of[at].Run() <= 1 {
		c.follows[at] = a.Sent
	}
	if !confirmed || c.done[at] {
		return false
	}
	c.done[at] = true
	if slices.Contains(c.done, false) {
		return false
	}
	c.followed = slices.MaxFunc(c.follows, time.Time.Compare)
	c.confirmed = true
	return true
}

// downStill reports whether an answer may be one of a version that was down before
// this process wrote a weight: a stable version that is being replaced, or a canary
// that somebody removed in a pause. Until the answers show the weight, failures say
// nothing of the canary.
func (c *confirmation) downStill(a probe.Answer, replace bool) bool {
	return (replace || c.settling) && !c.confirmed && a.Side != rollout.SideCanary
}

// counted adds a number of answers of each version, mixed as evenly as
// possible: the order within one reading of counters is unknown.
func (c *confirmation) counted(stable, canary int) {
	total := stable + canary
	for i := range total {
		isCanary := (i+1)*canary/total > i*canary/total
		c.confirmed = c.of[0].Observe(isCanary) || c.confirmed
	}
}

// progress returns that of the entry point that the confirmation waits for.
func (c *confirmation) progress() stat.Progress {
	return c.of[max(0, slices.Index(c.done, false))].Progress()
}

// settleAnswers is about the number of answers that the rollout waits for after
// the promotion.
const settleAnswers = 100
