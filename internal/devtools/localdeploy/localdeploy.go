// Package localdeploy releases on a machine without a cluster: where none is configured it starts the sandbox, puts a sample there if
// nothing is, and runs the deploy use case against it. Commands on an existing release use a sandbox that is up, and start none. With a
// cluster it is that use case and nothing else.
package localdeploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/deploy"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/exit"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/kube"
)

// grace is the sample's termination grace period: short, since an old version is stopped only when it has passed.
const grace = 10 * time.Second

// defaults are what a rollout on the sandbox does differently where nobody said otherwise. It is for looking at, so its steps are short.
var defaults = map[string]string{"step-duration": "10s", "bake-time": "10s", "probe-rate": "100", "warm-up-time": "5s", "keep-blue-time": "10s"}

// Main runs one deploy and returns its exit status.
func Main(env action.Env, args []string) int {
	values, err := optionalImage(deploy.Spec()).Parse(args, env.Getenv)
	if err != nil || !withoutCluster(values) || !releases(values) && !sandboxIsUp() {
		return deploy.Main(env, args)
	}
	signals, stop := notify(env)
	defer stop()
	fmt.Fprintln(env.Stdout, "no cluster is configured: using the sandbox, a real cluster on this machine")
	s, image, err := prepare(env, signals, values)
	if err != nil {
		fmt.Fprintln(env.Stderr, "Error:", err)
		return exit.CouldNotRun.Code()
	}
	// One subscription from the start of the sandbox to the end of the rollout: no signal falls between two.
	env.Notify = func() (<-chan os.Signal, func()) { return signals, func() {} }
	env.Getenv = overlay(env.Getenv, values, s.Kubeconfig, image)
	code := deploy.Main(env, args)
	if err := s.Close(); err != nil {
		fmt.Fprintln(env.Stderr, "give up the sandbox:", err)
	}
	return code
}

// releases reports whether the inputs ask for a release. All else is about one that exists already.
func releases(values input.Values) bool {
	return values.String("command") == "deploy" && !values.Bool("attach")
}

// sandboxIsUp reports whether there is a sandbox that may have a release.
func sandboxIsUp() bool {
	status, err := sandbox.Inspect(context.Background(), sandbox.Options{})
	return err == nil && status.Healthy
}

// optionalImage is the spec for a machine without a cluster, where the sandbox has an image of its own.
func optionalImage(s input.Spec) input.Spec {
	for i := range s.Inputs {
		if s.Inputs[i].Name == "image" {
			s.Inputs[i].Required = false
		}
	}
	return s
}

// withoutCluster reports whether nobody has named a cluster and none is where they usually are. Whatever is wrong with one that is named
// is for the deploy to say.
func withoutCluster(values input.Values) bool {
	if values.IsSet("kube-context") || values.IsSet("eks-cluster") || values.Source("kubeconfig").Kind == "flag" {
		return false
	}
	_, err := kube.Connect(kube.ConnectOptions{Kubeconfig: values.String("kubeconfig")})
	return errors.Is(err, kube.ErrNoCluster)
}

func notify(env action.Env) (<-chan os.Signal, func()) {
	if env.Notify == nil {
		return nil, func() {}
	}
	return env.Notify()
}

// prepare starts the sandbox and, for a release, puts version 1 of the sample there if nothing is. The image is the next version of the
// sample, or "" when one was given or none is released. A signal ends it.
func prepare(env action.Env, signals <-chan os.Signal, values input.Values) (*sandbox.Sandbox, string, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	ready := make(chan struct{})
	defer close(ready)
	go func() {
		select {
		case s := <-signals:
			cancel(fmt.Errorf("stopped by %s, nothing was changed", s))
		case <-ready:
		}
	}()
	s, err := sandbox.Up(ctx, sandbox.Options{Ephemeral: true, Progress: env.Stdout})
	if err != nil {
		return nil, "", because(ctx, fmt.Errorf("start the sandbox: %w", err))
	}
	image := ""
	if releases(values) {
		image, err = prepareSample(ctx, env.Stdout, s, values)
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, "", errors.Join(because(ctx, err), s.Close())
	}
	return s, image, nil
}

// because is the signal that ended ctx, or err.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func prepareSample(ctx context.Context, out io.Writer, s *sandbox.Sandbox, values input.Values) (image string, err error) {
	cluster, err := kube.Connect(kube.ConnectOptions{Kubeconfig: s.Kubeconfig})
	if err != nil {
		return "", err
	}
	namespace := values.String("namespace")
	live, err := cluster.LiveImage(ctx, namespace, sample.Name)
	if err != nil {
		return "", err
	}
	if live == "" {
		fmt.Fprintf(out, "deploying version 1 of the sample website to namespace %s\n", namespace)
		if live, err = sample.Image(ctx, s, "v1", nil); err != nil {
			return "", err
		}
		if err := sample.Deploy(ctx, s, sample.App{Namespace: namespace, Image: live, GracePeriod: grace}); err != nil {
			return "", err
		}
	}
	if values.IsSet("image") {
		return "", nil
	}
	if image, err = sample.Image(ctx, s, nextTag(live), nil); err == nil {
		fmt.Fprintf(out, "no image was given: deploying the next version of the sample, %s\n", image)
	}
	return image, err
}

// overlay is getenv with what the deploy has to know of the sandbox. What the user gave stays: values are what was found in flags and
// environment. An image of "" is the user's own. A command on an existing release keeps the recorded inputs of that.
func overlay(getenv func(string) string, values input.Values, kubeconfig, image string) func(string) string {
	over := map[string]string{"kubeconfig": kubeconfig, "image": image}
	for name, value := range defaults {
		if releases(values) && !values.IsSet(name) {
			over[name] = value
		}
	}
	env := map[string]string{}
	for _, s := range values.All() {
		value, name := over[s.Def.Name], s.Def.ActionEnv()
		if s.Def.Group == "Blue-green" { // the environment's values may be idle, which an input's may not
			name = s.Def.Env
		}
		if value != "" {
			env[name] = value
		}
	}
	return func(name string) string {
		if value, ok := env[name]; ok {
			return value
		}
		return getenv(name)
	}
}

var versionTag = regexp.MustCompile(`:v(\d+)$`)

// nextTag is the tag after image's: v2 after v1. A tag of another form is followed by v2.
func nextTag(image string) string {
	if m := versionTag.FindStringSubmatch(strings.TrimSpace(image)); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return fmt.Sprintf("v%d", n+1)
		}
	}
	return "v2"
}
