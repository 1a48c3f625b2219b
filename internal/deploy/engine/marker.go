package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The markers in the message of a commit. The first that it has counts.
var markers = []struct {
	text     string
	strategy rollout.Strategy
	urgent   bool // a stable version that is down does not prevent the release
}{
	{"[hotfix]", rollout.StrategyRolling, true},
	{"[emergency]", rollout.StrategyRolling, true},
	{"[blue-green]", rollout.StrategyBlueGreen, false},
}

// markerOf returns the marker of the commit that started the workflow, "" for none.
func markerOf(getenv func(string) string) string {
	path := getenv("GITHUB_EVENT_PATH")
	if path == "" {
		return ""
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	var event struct {
		HeadCommit struct {
			Message string `json:"message"`
		} `json:"head_commit"`
	}
	if json.Unmarshal(raw, &event) != nil {
		return ""
	}
	message := strings.ToLower(event.HeadCommit.Message)
	for _, m := range markers {
		if strings.Contains(message, m.text) {
			return m.text
		}
	}
	return ""
}

// marked takes what a marker says for the inputs that are not given: an input that
// somebody set counts more.
func marked(cfg *inputs.Config, values input.Values, marker string) {
	cfg.StrategyReason = "the default"
	if values.IsSet("strategy") {
		cfg.StrategyReason = "the input strategy"
	}
	for _, m := range markers {
		if m.text != marker {
			continue
		}
		cfg.Replace = cfg.Replace || m.urgent && !values.IsSet("when-stable-is-down")
		if !values.IsSet("strategy") && available(m.strategy) {
			cfg.Strategy, cfg.StrategyReason = m.strategy, fmt.Sprintf("the marker %s in the commit message", m.text)
		}
	}
}

// available reports whether the input strategy takes a strategy.
func available(s rollout.Strategy) bool {
	spec := inputs.Spec()
	i := slices.IndexFunc(spec.Inputs, func(d input.Def) bool { return d.Name == "strategy" })
	return i >= 0 && slices.Contains(spec.Inputs[i].Allowed, string(s))
}
