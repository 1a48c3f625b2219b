//go:build mage

// The targets of this repository. Each one is a call into a package; nothing
// here is worth a test of its own.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/build"
	"github.com/candlefish/deploy-action/internal/deploy"
	"github.com/candlefish/deploy-action/internal/deploybench"
	"github.com/candlefish/deploy-action/internal/stage"
)

// Default is the target of a bare "go tool mage".
var Default = Check

// Deploy releases images.
type Deploy mg.Namespace

// Canary releases an image step by step; without a cluster, on the stage.
//
// Inputs come from the environment (IMAGE, NAMESPACE, STEP_DURATION, ...) or as
// the options here; -flags takes all others, as in -flags="--probe-rate=200".
func (Deploy) Canary(image, steps, stepDuration, namespace, deploymentName *string, noRollback, plan *bool, flags *string) error {
	args := build.Flags("image", image, "steps", steps, "step-duration", stepDuration, "namespace", namespace,
		"deployment-name", deploymentName, "no-rollback", noRollback, "plan", plan)
	return exit(deploy.Main(action.Mage(), append(args, build.Split(flags)...)))
}

// exit turns an exit status into what mage ends with.
func exit(code int) error {
	if code == 0 {
		return nil
	}
	return mg.Fatal(code, "exit status ", code)
}

// Bench measures the real thing and writes its figures below out.
type Bench mg.Namespace

// Deploy measures releases on the stage under load; it takes about ten minutes.
func (Bench) Deploy(ctx context.Context) error { return deploybench.Run(ctx, os.Stdout) }

// Stage is a real cluster on this machine, for tests and for trying a deploy.
type Stage mg.Namespace

// Up starts the stage; the first time on a machine it builds Kubernetes.
func (Stage) Up(ctx context.Context) error {
	s, err := stage.Up(ctx, stage.Options{Progress: os.Stdout})
	if err == nil {
		err = s.Close()
	}
	return err
}

// Down stops the stage and removes what it left.
func (Stage) Down(ctx context.Context) error {
	return stage.Down(ctx, stage.Options{Progress: os.Stdout})
}

// Status shows whether the stage is up and where it listens.
func (Stage) Status(ctx context.Context) error {
	status, err := stage.Inspect(ctx, stage.Options{})
	fmt.Print(status)
	return err
}

// Test runs every test, on a stage of its own that is stopped at the end.
func Test(ctx context.Context) error { return build.Test(ctx, os.Stdout) }

// Lint runs the linters over code and workflows.
func Lint(ctx context.Context) error { return build.Lint(ctx, os.Stdout) }

// Vuln looks for known vulnerabilities in the dependencies; needs the network.
func Vuln(ctx context.Context) error { return build.Vulnerabilities(ctx, os.Stdout) }

// Generate writes action.yml and the tables of the documents from the Specs.
func Generate() error { return build.Generate(".") }

// Build puts the actions' binaries into out.
func Build(ctx context.Context) error { return build.Build(ctx, os.Stdout) }

// Check runs what a change must pass: generated files, tidy, lint, tests.
func Check(ctx context.Context) error { return build.Check(ctx, os.Stdout) }
