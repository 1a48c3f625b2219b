package repotest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/judgefile"
	"github.com/candlefish/deploy-action/internal/replay"
	"github.com/candlefish/deploy-action/internal/source"
)

// Every analysis file that the documents show is one: the loader takes it, the
// published schema takes it, and no source of it is refused.
func TestShownAnalysisFiles(t *testing.T) {
	t.Parallel()
	schema := publishedSchema(t)
	shown := 0
	for _, b := range blocks(t) {
		if b.lang != "yaml" || !version.MatchString(b.text) || b.hasWaivers() || b.hasTools() || b.hasBudgets() || b.hasQueries() || b.hasJourneys() {
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
			if err := opens(t, m); err != nil {
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
func opens(t *testing.T, m config.Metric) error {
	if m.Source == nil {
		return nil
	}
	_, err := source.Open(t.Context(), m, source.Env{
		Names:  source.Names{Namespace: "shop", Service: "web"},
		Getenv: func(string) string { return "secret" }, Mask: func(string) {}, Pods: noPods{},
	})
	if errors.Is(err, aws.ErrNoRegion) { // which the environment has
		return nil
	}
	return err
}

// noPods is a cluster without pods.
type noPods struct{}

func (noPods) RolloutPods() []source.Pod { return nil }

func (noPods) PodUsage(context.Context) (map[string]source.PodUsage, error) { return nil, nil }

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
