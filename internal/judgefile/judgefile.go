// Package judgefile reads the YAML file that says how a rollout is judged, and has the
// table of all sources that may stand in it.
//
// Keys that nobody knows, in another case of letters too, and keys that are there twice
// are refused. The judge's part of the file is config.Config; a metric's source and a
// check are decoded into what their own packages say. All that is wrong is said at
// once, each with its line and column.
package judgefile

import (
	"fmt"
	"os"

	"github.com/candlefish/deploy-action/internal/analysis/config"
)

// Load reads an analysis file. Metrics without limits of their own take those of
// base. Without a path the probe stream alone is judged, by base. All that is
// wrong with the file is in one error, a line for each.
func Load(path string, base config.Metric) (config.Config, error) {
	if path == "" {
		c := config.Config{Version: config.Version}.WithDefaults(base)
		return c, c.Validate()
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return config.Config{}, fmt.Errorf("read the analysis file: %w", err)
	}
	f, err := parse(raw)
	if err != nil {
		return config.Config{}, fmt.Errorf("the analysis file is refused: %w", err)
	}
	c := f.config.WithDefaults(base)
	f.validate(c)
	return c, f.decoder.err()
}

// misplaced names the metrics that do not have one source, or the probe stream with
// one, and what is wrong with sources beyond the first. The file's own metrics are the
// last of all.
func (f *file) misplaced(metrics []config.Metric) []config.Problem {
	p, found := config.NewProblems()
	added := len(metrics) - len(f.sources)
	for i, sources := range f.sources {
		m, at := metrics[added+i], p.At(fmt.Sprintf("metrics[%d]", added+i))
		want := 1
		if m.Name == config.ProbeMetric {
			want = 0
		}
		at.Want(len(sources) == want, "", fmt.Sprintf("a metric with %d sources", len(sources)),
			fmt.Sprintf("%d: %s (none for %q)", want, choices(), config.ProbeMetric))
		for k := 1; k < len(sources); k++ { // the first one is the metric's
			sources[k].Validate(m, at)
		}
	}
	return found()
}
