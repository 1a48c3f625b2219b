package inputs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
