package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/probe"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/traffic/baseline"
)

const header = "X-Preflight"

// A fakeGateway distributes requests between two versions on the real wire.
type fakeGateway struct {
	*httptest.Server
	weight  atomic.Int64 // percent to the canary
	marked  atomic.Bool  // it knows the preflight route
	signs   atomic.Bool  // answers carry their version
	stable  atomic.Value // stable's version
	failing atomic.Bool
}

func newGateway(t *testing.T) *fakeGateway {
	t.Helper()
	g := &fakeGateway{}
	g.signs.Store(true)
	g.stable.Store("v1")
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := g.stable.Load().(string)
		if rand.Int64N(100) < g.weight.Load() || g.marked.Load() && r.Header.Get(header) == "s3cret" {
			version = "v2"
		}
		if g.signs.Load() {
			w.Header().Set("X-Version", version)
		}
		if g.failing.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *fakeGateway) config() Config {
	return Config{URL: g.URL + "/", Rate: 500, Timeout: 5 * time.Second, ErrorRate: 5, PreflightHeader: header}
}

func newRecord() *release.Record {
	return &release.Record{Namespace: "shop", Deployment: "web", Service: "web", Preflight: "s3cret"}
}

// start returns a monitor with a judge, on a stable version that answers.
func start(t *testing.T, g *fakeGateway) (*Monitor, *release.Record) {
	t.Helper()
	id, err := Learn(t.Context(), g.config())
	if err != nil {
		t.Fatal(err)
	}
	return startAs(t, g, id)
}

// startAs is start with an identity.
func startAs(t *testing.T, g *fakeGateway, id Identity) (*Monitor, *release.Record) {
	t.Helper()
	record := newRecord()
	m, err := Start(t.Context(), g.config(), record, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	cfg := config.Config{Version: 1}.WithDefaults(config.Metric{MinSamples: 20})
	if err := m.Judge(filepath.Join(t.TempDir(), "analysis.jsonl"), recording.Start{Steps: 1, Config: cfg}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.EndJudge(); err != nil {
			t.Error(err)
		}
	})
	m.Follow(rollout.Plan{Steps: []rollout.Step{{Weight: 50, Dwell: time.Hour}, {Weight: 100, Dwell: time.Hour}}})
	if err := m.AwaitBaseline(t.Context(), func(string, time.Time) {}); err != nil {
		t.Fatal(err)
	}
	return m, record
}

// until reads the monitor after each change until ok accepts the observation.
func until(t *testing.T, m *Monitor, s rollout.State, what string, ok func(rollout.Observation) bool) rollout.Observation {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		o := m.Annotate(rollout.Observation{Now: time.Now(), Accepted: true}, s)
		if ok(o) {
			return o
		}
		select {
		case <-m.Changed():
		case <-limit:
			t.Fatalf("%s: nothing after 20 s, the last is %+v", what, o)
		}
	}
}

// The pods of the version before stable may still answer while stable's values are
// learnt.
func TestAnEarlierVersionIsNotTakenForStable(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.stable.Store("v0")
	m, record := start(t, g)
	record.Markers = m.identity.Markers()
	g.stable.Store("v1")
	for seen := 0; seen < 2*baseline.Answers; { // as long as the canary's pods start
		<-time.After(10 * time.Millisecond)
		m.mu.Lock()
		if m.relearning.Changed {
			seen = m.relearning.Answers - m.relearning.Last["v0"]
		}
		m.mu.Unlock()
	}
	g.weight.Store(50)
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Weight: 50, Written: true}
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 50}, s, time.Now())
	o := until(t, m, s, "the share of 50 %", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })
	if o.CanaryAnswers == 0 {
		t.Error("no answer was the canary's")
	}
	if got := record.Markers.Stable; len(got) != 1 || got[0] != "v1" {
		t.Errorf("stable's values in the record are %q, want v1", got)
	}
	if side := m.identity.Book.Side("v0"); side != rollout.SideCanary {
		t.Errorf("an answer of v0, which no longer serves, counts for %s: a release that goes back to it is not seen", side)
	}
}

// What fails when a process goes on with a rollout was there before its first
// weight: somebody removed the canary, say, and it is coming back.
func TestFailuresFromBeforeAResumedWeight(t *testing.T) {
	t.Parallel()
	for _, recalled := range []bool{false, true} {
		t.Run(fmt.Sprint(recalled), func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			id, err := Learn(t.Context(), g.config())
			if err != nil {
				t.Fatal(err)
			}
			id.Recalled = recalled
			m, _ := startAs(t, g, id)
			g.signs.Store(false)
			g.failing.Store(true)
			s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Weight: 50, Written: true}
			m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 50}, s, time.Now())
			// More than an outage that is waited for.
			o := until(t, m, s, "6,000 answers", func(o rollout.Observation) bool { return o.SinceCanary >= 6000 || o.Verdict == rollout.VerdictFailed })
			if failed := o.Verdict == rollout.VerdictFailed; failed == recalled {
				t.Errorf("the verdict is %s: %s", o.Verdict, o.Reason)
			}
			if !recalled {
				return
			}
			g.signs.Store(true)
			g.failing.Store(false)
			g.weight.Store(50)
			until(t, m, s, "the share of 50 %", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })
			g.signs.Store(false)
			g.failing.Store(true)
			until(t, m, s, "a failed verdict", func(o rollout.Observation) bool { return o.Verdict == rollout.VerdictFailed })
		})
	}
}

func TestAWeightIsConfirmedByAnswers(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, record := start(t, g)
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Since: time.Now()}
	if o := m.Annotate(rollout.Observation{Now: time.Now()}, s); o.Split != rollout.SplitPending || o.Verdict != rollout.VerdictPending {
		t.Fatalf("before a weight: %+v", o)
	}

	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 50}, s, time.Now())
	if o := m.Annotate(rollout.Observation{Now: time.Now()}, s); o.Split != rollout.SplitPending {
		t.Fatalf("confirmed although the gateway does not follow: %+v", o)
	}
	g.weight.Store(50)
	until(t, m, s, "the weight", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })
	enough := func(rollout.Observation) bool {
		step, _ := m.Current()
		return step.Counts.Canary.Total >= 500
	}
	until(t, m, s, "enough answers to know a median", enough)

	s.Step = 1
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 100}, s, time.Now())
	g.weight.Store(100)
	until(t, m, s, "all traffic", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })
	step, ok := m.Current()
	if !ok || !step.Confirmed || step.Observed <= 0 || step.Share.K != step.Share.N {
		t.Errorf("Current = %+v", step)
	}

	until(t, m, s, "enough answers to know a median", enough)
	m.ActionDone(rollout.Action{Kind: rollout.KindHandOver}, s, time.Now())
	if got := record.Rises[config.ProbeMetric]; len(got) != 1 || got[0].From != 50 || got[0].To != 100 {
		t.Errorf("the next release finds the rises %v, want one from 50 to 100", record.Rises)
	}
	s.Phase, s.Stage = rollout.PhasePromoting, rollout.StageSettle
	m.ActionDone(rollout.Action{Kind: rollout.KindWarm}, s, time.Now())
	o := until(t, m, s, "the end", func(o rollout.Observation) bool { return o.NewAnswers >= 100 })
	if o.OldAnswers != 0 {
		t.Errorf("%d answers of the old version, which gets no request", o.OldAnswers)
	}

	seen := m.Snapshot()
	if len(seen.Steps) != 3 || !seen.Steps[2].Promotion || len(seen.Weights) != 2 || seen.Total.Failed() != 0 || seen.Evidence != "header:X-Version" {
		t.Errorf("Snapshot = %+v", seen)
	}
	var sum int64
	for _, step := range seen.Steps {
		sum += step.Counts.Total()
	}
	if sum > seen.Total.Total() || seen.Steps[0].Counts.Canary.Total == 0 || seen.Steps[0].Counts.Stable.Total == 0 {
		t.Errorf("%d answers in steps, %d in all: %+v", sum, seen.Total.Total(), seen.Steps[0].Counts)
	}
}

func TestThePreflightWaitsForTheCanary(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, _ := start(t, g)
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StagePreflight}
	g.marked.Store(true) // the gateway knows the way before the pods were asked for
	if o := m.Annotate(rollout.Observation{}, s); o.Preflight != rollout.SplitPending {
		t.Fatalf("before the canary exists: %s", o.Preflight)
	}
	for range 2 { // a repeated action does not start it again
		m.ActionDone(rollout.Action{Kind: rollout.KindScale}, s, time.Now())
	}
	until(t, m, s, "the preflight", func(o rollout.Observation) bool { return o.Preflight == rollout.SplitConfirmed })
}

func TestFailuresBeforeAnyWeightStopThePreparations(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, _ := start(t, g)
	g.failing.Store(true)
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StagePrepare}
	limit := time.After(20 * time.Second)
	for {
		o := m.Annotate(rollout.Observation{}, s)
		if o.Verdict == rollout.VerdictFailed {
			if !strings.Contains(o.Reason, "failed before any weight was written") {
				t.Errorf("reason %q", o.Reason)
			}
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-limit:
			t.Fatal("no verdict within 20 s")
		}
	}
}

func TestAFailedRequestBringsAVerdict(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, _ := start(t, g)
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageDwell, Since: time.Now()}
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 50}, s, time.Now())
	g.weight.Store(100) // every answer is the canary's
	g.failing.Store(true)
	o := until(t, m, s, "the verdict", func(o rollout.Observation) bool { return o.Verdict != rollout.VerdictPending })
	if o.Verdict != rollout.VerdictFailed || o.Reason == "" {
		t.Errorf("%s: %s", o.Verdict, o.Reason)
	}
}

// Test requests that reach a canary with stable's version look like stable's answers.
func TestTestRequestsAnsweredWithStablesVersion(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, _ := start(t, g)
	m.ActionDone(rollout.Action{Kind: rollout.KindScale}, rollout.State{}, time.Now())
	o := until(t, m, rollout.State{}, "an answer to a test request", func(o rollout.Observation) bool { return o.Alike != "" })
	if o.Alike != `header:X-Version "v1"` || o.Preflight != rollout.SplitPending {
		t.Errorf("the test requests are %s, and have %s in common", o.Preflight, o.Alike)
	}
	g.marked.Store(true)
	if o = until(t, m, rollout.State{}, "the canary", func(o rollout.Observation) bool { return o.Preflight == rollout.SplitConfirmed }); o.Alike != "" {
		t.Errorf("the canary answers, and has %s in common with stable", o.Alike)
	}
}

// The pods of two versions with the same version are told apart by their names, as soon
// as the new ReplicaSet is known.
func TestPodsOfOneImageAreToldApart(t *testing.T) {
	t.Parallel()
	id, err := Learn(t.Context(), podsOfOneImage(t, 0))
	if err != nil || id.Marker.String() != "pod:X-Pod" {
		t.Fatalf("the marker is %s: %v", id.Marker, err)
	}
	record := newRecord()
	record.Stable.ReplicaSet, record.Preflight = "web-1", ""
	m, err := Start(t.Context(), podsOfOneImage(t, 50), record, id)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop()
	record.Canary.ReplicaSet = "web-2"
	m.ActionDone(rollout.Action{Kind: rollout.KindScale}, rollout.State{}, time.Now())
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 50}, rollout.State{}, time.Now())
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Weight: 50}
	until(t, m, s, "half of the answers by the canary", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })
}

// podsOfOneImage leads to a gateway before many pods of one version, weight percent of
// the answers by those of the ReplicaSet web-2.
func podsOfOneImage(t *testing.T, weight int) Config {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		set := 1
		if rand.IntN(100) < weight {
			set = 2
		}
		w.Header().Set("X-Version", "v1")
		w.Header().Set("X-Pod", fmt.Sprintf("web-%d-%d", set, rand.IntN(5)))
	}))
	t.Cleanup(server.Close)
	return Config{URL: server.URL + "/", Rate: 500, Timeout: 5 * time.Second, ErrorRate: 5, PreflightHeader: header, ReplicaSet: "web-1"}
}

func TestAnswersWithoutAVersionConfirmNothing(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.signs.Store(false)
	id, err := Learn(t.Context(), g.config())
	if err != nil || id.Why == "" {
		t.Fatalf("Learn = %+v, %v, want a reason why the versions cannot be distinguished", id, err)
	}
	m, err := Start(t.Context(), g.config(), newRecord(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop()
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 50}, rollout.State{}, time.Now())
	o := m.Annotate(rollout.Observation{Now: time.Now()}, rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved})
	if o.Split != rollout.SplitBlind || o.Preflight != rollout.SplitBlind {
		t.Errorf("%+v, want blind", o)
	}
	if seen := m.Snapshot(); seen.Why == "" || seen.Evidence != "" {
		t.Errorf("Snapshot = %+v", seen)
	}
}

func TestLearnRefusesAStableVersionThatIsNotWellBefore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		marker  probe.Marker
		says    string
	}{
		"an error page":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, probe.Marker{}, "status 404 before any change"},
		"an empty marker":    {func(http.ResponseWriter, *http.Request) {}, probe.MarkerIn("X-Mine", nil), "have no header:X-Mine"},
		"different statuses": {alternating(), probe.Marker{}, "status 204 before any change"},
	} {
		server := httptest.NewServer(c.handler)
		t.Cleanup(server.Close)
		_, err := Learn(t.Context(), Config{URL: server.URL, Timeout: time.Second, Marker: c.marker})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, c.says)
		}
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	if _, err := Learn(t.Context(), Config{URL: gone.URL, Timeout: time.Second}); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("no server: %v", err)
	}
}

func alternating() http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

func TestARecordedIdentityComesBack(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id, err := Learn(t.Context(), g.config())
	if err != nil {
		t.Fatal(err)
	}
	id.Book.Learn(rollout.SideCanary, "v2")
	record := newRecord()
	record.Markers = id.Markers()
	back, err := Recall(record)
	if err != nil {
		t.Fatal(err)
	}
	if back.Marker.String() != "header:X-Version" || back.Status != http.StatusOK || back.Why != "" {
		t.Errorf("Recall = %+v", back)
	}
	for value, want := range map[string]rollout.Side{"v1": rollout.SideStable, "v2": rollout.SideCanary, "v3": rollout.SideUnattributed} {
		if got := back.Book.Side(value); got != want {
			t.Errorf("%s is %s, want %s", value, got, want)
		}
	}
	for name, r := range map[string]*release.Record{"no markers": {}, "an empty marker": {Markers: &release.Markers{}}} {
		if id, err := Recall(r); err != nil || id.Why == "" {
			t.Errorf("%s: %+v, %v, want a reason", name, id, err)
		}
	}
	if _, err := Recall(&release.Record{Markers: &release.Markers{Marker: "body:("}}); err == nil {
		t.Error("an unreadable marker returns no error")
	}
}

func TestCustomChecksRunOncePerConfirmedWeight(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	m, _ := start(t, g)
	asked := make(chan string, 10)
	m.Check(func(k config.CustomCheck, weight int) analysis.Finding {
		asked <- fmt.Sprintf("%s at %d", k.Name, weight)
		return analysis.Finding{Metric: k.Name, Check: analysis.CheckCustom, Verdict: rollout.VerdictFailed, Critical: true, P: 1, Sentence: "smoke failed"}
	})
	cfg := config.Config{Version: 1, Checks: []config.CustomCheck{{Name: "smoke"}}}.WithDefaults(config.Metric{})
	if err := m.EndJudge(); err != nil {
		t.Fatal(err)
	}
	if err := m.Judge(filepath.Join(t.TempDir(), "a.jsonl"), recording.Start{Steps: 1, Config: cfg}); err != nil {
		t.Fatal(err)
	}
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageDwell, Since: time.Now()}
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: 50}, s, time.Now())
	g.weight.Store(50)
	o := until(t, m, s, "the check", func(o rollout.Observation) bool { return o.Verdict == rollout.VerdictFailed })
	if o.Reason != "smoke failed" || len(asked) != 1 || <-asked != "smoke at 50" {
		t.Errorf("reason %q after %d checks", o.Reason, len(asked))
	}
}

func TestABaselineThatNeverComesEndsWithTheContext(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	id, err := Learn(t.Context(), g.config())
	if err != nil {
		t.Fatal(err)
	}
	g.failing.Store(true)
	m, err := Start(t.Context(), g.config(), newRecord(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var down *DownError
	if err := m.AwaitBaseline(ctx, func(string, time.Time) {}); !errors.As(err, &down) || !strings.Contains(err.Error(), "failed before any change") {
		t.Errorf("AwaitBaseline = %v, want a *DownError", err)
	}
}

// A stable version that fails now and then is what the canary is compared with; one that
// fails more than the limit is down. (With 2 % of failures, one run in three was refused.)
func TestAFewFailuresOfStableAreNoReasonToRefuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		every int64 // which answer fails; 0 for none
		good  bool
	}{{0, true}, {25, true}, {2, false}, {1, false}} {
		var n atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Version", "v1")
			if i := n.Add(1); c.every > 0 && i%c.every == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		t.Cleanup(server.Close)
		cfg := Config{URL: server.URL + "/", Rate: 500, Timeout: time.Second, ErrorRate: 5, PreflightHeader: header}
		id, err := Learn(t.Context(), cfg)
		var down *DownError
		if !c.good {
			if !errors.As(err, &down) {
				t.Errorf("every %dth fails: %v, want a *DownError", c.every, err)
			}
			continue
		}
		if err != nil || id.Status != http.StatusOK {
			t.Errorf("every %dth fails: status %d, %v", c.every, id.Status, err)
			continue
		}
		m, err := Start(t.Context(), cfg, newRecord(), id)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Stop)
		if err := m.AwaitBaseline(t.Context(), func(string, time.Time) {}); err != nil {
			t.Errorf("every %dth fails: %v", c.every, err)
		}
	}
}
