package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/forward"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/smoke"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// entryPoint is the name of the place that is no pod.
const entryPoint = "the entry point"

// settleTests records the smoke tests of a release, for every process of it: those of
// the inputs, else the usual paths that the live version answers with 200.
func settleTests(ctx context.Context, r *Run, found *discover.Found) error {
	record := found.Record
	if record.Plan.Smoke == 0 {
		return nil
	}
	plan := r.Cfg.BlueGreen.Tests
	if len(plan.Tests) == 0 {
		var err error
		if plan.Tests, err = usualTests(ctx, r, found); err != nil {
			return err
		}
	}
	if unset := plan.Unset(r.Action.Getenv); len(unset) > 0 {
		return exit.Refuse("", "the smoke tests need environment variables that are not set: "+strings.Join(unset, ", "))
	}
	var err error
	record.Smoke, err = plan.Encode()
	return err
}

// usualTests returns the usual paths with the places where the live version answers
// them with 200. While that version does not serve, the probes' first path has to do.
func usualTests(ctx context.Context, r *Run, found *discover.Found) ([]smoke.Test, error) {
	record, longest := found.Record, r.Cfg.BlueGreen.SmokeMax
	if record.Plan.Replace {
		return []smoke.Test{smoke.Page(r.Cfg.ProbePaths[0].Path, longest)}, nil
	}
	var plan smoke.Plan
	for _, path := range inputs.SmokeDefaults {
		plan.Tests = append(plan.Tests, smoke.Page(path, longest))
	}
	pods, err := forward.Ready(ctx, r.Cluster, record.Namespace, record.Service, record.Stable.UID)
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, exit.Refuse("wait until its pods are ready", fmt.Sprintf("deployment %s has no ready pod to learn the smoke tests from", record.Deployment))
	}
	entry := release.Entry(found.EntryPoint)
	at := []smoke.Place{podPlace(r, record, entry, plan, pods[0]), {Name: entryPoint, URL: entry.URL, Host: entry.Host}}
	limited, cancel := context.WithTimeoutCause(ctx, smokeLimit, fmt.Errorf("the live version did not answer the usual paths within %s", smokeLimit))
	defer cancel()
	results := smoke.Run(limited, settings(r, plan), plan, at)
	if limited.Err() != nil {
		return nil, context.Cause(limited)
	}
	passes := func(t smoke.Test, place string) bool {
		return slices.ContainsFunc(results, func(r smoke.Result) bool { return r.Test == t.Name && r.Place == place && r.Failure == "" })
	}
	var tests []smoke.Test
	for _, t := range plan.Tests {
		if t.Pods, t.Entry = passes(t, at[0].Name), passes(t, entryPoint); t.Pods || t.Entry {
			tests = append(tests, t)
		}
	}
	if !slices.ContainsFunc(tests, func(t smoke.Test) bool { return t.Pods }) {
		return nil, exit.Refuse("set smoke-paths or smoke-file, or validation-tests: false for a switch without smoke tests",
			fmt.Sprintf("%s of the live version answers none of %s with 200 (%s): there is nothing to test the new version by", at[0].Name, strings.Join(inputs.SmokeDefaults, ", "), smoke.Failures(results)))
	}
	return tests, nil
}

// settings masks the secrets of the tests before the first request.
func settings(r *Run, p smoke.Plan) smoke.Settings {
	for _, name := range p.Secrets() {
		r.Action.Mask(r.Action.Getenv(name))
	}
	return smoke.Settings{UserAgent: probe.UserAgent(inputs.Version), Secret: r.Action.Getenv}
}

// podPlace is a pod as a place of tests.
func podPlace(r *Run, record *release.Record, entry release.Entry, p smoke.Plan, pod forward.Pod) smoke.Place {
	scheme, port := "http", pod.Port
	if p.Scheme != "" {
		scheme = p.Scheme
	}
	if p.Port != 0 {
		port = p.Port
	}
	return smoke.Place{
		Name: "pod " + pod.Name, Pod: true, URL: scheme + "://" + pod.Name, Host: entry.Host,
		Dial: func(ctx context.Context) (net.Conn, error) {
			return forward.Dial(ctx, r.Cluster, record.Namespace, pod.Name, port)
		},
	}
}

// A tester runs the smoke tests of a release in the background. It observes for the
// loop what they showed.
type tester struct {
	ctx   context.Context //nolint:containedctx // of the release, not of one action
	run   *Run
	watch *traffic.Monitor
	woken chan struct{}

	mu      sync.Mutex
	cancel  context.CancelFunc // of the newest round
	round   int
	state   rollout.Check
	reason  string
	results []smoke.Result // of all rounds, by pod the newest
	passed  map[string]bool
}

func newTester(ctx context.Context, r *Run, m *traffic.Monitor) *tester {
	return &tester{ctx: ctx, run: r, watch: m, woken: make(chan struct{}, 1), cancel: func() {}, state: rollout.CheckPending, passed: map[string]bool{}}
}

// podKey identifies a pod whose containers did not restart since.
func podKey(name string, restarts int) string { return fmt.Sprintf("%s %d", name, restarts) }

// start starts a round with the canary's ready pods.
func (t *tester) start(record *release.Record) error {
	plan, err := smoke.Decode(record.Smoke)
	if err != nil {
		return err
	}
	if unset := plan.Unset(t.run.Action.Getenv); len(unset) > 0 {
		return fmt.Errorf("the smoke tests need environment variables that this process does not have: %s", strings.Join(unset, ", "))
	}
	places := []smoke.Place{}
	if entry := (smoke.Place{Name: entryPoint, URL: record.Entry.URL, Host: record.Entry.Host}); traffic.Preflighted(t.watch) {
		entry.Mark = http.Header{workload.PreflightHeader: {record.Preflight}}
		entry.Stranger = func(h http.Header, body []byte) string { return traffic.Stranger(t.watch, h, body) }
		places = append(places, entry)
	} else {
		t.run.Console.Warn("the smoke tests do not go through the entry point: no marked request can be known to reach the new version there; its pods are tested directly")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancel()
	limit := fmt.Errorf("the smoke tests did not end within %s", record.Plan.Smoke)
	ctx, cancel := context.WithTimeoutCause(t.ctx, record.Plan.Smoke, limit)
	t.round++
	t.cancel, t.state, t.reason = cancel, rollout.CheckPending, ""
	go t.test(ctx, t.round, *record, plan, places)
	return nil
}

// test runs one round. Without a ready pod it fails: nothing was tested.
func (t *tester) test(ctx context.Context, round int, record release.Record, plan smoke.Plan, places []smoke.Place) {
	pods, err := forward.Ready(ctx, t.run.Cluster, record.Namespace, record.CanaryService(), record.Canary.UID)
	if err == nil && len(pods) == 0 {
		err = errors.New("no pod of the new version is ready")
	}
	for _, pod := range pods {
		places = append(places, podPlace(t.run, &record, record.Entry, plan, pod))
	}
	var results []smoke.Result
	if err == nil {
		results = smoke.Run(ctx, settings(t.run, plan), plan, places)
		if text := smoke.Failures(results); text != "" {
			err = errors.New(text)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if round != t.round || t.ctx.Err() != nil {
		return // stopped
	}
	t.results = results
	if err != nil {
		t.state, t.reason = rollout.CheckFailed, err.Error()
	} else {
		t.state = rollout.CheckPassed
		for _, pod := range pods {
			t.passed[podKey(pod.Name, pod.Restarts)] = true
		}
		t.run.Console.Logf("%d smoke tests passed, on %d pods%s", len(results), len(pods), through(places))
	}
	select {
	case t.woken <- struct{}{}:
	default:
	}
}

// through says whether tests went through the entry point.
func through(places []smoke.Place) string {
	if slices.ContainsFunc(places, func(p smoke.Place) bool { return !p.Pod }) {
		return " and through the entry point"
	}
	return ""
}

// stop ends a round that runs.
func (t *tester) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancel()
	t.round++
}

// tested returns the results of the newest round.
func (t *tester) tested() []smoke.Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.results
}

// A testedTarget is a Target whose canary is tested.
type testedTarget struct {
	Target
	tests *tester
}

// Do starts the tests, and stops them before any other action than a change of size.
func (t testedTarget) Do(ctx context.Context, a rollout.Action, s rollout.State) error {
	switch a.Kind {
	case rollout.KindSmoke:
		return t.tests.start(t.Record()) //nolint:contextcheck // the tests outlive this action; they have the context of the release
	case rollout.KindScale:
	default:
		t.tests.stop()
	}
	return t.Target.Do(ctx, a, s)
}

// Observe adds how the tests went, and which ready pods have passed none.
func (t testedTarget) Observe(ctx context.Context, s rollout.State) (rollout.Observation, error) {
	o, err := t.Target.Observe(ctx, s)
	if s.Phase != rollout.PhaseProgressing {
		return o, err
	}
	t.tests.mu.Lock()
	defer t.tests.mu.Unlock()
	o.Smoke, o.SmokeReason = t.tests.state, t.tests.reason
	for _, pod := range t.Pods() {
		if pod.Side == rollout.SideCanary && pod.Ready && !t.tests.passed[podKey(pod.Name, int(pod.Restarts))] {
			o.Untested++
		}
	}
	return o, err
}

// smokeLimit bounds the questions to the live version before the first change.
const smokeLimit = time.Minute
