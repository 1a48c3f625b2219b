package inputs

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/smoke"
)

// blueGreenInputs configure a blue-green release.
func blueGreenInputs() []input.Def {
	return []input.Def{
		{
			Name: "warm-up-time", Kind: input.Duration, Env: "WARM_UP_TIME", Default: "120s", Range: seconds(0, 24*3600),
			Help: "With strategy blue-green: time that the new pods, ready, warm up before their smoke tests; test requests have warmed them for as long as prewarm says before",
		},
		{
			Name: "validation-tests", Kind: input.Bool, Env: "VALIDATION_TESTS", Default: "true", Off: "no-validation",
			Help: "With strategy blue-green: smoke tests of every new pod, and through the entry point, before the switch; all have to pass",
		},
		{
			Name: "smoke-paths", Kind: input.List, Discovered: "those of " + strings.Join(SmokeDefaults, ", ") + " that the live version answers with 200",
			Help: "With strategy blue-green: paths, one a line, that the smoke tests expect status 200 of", Example: "/health",
		},
		{
			Name: "smoke-file", Discovered: "smoke-paths alone",
			Help: "With strategy blue-green: YAML file with requests of your own for the smoke tests; see docs/strategies.md", Example: "deploy/smoke.yaml",
		},
		{
			Name: "smoke-response-time", Kind: input.Duration, Default: "3000ms", Bare: time.Millisecond, Range: seconds(0.001, 300),
			Help: "With strategy blue-green: maximum response time of a smoke test that names none",
		},
		{
			Name: "smoke-test-timeout", Kind: input.Duration, Env: "SMOKE_TEST_TIMEOUT", Default: "180s", Range: seconds(1, 24*3600),
			Help: "With strategy blue-green: time in which all smoke tests have to end",
		},
		{
			Name: autoPromote, Kind: input.Bool, Env: "AUTO_PROMOTE", Default: "true", Off: "manual-promotion",
			Help: "With strategy blue-green: switch as soon as the smoke tests have passed; false pauses before the switch, until somebody types command: promote",
		},
		{
			Name: "keep-blue-time", Kind: input.Duration, Env: "KEEP_BLUE_TIME", Default: "600s", Range: seconds(0, 7*24*3600),
			Help: "With strategy blue-green: time after the switch in which the old version keeps its pods, for a rollback by one write, and the new one is judged on; bake-time shortens the judgement alone",
		},
	}
}

// SmokeDefaults are the paths of the smoke tests where the inputs name none.
var SmokeDefaults = []string{"/health", "/", "/api/health"}

// A BlueGreen is the configuration of a blue-green release.
type BlueGreen struct {
	WarmUp time.Duration
	Manual bool
	// Smoke is the timeout of all smoke tests, 0 for none, SmokeMax the maximum
	// response time of one.
	Smoke, SmokeMax time.Duration
	SmokePaths      []string // nil for SmokeDefaults
	SmokeFile       string
	// Tests are those of SmokePaths and SmokeFile, without SmokeDefaults.
	Tests smoke.Plan
}

// switchLook bounds how long all traffic stays on the new version before the
// hand-over: until then one write takes it back without one.
const switchLook = 10 * time.Second

// ForStrategy makes c the configuration of its strategy, which may be another one than
// that of the inputs.
func (c *Config) ForStrategy(v input.Values) {
	if c.Strategy == rollout.StrategyBlueGreen {
		c.asBlueGreen(v)
	}
}

// asBlueGreen makes c the configuration of a blue-green release: one step to all
// traffic, and the old version warm for keep-blue-time.
func (c *Config) asBlueGreen(v input.Values) {
	b := BlueGreen{WarmUp: v.Duration("warm-up-time"), Manual: !v.Bool(autoPromote), SmokeMax: v.Duration("smoke-response-time"), SmokeFile: v.String("smoke-file")}
	if v.Bool("validation-tests") {
		b.Smoke = v.Duration("smoke-test-timeout")
	}
	for line := range strings.Lines(v.Text("smoke-paths")) {
		if line = strings.TrimSpace(line); line != "" {
			b.SmokePaths = append(b.SmokePaths, line)
		}
	}
	c.BlueGreen = b
	c.Steps, c.StepDuration = []input.Step{{Weight: 100}}, min(c.StepDuration, switchLook)
	keep := v.Duration("keep-blue-time")
	if !v.IsSet("bake-time") {
		c.Bake = keep
	}
	c.KeepWarm = max(c.KeepWarm, keep)
}

// plan adds to a plan what only a blue-green release has.
func (b BlueGreen) plan(p *rollout.Plan) {
	p.WarmUp, p.Smoke, p.Manual = b.WarmUp, b.Smoke, b.Manual
}

// smokePaths returns what is wrong with the input smoke-paths.
func smokePaths(v input.Values) input.Problems {
	var problems input.Problems
	for line := range strings.Lines(v.Text("smoke-paths")) {
		if line = strings.TrimSpace(line); line != "" && (line[0] != '/' || strings.ContainsAny(line, " \t#")) {
			problems = append(problems, input.Problem{Name: "smoke-paths", Source: v.Source("smoke-paths"), Value: line, Reason: fmt.Sprintf("%q is no path", line), Allowed: "one a line, each begins with '/'"})
		}
	}
	return problems
}

// LoadTests reads the smoke tests of the inputs. An error changes nothing.
func (b *BlueGreen) LoadTests() error {
	if b.Smoke == 0 {
		return nil
	}
	if b.SmokeFile != "" {
		raw, err := os.ReadFile(b.SmokeFile)
		if err == nil {
			b.Tests, err = smoke.Parse(raw, b.SmokeMax)
		}
		if err != nil {
			return &exit.Error{Status: exit.BadInput, Err: fmt.Errorf("read the smoke file: %w", err), Hint: "docs/strategies.md shows a whole file"}
		}
	}
	for _, path := range b.SmokePaths {
		b.Tests.Tests = append(b.Tests.Tests, smoke.Page(path, b.SmokeMax))
	}
	return nil
}
