package inputs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/rollout"
)

func none(string) string { return "" }

func TestSpecIsConsistent(t *testing.T) {
	t.Parallel()
	if err := Spec().Check(); err != nil {
		t.Error(err)
	}
}

// The environment variables of deploy-canary.sh still work, with their
// defaults.
func TestSpecTakesTheScriptsEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"IMAGE": "registry.example/website:2", "ENVIRONMENT": "staging", "NAMESPACE": "shop",
		"DEPLOYMENT_NAME": "web", "SERVICE_NAME": "web-service", "STEP_DURATION": "30",
		"ROLLBACK_ON_ERROR": "false", "ERROR_RATE_THRESHOLD": "1", "RESPONSE_TIME_THRESHOLD": "1500",
	}
	v, err := Spec().Parse(nil, func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		v.String("image"), v.String("environment"), v.String("namespace"), v.String("deployment-name"),
		v.String("service-name"), v.Duration("step-duration"), v.Bool("rollback-on-error"),
		v.Float("error-rate-threshold"), v.Duration("response-time-threshold"),
	}
	want := []any{
		"registry.example/website:2", "staging", "shop", "web", "web-service",
		30 * time.Second, false, 1.0, 1500 * time.Millisecond,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestSpecDefaults(t *testing.T) {
	t.Parallel()
	if _, err := Spec().Parse(nil, none); err == nil || !strings.Contains(err.Error(), "image: is required") {
		t.Errorf("without an image: %v", err)
	}
	v, err := Spec().Parse([]string{"web:2"}, none)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{v.String("namespace"), v.Steps("steps"), v.Duration("step-duration"), v.Bool("rollback-on-error"), v.Bool("dry-run")}
	want := []any{"production", []input.Step{{Weight: 5}, {Weight: 25}, {Weight: 50}, {Weight: 100}}, 5 * time.Minute, true, false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// The flags of deploy-canary.sh still work.
func TestSpecTakesTheScriptsFlags(t *testing.T) {
	t.Parallel()
	args := []string{"--image", "your-image:latest", "--environment", "production", "--step-duration", "300", "--no-rollback"}
	v, err := Spec().Parse(args, none)
	if err != nil {
		t.Fatal(err)
	}
	if v.Bool("rollback-on-error") || v.String("image") != "your-image:latest" || v.Duration("step-duration") != 5*time.Minute {
		t.Errorf("Parse(%q) = %v", args, v.All())
	}
}

// An input of one strategy is refused with another.
func TestSpecOfOneStrategy(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"--workload-kind=statefulset", "--rolling-min-ready=10s", "--rolling-no-unavailable", "--rolling-pre-stop=5s"} {
		if _, err := Spec().Parse([]string{"--image", "web:2", arg}, none); err == nil || !strings.Contains(err.Error(), "has an effect only with strategy rolling") {
			t.Errorf("%s with a canary: %v", arg, err)
		}
		if _, err := Spec().Parse([]string{"--image", "web:2", "--strategy", "rolling", arg}, none); err != nil {
			t.Errorf("%s with a rolling update: %v", arg, err)
		}
	}
}

// A command is an input. Typed as an argument it is no image either.
func TestSpecTakesNoCommandAsTheImage(t *testing.T) {
	t.Parallel()
	for _, command := range commands() {
		_, err := Spec().Parse([]string{command}, none)
		want := `image (argument): "` + command + `": invalid format; did you mean --command ` + command + "?"
		if err == nil || err.Error() != want || !errors.As(err, new(input.Problems)) {
			t.Errorf("Parse(%s): error %v, want %s", command, err, want)
		}
	}
}

// Without promote, full would have no effect, and somebody counts on one.
func TestSpecTakesFullOnlyWithPromote(t *testing.T) {
	t.Parallel()
	const want = `full (flag --full): "true": has an effect only with command promote`
	for _, args := range [][]string{{"--full", "--image=web:2"}, {"--full", "--command", "abort"}} {
		_, err := Spec().Parse(args, none)
		if err == nil || err.Error() != want || !errors.As(err, new(input.Problems)) {
			t.Errorf("Parse(%q): error %v, want %s", args, err, want)
		}
	}
	for _, args := range [][]string{{"--full", "--command", "promote"}, {"--full=false", "--command", "abort"}} {
		if _, err := Spec().Parse(args, none); err != nil {
			t.Errorf("Parse(%q): %v", args, err)
		}
	}
}

// judged returns the configuration of inputs, without an analysis file.
func judged(t *testing.T, v input.Values) Config {
	t.Helper()
	c := ConfigOf(v)
	rules, err := judging.Load("", c.Limits())
	if err != nil {
		t.Fatal(err)
	}
	c.Rules = rules
	return c
}

// Every line that is wrong is reported, with its number and what is allowed.
func TestProbePathsAndExpectations(t *testing.T) {
	t.Parallel()
	parse := func(args ...string) (input.Values, error) { return Spec().Parse(append(args, "--image=web:2"), none) }
	v, err := parse("--probe-paths=/ 3\n\n/api/health", "--probe-expect=/api/health status 200\n/ body /Welcome/", "--prewarm=0s", "--warm-up=10s")
	if err != nil {
		t.Fatal(err)
	}
	c := judged(t, v)
	if len(c.ProbePaths) != 2 || c.ProbePaths[0].Weight != 3 || len(c.ProbePaths[0].Expectations) != 1 || c.ProbePaths[1].Path != "/api/health" {
		t.Errorf("paths %+v", c.ProbePaths)
	}
	if c.Plan(0).Prewarm != 0 || c.Limits().WarmUp == nil || *c.Limits().WarmUp != 10*time.Second {
		t.Errorf("prewarm %s, warm-up %v", c.Plan(0).Prewarm, c.Limits().WarmUp)
	}
	if v, err = parse("--probe-path=/home"); err != nil {
		t.Fatal(err)
	}
	c = judged(t, v)
	if len(c.ProbePaths) != 1 || c.ProbePaths[0].Path != "/home" || c.Limits().WarmUp != nil || c.Plan(0).Prewarm != 30*time.Second {
		t.Errorf("without probe-paths: %+v, warm-up %v", c.ProbePaths, c.Limits().WarmUp)
	}
	cold := c
	cold.Prewarm = 0
	if with, without := WorstCase(c.Plan(0)), WorstCase(cold.Plan(0)); with-without != 30*time.Second {
		t.Errorf("the worst case is %s with a prewarm of 30 s, %s without", with, without)
	}
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"all of them": {
			[]string{"--probe-paths=/ 3\n\nhome\n/a 0", "--probe-rate=0"},
			[]string{`probe-rate (flag --probe-rate): "0": out of range`, `probe-paths (flag --probe-paths): "home": line 3: "home" is no path`, `"/a 0": line 4: weight "0" is no whole number from 1 to 1000; allowed: one path a line`},
		},
		"expectations": {
			[]string{"--probe-path=/home", "--probe-expect=/ status 200\n/home body /(/"},
			[]string{`probe-expect (flag --probe-expect): "/ status 200": line 1: / is not asked for: the paths are /home; allowed: one a line`, `line 2: the pattern does not compile`},
		},
		"both": {
			[]string{"--probe-path=/home", "--probe-paths=/"},
			[]string{`probe-path (flag --probe-path): "/home": probe-paths names the paths: set one of the two`},
		},
	} {
		_, err := parse(c.args...)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, new(input.Problems)) {
				t.Errorf("%s: %v does not say %q", name, err, want)
			}
		}
	}
}

// The environment variables and flags of deploy-blue-green.sh still work, with their
// defaults.
func TestSpecTakesTheBlueGreenScript(t *testing.T) {
	t.Parallel()
	image := map[string]string{"IMAGE": "web:2"}
	script := map[string]string{"IMAGE": "web:2", "WARM_UP_TIME": "30", "VALIDATION_TESTS": "false", "AUTO_PROMOTE": "false", "KEEP_BLUE_TIME": "60", "SMOKE_TEST_TIMEOUT": "90"}
	for name, c := range map[string]struct {
		args []string
		env  map[string]string
		want rollout.Plan
	}{
		"defaults": {nil, image, rollout.Plan{WarmUp: 2 * time.Minute, Smoke: 3 * time.Minute, Bake: 10 * time.Minute, KeepWarm: 10 * time.Minute}},
		"flags": {[]string{"--warm-up-time", "60", "--no-validation", "--manual-promotion", "--keep-blue-time", "300"}, image,
			rollout.Plan{WarmUp: time.Minute, Manual: true, Bake: 5 * time.Minute, KeepWarm: 5 * time.Minute}},
		"environment":       {nil, script, rollout.Plan{WarmUp: 30 * time.Second, Manual: true, Bake: time.Minute, KeepWarm: time.Minute}},
		"a shorter bake":    {[]string{"--bake-time", "20s", "--steps", "5,100"}, image, rollout.Plan{WarmUp: 2 * time.Minute, Smoke: 3 * time.Minute, Bake: 20 * time.Second, KeepWarm: 10 * time.Minute}},
		"warm for longer":   {[]string{"--keep-warm", "1h"}, image, rollout.Plan{WarmUp: 2 * time.Minute, Smoke: 3 * time.Minute, Bake: 10 * time.Minute, KeepWarm: time.Hour}},
		"seconds, as typed": {[]string{"--smoke-test-timeout", "10"}, image, rollout.Plan{WarmUp: 2 * time.Minute, Smoke: 10 * time.Second, Bake: 10 * time.Minute, KeepWarm: 10 * time.Minute}},
	} {
		v, err := Spec().Parse(append(c.args, "--strategy", "blue-green"), func(k string) string { return c.env[k] })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p := judged(t, v).Plan(0)
		got := rollout.Plan{WarmUp: p.WarmUp, Smoke: p.Smoke, Manual: p.Manual, Bake: p.Bake, KeepWarm: p.KeepWarm}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]rollout.Step{{Weight: 100, Dwell: switchLook}}, p.Steps); diff != "" || p.Strategy != rollout.StrategyBlueGreen {
			t.Errorf("%s: strategy %s, steps (-want +got):\n%s", name, p.Strategy, diff)
		}
	}
	v, err := Spec().Parse(nil, func(k string) string { return script[k] })
	if err != nil {
		t.Fatal(err)
	}
	if p := judged(t, v).Plan(0); p.WarmUp != 0 || p.Manual || p.Smoke != 0 || len(p.Steps) != 4 {
		t.Errorf("a canary release has %+v", p)
	}
}

// The output status is documented with each of its words.
func TestStatusHasAllItsWords(t *testing.T) {
	t.Parallel()
	var help string
	for _, o := range Spec().Outputs {
		if o.Name == "status" {
			help = o.Help
		}
	}
	words := strings.FieldsFunc(help, func(r rune) bool { return r == ' ' || r == ',' })
	want := []string{"promoted", "unchanged", "applied", "planned", "rolled-back", "paused", "started"}
	for _, s := range exit.Statuses() {
		want = append(want, s.String())
	}
	for _, word := range want {
		if !slices.Contains(words, word) {
			t.Errorf("the help lacks %s: %s", word, help)
		}
	}
}

// All that is wrong with the smoke tests is said before anything changes.
func TestSmokeTestsOfTheInputs(t *testing.T) {
	t.Parallel()
	_, err := Spec().Parse([]string{"web:2", "--smoke-paths=/health\nhome\n/a b"}, none)
	for _, want := range []string{`"home" is no path`, `"/a b" is no path`} {
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, new(input.Problems)) {
			t.Errorf("smoke-paths: %v does not say %s", err, want)
		}
	}
	file := filepath.Join(t.TempDir(), "smoke.yaml")
	if err := os.WriteFile(file, []byte("requests: [{path: /api/cart, method: POST}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := Spec().Parse([]string{"web:2", "--strategy=blue-green", "--smoke-paths=/health\n/", "--smoke-file=" + file, "--smoke-response-time=700"}, none)
	if err != nil {
		t.Fatal(err)
	}
	c := ConfigOf(v)
	if err := c.BlueGreen.LoadTests(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, test := range c.BlueGreen.Tests.Tests {
		names = append(names, test.Name)
		if test.MaxTime != 700*time.Millisecond {
			t.Errorf("%s may take %s", test.Name, test.MaxTime)
		}
	}
	if diff := cmp.Diff([]string{"POST /api/cart", "GET /health", "GET /"}, names); diff != "" {
		t.Errorf("tests (-want +got):\n%s", diff)
	}
	if got := Recorded(v)["smoke-file"]; got != "" {
		t.Errorf("another process would read %s", got)
	}
	for _, path := range []string{file + ".gone", os.DevNull} {
		b := BlueGreen{Smoke: time.Minute, SmokeFile: path}
		if err := b.LoadTests(); err == nil || !strings.Contains(err.Error(), "read the smoke file") {
			t.Errorf("%s: %v", path, err)
		} else if status, _ := exit.Of(err); status != exit.BadInput {
			t.Errorf("%s: exit status %d", path, status.Code())
		}
	}
}
