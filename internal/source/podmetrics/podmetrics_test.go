package podmetrics

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source"
)

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestShare(t *testing.T) {
	t.Parallel()
	m := source.PodUsage{Containers: map[string]map[string]float64{"website": {CPU: 0.000409005, Memory: 1920 << 10}}}
	limits, requests := map[string]float64{CPU: .1, Memory: 3840 << 10}, map[string]float64{CPU: 100e-6, Memory: 960 << 10}
	bounded := source.Pod{Name: "web-1", Container: "website", HasContainer: true, Limits: limits, Requests: requests}
	for name, test := range map[string]struct {
		pod      source.Pod
		resource string
		of       string
		want     float64
		unknown  bool
		err      string
	}{
		"cpu of limit":      {bounded, CPU, OfLimits, 0.00409005, false, ""},
		"cpu of request":    {bounded, CPU, OfRequests, 4.09005, false, ""},
		"memory of limit":   {bounded, Memory, OfLimits, 0.5, false, ""},
		"memory of request": {bounded, Memory, OfRequests, 2, false, ""},
		"no limit": {source.Pod{Name: "web-1", Container: "website", HasContainer: true, Requests: requests}, Memory, OfLimits, 0, false,
			"pod web-1, container website: it has no memory limit that its usage could be a share of: set resources.limits.memory"},
		"no request": {source.Pod{Name: "web-1", Container: "website", HasContainer: true}, CPU, OfRequests, 0, false,
			"pod web-1, container website: it has no cpu request that its usage could be a share of: set resources.requests.cpu"},
		"no such container": {source.Pod{Name: "web-1", Container: "app"}, CPU, OfLimits, 0, false, "pod web-1: it has no container app"},
		"not measured":      {source.Pod{Name: "web-1", Container: "app", HasContainer: true, Limits: limits}, CPU, OfLimits, 0, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok, err := (&usage{resource: test.resource, request: test.of == OfRequests}).share(test.pod, m)
			if message(err) != test.err {
				t.Fatalf("error %q, want %q", message(err), test.err)
			}
			if diff := got - test.want; diff > 1e-9 || diff < -1e-9 || ok == (test.unknown || err != nil) {
				t.Errorf("share = %v, %t, want %v", got, ok, test.want)
			}
		})
	}
}

// A cluster has pods and what they use.
type cluster struct {
	pods []source.Pod
	used map[string]source.PodUsage
	err  error
}

func (c *cluster) RolloutPods() []source.Pod { return c.pods }

func (c *cluster) PodUsage(context.Context) (map[string]source.PodUsage, error) { return c.used, c.err }

// Each measurement is told once, and what an error keeps back later.
func TestUsageIsToldOnce(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	pod := func(side rollout.Side, name string) source.Pod {
		return source.Pod{Side: side, Name: name, Container: "web", HasContainer: true, Limits: map[string]float64{CPU: 2}}
	}
	c := &cluster{pods: []source.Pod{pod(rollout.SideStable, "a"), pod(rollout.SideCanary, "b")}, used: map[string]source.PodUsage{}}
	r, err := (&Config{Resource: CPU}).Open(t.Context(), config.Metric{}, source.Env{Pods: c, Names: source.Names{Namespace: "shop"}})
	if err != nil {
		t.Fatal(err)
	}
	measure := func(name string, at time.Time, cores float64) {
		c.used[name] = source.PodUsage{At: at, Containers: map[string]map[string]float64{"web": {CPU: cores}}}
	}
	read := func(want ...analysis.Point) {
		t.Helper()
		got, err := r.Read(t.Context())
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Read: %v (-want +got):\n%s", err, diff)
		}
	}
	point := func(side rollout.Side, name string, at time.Time, value analysis.Number) analysis.Point {
		return analysis.Point{At: at, Side: side, Subject: name, Value: &value}
	}
	read()
	measure("a", at, 1)
	read(point(rollout.SideStable, "a", at, .5))
	measure("b", at, 3)
	c.err = errors.New("down")
	if _, err := r.Read(t.Context()); message(err) != "read the cpu usage of pods in namespace shop: down" {
		t.Errorf("error %q", message(err))
	}
	c.err = nil
	read(point(rollout.SideCanary, "b", at, 1.5))
	read()
}

// What a metrics API says that cannot be is an error, or is passed as what it is: no
// usage below nothing keeps a limit.
func TestHostileUsage(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	limit := func(cores float64) map[string]float64 { return map[string]float64{CPU: cores} }
	for name, c := range map[string]struct {
		pod    source.Pod
		used   float64
		at     time.Time
		want   string // error; "" for none
		points int
	}{
		"good":           {source.Pod{Limits: limit(2)}, 1, at, "", 1},
		"negative":       {source.Pod{Limits: limit(2)}, -1, at, "a cpu usage of -1", 0},
		"not a number":   {source.Pod{Limits: limit(2)}, math.NaN(), at, "a cpu usage of NaN", 0},
		"no limit":       {source.Pod{}, 1, at, "no cpu limit", 0},
		"negative limit": {source.Pod{Limits: limit(-2)}, 1, at, "no cpu limit", 0},
		"no time":        {source.Pod{Limits: limit(2)}, 1, time.Time{}, "", 0},
	} {
		c.pod.Side, c.pod.Name, c.pod.Container, c.pod.HasContainer = rollout.SideCanary, "a", "web", true
		all := &cluster{pods: []source.Pod{c.pod}, used: map[string]source.PodUsage{"a": {At: c.at, Containers: map[string]map[string]float64{"web": {CPU: c.used}}}}}
		m := config.Metric{Source: &Config{Resource: CPU}, Limit: &config.GaugeLimit{Max: new(.9)}}
		r, err := source.Open(t.Context(), m, source.Env{Pods: all})
		if err != nil {
			t.Fatal(err)
		}
		points, err := r.Read(t.Context())
		if len(points) != c.points || (err == nil) != (c.want == "") || !strings.Contains(message(err), c.want) {
			t.Errorf("%s: Read = %+v, %v; want %d points, error %q", name, points, err, c.points, c.want)
		}
		all.used["a"] = source.PodUsage{At: c.at.Add(-time.Minute), Containers: all.used["a"].Containers}
		if points, _ := r.Read(t.Context()); len(points) != 0 {
			t.Errorf("%s: time goes back: %+v", name, points)
		}
	}
}

// container is a status of the container website as the kubelet reports it.
type container struct {
	restarts   int
	last, now  string // why it ended, "" for not
	id, nextID string
}

func (c container) pod(uid string) source.Pod {
	p := source.Pod{UID: uid, Reported: true, Restarts: c.restarts}
	if c.now == "OOMKilled" {
		p.OOMKills = append(p.OOMKills, c.nextID)
	}
	if c.last == "OOMKilled" {
		p.OOMKills = append(p.OOMKills, c.id)
	}
	return p
}

func TestTally(t *testing.T) {
	t.Parallel()
	type counts struct{ Restarts, OOMKills int }
	for name, test := range map[string]struct {
		before *container // nil: the pod is newer than the source
		states []container
		want   []counts
	}{
		"a new pod": {nil, []container{{}, {restarts: 1, last: "Error", id: "a"}, {restarts: 2, last: "OOMKilled", id: "b"}, {restarts: 2, last: "OOMKilled", id: "b"}},
			[]counts{{0, 0}, {1, 0}, {2, 1}, {2, 1}}},
		"what was before does not count": {&container{restarts: 3, last: "OOMKilled", id: "a"},
			[]container{{restarts: 3, last: "OOMKilled", id: "a"}, {restarts: 4, last: "OOMKilled", id: "b"}},
			[]counts{{0, 0}, {1, 1}}},
		"the kubelet counts anew": {&container{restarts: 3},
			[]container{{restarts: 3}, {restarts: 1, last: "Error", id: "a"}, {restarts: 2, last: "Error", id: "b"}},
			[]counts{{0, 0}, {1, 0}, {2, 0}}},
		"killed and not yet started again": {nil,
			[]container{{now: "OOMKilled", nextID: "a"}, {restarts: 1, last: "OOMKilled", id: "a"}, {restarts: 1, last: "OOMKilled", id: "a", now: "OOMKilled", nextID: "b"}},
			[]counts{{0, 1}, {1, 1}, {1, 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tally := newTally()
			if test.before != nil {
				tally.begin(test.before.pod("1"))
			}
			var got []counts
			for _, c := range test.states {
				restarts, ok := tally.count(c.pod("1"), Restarts)
				ooms, ok2 := tally.count(c.pod("1"), OOMKills)
				if !ok || !ok2 {
					t.Fatalf("the state of %+v is not known", c)
				}
				got = append(got, counts{restarts, ooms})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, ok := tally.count(source.Pod{}, Restarts); ok {
				t.Error("a pod without a status has a count")
			}
		})
	}
}
