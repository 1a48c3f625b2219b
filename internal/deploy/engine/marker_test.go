package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// event returns the environment of a workflow that a commit started.
func event(t *testing.T, message string) func(string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"head_commit": map[string]string{"message": message}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(name string) string { return map[string]string{"GITHUB_EVENT_PATH": path}[name] }
}

// A marker chooses what no input chooses: an input that somebody set counts more,
// the default value too if it is typed.
func TestMarkers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		message  string
		args     []string
		strategy rollout.Strategy
		reason   string
		replace  bool
	}{
		"none":                   {"Fix the header", nil, rollout.StrategyCanary, "the default", false},
		"hotfix":                 {"[HotFix] Fix the header", nil, rollout.StrategyRolling, "the marker [hotfix] in the commit message", true},
		"emergency, in the body": {"Fix\n\n[emergency]", nil, rollout.StrategyRolling, "the marker [emergency] in the commit message", true},
		"blue-green":             {"[blue-green] New checkout", nil, rollout.StrategyBlueGreen, "the marker [blue-green] in the commit message", false},
		"two":                    {"[blue-green] [hotfix] x", nil, rollout.StrategyRolling, "the marker [hotfix] in the commit message", true},
		"an input":               {"[hotfix] x", []string{"--strategy=canary"}, rollout.StrategyCanary, "the input strategy", true},
		"another input":          {"[hotfix] x", []string{"--when-stable-is-down=refuse"}, rollout.StrategyRolling, "the marker [hotfix] in the commit message", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			getenv := event(t, c.message)
			values, err := inputs.Spec().Parse(append(c.args, "--image=web:2"), getenv)
			if err != nil {
				t.Fatal(err)
			}
			cfg := inputs.ConfigOf(values)
			marked(&cfg, values, markerOf(getenv))
			if !available(c.strategy) { // until it is, its marker does nothing
				c.strategy, c.reason = rollout.StrategyCanary, "the default"
			}
			if cfg.Strategy != c.strategy || cfg.StrategyReason != c.reason || cfg.Replace != c.replace {
				t.Errorf("strategy %s because of %s, replace %v; want %s, %s, %v", cfg.Strategy, cfg.StrategyReason, cfg.Replace, c.strategy, c.reason, c.replace)
			}
		})
	}
}
