package config

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// fake is a source that lacks a URL, and the program of a check that does.
type fake struct {
	URL string `json:"url"`
}

func (fake) Key() string { return "fake" }

func (fake) StaleAfter() time.Duration { return time.Minute }

func (fake) Validate(m Metric, p Problems) { p.Want(false, "fake.url", "empty", "all") }

func (program) Validate(p Problems) { p.Want(false, "url", "empty", "all") }

// program is the program of a check.
type program struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
}

// A config is written as the analysis file has it, and read without what only the
// sources and checks know.
func TestJSON(t *testing.T) {
	t.Parallel()
	c := Config{Version: 1, Metrics: []Metric{{Name: "probe"}, {Name: "users", Source: fake{URL: "http://x"}, Weight: 2}},
		Checks: []CustomCheck{{Name: "smoke", At: []int{5}, Program: program{Name: "smoke", Command: []string{"true"}}}, {Name: "bare", At: []int{7}}}}
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":1,"metrics":[{"name":"probe"},{"name":"users","weight":2,"fake":{"url":"http://x"}}],"checks":[{"name":"smoke","command":["true"]},{"name":"bare","at":[7]}]}`
	if string(raw) != want {
		t.Errorf("it is written as\n%s\nwant\n%s", raw, want)
	}
	var back Config
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	c.Metrics[1].Source, c.Checks[0] = nil, CustomCheck{Name: "smoke"}
	if diff := cmp.Diff(c, back); diff != "" {
		t.Errorf("it is read as (-want +got):\n%s", diff)
	}
}

func TestStaleAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config Config
		metric Metric
		want   time.Duration
	}{
		{Config{}, Metric{}, 30 * time.Second},
		{Config{}, Metric{Source: fake{}}, time.Minute},
		{Config{Stale: Duration(time.Hour)}, Metric{Source: fake{}}, time.Hour},
	} {
		if got := c.config.StaleAfter(c.metric); got != c.want {
			t.Errorf("%+v, %+v: %v, want %v", c.config, c.metric, got, c.want)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	bad := Config{Version: 2, Alpha: 3, MaxExtensions: new(-1), Then: "pass", Stale: -1, WarmUp: new(Duration(-1)), Score: &Score{Pass: new(10.0), Marginal: new(20.0)},
		Groups: map[string]float64{"g": 0},
		Metrics: []Metric{
			{Name: "a b", Errors: &ErrorLimits{Rate: new(100.0), Ratio: .5}, OnNaN: "pass"},
			{Name: "x", Source: fake{}, Group: "nowhere"},
			{Name: "x", Limit: &GaugeLimit{}},
			{Name: "y", Limit: &GaugeLimit{Max: new(1.0)}, Answers: &AnswerLimits{Status: new(101.0), Type: new(-1.0), Faster: .5}},
		},
		Checks: []CustomCheck{{Name: "c", Program: program{}}},
	}.WithDefaults(Metric{})
	err := bad.Validate()
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"version is 2", "alpha is 3", "max-extensions is -1", `then is "pass"`, "stale is", "warm-up is", "answers is set: want no answers", "answers.status is 101", "answers.content-type is -1", "answers.faster is 0.5", "score is", "groups.g is 0",
		`metrics[1].name is "a b"`, "metrics[1].errors.rate is 100", "errors.ratio is 0.5", `on-nan is "pass"`,
		"metrics[2].fake.url is empty: want all", `group is "nowhere"`, `metrics[3].name is "x": want a name of its own`, "metrics[3].limit is empty",
		"checks[0].url is empty: want all"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

// Metrics inherit the limits that the inputs give.
func TestDefaultsAreInherited(t *testing.T) {
	t.Parallel()
	c := Config{Version: 1, Metrics: []Metric{{Name: "users", Errors: &ErrorLimits{Rate: new(1.0)}}}}.
		WithDefaults(Metric{MinSamples: 7, Errors: &ErrorLimits{Rate: new(3.0), Success: new(90.0)}, Latency: &LatencyLimits{Ratio: 4}, OnNoData: rollout.PolicyHold})
	probe, users := c.Metrics[0], c.Metrics[1]
	if probe.Name != ProbeMetric || *probe.Errors.Rate != 3 || probe.Latency.Ratio != 4 || probe.MinSamples != 7 || probe.OnNoData != rollout.PolicyHold {
		t.Errorf("probe: %+v", probe)
	}
	if *users.Errors.Rate != 1 || *users.Errors.Success != 90 || users.Latency != nil || users.MinSamples != 7 {
		t.Errorf("users: %+v", users)
	}
}

// What a file says of the probe stream's latency takes nothing from its errors, and half
// a score keeps the other half.
func TestAPartOfAMetricKeepsTheRest(t *testing.T) {
	t.Parallel()
	for _, m := range []Metric{
		{Name: ProbeMetric, Latency: &LatencyLimits{P95: new(Duration(time.Second))}},
		{Name: ProbeMetric, Errors: &ErrorLimits{Rate: new(2.0)}},
	} {
		c := Config{Version: 1, Metrics: []Metric{m}, Score: &Score{Pass: new(80.0)}}.WithDefaults(Metric{Errors: &ErrorLimits{Rate: new(3.0)}, Latency: &LatencyLimits{Ratio: 4}})
		got := c.Metrics[0]
		if got.Errors == nil || got.Latency == nil || got.Latency.Ratio != 4 || m.Errors == nil && *got.Errors.Rate != 3 {
			t.Errorf("%+v became %+v", m, got)
		}
		if *c.Score.Pass != 80 || *c.Score.Marginal != 75 {
			t.Errorf("score %v, %v, want 80 and 75", *c.Score.Pass, *c.Score.Marginal)
		}
	}
}
