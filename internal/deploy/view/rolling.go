package view

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/rolling"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/rollout/decide"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// showRolling shows the plan of a rolling update before its first change.
func showRolling(c *console.Console, cfg inputs.Config, f *discover.Found) {
	p, r := cfg.Plan(time.Duration(f.Grace)*time.Second), f.Record
	if f.Down != "" && cfg.Replace {
		p = p.Replacing()
	}
	p.Surge = rolling.Surge(r)
	c.Show(console.Event{Kind: console.KindStart, Steps: len(p.Steps), Message: fmt.Sprintf("releasing %s/%s by a rolling update: %s instead of %s", r.Namespace, r.Deployment, r.Image, r.Stable.Image)})
	for _, line := range containers(r) {
		c.Logf("%s", line)
	}
	c.Logf("entry point %s, %s, %d pods", f.EntryPoint.URL, r.Workload(), r.Replicas)
	for _, line := range first(f.Previous) {
		c.Logf("%s", line)
	}
	c.Logf("steps %s, %s each; then %s", strings.Join(rolls(p, int(r.Replicas)), ", "), cfg.StepDuration, judgedOn(p))
	c.Logf("dwell time %s, worst-case duration %s", inputs.Dwell(p), inputs.WorstCase(p).Round(time.Minute))
	changes, err := rolling.Changes(r)
	if err != nil {
		c.Warn(err.Error())
	}
	for _, line := range append(changes, rolling.Promises(r)...) {
		c.Logf("%s", line)
	}
	if cfg.MetricsURL != "" {
		c.Warn("gateway-metrics-url is not used: both versions of a rolling update are behind one Service")
	}
	showSight(c, p, slices.Compact(cfg.Rules.ProbeSight(asShared(p, int(r.Replicas)), float64(cfg.ProbeRate), 0)))
	for _, w := range f.Warnings {
		c.Warn(w)
	}
	showOwners(c, f.Owned)
}

// rolls describes the steps of a rolling update: how many pods are new, and the share of
// requests that they get then if the entry point spreads them evenly.
func rolls(p rollout.Plan, replicas int) []string {
	var words []string
	seen := 0
	for _, roll := range decide.Rolls(p, replicas) {
		if roll.Pods == seen {
			continue
		}
		seen = roll.Pods
		words = append(words, fmt.Sprintf("%d of %d pods (%d %% of the requests)", roll.Pods, replicas, roll.Share))
	}
	return words
}

// asShared returns a plan whose weights are the shares of requests that the new pods of
// each step get, which the judge sees, and not the asked percentages of pods.
func asShared(p rollout.Plan, replicas int) rollout.Plan {
	p.Steps = slices.Clone(p.Steps)
	for i, roll := range decide.Rolls(p, replicas) {
		p.Steps[i].Weight = roll.Share
	}
	return p
}

// rollStep says what a step of a rolling update is, "" for other strategies.
func rollStep(p rollout.Plan, s rollout.State) string {
	if p.Strategy != rollout.StrategyRolling {
		return ""
	}
	return fmt.Sprintf("%d %% of the pods are new", p.Steps[s.Step].Weight)
}

func judgedOn(p rollout.Plan) string {
	if p.Bake > 0 {
		return fmt.Sprintf("the last old pods go, and all new ones are judged on for %s", p.Bake)
	}
	return "the last old pods go"
}

// rollWords describes the actions of a rolling update.
func rollWords(s rollout.State, a rollout.Action) string {
	switch a.Kind {
	case rollout.KindRoll:
		if s.Pods == 1 {
			return fmt.Sprintf("replacing pods until 1 is new, which gets %d %% of the requests if they are spread evenly", a.Weight)
		}
		return fmt.Sprintf("replacing pods until %d are new, which get %d %% of the requests if they are spread evenly", s.Pods, a.Weight)
	case rollout.KindComplete:
		return "replacing the last old pods, and putting the settings of the update back"
	default:
		return "undoing the update, back to the recorded revision: " + s.Reason
	}
}

// uneven is how far a share may be from an even spread, in points, before it is worth a
// word, if chance does not explain it.
const uneven = 10

// transition is how long after the first answer by new pods an entry point may still
// send requests to the pods that they replace, or not yet to all new ones.
const transition = 10 * time.Second

// offSpread returns how far a share is from an even spread beyond what the transition
// at the begin of the dwell can explain.
func offSpread(share, even float64, dwell time.Duration) float64 {
	part := min(1, transition.Seconds()/max(dwell, time.Millisecond).Seconds())
	if share < even {
		return even - share - part*even
	}
	return share - even - part*(1-even)
}

// measuredShare completes a step of a rolling update by the share that its new pods had.
func measuredShare(step *report.Step, s traffic.Step) (warning string) {
	known := s.Share.N
	if known == 0 || !s.Confirmed {
		return ""
	}
	share := float64(s.Share.K) / float64(known)
	step.ObservedShare = &share
	even := float64(s.Weight) / 100
	if off := offSpread(share, even, s.Dwell); off > uneven/100.0 && off > 4*math.Sqrt(even*(1-even)/float64(known)) {
		return fmt.Sprintf("with %d new pods %.0f %% of the answers were theirs, and an even spread would be %d %%: the entry point does not spread requests evenly over pods", s.Pods, 100*share, s.Weight)
	}
	return ""
}

// rollingStep words a step that no weight of the plan is.
func rollingStep(step *report.Step, s traffic.Step) {
	switch {
	case s.Promotion:
		step.Reason = "the last old pods stop, and the settings of the update are put back"
	case s.Number == 0 && s.Weight == 0:
		step.Name, step.Reason = backStep, "the recorded revision's pods come back"
		// One answer by the pods that go would be all that the share is of.
		step.Confirmation, step.ConfirmedBy, step.ObservedShare, step.Interval, step.ObservedAfter = "", "", nil, nil, 0
	}
}

// lossHint explains the failed requests of a rolling update.
const lossHint = "a rolling update loses requests of an application that ends on SIGTERM before routers have forgotten its pods: let it serve a few seconds longer, as rolling-pre-stop does"
