package deploy

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/power"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A teller says what happens while it happens: on the terminal or in the CI log,
// in the log file, and in the report's list of events.
type teller struct {
	out  *action.Action
	log  *os.File
	stop chan struct{}
	done chan struct{}

	mu       sync.Mutex
	views    []console.Observer
	warnings []string
	events   []report.Event
	step     int
	stage    rollout.Stage
	extended int                  // how often the dwell of this stage was
	state    func() console.Event // what the run is at, nil when nothing runs
}

func newTeller(a *action.Action, c Config) (*teller, error) {
	if err := os.MkdirAll(c.ReportDir, 0o755); err != nil {
		return nil, fmt.Errorf("make report-dir: %w", err)
	}
	log, err := os.Create(filepath.Join(c.ReportDir, logFile))
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	t := &teller{out: a, log: log, stop: make(chan struct{}), done: make(chan struct{})}
	o := console.Options{Out: printer{a.Print}, Getenv: a.Getenv, Group: a.Group, EndGroup: a.EndGroup}
	if stdout := a.Stdout(); stdout != nil && console.TerminalWidth(stdout)() > 0 {
		o.Out, o.Width = stdout, console.TerminalWidth(stdout)
	}
	t.views = []console.Observer{console.New(o), console.NewPlain(log, nil, nil)}
	go t.beat()
	return t, nil
}

// close ends what keeps the views up to date, and the log file.
func (t *teller) close() {
	close(t.stop)
	<-t.done
	_ = t.log.Close() // every line was written at once; there is nobody left to tell
}

// beat tells the views once a second how things are, so that a wait is seen to
// go on.
func (t *teller) beat() {
	defer close(t.done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
		}
		t.mu.Lock()
		if t.state != nil {
			t.show(t.state())
		}
		t.show(console.Event{Kind: console.KindTick})
		t.mu.Unlock()
	}
}

// show gives an event to all views; t.mu is held. What it says passes the
// redactor first, since a live view writes to the terminal by itself.
func (t *teller) show(e console.Event) {
	e.At = time.Now()
	e.Message, e.Await = t.out.Redact(e.Message), t.out.Redact(e.Await)
	for i := range e.Pods {
		e.Pods[i].Reason = t.out.Redact(e.Pods[i].Reason)
	}
	for _, v := range t.views {
		v.Observe(e)
	}
}

// note shows an event and keeps its message for the report.
func (t *teller) note(e console.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	message := e.Message
	if e.Kind == console.KindWait && e.Await != "" {
		message = "waiting for " + e.Await
	}
	if message != "" {
		t.events = append(t.events, report.Event{At: time.Now().UTC(), Message: message})
	}
	t.show(e)
}

func (t *teller) say(format string, args ...any) {
	t.note(console.Event{Kind: console.KindMessage, Message: fmt.Sprintf(format, args...)})
}

func (t *teller) warn(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.warnings = append(t.warnings, text)
	if t.out.OnRunner() {
		t.out.Annotate(action.Annotation{Level: action.Warning, Message: text})
		return
	}
	t.show(console.Event{Kind: console.KindWarning, Message: text})
}

func (t *teller) await(what string, until time.Time) {
	t.note(console.Event{Kind: console.KindWait, Await: what, Until: until})
}

func (t *teller) redact(s string) string { return t.out.Redact(s) }

// secret keeps a value out of everything that is said from now on.
func (t *teller) secret(s string) { t.out.Mask(s) }

func (t *teller) warned() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.warnings)
}

func (t *teller) told() []report.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.events)
}

// lines takes the progress of something else, line by line.
func (t *teller) lines() io.Writer {
	return printer{func(line string) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.show(console.Event{Kind: console.KindMessage, Message: line})
	}}
}

// A printer is a writer for which each write is some lines.
type printer struct{ print func(string) }

// Write implements io.Writer.
func (p printer) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		p.print(strings.TrimRight(line, "\n"))
	}
	return len(b), nil
}

// plan says what is about to happen, before anything does.
func (t *teller) plan(c Config, f *kube.Found) {
	p := c.plan(time.Duration(f.Grace) * time.Second)
	var weights []string
	for _, s := range p.Steps {
		weights = append(weights, fmt.Sprintf("%d %%", s.Weight))
	}
	t.note(console.Event{Kind: console.KindStart, Steps: len(p.Steps), Message: fmt.Sprintf("releasing %s/%s: %s instead of %s",
		f.Record.Namespace, f.Record.Deployment, c.Image, f.Record.Stable.Image)})
	t.say("through %s by %s and service %s, %d pods", f.EntryPoint.URL, routeNames(f.Record), f.Record.Service, f.Record.Replicas)
	t.say("steps %s, %s each; then hand over without a restart, drain %s, keep the old version warm for %s",
		strings.Join(weights, ", "), c.StepDuration, p.Drain, p.KeepWarm)
	t.say("takes %s of dwell, at the very most %s in all", dwell(p), worstCase(p).Round(time.Minute))
	for i, step := range p.Steps {
		t.power(c.Analysis, config.ProbeMetric, float64(c.ProbeRate), len(p.Steps), step, i == 0)
	}
	for _, w := range f.Warnings {
		t.warn(w)
	}
}

// power says what a step can see of a metric, and warns where that is too little.
func (t *teller) power(c config.Config, metric string, perSecond float64, steps int, step rollout.Step, always bool) {
	i := slices.IndexFunc(c.Metrics, func(m config.Metric) bool { return m.Name == metric })
	seen, ok := power.Of(c, c.Metrics[i], power.Traffic{Rate: perSecond}, steps, step.Weight, step.Dwell)
	switch {
	case ok && !seen.Enough && step.Dwell > 0:
		t.warn(seen.Sentence)
	case ok && always:
		t.say("%s", seen.Sentence)
	}
}

// usual says, from the traffic that the other metrics saw before the first weight,
// what the steps can see of them.
func (t *teller) usual(p rollout.Plan, tr *traffic) {
	for _, m := range tr.cfg.Analysis.Metrics {
		seen, ok := tr.before(m.Name)
		if m.Name == config.ProbeMetric || !ok {
			continue
		}
		for i, step := range p.Steps {
			t.power(tr.cfg.Analysis, m.Name, seen, len(p.Steps), step, i == 0)
		}
	}
}

func routeNames(r *kube.Record) string {
	var names []string
	for _, route := range r.Routes {
		names = append(names, "httproute/"+route.Name)
	}
	return strings.Join(names, ", ")
}

func (t *teller) orphan(r *kube.Record) {
	t.say("found the unfinished rollout of run %s (%s): %s at weight %d since %s; bringing it to its end first",
		r.Run, r.Image, r.State.Phase, r.State.Weight, r.State.Since.Format(time.RFC3339))
}

// progress takes one decision of the loop.
func (t *teller) progress(p rollout.Plan, s rollout.State, a rollout.Action, pods func() []kube.PodView, tr *traffic) {
	t.mu.Lock()
	longer := s.Stage == rollout.StageDwell && s.Extensions > t.extended
	changed, newStep := s.Stage != t.stage || longer, s.Phase == rollout.PhaseProgressing && s.Step+1 != t.step
	t.stage, t.extended = s.Stage, s.Extensions
	t.state = func() console.Event { return tr.state(pods()) }
	if a.Kind == rollout.KindStop {
		t.state = nil
	}
	if newStep {
		t.step = s.Step + 1
		t.show(console.Event{Kind: console.KindStep, Step: t.step, Steps: len(p.Steps), Weight: p.Steps[s.Step].Weight})
	}
	t.mu.Unlock()
	switch {
	case a.Kind == rollout.KindStop:
		t.note(console.Event{Kind: console.KindWait})
		t.note(console.Event{Kind: console.KindVerdict, Message: fmt.Sprintf("%s: %s", s.Phase, s.Reason), Good: s.Phase == rollout.PhasePromoted})
	case a.Kind == rollout.KindWait:
		if changed && !longer && s.Stage == rollout.StageDwell {
			t.say("%s", tr.confirmation())
		}
		if changed {
			t.await(a.Await, a.Until)
		}
	case a.Kind == rollout.KindScale && s.Stage == rollout.StageDwell:
		t.say("sizing the canary for the next step, %d %%", p.Steps[s.Sized].Weight)
	case a.Kind == rollout.KindWeight:
		if changed && a.Weight == 0 {
			t.note(console.Event{Kind: console.KindVerdict, Message: "back to stable: " + s.Reason})
		}
		if changed && s.Step == 0 && a.Weight > 0 {
			t.usual(p, tr)
		}
		t.note(console.Event{Kind: console.KindWeight, Weight: a.Weight})
	case changed:
		t.say("%s", doing(s, a))
	}
}

// doing says what an action is about.
func doing(s rollout.State, a rollout.Action) string {
	switch a.Kind {
	case rollout.KindPrepare:
		return "preparing: role labels, selectors, the canary's service"
	case rollout.KindScale:
		return "sizing the canary"
	case rollout.KindHandOver:
		return "handing the new pods over to the deployment, without a restart"
	case rollout.KindReturn:
		return "routing through the deployment's own service again"
	case rollout.KindWarm:
		return "aiming the second service at the old version, which stays warm"
	case rollout.KindUnwarm:
		return "the gateway still used the second service: aiming it back for a moment"
	case rollout.KindRestore:
		return "putting everything back as it was"
	}
	return string(s.Stage)
}

// state is the traffic and the pods as they are now.
func (t *traffic) state(pods []kube.PodView) console.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := console.Event{Kind: console.KindState, Share: -1}
	for _, p := range pods {
		slot := "stable"
		if p.Side == rollout.SideCanary {
			slot = "canary"
		}
		e.Pods = append(e.Pods, console.Pod{Name: p.Name, Slot: slot, Ready: p.Ready, Restarts: int(p.Restarts), Reason: p.Reason})
	}
	c, written := t.tally.Step(probe.Before), len(t.steps) > 0
	if written {
		c = t.since(t.steps[len(t.steps)-1])
	}
	e.Stable, e.Canary, e.Unknown = statsOf(c.Stable), statsOf(c.Canary), statsOf(c.Unattributed)
	if known := c.Stable.Total + c.Canary.Total; known > 0 && written {
		e.Share = float64(c.Canary.Total) / float64(known)
	}
	return e
}

func statsOf(c probe.SideCounts) console.Stats {
	return console.Stats{Total: c.Total, Failed: c.Failed, P50: c.Latency.Quantile(.50), P95: c.Latency.Quantile(.95)}
}

// confirmation is what confirmed the newest weight.
func (t *traffic) confirmation() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	step := t.steps[len(t.steps)-1]
	p := step.Split
	return fmt.Sprintf("seen after %s: %d of %d answers by the canary, %d to %d expected",
		step.Observed.Round(100*time.Millisecond), p.K, p.N, p.Lo, p.Hi)
}

// end prints the closing block.
func (t *teller) end(r report.Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = nil
	for _, v := range t.views {
		v.End()
	}
	text := report.Text(r)
	t.out.Print(text)
	_, _ = fmt.Fprintln(t.log, t.out.Redact(text)) // the report file is what has to be written
}
