package deploy

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/sample"
	"github.com/candlefish/deploy-action/internal/kube"
)

// What a rollout on the sandbox does differently, where nobody said otherwise:
// it is for looking at, so its steps are short.
const (
	sandboxStepDuration = 10 * time.Second
	sandboxProbeRate    = 100
	sandboxGrace        = 10 * time.Second
)

// onSandbox starts the sandbox, puts version 1 of the sample website there if
// nothing is, and aims the run at it. Without an image the next version of the
// sample is built.
func (r *run) onSandbox(ctx context.Context) (func(), error) {
	r.tell.say("no cluster is configured: using the sandbox, a real cluster on this machine")
	s, err := sandbox.Up(ctx, sandbox.Options{Ephemeral: true, Progress: r.tell.lines()})
	if err != nil {
		return func() {}, fmt.Errorf("start the sandbox: %w", err)
	}
	done := func() {
		if err := s.Close(); err != nil {
			r.tell.warn("give up the sandbox: " + err.Error())
		}
	}
	if err := r.prepareSample(ctx, s); err != nil {
		done()
		return func() {}, err
	}
	return done, nil
}

func (r *run) prepareSample(ctx context.Context, s *sandbox.Sandbox) error {
	cluster, err := kube.Connect(kube.ConnectOptions{Kubeconfig: s.Kubeconfig})
	if err != nil {
		return err
	}
	r.cluster = cluster
	live, err := cluster.LiveImage(ctx, r.cfg.Namespace, sample.Name)
	if err != nil {
		return err
	}
	if live == "" {
		r.tell.say("deploying version 1 of the sample website to namespace %s", r.cfg.Namespace)
		if live, err = sample.Image(ctx, s, "v1", nil); err != nil {
			return err
		}
		if err := sample.Deploy(ctx, s, sample.App{Namespace: r.cfg.Namespace, Image: live, GracePeriod: sandboxGrace}); err != nil {
			return err
		}
	}
	if r.cfg.Image == "" {
		if r.cfg.Image, err = sample.Image(ctx, s, nextTag(live), nil); err != nil {
			return err
		}
		r.tell.say("no image was given: deploying the next version of the sample, %s", r.cfg.Image)
	}
	if !r.cfg.given("step-duration") {
		r.cfg.StepDuration = sandboxStepDuration
	}
	if !r.cfg.given("probe-rate") {
		r.cfg.ProbeRate = sandboxProbeRate
	}
	return nil
}

var versionTag = regexp.MustCompile(`:v(\d+)$`)

// nextTag is the tag after image's: v2 after v1. A tag of another form is
// followed by v2.
func nextTag(image string) string {
	if m := versionTag.FindStringSubmatch(strings.TrimSpace(image)); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return fmt.Sprintf("v%d", n+1)
		}
	}
	return "v2"
}
