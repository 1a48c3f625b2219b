package deploy

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/report"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A teller says what happens while it happens: to the terminal or the CI log.
type teller struct {
	out *action.Action
	mu  sync.Mutex

	warnings []string
	events   []report.Event
	last     string
}

func newTeller(a *action.Action, _ Config) (*teller, error) { return &teller{out: a}, nil }

func (t *teller) close() {}

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

func (t *teller) end(r report.Result) { t.say("%s", report.Text(r)) }

func (t *teller) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, report.Event{At: time.Now().UTC(), Message: fmt.Sprintf(format, args...)})
	t.out.Printf(format, args...)
}

func (t *teller) warn(text string) {
	t.mu.Lock()
	t.warnings = append(t.warnings, text)
	t.mu.Unlock()
	t.out.Annotate(action.Annotation{Level: action.Warning, Message: text})
}

func (t *teller) await(what string, until time.Time) {
	t.say("waiting for %s, until %s", what, until.Format(time.TimeOnly))
}

func (t *teller) orphan(r *kube.Record) {
	t.say("found the unfinished rollout of run %s: %s at weight %d, step %d; bringing it to its end first", r.Run, r.State.Phase, r.State.Weight, r.State.Step+1)
}

func (t *teller) lines() io.Writer { return lineWriter{t} }

type lineWriter struct{ t *teller }

func (w lineWriter) Write(p []byte) (int, error) {
	w.t.say("%s", strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

func (t *teller) plan(c Config, f *kube.Found) {
	t.say("plan: %s/%s from %s to %s, steps %v of %s", f.Record.Namespace, f.Record.Deployment, f.Record.Stable.Image, c.Image, c.Steps, c.StepDuration)
}

func (t *teller) progress(p rollout.Plan, s rollout.State, a rollout.Action, o rollout.Observation, pods []kube.PodView, tr *traffic) {
	line := fmt.Sprintf("%s %s weight %d: %s", s.Phase, a.Stage, s.Weight, a.Await)
	if line != t.last {
		t.last = line
		t.say("%s  [ready %d/%d split %s verdict %s %s]", line, o.CanaryReady, o.CanaryWanted, o.Split, o.Verdict, s.Reason)
	}
}
