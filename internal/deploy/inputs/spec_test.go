package inputs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/deploy/judging"
	"github.com/candlefish/deploy-action/internal/input"
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

func TestSpecSaysWhatComesLater(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"blue-green", "rolling"} {
		_, err := Spec().Parse([]string{"--strategy", strategy}, none)
		var ps input.Problems
		if !errors.As(err, &ps) || !strings.Contains(err.Error(), strategy+" is planned, not available yet; allowed: canary") {
			t.Errorf("--strategy %s: got error %v", strategy, err)
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
