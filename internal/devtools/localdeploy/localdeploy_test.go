package localdeploy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/input"
)

// getenv is an environment.
func getenv(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

// given parses what a user gave.
func given(t *testing.T, env map[string]string, args ...string) input.Values {
	t.Helper()
	values, err := optionalImage(deploy.Spec()).Parse(args, getenv(env))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	type found struct{ Kubeconfig, Image, StepDuration, ProbeRate string }
	for name, test := range map[string]struct {
		env   map[string]string
		args  []string
		image string
		want  found
	}{
		"nothing given":        {nil, nil, "r/website:v2", found{"/s/admin", "r/website:v2", "10s", "100"}},
		"image given":          {map[string]string{"IMAGE": "mine:1"}, nil, "", found{"/s/admin", "mine:1", "10s", "100"}},
		"all in flags":         {nil, []string{"--image=mine:1", "--step-duration", "1m", "--probe-rate=7"}, "", found{"/s/admin", "mine:1", "1m", "7"}},
		"steps in environment": {map[string]string{"STEP_DURATION": "2m", "INPUT_PROBE-RATE": "9"}, nil, "r/website:v2", found{"/s/admin", "r/website:v2", "2m", "9"}},
		"another command":      {nil, []string{"--command=resume"}, "", found{"/s/admin", "", "300s", "50"}},
		"empty kubeconfig":     {map[string]string{"KUBECONFIG": "/empty"}, []string{"mine:2"}, "", found{"/s/admin", "mine:2", "10s", "100"}},
	} {
		over := overlay(getenv(test.env), given(t, test.env, test.args...), "/s/admin", test.image)
		values, err := deploy.Spec().Parse(test.args, over)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := map[string]string{}
		for _, s := range values.All() {
			text[s.Def.Name] = s.Text
		}
		if diff := cmp.Diff(test.want, found{text["kubeconfig"], text["image"], text["step-duration"], text["probe-rate"]}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// The sandbox's times of a blue-green release may be idle, as those of an environment.
	over := overlay(getenv(nil), given(t, nil), "/s", "")
	values, err := deploy.Spec().Parse([]string{"web:2"}, over)
	if err != nil || values.Text("warm-up-time") != "5s" || values.Source("warm-up-time").Kind != "env" || values.Source("keep-blue-time").Kind != "env" {
		t.Errorf("warm-up-time %s of %v, keep-blue-time of %v; %v", values.Text("warm-up-time"), values.Source("warm-up-time"), values.Source("keep-blue-time"), err)
	}
	if got := overlay(getenv(map[string]string{"HOME": "/h"}), given(t, nil), "/s", "")("HOME"); got != "/h" {
		t.Errorf("HOME = %q, want the user's", got)
	}
}

// Only where nobody named a cluster is the sandbox meant. It sets the environment that kubectl reads, so it cannot run beside others.
func TestWithoutCluster(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  map[string]string
		args []string
		want bool
	}{
		"nothing":         {nil, nil, true},
		"an empty file":   {map[string]string{"KUBECONFIG": empty}, nil, true},
		"a missing file":  {map[string]string{"KUBECONFIG": empty + ".not"}, nil, false},
		"a file by flag":  {nil, []string{"--kubeconfig", empty}, false},
		"a context alone": {nil, []string{"--kube-context", "prod"}, false},
	} {
		if got := withoutCluster(given(t, test.env, test.args...)); got != test.want {
			t.Errorf("%s: without a cluster is %t, want %t", name, got, test.want)
		}
	}
}

// Inputs that are wrong are the deploy's to refuse, before anything is started.
func TestBadInputStartsNothing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	env := action.Env{Getenv: getenv(nil), Stdout: &out, Stderr: &out, Exit: func(int) {}}
	if code := Main(env, []string{"--steps", "5,101"}); code != 2 || !strings.Contains(out.String(), "steps") || strings.Contains(out.String(), "sandbox:") {
		t.Errorf("exit status %d:\n%s", code, out.String())
	}
}

// A command on an existing release starts no sandbox, demands no image and deploys no sample.
func TestCommandsStartNothing(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv(sandbox.EnvDir, filepath.Join(t.TempDir(), "sandbox")) // not the one that other tests use
	for _, command := range []string{"--command=status", "--command=promote", "--attach"} {
		var out bytes.Buffer
		env := action.Env{Getenv: getenv(nil), Stdout: &out, Stderr: &out, Exit: func(int) {}}
		code := Main(env, []string{command, "--report-dir", t.TempDir()})
		if text := out.String(); code == 0 || !strings.Contains(text, "no cluster is configured") || strings.Contains(text, "sandbox") || strings.Contains(text, "image") {
			t.Errorf("%s: exit status %d:\n%s", command, code, text)
		}
	}
}

// A signal during the start of the sandbox ends it, and the rollout is not begun.
func TestSignalWhileStarting(t *testing.T) {
	t.Setenv(sandbox.EnvDir, filepath.Join(t.TempDir(), "sandbox")) // not the one that other tests use
	var out bytes.Buffer
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	env := action.Env{Getenv: getenv(nil), Stdout: &out, Stderr: &out}
	s, _, err := prepare(env, signals, given(t, nil))
	if s != nil {
		defer func() { _ = s.Close() }()
	}
	if err == nil || !strings.Contains(err.Error(), "stopped by terminated") && !strings.Contains(err.Error(), "needs root") {
		t.Errorf("prepare = %v, want the signal", err)
	}
}

func TestNextTag(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{"r:1/website:v1": "v2", "website:v9 ": "v10", "website:latest": "v2", "": "v2", "website:v1@sha256:0": "v2"} {
		if got := nextTag(image); got != want {
			t.Errorf("nextTag(%q) = %s, want %s", image, got, want)
		}
	}
}
