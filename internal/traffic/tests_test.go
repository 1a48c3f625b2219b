package traffic

import (
	"bufio"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/evidence"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/probe/expect"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// A pinGateway is a gateway whose route for test requests leads to each version, as
// soon as it follows it. It refuses a value that no rollout has.
type pinGateway struct {
	*httptest.Server
	weight  atomic.Int64
	follows atomic.Bool
	pinned  atomic.Int64 // requests with a value, whoever got them
	// canary and stable answer for a version; nil for a page that is well.
	canary, stable atomic.Pointer[http.HandlerFunc]
}

func newPinGateway(t *testing.T) *pinGateway {
	t.Helper()
	g := &pinGateway{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		toCanary := rand.Int64N(100) < g.weight.Load()
		switch value := r.Header.Get(header); value {
		case "":
		case "s3cret", "t0ken":
			if g.pinned.Add(1); g.follows.Load() {
				toCanary = value == "s3cret"
			}
		default:
			t.Errorf("a request with the value %q", value)
		}
		version, handler := "v1", g.stable.Load()
		if toCanary {
			version, handler = "v2", g.canary.Load()
		}
		if handler != nil {
			(*handler)(w, r)
			return
		}
		w.Header().Set("X-Version", version)
		_, _ = w.Write([]byte("a page"))
	}))
	t.Cleanup(g.Close)
	return g
}

// reset ends a connection without an answer, as a pod does that crashes.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

func badGateway(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }

func use(h http.HandlerFunc) *http.HandlerFunc { return &h }

func (g *pinGateway) config(paths ...expect.Path) Config {
	return Config{URL: g.URL, Paths: paths, Rate: 250, Timeout: 10 * time.Second, ErrorRate: 5, PreflightHeader: header}
}

// start returns a monitor and the file of what its judge was told.
func (g *pinGateway) start(t *testing.T, record *release.Record, change func(*Identity)) (*Monitor, string) {
	t.Helper()
	id, err := Learn(t.Context(), g.config())
	if err != nil {
		t.Fatal(err)
	}
	id.Book.Learn(rollout.SideCanary, "v2")
	change(&id)
	m, err := Start(t.Context(), g.config(), record, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	file := filepath.Join(t.TempDir(), "analysis.jsonl")
	cfg := config.Config{Version: 1}.WithDefaults(config.Metric{MinSamples: 20})
	if err := m.Judge(file, recording.Start{Steps: 1, Config: cfg}); err != nil {
		t.Fatal(err)
	}
	m.Follow(rollout.Plan{Steps: []rollout.Step{{Weight: 100, Dwell: time.Hour}}, Prewarm: 20 * time.Second})
	return m, file
}

func pinRecord() *release.Record {
	r := newRecord()
	r.PreflightStable = "t0ken"
	return r
}

// to writes a weight that the gateway follows at once.
func (g *pinGateway) to(m *Monitor, weight int) rollout.State {
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StageObserved, Weight: weight, Written: true}
	g.weight.Store(int64(weight))
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight, Weight: weight}, s, time.Now())
	return s
}

// tests waits until so many requests to single versions count.
func awaitTests(t *testing.T, m *Monitor, s rollout.State, n int64) Snapshot {
	t.Helper()
	until(t, m, s, "requests to single versions", func(rollout.Observation) bool { return m.Snapshot().Tests.Total() >= n })
	return m.Snapshot()
}

// points returns what the judge was told of the probe stream.
func points(t *testing.T, m *Monitor, file string) []analysis.Point {
	t.Helper()
	if err := m.EndJudge(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all []analysis.Point
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var event struct {
			Points *recording.Points `json:"points"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		if event.Points != nil {
			all = append(all, event.Points.Points...)
		}
	}
	return all
}

// A failure of a request that was sent to one version is blamed on it only when the
// gateway is known to follow the route; the share is that of users' requests alone.
func TestRequestsToOneVersionCountWhenTheGatewayFollows(t *testing.T) {
	t.Parallel()
	g := newPinGateway(t)
	m, _ := g.start(t, pinRecord(), func(*Identity) {})
	s := g.to(m, 20)
	o := until(t, m, s, "the weight", func(o rollout.Observation) bool { return o.Split == rollout.SplitConfirmed })
	until(t, m, s, "200 of them", func(rollout.Observation) bool { return g.pinned.Load() > 200 })
	if seen := m.Snapshot(); seen.Tests.Total() != 0 {
		t.Fatalf("%d requests count for a version although the gateway does not follow the route", seen.Tests.Total())
	}
	g.follows.Store(true)
	seen := awaitTests(t, m, s, 100)
	if seen.Tests.Stable.Total != 0 || seen.Tests.Failed() != 0 {
		t.Errorf("below 50 %% the requests go to the canary: %+v", seen.Tests)
	}
	until(t, m, s, "more answers", func(rollout.Observation) bool { return m.Snapshot().Total.Canary.Total > 200 })
	step, _ := m.Current()
	if share := float64(step.Counts.Canary.Total) / float64(step.Counts.Total()); share < .1 || share > .3 || o.CanaryAnswers == 0 {
		t.Errorf("the canary's share of the requests like users' is %.2f, want about .2", share)
	}
	if part := float64(step.Tests.Total()) / float64(step.Counts.Total()); step.Tests.Total() == 0 || part > .3 {
		t.Errorf("%.2f test requests for each other one, want them to be a fifth of the rate", part)
	}
	g.follows.Store(false) // somebody deleted the route
	until(t, m, s, "no more of them", func(rollout.Observation) bool {
		before := m.Snapshot().Tests.Total()
		sent := g.pinned.Load()
		until(t, m, s, "50 more", func(rollout.Observation) bool { return g.pinned.Load() > sent+50 })
		return m.Snapshot().Tests.Total() == before
	})
}

// What the canary's test requests get is its own: a reset, and the gateway's own 502.
func TestAFailedRequestToOneVersionIsItsOwn(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]http.HandlerFunc{"reset": reset, "the gateway's 502": badGateway} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newPinGateway(t)
			m, file := g.start(t, pinRecord(), func(*Identity) {})
			g.follows.Store(true)
			s := g.to(m, 10)
			awaitTests(t, m, s, 50)
			g.canary.Store(use(failure))
			seen := m.Snapshot()
			until(t, m, s, "failed ones", func(rollout.Observation) bool {
				seen = m.Snapshot()
				return seen.Tests.Canary.Failed >= 20
			})
			if seen.Tests.Stable.Total != 0 {
				t.Errorf("stable is blamed for %+v", seen.Tests.Stable)
			}
			if failed := seen.Total.Failed(); failed == 0 || seen.Total.Canary.Failed != 0 {
				t.Errorf("of the requests like users' %d failed, %d of them by the canary: nobody answered", failed, seen.Total.Canary.Failed)
			}
			g.canary.Store(nil)
			s = g.to(m, 90)
			until(t, m, s, "stable's", func(rollout.Observation) bool { return m.Snapshot().Tests.Stable.Total >= 50 })
			failed, lost := map[series]float64{}, 0.0
			for _, p := range points(t, m, file) {
				failed[series{p.Side, p.Pinned}] += p.Failed
				lost += p.Lost
			}
			if lost != failed[series{rollout.SideCanary, true}] {
				t.Errorf("%v of the canary's %v failed test requests are lost, want all: none of them names a version", lost, failed[series{rollout.SideCanary, true}])
			}
			if failed[series{rollout.SideCanary, true}] < 20 || failed[series{rollout.SideStable, true}] != 0 || failed[series{rollout.SideCanary, false}] != 0 || failed[series{rollout.SideUnattributed, false}] == 0 {
				t.Errorf("the judge was told of these failures: %v", failed)
			}
		})
	}
}

// A record of an older version has no route to stable: nothing is pinned.
func TestARecordWithoutARouteToStable(t *testing.T) {
	t.Parallel()
	for _, pins := range []bool{false, true} {
		g := newPinGateway(t)
		g.follows.Store(true)
		record := newRecord()
		if pins {
			record = pinRecord()
		}
		m, _ := g.start(t, record, func(id *Identity) { id.Recalled = true })
		s := g.to(m, 100)
		until(t, m, s, "answers", func(rollout.Observation) bool { return m.Snapshot().Total.Canary.Total > 300 })
		if seen := m.Snapshot(); seen.Tests.Stable.Total > 0 != pins || seen.Tests.Canary.Total > 0 || seen.Tested != pins || g.pinned.Load() > 0 != pins {
			t.Errorf("with a route to stable %v: %d requests were sent, counted %+v", pins, g.pinned.Load(), seen.Tests)
		}
	}
}

// The canary's pods may be stopped only when the last test request has its answer.
func TestTheWayBackWaitsForOpenTestRequests(t *testing.T) {
	t.Parallel()
	g := newPinGateway(t)
	g.follows.Store(true)
	m, _ := g.start(t, pinRecord(), func(*Identity) {})
	s := g.to(m, 10)
	awaitTests(t, m, s, 20)
	hold := make(chan struct{})
	g.canary.Store(use(func(w http.ResponseWriter, _ *http.Request) {
		<-hold
		w.Header().Set("X-Version", "v2")
	}))
	until(t, m, s, "an open one", func(rollout.Observation) bool { return m.stream.Open(rollout.SideCanary) > 0 })
	back := rollout.State{Phase: rollout.PhaseAborting, Stage: rollout.StageAbortObserved, Written: true}
	g.weight.Store(0)
	at := time.Now()
	m.ActionDone(rollout.Action{Kind: rollout.KindWeight}, back, at)
	until(t, m, back, "the share of 0", func(rollout.Observation) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.share.confirmed
	})
	look := func(now time.Time, s rollout.State) rollout.Split {
		return m.Annotate(rollout.Observation{Now: now, Accepted: true}, s).Split
	}
	if got := look(at.Add(time.Second), back); got != rollout.SplitPending {
		t.Errorf("an open request is not waited for: %s", got)
	}
	quick := back
	quick.QuickBy = at.Add(time.Minute)
	if got := look(at.Add(time.Second), quick); got != rollout.SplitConfirmed {
		t.Errorf("a signal waits for it: %s", got)
	}
	failed := m.Snapshot().Tests.Failed()
	close(hold)
	until(t, m, back, "the end", func(rollout.Observation) bool { return m.stream.Open(rollout.SideCanary) == 0 })
	if seen := m.Snapshot(); seen.Tests.Failed() != failed {
		t.Errorf("%d test requests failed on the way back", seen.Tests.Failed())
	}
}

// A canary that is cold gets test requests before its first weight, and the baseline
// goes on meanwhile.
func TestTheCanaryIsWarmedBeforeItsFirstWeight(t *testing.T) {
	t.Parallel()
	g := newPinGateway(t)
	g.follows.Store(true)
	var asked atomic.Int64
	g.canary.Store(use(func(w http.ResponseWriter, _ *http.Request) {
		if n := asked.Add(1); n < 300 {
			<-time.After(time.Duration(300-n) * time.Millisecond / 3)
		}
		w.Header().Set("X-Version", "v2")
	}))
	m, _ := g.start(t, pinRecord(), func(*Identity) {})
	s := rollout.State{Phase: rollout.PhaseProgressing, Stage: rollout.StagePreflight}
	m.ActionDone(rollout.Action{Kind: rollout.KindScale}, s, time.Now())
	if o := m.Annotate(rollout.Observation{Now: time.Now()}, s); o.Prewarming {
		t.Error("before the preflight")
	}
	until(t, m, s, "the preflight", func(o rollout.Observation) bool { return o.Preflight == rollout.SplitConfirmed && o.Prewarming })
	if m.Prewarm() != nil {
		t.Error("it has ended before it began")
	}
	before := m.Snapshot().Total.Stable.Total
	until(t, m, s, "the end", func(o rollout.Observation) bool { return !o.Prewarming })
	got := m.Prewarm()
	if got == nil || !got.Settled || got.Requests < 60 || got.Failed != 0 || got.First < 2*got.Last {
		t.Errorf("Prewarm = %+v", got)
	}
	seen := m.Snapshot()
	if seen.Total.Stable.Total-before < int64(got.Requests)/3 {
		t.Errorf("stable got %d requests meanwhile, the canary %d", seen.Total.Stable.Total-before, got.Requests)
	}
	if seen.Total.Canary.Total != 0 || seen.Tests.Total() != 0 {
		t.Errorf("its answers count as users': %+v, or as a step's: %+v", seen.Total.Canary, seen.Tests)
	}
}

// Each way in which an answer is wrong reaches the judge, and it is no failure.
func TestWrongAnswersReachTheJudge(t *testing.T) {
	t.Parallel()
	g := newPinGateway(t)
	g.follows.Store(true)
	m, file := g.start(t, pinRecord(), func(*Identity) {})
	g.canary.Store(use(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", "v2")
		http.Redirect(w, r, "/login", http.StatusFound)
	}))
	s := g.to(m, 20)
	awaitTests(t, m, s, 30)
	seen := m.Snapshot()
	if n := seen.Total.Canary.Wrong[evidence.WrongRedirect]; n == 0 || n != seen.Total.Canary.Total || seen.Total.Failed() != 0 || len(seen.Total.Stable.Wrong) != 0 {
		t.Errorf("the counts are %+v", seen.Total)
	}
	wrong := map[series]float64{}
	for _, p := range points(t, m, file) {
		if p.Failed > 0 {
			t.Errorf("a redirect is a failure: %+v", p)
		}
		wrong[series{p.Side, p.Pinned}] += p.Wrong[evidence.WrongRedirect]
	}
	if wrong[series{rollout.SideCanary, false}] == 0 || wrong[series{rollout.SideCanary, true}] == 0 || wrong[series{rollout.SideStable, false}] != 0 {
		t.Errorf("the judge was told of these redirects: %v", wrong)
	}
}

func parsed(t *testing.T, paths, expectations string) []expect.Path {
	t.Helper()
	list, wrong := expect.ParsePaths(paths)
	if wrong = append(wrong, expect.ParseExpectations(expectations, list)...); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	return list
}

// An expectation that stable does not meet is refused before any change, all of them
// together and with what stable answers.
func TestExpectationsThatStableMisses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", "v1")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"path":"` + r.URL.Path + `"}`))
	}))
	t.Cleanup(server.Close)
	paths := "/ 3\n/api"
	cfg := Config{URL: server.URL, Timeout: time.Second, ErrorRate: 5, Paths: parsed(t, paths, "/ json $.path == \"/\"\n/api status 200")}
	id, err := Learn(t.Context(), cfg)
	if err != nil || len(id.Answers) != 2 || id.Answers[1].Path != "/api" || id.Answers[1].Smallest != 15 || id.Answers[0].Type != "application/json" {
		t.Fatalf("Learn = %+v, %v", id.Answers, err)
	}
	record := newRecord()
	record.Markers = id.Markers()
	if back, err := Recall(record); err != nil || len(cfg.pages(back)) != 2 || cfg.pages(back)[1].Before != id.Answers[1] {
		t.Errorf("another process asks for %+v, %v", cfg.pages(back), err)
	}
	cfg.Paths = parsed(t, paths, "/ json $.path == \"/x\"\n/api status 204\n/api header Content-Type")
	_, err = Learn(t.Context(), cfg)
	if status, hint := exit.Of(err); status != exit.CouldNotRun || hint == "" {
		t.Errorf("status %s, hint %q", status, hint)
	}
	for _, want := range []string{"2 problems", `"/ json $.path == \"/x\"": stable itself misses it, in answer 1 of 20: its body has "/" there`, "/api status 204", "its status is 200"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
