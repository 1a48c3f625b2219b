package judgefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/analysis/recording"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/source/cloudwatch"
	"github.com/candlefish/deploy-action/internal/source/httpjson"
	"github.com/candlefish/deploy-action/internal/source/prometheus"
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
		`metrics[0].name is "a b"`, "metrics[0].errors.rate is 100", "errors.ratio is 0.5", `on-nan is "pass"`, "metrics[0] is a metric with 0 sources",
		"metrics[1] is a metric with 2 sources", `group is "nowhere"`, `metrics[2].name is "x": want a name of its own`, "metrics[2].limit is empty",
		`metrics[2].http.url is ""`, "metrics[2].http is without a path", "checks[0] is a check with 0 ways to run", "checks[1].secret-env",
		`metrics[1].http.url is ""`, "want 1: prometheus, ", `(none for "probe")`} {
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
metrics:
- name: 7
  group: 5
  cloudwatch: {preset: lambda, function: web, alias: live, stable: 1.10, canary: 0x8, period: 5m}
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
	if diff := cmp.Diff(&cloudwatch.Config{Preset: "lambda", Function: "web", Alias: "live", Stable: "1.10", Canary: "0x8", Period: config.Duration(5 * time.Minute)}, users.Source); diff != "" || users.Name != "7" || users.Group != "5" {
		t.Errorf("metric %q of group %q (-want +got):\n%s", users.Name, users.Group, diff)
	}
	if got := c.StaleAfter(users); got != 14*time.Minute {
		t.Errorf("CloudWatch is stale after %v", got)
	}
	if got := c.StaleAfter(cpu); got != 2*time.Minute {
		t.Errorf("pods are stale after %v", got)
	}
	want := []config.CustomCheck{
		{Name: "smoke", At: []int{5, 100}, Program: check.Config{Name: "smoke", Command: []string{"./smoke", "1e3"}, At: []int{5, 100}, Timeout: config.Duration(2 * time.Minute), OnError: rollout.PolicyExtend}},
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

// A recording is kept as an artifact: no secret of the file, of a source's error, of a
// check's output or of the run may be anywhere in it.
func TestRecordingKeepsNoSecret(t *testing.T) {
	t.Parallel()
	const planted, known = "pl4nted", "kn0wn-s3cret"
	c, err := Load(write(t, strings.ReplaceAll(`
version: 1
metrics:
- {name: prom, prometheus: {url: "https://bob:SECRET@SECRET@prom.example/x?apikey=SECRET&b=SECRET#SECRET", gateway: traefik}}
- {name: http, http: {url: "https://SECRET'SECRET@stats.example/${version}?SECRET", value: $.a, authorization-env: STATS_AUTH}, limit: {max: 1}}
- {name: quoted, http: {url: " HTTPS://u:a?SECRET/SECRET@stats.example/${version}", value: "$.a"}, limit: {max: 1}}
- {name: apm, datadog: {value: "avg:x{url:http://u:SECRET@y.example/z?k=SECRET,version:${version}}"}, limit: {max: 1}}
- {name: cw, cloudwatch: {namespace: N, value: V, dimensions: {URL: "https://SECRET@z.example", V: "${version}"}, stable: a, canary: b}, limit: {max: 1}}
checks:
- {name: hook, webhook: "https://u:SECRET@qa.example/SECRET/?t=SECRET", secret-env: HOOK}
- {name: smoke, command: [./smoke, "--token=SECRET", "-H", "Authorization: Bearer SECRET"], at: [5]}
`, "SECRET", planted)), config.Metric{})
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	r := recording.New(&file, recording.Start{Target: "shop/web", Image: "https://u:" + planted + "@registry.example/web:2", Steps: 1, Config: c,
		Redact: func(s string) string { return strings.ReplaceAll(s, known, "***") }})
	now, one := time.Unix(1_780_000_000, 0), analysis.Number(2)
	r.Begin(analysis.Begin{Weight: 5, At: now})
	r.Confirmed(now)
	text := "GET https://u:" + planted + "@x.example/a?b=" + planted + ": Authorization: Bearer " + planted + "0123456789abcdef, " + known
	r.Add("http", analysis.Point{At: now, Side: rollout.SideCanary, Value: &one, Subject: `up{url="http://u:` + planted + `@y.example", key="` + known + `"}`})
	r.Problem("prom", text, now)
	r.Custom(analysis.Finding{Metric: "smoke", Check: analysis.CheckCustom, Verdict: rollout.VerdictFailed, Sentence: text, Output: []string{"fine", text}})
	r.Look(analysis.Moment{Now: now.Add(time.Minute), Elapsed: time.Minute, Dwell: time.Minute})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(file.String()) {
		if strings.Contains(line, planted) || strings.Contains(line, known) {
			t.Errorf("a secret is in\n%s", line)
		}
	}
	for _, part := range []string{"prom.example/x", "stats.example/${version}", `"name":"smoke","at":[5]`, "STATS_AUTH", `"fine"`} {
		if !strings.Contains(file.String(), part) {
			t.Errorf("%q is not there any more", part)
		}
	}
	// What is told the judge has its secrets, and it can be judged again without.
	if src := c.Metrics[1].Source.(*prometheus.Config); !strings.Contains(src.URL, planted) {
		t.Errorf("the running judge's own settings were changed: %q", src.URL)
	}
	if _, steps, err := recording.Replay(strings.NewReader(file.String()), nil); err != nil || len(steps) != 1 {
		t.Errorf("it cannot be judged again: %d steps, %v", len(steps), err)
	}
}

// FuzzParse: nothing panics, each problem has a place inside the file, and what is
// taken is valid.
func FuzzParse(f *testing.F) {
	f.Add("version: 1\nmetrics: [{name: users, http: {url: 'http://x', value: $.a}, limit: {max: 1}}]\nchecks: [{name: a, command: [a]}]\n")
	f.Add("metrics: [null, 3, {prometheus: {url: 1}}]")
	f.Add("checks: {}")
	f.Add("[]")
	f.Add("a: &a {<<: *a}\nversion: 1")
	f.Add("version: 1\nscore: &s {<<: [*s, *s, *s, *s, *s, *s], pass: 1}")
	f.Add("x: &x {name: a}\nmetrics: [{<<: [*x, *x], http: {<<: *x}}]\n---\n")
	f.Add("? [a]\n: 1\n? null\n: 2\n*a : 3\nversion: !!binary aGk=\nalpha: .inf\nstale: !!str 3s\nthen: !x hold\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parse([]byte(text))
		if err != nil {
			return
		}
		if len(got.sources) != len(got.config.Metrics) {
			t.Errorf("%d counts of sources for %d metrics", len(got.sources), len(got.config.Metrics))
		}
		c := got.config.WithDefaults(config.Metric{})
		got.validate(c)
		for _, p := range got.decoder.found {
			if lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1; p.line < 1 || p.line > lines || p.column < 1 {
				t.Errorf("%q: %v is in line %d, column %d of %d lines", text, p.Problem, p.line, p.column, lines)
			}
		}
		if err := c.Validate(); err != nil && got.decoder.err() == nil {
			t.Errorf("it is taken, and is not valid: %v", err)
		}
	})
}

// Each problem is found, whatever else is wrong, and has its place.
func TestProblemsHavePlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"all at once", "version: 1\nalpha: high\nthen: pass\nscore: {mean: 5}\nchecks:\n- name: a\n  at: [x, 5]\n", `line 2, column 8: alpha is "high": want a number
line 3, column 7: then is "pass": want one of ["hold" "abort"]
line 4, column 9: score.mean is not a known key: want one of marginal, pass
line 6, column 3: checks[0] is a check with 0 ways to run: want one of command, job and webhook
line 7, column 8: checks[0].at[0] is "x": want a whole number`},
		{"another letter case beside", "version: 1\nalpha: 0.01\nAlpha: 0.2\n", `line 3, column 1: Alpha is not a known key: want alpha`},
		{"another letter case", "Version: 1\nversion: 1\nmetrics: [{Name: probe, name: probe}]\n", `line 1, column 1: Version is not a known key: want version
line 3, column 12: metrics[0].Name is not a known key: want name`},
		{"a key twice", "version: 1\nmetrics:\n- name: probe\n  errors: {rate: 1, rate: 2}\n  name: probe\n", `line 4, column 21: metrics[0].errors.rate is there twice: want it once; the first is in line 4
line 5, column 3: metrics[0].name is there twice: want it once; the first is in line 3`},
		{"a second document", "version: 1\n---\nversion: 2\nalpha: 7\n", `line 2, column 1: it is followed by a second document: want one document`},
		{"wrong types", "version: '1'\nmetrics: {name: a}\ngroups: [a]\nchecks: [true]\nscore: 5\nstale: 30\n", `line 1, column 10: version is "1": want a whole number
line 2, column 10: metrics is a mapping: want a list
line 3, column 9: groups is a list: want a mapping
line 4, column 10: checks[0] is "true": want a mapping
line 5, column 8: score is "5": want a mapping
line 6, column 8: stale is "30": want a number with a unit, such as 30s or 5m`},
		{"no numbers", "version: 1\nalpha: .nan\ngroups: {a: .inf}\nmetrics: [{name: probe, group: a, weight: 1e999}]\n", `line 2, column 8: alpha is ".nan": want a number
line 3, column 13: groups.a is ".inf": want a number
line 4, column 43: metrics[0].weight is "1e999": want a number`},
		{"a value without a limit", "version: 1\nmetrics:\n- name: q\n  http: {url: 'http://a/${version}', value: $.a}\n", `line 3, column 3: metrics[0].limit is missing: want a limit for the value of http`},
		{"a limit without a value", "version: 1\nmetrics:\n- name: q\n  http: {url: 'http://a/${version}', total: $.a, failed: $.b}\n  errors: {}\n  limit: {max: 1}\n", `line 6, column 3: metrics[0].limit is set: want no limit, or a value in http that it is for`},
		{"a limit for a gateway", "version: 1\nmetrics: [{name: q, prometheus: {url: 'http://p', gateway: traefik}, limit: {max: 1}}]\n", `line 2, column 70: metrics[0].limit is set: want no limit: a gateway's queries count requests and have no value`},
		{"requests that nobody judges", "version: 1\nmetrics:\n- name: q\n  http: {url: 'http://a/${version}', total: $.a, failed: $.b, value: $.c}\n  limit: {max: 1}\n", `line 3, column 3: metrics[0].errors is missing: want limits for the requests of http, or {} for those of the inputs`},
		{"latencies that there are not", "version: 1\nmetrics:\n- name: q\n  http: {url: 'http://a/${version}', total: $.a, failed: $.b}\n", `line 3, column 3: metrics[0].latency is a limit, of the inputs where the file has none: want errors: {} and no latency: http has no latencies here`},
		{"half of the requests", "version: 1\nmetrics:\n- name: q\n  http: {url: 'http://a/${version}', total: $.a}\n  errors: {}\n", `line 4, column 3: metrics[0].http.failed is missing: want it beside total`},
		{"clear beyond max", "version: 1\nmetrics: [{name: cpu, kubernetes: {resource: cpu}, limit: {max: 0.9, clear: 1.5}}]\n", `line 2, column 77: metrics[0].limit.clear is 1.5: want at most max, which is 0.9: a value beyond it would count as back within the limit`},
		{"clear beyond min", "version: 1\nmetrics: [{name: cpu, kubernetes: {resource: cpu}, limit: {min: 0.9, clear: 0.5}}]\n", `line 2, column 77: metrics[0].limit.clear is 0.5: want at least min, which is 0.9: a value beyond it would count as back within the limit`},
		{"a group of no metric", "version: 1\ngroups:\n  users: 1\n  pods: 2\nmetrics: [{name: probe, group: users}]\n", `line 4, column 9: groups.pods is a group of no metric: want a metric with this group`},
		{"a webhook of no server", "version: 1\nchecks: [{name: a, webhook: 'ftp://u:s3cret@x', secret-env: S}]\n", `line 2, column 29: checks[0].webhook is no address of a server: want a URL of http or https with a host`},
		{"a mapping that contains itself", "version: 1\nscore: &s\n  <<: [*s, *s, *s, *s, *s, *s]\n  pass: 90\n  marginal: 70\n", `line 3, column 7: score.<< is too much: want at most 100 mappings, none of which contains itself`},
		{"a list", "- version: 1\n", `line 1, column 1: it is a list: want a mapping`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(write(t, c.text), config.Metric{})
			if err == nil {
				t.Fatal("it is taken")
			}
			got := strings.TrimPrefix(err.Error(), "the analysis file is refused:\n")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Anchors and merge keys are YAML's way to say a thing once.
func TestAnchorsAndMergeKeys(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, `
version: 1
metrics:
- &mine
  name: one
  http: &http {url: "http://a/${version}", total: $.all, failed: $.bad}
  errors: &errors {rate: 1, ratio: 3}
- <<: *mine
  name: two
- {name: three, http: {<<: [*http], url: "http://b/${version}"}, errors: {<<: *errors, rate: 2}}
`), config.Metric{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range c.Metrics[1:] {
		got = append(got, fmt.Sprint(m.Name, " ", m.Source.(*httpjson.Config).URL, " ", *m.Errors.Rate, " ", m.Errors.Ratio))
	}
	want := []string{"one http://a/${version} 1 3", "two http://a/${version} 1 3", "three http://b/${version} 2 3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
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
