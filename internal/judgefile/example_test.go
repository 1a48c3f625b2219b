package judgefile_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/judgefile"
)

// The probe stream is judged beside the file's own metrics, and what those leave open
// has its defaults.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "analysis.yaml")
	err = os.WriteFile(file, []byte(`
version: 1
metrics:
  - name: memory
    kubernetes: {resource: memory}
    limit: {max: 0.9}
`), 0o600)
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := judgefile.Load(file, config.Metric{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range c.Metrics {
		fmt.Printf("%s: data older than %v is too old\n", m.Name, c.StaleAfter(m))
	}
	// Output:
	// probe: data older than 30s is too old
	// memory: data older than 2m0s is too old
}
