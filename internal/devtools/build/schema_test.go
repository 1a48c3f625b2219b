package build

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/judgefile"
)

// compiled is the schema as it would be written now, checked against that of its
// draft.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(schemaJSON()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(schemaID)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// bySchema is what the schema says of a YAML document.
func bySchema(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(document)
}

// byLoader is what a deploy says of it.
func byLoader(t *testing.T, text string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "analysis.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := judgefile.Load(file, config.Metric{})
	return err
}

const full = `
version: 1
alpha: 0.02
max-extensions: 3
then: abort
stale: 1m30s
groups: {users: 2, pods: 1}
score: {pass: 90, marginal: 60}
metrics:
  - name: probe
    errors: {rate: 2, success: 98, ratio: 3, floor: 0.1}
    latency: {ratio: 1.3, floor: 10ms, p95: 1.5s}
    min-samples: 200
    on-no-data: hold
    on-nan: fail
    on-few-samples: ignore
    baseline: stable
  - name: users
    prometheus: {url: "http://prometheus:9090", gateway: traefik, token-env: PROM_TOKEN}
    group: users
  - name: own
    prometheus: {url: "http://prometheus:9090", total: 'hits{v="${version}"}', failed: 'errors{v="${version}"}', latency-buckets: 'seconds_bucket{v="${version}"}'}
    critical: false
    group: users
    weight: 0.5
  - name: apm
    datadog: {site: datadoghq.eu, total: "sum:hits{*} by {version}.as_count()", failed: "sum:errors{*} by {version}.as_count()", by: version, stable: v1, canary: v2}
    errors: {}
  - name: target-groups
    cloudwatch: {region: eu-central-1, preset: alb, load-balancer: app/web/1, period: 60s, stable: a, canary: b}
    errors: {rate: 1}
  - name: memory
    kubernetes: {resource: memory, of: limits}
    limit: {max: 90, for: 30s, clear: 80}
    group: pods
  - name: queue
    http: {url: "https://jobs/${version}", authorization-env: JOBS, value: $.depth, cumulative: false}
    limit: {min: 1}
checks:
  - {name: smoke, command: [./smoke, --fast], at: [5, 100], timeout: 2m, on-error: hold}
  - {name: job, job: deploy/job.yaml}
  - {name: hook, webhook: "https://qa/hook", secret-env: HOOK_SECRET}
`

func metric(keys string) string { return "version: 1\nmetrics: [{name: probe, " + keys + "}]\n" }

func TestSchemaAgreesWithTheLoader(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	for _, c := range []struct {
		name, text string
		good       bool
	}{
		{"minimal", "version: 1\n", true},
		{"all there is", full, true},
		{"an empty list", "version: 1\nmetrics: []\n", true},
		{"no limit of the inputs' own", metric("errors: {}, latency: {}"), true},
		{"several units", metric("latency: {floor: 1h2m3.5s}"), true},
		{"no limit for the p95", metric("latency: {p95: 0s}"), true},

		{"no version", "metrics: []\n", false},
		{"another version", "version: 2\n", false},
		{"a list", "- version: 1\n", false},
		{"an unknown key", "version: 1\nthreshold: 5\n", false},
		{"another letter case", "Version: 1\n", false},
		{"another letter case beside", "version: 1\nalpha: 0.1\nAlpha: 0.2\n", false},
		{"an unknown key below", metric("errors: {percent: 5}"), false},
		{"a key of an embedded struct", metric("source: {}"), false},
		{"an unknown source", "version: 1\nmetrics: [{name: a, graphite: {url: 'http://a'}}]\n", false},
		{"a wrong type", "version: 1\nmetrics: probe\n", false},
		{"text for a number", metric("errors: {rate: high}"), false},
		{"half a weight", "version: 1\nchecks: [{name: a, command: [a], at: [2.5]}]\n", false},
		{"a duration without a unit", "version: 1\nstale: 30\n", false},
		{"a text without a unit", "version: 1\nstale: '30'\n", false},
		{"days", "version: 1\nstale: 1d\n", false},
		{"an unknown policy", metric("on-no-data: pass"), false},
		{"a policy of another place", "version: 1\nthen: ignore\n", false},
		{"a check that aborts", "version: 1\nchecks: [{name: a, command: [a], on-error: abort}]\n", false},
		{"an unknown baseline", metric("baseline: yesterday"), false},
		{"much error probability", "version: 1\nalpha: 0.5\n", false},
		{"too many extensions", "version: 1\nmax-extensions: 100\n", false},
		{"over 100 percent", metric("errors: {success: 101}"), false},
		{"a limit of all", metric("errors: {rate: 100}"), false},
		{"faster than stable", metric("latency: {ratio: 0.9}"), false},
		{"no name", "version: 1\nmetrics: [{kubernetes: {resource: cpu}, limit: {max: 90}}]\n", false},
		{"a server without URL", "version: 1\nmetrics: [{name: a, prometheus: {gateway: traefik}}]\n", false},
		{"an endpoint without a URL", "version: 1\nmetrics: [{name: a, http: {value: $.a}, limit: {max: 1}}]\n", false},
		{"a name with a space", "version: 1\nchecks: [{name: a b, command: [a]}]\n", false},
		{"a weight of a group", "version: 1\ngroups: {a: 0}\n", false},
		{"no command", "version: 1\nchecks: [{name: a, command: []}]\n", false},
		{"a weight that is none", "version: 1\nchecks: [{name: a, command: [a], at: [0]}]\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := byLoader(t, c.text); (err == nil) != c.good {
				t.Errorf("the loader says %v, want good %t", err, c.good)
			}
			if err := bySchema(t, schema, c.text); (err == nil) != c.good {
				t.Errorf("the schema says %v, want good %t", err, c.good)
			}
		})
	}
}

// What a schema would say at great length, if at all, the loader says alone: what
// belongs together, and what a Duration comes to.
func TestOnlyTheLoaderRefuses(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	for name, text := range map[string]string{
		"two sources":              "version: 1\nmetrics: [{name: a, http: {url: 'http://a'}, kubernetes: {resource: cpu}, limit: {max: 1}}]\n",
		"no source":                "version: 1\nmetrics: [{name: a}]\n",
		"a source for the probe":   metric("http: {url: 'http://a'}"),
		"a limit for the probe":    metric("limit: {max: 1}"),
		"pods without a limit":     "version: 1\nmetrics: [{name: a, kubernetes: {resource: cpu}}]\n",
		"a value without a limit":  "version: 1\nmetrics: [{name: a, http: {url: 'http://${version}', value: $.a}}]\n",
		"a limit without a value":  "version: 1\nmetrics: [{name: a, http: {url: 'http://${version}', total: $.a, failed: $.b}, errors: {}, limit: {max: 1}}]\n",
		"requests without failed":  "version: 1\nmetrics: [{name: a, http: {url: 'http://${version}', total: $.a}, errors: {}}]\n",
		"no latencies to judge":    "version: 1\nmetrics: [{name: a, http: {url: 'http://${version}', total: $.a, failed: $.b}}]\n",
		"clear beyond max":         "version: 1\nmetrics: [{name: a, kubernetes: {resource: cpu}, limit: {max: 1, clear: 2}}]\n",
		"a group of no metric":     "version: 1\ngroups: {a: 1}\n",
		"max and min":              "version: 1\nmetrics: [{name: a, kubernetes: {resource: cpu}, limit: {max: 1, min: 1}}]\n",
		"neither max nor min":      "version: 1\nmetrics: [{name: a, kubernetes: {resource: cpu}, limit: {for: 1s}}]\n",
		"queries beside a gateway": "version: 1\nmetrics: [{name: a, prometheus: {url: 'http://a', gateway: istio, value: up}}]\n",
		"a name twice":             "version: 1\nchecks: [{name: a, command: [a]}, {name: a, command: [b]}]\n",
		"a group that is not one":  "version: 1\ngroups: {a: 1}\nmetrics: [{name: probe, group: b}]\n",
		"marginal over pass":       "version: 1\nscore: {pass: 50, marginal: 60}\n",
		"two ways to check":        "version: 1\nchecks: [{name: a, command: [a], job: b}]\n",
		"no way to check":          "version: 1\nchecks: [{name: a}]\n",
		"a webhook without secret": "version: 1\nchecks: [{name: a, webhook: 'http://a'}]\n",
		"a check of two hours":     "version: 1\nchecks: [{name: a, command: [a], timeout: 2h}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := byLoader(t, text); err == nil {
				t.Error("the loader takes it")
			}
			if err := bySchema(t, schema, text); err != nil {
				t.Errorf("the schema says %v; it belongs to TestSchemaAgreesWithTheLoader", err)
			}
		})
	}
	twice := "version: 1\nversion: 1\n" // which no JSON can show a schema
	if err := byLoader(t, twice); err == nil {
		t.Error("the loader takes a key that is there twice")
	}
}

// The schema is for people who write the file, and stricter where the loader takes
// what is most likely a mistake, or leaves it to the source, which is opened before
// anything is changed.
func TestSchemaIsStricter(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	for name, text := range map[string]string{
		"0 that counts as not set": "version: 1\nalpha: 0\n",
		"nothing, as not set":      metric("errors: null"),
		"a number for a name":      "version: 1\ngroups: {'5': 1}\nmetrics: [{name: probe, group: 5}]\n",
		"an unknown gateway":       "version: 1\nmetrics: [{name: a, prometheus: {url: 'http://a', gateway: kong}}]\n",
		"an unknown preset":        "version: 1\nmetrics: [{name: a, cloudwatch: {preset: nlb}}]\n",
		"what pods do not have":    "version: 1\nmetrics: [{name: a, kubernetes: {resource: disk}, limit: {max: 1}}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := bySchema(t, schema, text); err == nil {
				t.Error("the schema takes it")
			}
		})
	}
}

// Every key of the file has a description.
func TestSchemaDescribesEveryKey(t *testing.T) {
	t.Parallel()
	text := schemaJSON()
	var schema struct {
		Defs map[string]struct {
			Properties map[string]struct{ Description string }
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	for name, d := range schema.Defs {
		if len(d.Properties) == 0 {
			t.Errorf("%s has no keys", name)
		}
		for key, p := range d.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no description", name, key)
			}
		}
	}
	for _, kind := range judgefile.Sources() {
		if len(schema.Defs[kind.Key].Properties) == 0 || schema.Defs["Metric"].Properties[kind.Key].Description == "" {
			t.Errorf("the source %s is not there", kind.Key)
		}
	}
	if !strings.Contains(text, `"additionalProperties": false`) || strings.Contains(text, `\u00`) {
		t.Errorf("schema:\n%s", text)
	}
}
