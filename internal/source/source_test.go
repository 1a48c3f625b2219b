package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
)

// A script is a source that answers by a list.
type script struct {
	answers []answer
	reads   []time.Duration // since the beginning
	begun   time.Time
}

type answer struct {
	takes  time.Duration
	points []analysis.Point
	err    error
}

func (s *script) Read(ctx context.Context) ([]analysis.Point, error) {
	s.reads = append(s.reads, time.Since(s.begun))
	if len(s.reads) > len(s.answers) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a := s.answers[len(s.reads)-1]
	select {
	case <-time.After(a.takes):
		return a.points, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// limited asks for a pause.
type limited time.Duration

func (l limited) Error() string             { return "too often" }
func (l limited) RetryAfter() time.Duration { return time.Duration(l) }

func TestPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{begun: time.Now(), answers: []answer{
			{},                       // at once
			{takes: 5 * time.Second}, // longer than the interval
			{points: []analysis.Point{{Total: 1}}, err: errors.New("the rest is missing")},
			{err: fmt.Errorf("ask: %w", limited(10*time.Second))},
			{err: limited(time.Millisecond)}, // no reason to hurry
			{takes: time.Minute},             // longer than a reading may take
			{},
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		var delivered []string
		Poll(ctx, "users", s, func(metric string, points []analysis.Point, err error) {
			delivered = append(delivered, fmt.Sprintf("%s %d %v", metric, len(points), err))
		})
		wantReads := []time.Duration{0, 2 * time.Second, 7 * time.Second, 9 * time.Second, 19 * time.Second, 21 * time.Second, 41 * time.Second, 43 * time.Second}
		if diff := cmp.Diff(wantReads, s.reads); diff != "" {
			t.Errorf("it is read at (-want +got):\n%s", diff)
		}
		want := []string{"users 0 <nil>", "users 0 <nil>", "users 1 the rest is missing", "users 0 ask: too often", "users 0 too often", "users 0 context deadline exceeded", "users 0 <nil>"}
		if diff := cmp.Diff(want, delivered); diff != "" { // and nothing of the reading that the end cut off
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	var masked []string
	e := Env{Getenv: func(name string) string { return map[string]string{"TOKEN": "s3cret"}[name] }, Mask: func(s string) { masked = append(masked, s) }}
	header, err := e.Authorization("TOKEN", "Bearer ")
	if diff := cmp.Diff(http.Header{"Authorization": {"Bearer s3cret"}}, header); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{"s3cret"}, masked); diff != "" {
		t.Errorf("masked (-want +got):\n%s", diff)
	}
	if header, err := e.Authorization("", "Bearer "); header != nil || err != nil {
		t.Errorf("no variable: %v, %v", header, err)
	}
	if _, err := e.Authorization("NONE", ""); err == nil || err.Error() != "environment variable NONE is not set" {
		t.Errorf("a variable that is not set: %v", err)
	}
}

// A source decides how seldom it is read, within bounds: what a server says is no reason
// to be silent for the rest of a rollout.
func TestPauseIsBounded(t *testing.T) {
	t.Parallel()
	for asked, want := range map[time.Duration]time.Duration{
		-time.Hour: readEvery, 0: readEvery, time.Second: readEvery, time.Minute: time.Minute, time.Hour: longestPause, math.MaxInt64: longestPause,
	} {
		if got := pause(asked); got != want {
			t.Errorf("pause(%v) = %v, want %v", asked, got, want)
		}
	}
}

// judged is a source that only the judge knows; permitted needs permissions.
type judged struct{}

func (judged) Key() string                             { return "judged" }
func (judged) StaleAfter() time.Duration               { return 0 }
func (judged) Validate(config.Metric, config.Problems) {}

type permitted struct {
	judged
	resource string
}

func (p permitted) Permissions() []Permission {
	return []Permission{{Group: "metrics.k8s.io", Resource: p.resource, Verbs: []string{"list"}}}
}

func TestOpenNeedsASource(t *testing.T) {
	t.Parallel()
	for _, m := range []config.Metric{{}, {Source: judged{}}} {
		if _, err := Open(t.Context(), m, Env{}); err == nil {
			t.Errorf("%+v is opened", m)
		}
	}
}

func TestPermissionsAreListedOnce(t *testing.T) {
	t.Parallel()
	var got []string
	for _, p := range Permissions([]config.Metric{{}, {Source: judged{}}, {Source: permitted{resource: "pods"}}, {Source: permitted{resource: "nodes"}}, {Source: permitted{resource: "pods"}}}) {
		got = append(got, p.Resource)
	}
	if diff := cmp.Diff([]string{"pods", "nodes"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
