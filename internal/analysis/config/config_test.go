package config

import (
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/rollout"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	bad := Config{Version: 2, Alpha: 3, MaxExtensions: new(-1), Then: "pass", Stale: -1, Score: &Score{Pass: 10, Marginal: 20},
		Groups: map[string]float64{"g": 0},
		Metrics: []Metric{
			{Name: "a b", Errors: &ErrorLimits{Rate: new(100.0), Ratio: .5}, OnNaN: "pass"},
			{Name: "x", Source: Source{HTTP: &HTTPSource{}, Kubernetes: &KubernetesSource{}}, Group: "nowhere"},
			{Name: "x", Source: Source{HTTP: &HTTPSource{}}, Limit: &GaugeLimit{}},
		},
		Checks: []CustomCheck{{Name: "c"}, {Name: "w", Webhook: "https://x"}},
	}.WithDefaults(Metric{})
	err := bad.Validate()
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"version is 2", "alpha is 3", "max-extensions is -1", `then is "pass"`, "stale is", "score is", "groups.g is 0",
		`metrics[1].name is "a b"`, "metrics[1].errors.rate is 100", "errors.ratio is 0.5", `on-nan is "pass"`, "metrics[1] is a metric with 0 sources",
		"metrics[2] is a metric with 2 sources", `group is "nowhere"`, `metrics[3].name is "x": want a name of its own`, "metrics[3].limit is empty",
		`metrics[3].http.url is ""`, "metrics[3].http is without a path", "checks[0] is a check with 0 ways to run", "checks[1].secret-env"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

// Metrics inherit the limits that the inputs give.
func TestDefaultsAreInherited(t *testing.T) {
	t.Parallel()
	c := Config{Version: 1, Metrics: []Metric{{Name: "users", Source: Source{HTTP: &HTTPSource{}}, Errors: &ErrorLimits{Rate: new(1.0)}}}}.
		WithDefaults(Metric{MinSamples: 7, Errors: &ErrorLimits{Rate: new(3.0), Success: new(90.0)}, Latency: &LatencyLimits{Ratio: 4}, OnNoData: rollout.PolicyHold})
	probe, users := c.Metrics[0], c.Metrics[1]
	if probe.Name != ProbeMetric || *probe.Errors.Rate != 3 || probe.Latency.Ratio != 4 || probe.MinSamples != 7 || probe.OnNoData != rollout.PolicyHold {
		t.Errorf("probe: %+v", probe)
	}
	if *users.Errors.Rate != 1 || *users.Errors.Success != 90 || users.Latency != nil || users.MinSamples != 7 {
		t.Errorf("users: %+v", users)
	}
}
