//go:build mage

// The targets of this repository. Each one becomes a program of the module;
// nothing here is worth a test of its own, and nothing heavy is imported, since
// every call compiles this file first.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/candlefish/deploy-action/internal/devtools/gobuild"
)

// Default is the target of a bare "go tool mage".
var Default = Test

// Deploy releases images.
type Deploy mg.Namespace

// Canary releases an image step by step; without a cluster, on the sandbox.
//
// Inputs come from the environment (IMAGE, NAMESPACE, STEP_DURATION, ...) or as
// the options here; -flags takes all others, as in -flags="--probe-rate=200".
func (Deploy) Canary(ctx context.Context, image, steps, stepDuration, namespace, deploymentName *string, noRollback, plan *bool, flags *string) error {
	args := gobuild.Flags("image", image, "steps", steps, "step-duration", stepDuration, "namespace", namespace,
		"deployment-name", deploymentName, "no-rollback", noRollback, "plan", plan)
	return become(ctx, "./internal/devtools/localdeploy/cmd/localdeploy", append(args, gobuild.Split(flags)...)...)
}

// Bench measures the real thing and writes its figures below out.
type Bench mg.Namespace

// Deploy measures releases on the sandbox under load; it takes about ten minutes.
//
// -only takes the beginning of the names of the scenarios, as in -only=life.
func (Bench) Deploy(ctx context.Context, only *string) error {
	return target(ctx, "bench:deploy", gobuild.Flags("only", only)...)
}

// Judge measures the judge on simulated rollouts; it takes about ten minutes.
func (Bench) Judge(ctx context.Context) error { return target(ctx, "bench:judge") }

// Soak releases good and bad images for -duration under load, with kills and a
// user's changes between them; it fails if a request was lost or something is left.
//
// The order of all depends on -seed alone. -rate is the load in requests per
// second; -during is the share of runs that a user's change meets, from 0 to 1.
func (Bench) Soak(ctx context.Context, duration, seed, rate, during *string) error {
	return target(ctx, "bench:soak", gobuild.Flags("duration", duration, "seed", seed, "rate", rate, "during", during)...)
}

// Judge says what the judge of rollouts thinks of a recorded one.
type Judge mg.Namespace

// Replay judges a recorded rollout again, with the settings of -analysis; offline.
//
// The recording is the canary-deployment-analysis.jsonl beside the report of a
// deploy. Whatever the verdicts are, the exit status is 0; a bad file is 2.
func (Judge) Replay(ctx context.Context, file, analysis *string) error {
	return target(ctx, "judge:replay", gobuild.Flags("file", file, "analysis", analysis)...)
}

// Preview measures publishing a large site beside netlify-cli.
func (Bench) Preview(ctx context.Context) error { return target(ctx, "bench:preview") }

// Preview keeps the previews of pull requests; without accounts, a sample on this
// machine.
type Preview mg.Namespace

// Up brings the preview of a pull request to its newest commit.
//
// Inputs come from the environment (GITHUB_TOKEN, PR_NUMBER, NETLIFY_AUTH_TOKEN, ...)
// or as the options here; -flags takes all others, as in -flags="--api-code=api".
func (Preview) Up(ctx context.Context, prNumber, dir, flags *string) error {
	return preview(ctx, "up", flags, "pr-number", prNumber, "dir", dir)
}

// Down removes the preview of a pull request, and looks whether it is gone.
func (Preview) Down(ctx context.Context, prNumber, flags *string) error {
	return preview(ctx, "down", flags, "pr-number", prNumber)
}

// Status says what there is of the preview of a pull request.
func (Preview) Status(ctx context.Context, prNumber, flags *string) error {
	return preview(ctx, "status", flags, "pr-number", prNumber)
}

// Sweep lists previews that nobody needs any more, and with -delete removes them.
func (Preview) Sweep(ctx context.Context, delete *bool, flags *string) error {
	return preview(ctx, "sweep", flags, "delete", delete)
}

func preview(ctx context.Context, goal string, flags *string, pairs ...any) error {
	args := append([]string{"preview", "--goal", goal}, gobuild.Flags(pairs...)...)
	return become(ctx, "./internal/devtools/build/targets", append(args, gobuild.Split(flags)...)...)
}

// Sandbox is a real cluster on this machine, for tests and for trying a deploy.
type Sandbox mg.Namespace

// Up starts the sandbox; the first time on a machine it builds Kubernetes.
func (Sandbox) Up(ctx context.Context) error { return control(ctx, "up") }

// Down stops the sandbox and removes what it left.
func (Sandbox) Down(ctx context.Context) error { return control(ctx, "down") }

// Status shows whether the sandbox is up and where it listens.
func (Sandbox) Status(ctx context.Context) error { return control(ctx, "status") }

func control(ctx context.Context, what string) error {
	return become(ctx, "./internal/devtools/sandbox/cmd/sandbox", what)
}

// Test runs all that a change must pass: format, generated files, tidy modules,
// linters, vet, and every test, on a sandbox of its own that is stopped at the end.
func Test(ctx context.Context) error { return target(ctx, "test") }

// Lint runs the linters over code and workflows.
func Lint(ctx context.Context) error { return target(ctx, "lint") }

// Vuln looks for known vulnerabilities in the dependencies; needs the network.
func Vuln(ctx context.Context) error { return target(ctx, "vuln") }

// Generate writes action.yml and the tables of the documents from the Specs.
func Generate(ctx context.Context) error { return target(ctx, "generate") }

// Figures prints the sizes of packages, types and functions, and who imports whom.
//
// -dir measures another checkout, also an old one. -commits takes commits or ranges
// with commas between, and prints how many packages each of them touched.
func Figures(ctx context.Context, dir, commits *string) error {
	return target(ctx, "figures", gobuild.Flags("dir", dir, "commits", commits)...)
}

// Build puts the actions' binaries into out.
func Build(ctx context.Context) error { return target(ctx, "build") }

func target(ctx context.Context, name string, args ...string) error {
	return become(ctx, "./internal/devtools/build/targets", append([]string{name}, args...)...)
}

// become turns this process into a program of the module. CANDLEFISH_MAGE tells
// it that its parent is mage.
func become(ctx context.Context, pkg string, args ...string) error {
	code, err := gobuild.Become(ctx, pkg, args, []string{"CANDLEFISH_MAGE=1"})
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return mg.Fatal(1, "exit status ", 1)
	}
	if code != 0 {
		return mg.Fatal(code, "exit status ", code)
	}
	return nil
}
