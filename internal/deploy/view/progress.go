package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/ownership"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic"
	"github.com/candlefish/deploy-action/internal/traffic/entry"
	"github.com/candlefish/deploy-action/internal/traffic/pinned"
)

// ShowPlan shows the plan before the first change.
func ShowPlan(c *console.Console, cfg inputs.Config, f *discover.Found) {
	if f.Record.Rolling != nil {
		showRolling(c, cfg, f)
		return
	}
	p := f.Realize(cfg.Plan(time.Duration(f.Grace) * time.Second))
	if f.Down != "" && cfg.Replace {
		p = p.Replacing()
	}
	var weights []string
	for _, s := range p.Steps {
		weights = append(weights, stepWords(s))
	}
	c.Show(console.Event{Kind: console.KindStart, Steps: len(p.Steps), Message: fmt.Sprintf("releasing %s/%s: %s instead of %s",
		f.Record.Namespace, f.Record.Deployment, f.Record.Image, f.Record.Stable.Image)})
	for _, line := range containers(f.Record) {
		c.Logf("%s", line)
	}
	c.Logf("entry point %s, %s, service %s, %d pods", f.EntryPoint.URL, strings.ReplaceAll(discover.Routes(f.Record), ",", ", "), f.Record.Service, f.Record.Replicas)
	for _, line := range append(first(f.Previous), entries(f)...) {
		c.Logf("%s", line)
	}
	for _, line := range f.Callers {
		c.Logf("%s", line)
	}
	if p.Strategy == rollout.StrategyBlueGreen {
		for _, line := range blueGreenOrder(cfg, p, f) {
			c.Logf("%s", line)
		}
	} else {
		c.Logf("steps %s, %s each; then hand over without a restart, %s", strings.Join(weights, ", "), cfg.StepDuration, ending(p))
	}
	c.Logf("dwell time %s, worst-case duration %s", inputs.Dwell(p), inputs.WorstCase(p).Round(time.Minute))
	for _, line := range tests(cfg, p, f.Untested, f.Unpinned) {
		c.Logf("%s", line)
	}
	share := 0.0
	if pins(cfg, p, f.Unpinned) {
		share = 1.0 / pinned.Part
	}
	showSight(c, p, cfg.Rules.ProbeSight(judgedAs(p), float64(cfg.ProbeRate), share))
	for _, w := range f.Warnings {
		c.Warn(w)
	}
	showOwners(c, f.Owned)
}

// showOwners shows what other tools would undo of the release, and how to make them
// leave it alone.
func showOwners(c *console.Console, owned []ownership.Finding) {
	for _, f := range owned {
		c.Logf("%s", f.Sentence())
	}
	for _, line := range ownership.Allow(owned, kube.FieldManager) {
		c.Logf("%s", line)
	}
}

// entries names the entry points beside the first, whose answers must show each
// weight too.
func entries(f *discover.Found) []string {
	if len(f.MoreEntries) == 0 {
		return nil
	}
	all := []string{entry.Point(f.EntryPoint).String()}
	for _, e := range f.MoreEntries {
		all = append(all, entry.Point(e).String())
	}
	return []string{fmt.Sprintf("%d entry points are watched, each with its part of the probes, and each shows a weight before the next: %s", len(all), strings.Join(all, ", "))}
}

// pins reports whether a part of the probes is certain to go to one version alone.
func pins(cfg inputs.Config, p rollout.Plan, unpinned string) bool {
	return unpinned == "" && !p.Replace && cfg.MetricsURL == ""
}

// tests says what test requests the plan sends to one version alone.
func tests(cfg inputs.Config, p rollout.Plan, untested, unpinned string) []string {
	var lines []string
	switch {
	case p.Replace:
		unpinned = "the stable version does not serve"
	case untested != "":
		return []string{"no test requests to one version alone: " + untested}
	case p.Prewarm > 0:
		lines = append(lines, fmt.Sprintf("before its first weight the canary gets test requests to all probe paths until its latency has settled, at most for %s", p.Prewarm))
	}
	switch {
	case unpinned != "":
		lines = append(lines, "no test requests to one version alone while it is judged: "+unpinned)
	case cfg.MetricsURL != "":
		lines = append(lines, "a fifth of the probes goes to one version alone while it is judged, unless the gateway's counters, which would count them, confirm the weights")
	default:
		lines = append(lines, "a fifth of the probes goes to one version alone while it is judged: to the canary below 50 %, to stable above")
	}
	return lines
}

// jobLimit is how long a job of GitHub's own runners may take, see
// https://docs.github.com/en/actions/reference/limits.
const jobLimit = 6 * time.Hour

// WarnOfEnds warns if the worst case outlasts what ends the run from outside: the
// token for the cluster, if its end is known, and the runner's job.
func WarnOfEnds(c *console.Console, worst time.Duration, now, tokenEnds time.Time, onRunner bool) {
	const instead = "; with run-in: cluster it goes on without this process"
	if !tokenEnds.IsZero() && now.Add(worst).After(tokenEnds) {
		c.Warn(fmt.Sprintf("the token for the cluster ends at %s, and the worst case is %s from now%s", tokenEnds.Format(time.RFC3339), worst.Round(time.Minute), instead))
	}
	if onRunner && worst > jobLimit {
		c.Warn(fmt.Sprintf("the worst case of %s outlasts the %s that a job may take%s", worst.Round(time.Minute), jobLimit, instead))
	}
}

// ending says what a plan does with the old version after the hand-over.
func ending(p rollout.Plan) string {
	bake, old := "do not judge on (bake-time is 0s)", "the old version"
	if p.Bake > 0 {
		bake, old = fmt.Sprintf("judge on for %s while the old version is warm", p.Bake), "it"
	}
	if p.KeepWarm > p.Bake {
		return fmt.Sprintf("%s, keep %s warm until %s after the promotion; the next run or the command reap removes it", bake, old, p.KeepWarm)
	}
	s := fmt.Sprintf("%s, then remove %s", bake, old)
	if p.Drain > 0 {
		// The drain window counts from the last request, so the bake time covers it.
		s += fmt.Sprintf(", %s after its last request at the earliest", p.Drain)
	}
	return s
}

func stepWords(s rollout.Step) string {
	weight := fmt.Sprintf("%d %%", s.Weight)
	if s.Pods > 0 {
		weight += fmt.Sprintf(" by %s of the canary beside all of stable, the nearest to %d %%", count(s.Pods, "pod"), s.Asked)
	}
	switch {
	case s.UntilPromoted:
		return weight + " (then paused until it is promoted)"
	case s.Pause > 0:
		return fmt.Sprintf("%s (then paused for %s)", weight, s.Pause)
	}
	return weight
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// showSight shows what the first step can detect with a metric, and warns of
// every step that can detect too little.
func showSight(c *console.Console, p rollout.Plan, steps []judging.Sight) {
	for i, sight := range steps {
		sight.Sentence = inBake(p, sight.Sentence)
		switch {
		case !sight.Enough:
			c.Warn(sight.Sentence)
		case i == 0:
			c.Logf("%s", sight.Sentence)
		}
	}
}

// A Progress reports the decisions of the rollout's loop. It is not safe for
// concurrent use.
type Progress struct {
	Console *console.Console
	Plan    rollout.Plan
	Pods    func() []workload.PodView
	Monitor *traffic.Monitor
	Rules   judging.Rules

	step     int
	stage    rollout.Stage
	extended int // repetitions of this stage's dwell
	// draining is the start of the drain window, Drained the time spent in it.
	draining time.Time
	Drained  time.Duration
	// holding is the start of a wait for the other members of a group, Held the time
	// spent in such waits.
	holding time.Time
	Held    time.Duration
	await   string
	warmed  bool // the end of the prewarm was shown
}

// Report reports one decision of the loop.
func (p *Progress) Report(s rollout.State, a rollout.Action, o rollout.Observation) {
	measure(&p.draining, &p.Drained, s.Stage == rollout.StageDrain || s.Stage == rollout.StageAbortDrain, s, o.Now)
	measure(&p.holding, &p.Held, s.Stage == rollout.StageHold || s.Stage == rollout.StageKept, s, o.Now)
	if w := p.Monitor.Prewarm(); w != nil && !p.warmed {
		p.warmed = true
		p.Console.Logf("%s", warmWords(*w))
	}
	p.decided(s, a)
}

// warmWords describes a prewarm that has ended.
func warmWords(w pinned.Prewarm) string {
	how := "its latency has settled"
	if !w.Settled {
		how = "the time was up before its latency settled"
	}
	words := fmt.Sprintf("prewarmed for %s with %d test requests, %d failed: %s", w.Took.Round(100*time.Millisecond), w.Requests, w.Failed, how)
	if w.First > 0 {
		words += fmt.Sprintf(", median %s at first, %s at last", w.First.Round(100*time.Microsecond), w.Last.Round(100*time.Microsecond))
	}
	return words
}

// measure adds up the time spent in some stages.
func measure(since *time.Time, total *time.Duration, waits bool, s rollout.State, now time.Time) {
	waits = waits && !s.Phase.Terminal()
	switch {
	case waits && since.IsZero():
		*since = now
	case !waits && !since.IsZero():
		*total += now.Sub(*since)
		*since = time.Time{}
	}
}

// decided reports one decision of the loop.
func (p *Progress) decided(s rollout.State, a rollout.Action) {
	longer := s.Stage == rollout.StageDwell && s.Extensions > p.extended
	changed := s.Stage != p.stage || longer
	p.stage, p.extended = s.Stage, s.Extensions
	if a.Kind == rollout.KindStop {
		p.Console.Watch(nil)
	} else {
		p.Console.Watch(p.state)
	}
	if s.Phase == rollout.PhaseProgressing && s.Step+1 != p.step {
		p.step = s.Step + 1
		p.Console.Show(console.Event{Kind: console.KindStep, Step: p.step, Steps: len(p.Plan.Steps), Weight: p.Plan.Steps[s.Step].Weight, Message: rollStep(p.Plan, s)})
	}
	switch {
	case a.Kind == rollout.KindStop:
		p.Console.Show(console.Event{Kind: console.KindWait})
		p.Console.Show(console.Event{Kind: console.KindVerdict, Message: fmt.Sprintf("%s: %s", s.Phase, s.Reason), Good: s.Phase == rollout.PhasePromoted})
	case a.Kind == rollout.KindWait:
		p.waits(s, a, changed, longer)
	case a.Kind == rollout.KindScale && s.Stage == rollout.StageDwell:
		p.Console.Logf("sizing the canary for the next step, %d %%", p.Plan.Steps[s.Sized].Weight)
	case a.Kind == rollout.KindWeight:
		p.weight(s, a, changed)
	case changed && a.Kind == rollout.KindPrepare && p.Plan.Strategy == rollout.StrategyRolling:
		p.Console.Logf("comparing what is live with the plan")
	case changed:
		p.Console.Logf("%s", actionWords(s, a))
	}
}

func (p *Progress) waits(s rollout.State, a rollout.Action, changed, longer bool) {
	if !changed && a.Await == p.await {
		return
	}
	p.await = a.Await
	if step, ok := p.Monitor.Current(); ok && changed && s.Stage == rollout.StageDwell && !longer && step.Number == 0 {
		share := step.Share
		p.Console.Logf("observed after %s: %d of %d answers by the canary, %d to %d expected",
			step.Observed.Round(100*time.Millisecond), share.K, share.N, share.Lo, share.Hi)
	}
	p.Console.Await(a.Await, a.Until)
}

func (p *Progress) weight(s rollout.State, a rollout.Action, changed bool) {
	if changed && a.Weight == 0 {
		p.Console.Show(console.Event{Kind: console.KindVerdict, Message: "back to stable: " + s.Reason})
	}
	if changed && s.Step == 0 && a.Weight > 0 {
		for _, steps := range p.Rules.Sight(judgedAs(p.Plan), p.Monitor.RateBefore) {
			showSight(p.Console, p.Plan, steps)
		}
	}
	p.Console.Show(console.Event{Kind: console.KindWeight, Weight: a.Weight})
}

// state returns the current traffic and pods.
func (p *Progress) state() console.Event {
	e := console.Event{Kind: console.KindState, Share: -1}
	for _, pod := range p.Pods() {
		e.Pods = append(e.Pods, console.Pod{Name: pod.Name, Side: pod.Side, Ready: pod.Ready, Restarts: int(pod.Restarts), Reason: pod.Reason})
	}
	step, written := p.Monitor.Current()
	c := step.Counts
	e.Stable, e.Canary, e.Unattributed = statsOf(c.Stable), statsOf(c.Canary), statsOf(c.Unattributed)
	if known := c.Stable.Total + c.Canary.Total; known > 0 && written {
		e.Share = float64(c.Canary.Total) / float64(known)
	}
	return e
}

func statsOf(c traffic.Counts) console.Stats {
	return console.Stats{Total: c.Total, Failed: c.Failed, P50: c.Latency.Quantile(.50), P95: c.Latency.Quantile(.95)}
}

// actionWords describes an action.
func actionWords(s rollout.State, a rollout.Action) string {
	if s.Reverted {
		switch a.Kind {
		case rollout.KindHandOver:
			return "handing the deployment back to the previous version, without a restart"
		case rollout.KindWarm:
			return "pointing the canary service at the version that goes"
		default: // as on the way up
		}
	}
	switch a.Kind {
	case rollout.KindRoll, rollout.KindComplete, rollout.KindUndo:
		return rollWords(s, a)
	case rollout.KindPrepare:
		return "preparing version labels, selectors and the canary service"
	case rollout.KindScale:
		return "sizing the canary"
	case rollout.KindHandOver:
		return "handing the new pods over to the deployment, without a restart"
	case rollout.KindReturn:
		return "routing through the deployment's own service again"
	case rollout.KindWarm:
		return "pointing the canary service at the old version, which stays warm"
	case rollout.KindUnwarm:
		return "the gateway still uses the canary service: pointing it back at the new version"
	case rollout.KindRevert:
		return "routing everything to the previous version: " + s.Reason
	case rollout.KindUnroute:
		return "writing the route as the user wrote it"
	case rollout.KindClean:
		return "removing the version without traffic"
	case rollout.KindSmoke:
		return "starting the smoke tests of every new pod"
	case rollout.KindRestore:
		return "restoring the recorded state"
	case rollout.KindWait, rollout.KindWeight, rollout.KindStop:
	}
	return string(s.Stage)
}
