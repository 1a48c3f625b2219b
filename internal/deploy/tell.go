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
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// heartbeat is the longest silence of a run.
const heartbeat = 5 * time.Second

// A teller says what happens while it happens: to the terminal or the CI log,
// to the log file, and to the report's list of events. It speaks when something
// changed, and at least every heartbeat of what it is waiting for.
type teller struct {
	out  *action.Action
	log  *os.File
	stop chan struct{}
	done chan struct{}

	mu       sync.Mutex
	warnings []string
	events   []report.Event
	group    string
	stage    rollout.Stage
	spoke    time.Time
	pulse    func() string // what the run is at, for the heartbeat
}

func newTeller(a *action.Action, c Config) (*teller, error) {
	if err := os.MkdirAll(c.ReportDir, 0o755); err != nil {
		return nil, fmt.Errorf("make report-dir: %w", err)
	}
	log, err := os.Create(filepath.Join(c.ReportDir, logFile))
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	t := &teller{out: a, log: log, stop: make(chan struct{}), done: make(chan struct{}), spoke: time.Now()}
	go t.beat()
	return t, nil
}

// close ends the heartbeat and the log file.
func (t *teller) close() {
	close(t.stop)
	<-t.done
	_ = t.log.Close() // every line was written at once; there is nobody left to tell
}

// beat breaks a silence that has lasted for a heartbeat.
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
		if t.pulse != nil && time.Since(t.spoke) >= heartbeat-time.Second/2 {
			t.line("  " + t.pulse())
		}
		t.mu.Unlock()
	}
}

// line prints one line; t.mu is held.
func (t *teller) line(text string) {
	t.spoke = time.Now()
	t.out.Print(text)
	// A full disk must not end a rollout; the terminal has the line too.
	_, _ = fmt.Fprintf(t.log, "%s %s\n", t.spoke.UTC().Format(time.RFC3339), t.out.Redact(text))
}

// say prints a line that also belongs into the report.
func (t *teller) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	t.events = append(t.events, report.Event{At: time.Now().UTC(), Message: text})
	t.line(text)
}

func (t *teller) warn(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.warnings = append(t.warnings, text)
	t.out.Annotate(action.Annotation{Level: action.Warning, Message: text})
}

func (t *teller) await(what string, until time.Time) {
	t.say("waiting for %s, until %s", what, until.Format(time.TimeOnly))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pulse = func() string { return fmt.Sprintf("still waiting for %s", what) }
}

func (t *teller) redact(s string) string { return t.out.Redact(s) }

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
func (t *teller) lines() io.Writer { return lineWriter{t} }

type lineWriter struct{ t *teller }

// Write implements io.Writer.
func (w lineWriter) Write(p []byte) (int, error) {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	w.t.line(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// plan says what is about to happen, before anything does.
func (t *teller) plan(c Config, f *kube.Found) {
	p := c.plan(time.Duration(f.Grace) * time.Second)
	var weights []string
	for _, s := range p.Steps {
		weights = append(weights, fmt.Sprintf("%d %%", s.Weight))
	}
	t.say("releasing %s/%s\n  image    %s\n  instead  %s\n  through  %s (%s), service %s, %d pods\n  steps    %s, %s each\n  then     hand over without a restart, drain %s, keep the old version warm for %s\n  takes    %s of dwell, at the very most %s in all",
		f.Record.Namespace, f.Record.Deployment, c.Image, f.Record.Stable.Image,
		f.EntryPoint.URL, routeNames(f.Record), f.Record.Service, f.Record.Replicas,
		strings.Join(weights, ", "), c.StepDuration, p.Drain, p.KeepWarm,
		dwell(p), worstCase(p).Round(time.Minute))
	for _, w := range f.Warnings {
		t.warn(w)
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
func (t *teller) progress(p rollout.Plan, s rollout.State, a rollout.Action, o rollout.Observation, tr *traffic) {
	if s.Stage != rollout.StageEnd {
		t.open(groupTitle(p, s))
	}
	pulse := func() string { return tr.line() }
	t.mu.Lock()
	changed := s.Stage != t.stage
	t.stage = s.Stage
	t.pulse = pulse
	t.mu.Unlock()
	switch {
	case a.Kind == rollout.KindStop:
		t.mu.Lock()
		t.pulse = nil
		t.mu.Unlock()
		t.say("%s: %s", s.Phase, s.Reason)
	case !changed:
	case a.Kind == rollout.KindWait:
		if s.Stage == rollout.StageDwell {
			t.say("%s", tr.confirmation())
		}
		t.say("waiting for %s, until %s", a.Await, a.Until.Format(time.TimeOnly))
	default:
		t.say("%s", doing(s, a))
	}
}

// open closes the group of lines before and begins the next.
func (t *teller) open(title string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.group != title {
		t.group = title
		t.out.Group(title)
	}
}

func groupTitle(p rollout.Plan, s rollout.State) string {
	switch s.Phase {
	case rollout.PhasePromoting:
		return "Promotion"
	case rollout.PhaseAborting:
		return "Back to stable: " + s.Reason
	}
	return fmt.Sprintf("Step %d of %d: %d %%", s.Step+1, len(p.Steps), p.Steps[s.Step].Weight)
}

// doing says what an action is about.
func doing(s rollout.State, a rollout.Action) string {
	switch a.Kind {
	case rollout.KindPrepare:
		return "preparing: role labels, selectors, the canary's service"
	case rollout.KindScale:
		return "sizing the canary"
	case rollout.KindWeight:
		return fmt.Sprintf("writing weight %d", a.Weight)
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

// line is the traffic in one line, for the heartbeat.
func (t *traffic) line() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.steps) == 0 {
		c := t.tally.Step(probe.Before)
		return fmt.Sprintf("%d answers by stable, %d failed", c.Total(), c.Failed())
	}
	c := t.tally.Step(t.steps[len(t.steps)-1].key)
	return fmt.Sprintf("%d answers, %d failed; canary %d (p95 %s), stable %d (p95 %s)", c.Total(), c.Failed(),
		c.Canary.Total, c.Canary.Latency.Quantile(.95).Round(100*time.Microsecond), c.Stable.Total, c.Stable.Latency.Quantile(.95).Round(100*time.Microsecond))
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
	t.pulse = nil
	t.out.EndGroup()
	t.line(report.Text(r))
}
