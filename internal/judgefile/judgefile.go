// Package judgefile reads the YAML file that says how a rollout is judged. What
// may stand in it and what it means is config.Config; this package knows YAML,
// and that a key which nobody knows is a mistake and no wish to be overlooked.
package judgefile

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/analysis/config"
)

// Load reads an analysis file. Metrics without limits of their own take those of
// base. Without a path the probe stream alone is judged, by base. All that is
// wrong with the file is in one error.
func Load(path string, base config.Metric) (config.Config, error) {
	c := config.Config{Version: config.Version}
	if path != "" {
		raw, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("read the analysis file: %w", err)
		}
		if c, err = Parse(raw); err != nil {
			return c, err
		}
	}
	c = c.WithDefaults(base)
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("the analysis file is refused:\n%w", err)
	}
	return c, nil
}

// Parse reads YAML as it stands, without defaults and before it is validated. Keys
// that nobody knows, and keys that are there twice, are refused.
func Parse(raw []byte) (config.Config, error) {
	var c config.Config
	if err := yaml.UnmarshalStrict(raw, &c); err != nil {
		return c, fmt.Errorf("the analysis file is refused: %w", err)
	}
	return c, nil
}
