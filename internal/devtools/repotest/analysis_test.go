package repotest

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/analysis"
	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/judgefile"
	"github.com/candlefish/deploy-action/internal/replay"
	"github.com/candlefish/deploy-action/internal/source/datadog"
	"github.com/candlefish/deploy-action/internal/source/httpjson"
	"github.com/candlefish/deploy-action/internal/source/prometheus"
)

// Every analysis file that the documents show is one: the loader takes it, the
// published schema takes it, and no source of it is refused.
func TestShownAnalysisFiles(t *testing.T) {
	t.Parallel()
	schema := publishedSchema(t)
	shown := 0
	for _, b := range blocks(t) {
		if b.lang != "yaml" || !version.MatchString(b.text) {
			continue
		}
		shown++
		file := filepath.Join(t.TempDir(), "analysis.yaml")
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := judgefile.Load(file, config.Metric{})
		if err != nil {
			t.Errorf("%s shows\n%s\n%v", b.file, b.text, err)
		}
		if err := valid(schema, b.text); err != nil {
			t.Errorf("%s shows\n%s\n%v", b.file, b.text, err)
		}
		for _, m := range config.Metrics {
			if err := opens(m); err != nil {
				t.Errorf("%s shows\n%s\nmetric %s: %v", b.file, b.text, m.Name, err)
			}
		}
	}
	if shown == 0 {
		t.Error("the documents show no analysis file")
	}
}

var version = regexp.MustCompile(`(?m)^version: 1$`)

// publishedSchema is the schema as it stands in the repository, which
// TestGeneratedFilesAreFresh holds to the code.
func publishedSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(root, "schema", "analysis.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func valid(schema *jsonschema.Schema, text string) error {
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	return schema.Validate(document)
}

// opens opens a metric's source where that asks nobody for anything.
func opens(m config.Metric) error {
	names := func(q config.Queries) analysis.Names {
		return analysis.Names{Namespace: "shop", Service: "web", Stable: q.Stable, Canary: q.Canary}
	}
	var err error
	switch {
	case m.Prometheus != nil && m.Prometheus.Gateway != "":
		p := m.Prometheus
		_, err = prometheus.Server{URL: p.URL}.Ready(prometheus.Ready{Preset: prometheus.Preset(p.Gateway), Names: names(p.Queries),
			Errors: m.Errors != nil, Latency: m.Latency != nil, VersionLabel: p.By})
	case m.Prometheus != nil:
		p := m.Prometheus
		_, err = prometheus.Server{URL: p.URL}.Ask(prometheus.Queries{Total: p.Total, Failed: p.Failed, Latency: p.Latency, Value: p.Value, By: p.By}, names(p.Queries))
	case m.Datadog != nil:
		d := m.Datadog
		_, err = datadog.New(datadog.Query{Site: d.Site, APIKey: "api", AppKey: "app", Total: d.Total, Failed: d.Failed, Value: d.Value, By: d.By, Names: names(d.Queries)})
	case m.HTTP != nil:
		h := m.HTTP
		_, err = httpjson.New(httpjson.Endpoint{URL: h.URL, Header: http.Header{}, Cumulative: h.Cumulative,
			Paths: httpjson.Paths{Total: h.Total, Failed: h.Failed, Value: h.Value}, Names: names(config.Queries{})})
	}
	return err
}

var replayLine = regexp.MustCompile(`(?m)^go tool mage judge:replay -file=(testdata/\S+)$`)

// Every replay of a recording of this repository that the documents show prints
// what they show.
func TestShownReplays(t *testing.T) {
	t.Parallel()
	all, shown := blocks(t), 0
	for _, b := range all {
		for _, m := range replayLine.FindAllStringSubmatch(b.text, -1) {
			shown++
			var out strings.Builder
			if err := replay.Run(t.Context(), &out, []string{"-file=" + filepath.Join(root, m[1])}); err != nil {
				t.Errorf("%s shows %s: %v", b.file, m[0], err)
			}
			if !slices.ContainsFunc(all, func(o block) bool { return o.file == b.file && o.lang == "text" && o.text == out.String() }) {
				t.Errorf("%s shows %s, but not what it prints:\n%s", b.file, m[0], &out)
			}
		}
	}
	if shown == 0 {
		t.Error("the documents show no replay")
	}
}
