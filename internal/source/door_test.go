package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// given is a source that has the points that it was given.
type given struct {
	judged
	points []analysis.Point
	err    error
}

func (g given) Open(context.Context, config.Metric, Env) (Reader, error) { return g, nil }

func (g given) Read(context.Context) ([]analysis.Point, error) { return g.points, g.err }

var (
	inf = math.Inf(1)
	nan = math.NaN()
	now = time.Unix(1_780_000_000, 0)
)

// What no judge can reckon with does not reach it, and is said; what comes beside it
// does.
func TestOpenRefusesWhatIsNoCount(t *testing.T) {
	t.Parallel()
	good := analysis.Point{At: now, Side: rollout.SideStable, Total: 9, Failed: 1, Latency: []analysis.Bucket{{Over: 1, Upto: analysis.Number(inf), N: 8}}}
	point := func(change func(*analysis.Point)) analysis.Point {
		p := analysis.Point{At: now, Side: rollout.SideCanary}
		change(&p)
		return p
	}
	latency := func(over, upto, n float64) analysis.Point {
		return point(func(p *analysis.Point) {
			p.Latency = []analysis.Bucket{{Over: analysis.Number(over), Upto: analysis.Number(upto), N: n}}
		})
	}
	all := map[string]analysis.Point{
		"no time":    {Side: rollout.SideCanary},
		"no version": {At: now, Side: "both"},
		"bounds":     latency(2, 1, 1), "NaN over": latency(nan, 1, 1), "NaN up to": latency(0, nan, 1), "over infinity": latency(inf, inf, 1),
	}
	for _, v := range []float64{nan, inf, -inf, -1, 1e308, math.MaxFloat64, maxCount * 2} {
		all[fmt.Sprint("total ", v)] = point(func(p *analysis.Point) { p.Total = v })
		all[fmt.Sprint("failed ", v)] = point(func(p *analysis.Point) { p.Total, p.Failed = 10, v })
		all[fmt.Sprint("latencies ", v)] = latency(0, 1, v)
	}
	for name, bad := range all {
		r, err := Open(t.Context(), config.Metric{Source: given{points: []analysis.Point{bad, good}}}, Env{})
		if err != nil {
			t.Fatal(err)
		}
		points, err := r.Read(t.Context())
		if diff := cmp.Diff([]analysis.Point{good}, points); diff != "" || err == nil {
			t.Errorf("%s: error %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// The error of a source stays what it is, for whoever asks when to come again.
func TestOpenKeepsErrors(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	r, err := Open(t.Context(), config.Metric{Source: given{err: away}}, Env{})
	if err != nil {
		t.Fatal(err)
	}
	if points, err := r.Read(t.Context()); points != nil || !errors.Is(err, away) {
		t.Errorf("%v, %v", points, err)
	}
	r, _ = Open(t.Context(), config.Metric{Source: given{points: []analysis.Point{{}}, err: away}}, Env{})
	if _, err := r.Read(t.Context()); !errors.Is(err, away) || !strings.Contains(err.Error(), "no time") {
		t.Errorf("%v, want both", err)
	}
}

// A value that is infinite is past a limit or unknown; it never keeps one.
func TestOpenTakesNoInfinityForWithinTheLimit(t *testing.T) {
	t.Parallel()
	highest, lowest := &config.GaugeLimit{Max: new(5.0)}, &config.GaugeLimit{Min: new(5.0)}
	for _, c := range []struct {
		limit       *config.GaugeLimit
		value, want float64
	}{
		{highest, inf, inf}, {highest, -inf, nan}, {highest, nan, nan}, {highest, -1e308, -1e308},
		{lowest, -inf, -inf}, {lowest, inf, nan}, {lowest, nan, nan}, {lowest, 4, 4},
		{nil, inf, nan}, {nil, 4, 4},
	} {
		v := analysis.Number(c.value)
		r, err := Open(t.Context(), config.Metric{Limit: c.limit, Source: given{points: []analysis.Point{{At: now, Side: rollout.SideCanary, Value: &v}}}}, Env{})
		if err != nil {
			t.Fatal(err)
		}
		points, err := r.Read(t.Context())
		if err != nil || len(points) != 1 {
			t.Fatalf("%v: %v, %v", c.value, points, err)
		}
		if got := float64(*points[0].Value); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) || float64(v) != c.value && !math.IsNaN(c.value) {
			t.Errorf("%v under %+v is passed as %v, want %v", c.value, c.limit, got, c.want)
		}
	}
}
