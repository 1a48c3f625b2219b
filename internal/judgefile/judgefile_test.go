package judgefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source/cloudwatch"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "analysis.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Without a file and with one that says nothing, the inputs' limits alone count.
func TestLoadWithoutSettings(t *testing.T) {
	t.Parallel()
	rate := 1.0
	base := config.Metric{MinSamples: 20, Errors: &config.ErrorLimits{Rate: &rate}}
	want := config.Config{Version: 1}.WithDefaults(base)
	for name, path := range map[string]string{"no file": "", "a file that says nothing": write(t, "version: 1\n")} {
		got, err := Load(path, base)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMetricsTakeWhatTheyLeaveOpenFromTheInputs(t *testing.T) {
	t.Parallel()
	rate := 1.0
	c, err := Load(write(t, `
version: 1
metrics:
- name: users
  http: {url: "http://stats/${version}", total: $.all, failed: $.bad}
  errors: {ratio: 3}
`), config.Metric{MinSamples: 20, Errors: &config.ErrorLimits{Rate: &rate}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range c.Metrics {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"probe", "users"}, names); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if users := c.Metrics[1]; *users.Errors.Rate != 1 || users.Errors.Ratio != 3 || users.MinSamples != 20 || users.Latency != nil {
		t.Errorf("users is judged by %+v with errors %+v", users, users.Errors)
	}
}

// One error names every mistake, whichever check finds it.
func TestLoadSaysAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := Load(write(t, `
version: 2
alpha: 3
max-extensions: -1
then: pass
stale: -1ns
score: {pass: 10, marginal: 20}
groups: {g: 0}
metrics:
- {name: a b, errors: {rate: 100, ratio: .5}, on-nan: pass}
- {name: x, http: {url: ""}, kubernetes: {resource: ""}, group: nowhere}
- {name: x, http: {url: ""}, limit: {}}
checks: [{name: c}, {name: w, webhook: "https://x"}]
`), config.Metric{})
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{"version is 2", "alpha is 3", "max-extensions is -1", `then is "pass"`, "stale is", "score is", "groups.g is 0",
		`metrics[1].name is "a b"`, "metrics[1].errors.rate is 100", "errors.ratio is 0.5", `on-nan is "pass"`, "metrics[1] is a metric with 0 sources",
		"metrics[2] is a metric with 2 sources", `group is "nowhere"`, `metrics[3].name is "x": want a name of its own`, "metrics[3].limit is empty",
		`metrics[3].http.url is ""`, "metrics[3].http is without a path", "checks[0] is a check with 0 ways to run", "checks[1].secret-env",
		`metrics[2].http.url is ""`, "want 1: prometheus, ", `(none for "probe")`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

// Each source and check is decoded by its own rules, which are as strict.
func TestSourcesAndChecksAreDecoded(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, `
version: 1
Metrics:
- name: 7
  group: 5
  CloudWatch: {preset: lambda, function: web, alias: live, stable: 7, canary: 8, period: 5m}
  http: null
  errors: {}
- {name: cpu, kubernetes: {resource: cpu}, limit: {max: 90}}
checks:
- {name: smoke, command: [./smoke, 1e3], at: [5, 100], timeout: 2m}
- {name: job, job: deploy/job.yaml}
`), config.Metric{})
	if err != nil {
		t.Fatal(err)
	}
	users, cpu := c.Metrics[1], c.Metrics[2]
	if diff := cmp.Diff(&cloudwatch.Config{Preset: "lambda", Function: "web", Alias: "live", Stable: "7", Canary: "8", Period: config.Duration(5 * time.Minute)}, users.Source); diff != "" || users.Name != "7" || users.Group != "5" {
		t.Errorf("metric %q of group %q (-want +got):\n%s", users.Name, users.Group, diff)
	}
	if got := c.StaleAfter(users); got != 14*time.Minute {
		t.Errorf("CloudWatch is stale after %v", got)
	}
	if got := c.StaleAfter(cpu); got != 2*time.Minute {
		t.Errorf("pods are stale after %v", got)
	}
	want := []config.CustomCheck{
		{Name: "smoke", At: []int{5, 100}, Program: check.Config{Name: "smoke", Command: []string{"./smoke", "1000"}, At: []int{5, 100}, Timeout: config.Duration(2 * time.Minute), OnError: rollout.PolicyExtend}},
		{Name: "job", Program: check.Config{Name: "job", Job: "deploy/job.yaml", Timeout: config.Duration(time.Minute), OnError: rollout.PolicyExtend}},
	}
	if diff := cmp.Diff(want, c.Checks); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
}

// The recording's first line has the settings as the file has them.
func TestConfigIsRecordedWithItsSources(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, "version: 1\nmetrics: [{name: apm, datadog: {value: 'avg:x{version:${version}}'}, limit: {max: 1}}]\n"), config.Metric{})
	if err != nil {
		t.Fatal(err)
	}
	var line strings.Builder
	recording.New(&line, recording.Start{Steps: 1, Config: c})
	for _, part := range []string{`"datadog":{"value":"avg:x{version:${version}}"}`, `"stale":{"apm":"4m0s"}`} {
		if !strings.Contains(line.String(), part) {
			t.Errorf("it lacks %s:\n%s", part, &line)
		}
	}
	start, _, err := recording.Replay(strings.NewReader(line.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := start.Config.StaleAfter(start.Config.Metrics[1]); got != 4*time.Minute {
		t.Errorf("in a replay Datadog is stale after %v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("version: 1\nmetrics: [{name: users, http: {url: 'http://x', value: $.a}, limit: {max: 1}}]\nchecks: [{name: a, command: [a]}]\n")
	f.Add("metrics: [null, 3, {prometheus: {url: 1}}]")
	f.Add("checks: {}")
	f.Add("[]")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parse([]byte(text))
		if err != nil {
			return
		}
		if len(got.sources) != len(got.config.Metrics) {
			t.Errorf("%d counts of sources for %d metrics", len(got.sources), len(got.config.Metrics))
		}
		_ = got.config.WithDefaults(config.Metric{}).Validate() // does not panic
	})
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		says       []string
	}{
		{"no YAML", "version: [", []string{"refused"}},
		{"an unknown key", "version: 1\nlimits: {}\n", []string{"limits"}},
		{"an unknown key below", "version: 1\nmetrics: [{name: probe, errors: {percent: 3}}]\n", []string{"percent"}},
		{"a key twice", "version: 1\nversion: 1\n", []string{"version"}},
		{"a duration without a unit", "version: 1\nstale: 30\n", []string{"30", "unit"}},
		{"nothing", "", []string{"version is 0"}},
		{"all that is wrong", "version: 1\nalpha: 2\nthen: pass\nchecks: [{name: a}]\n", []string{"alpha is 2", `then is "pass"`, "checks[0]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(write(t, c.text), config.Metric{})
			if err == nil {
				t.Fatal("it is taken")
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), config.Metric{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
