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

// Bluegreen releases an image by a switch of all traffic to tested pods; without a
// cluster, on the sandbox.
//
// Inputs come from the environment (IMAGE, WARM_UP_TIME, AUTO_PROMOTE, ...) or as the
// options here; -flags takes all others, as in -flags="--smoke-file=smoke.yaml".
func (Deploy) Bluegreen(ctx context.Context, image, warmUpTime, keepBlueTime, namespace, deploymentName *string, noValidation, manualPromotion, plan *bool, flags *string) error {
	args := gobuild.Flags("image", image, "warm-up-time", warmUpTime, "keep-blue-time", keepBlueTime, "namespace", namespace,
		"deployment-name", deploymentName, "no-validation", noValidation, "manual-promotion", manualPromotion, "plan", plan)
	args = append([]string{"--strategy=blue-green"}, args...)
	return become(ctx, "./internal/devtools/localdeploy/cmd/localdeploy", append(args, gobuild.Split(flags)...)...)
}

// Group releases several Deployments, or one on several clusters, as one release.
//
// -deployments and -clusters are YAML files or the lines of the inputs, see
// docs/fleet.md; -flags takes all others, as in -flags="--wave-bake-time=5m".
func (Deploy) Group(ctx context.Context, deployments, clusters, image, order, namespace *string, plan *bool, flags *string) error {
	args := gobuild.Flags("deployments", deployments, "clusters", clusters, "image", image, "order", order, "namespace", namespace, "plan", plan)
	return become(ctx, "./internal/devtools/localdeploy/cmd/localdeploy", append(args, gobuild.Split(flags)...)...)
}

// Rolling releases an image by the workload's own rolling update, judged pod by pod;
// without a cluster, on the sandbox.
//
// Inputs come from the environment (IMAGE, NAMESPACE, STEP_DURATION, ...) or as the
// options here; -flags takes all others, as in -flags="--rolling-min-ready=10s".
func (Deploy) Rolling(ctx context.Context, image, steps, stepDuration, namespace, deploymentName, workloadKind *string, noRollback, plan *bool, flags *string) error {
	args := gobuild.Flags("image", image, "steps", steps, "step-duration", stepDuration, "namespace", namespace,
		"deployment-name", deploymentName, "workload-kind", workloadKind, "no-rollback", noRollback, "plan", plan)
	args = append([]string{"--strategy=rolling"}, args...)
	return become(ctx, "./internal/devtools/localdeploy/cmd/localdeploy", append(args, gobuild.Split(flags)...)...)
}

// Status shows a release: its recorded phase, what is live, and the commands that it
// takes now.
//
// As in all targets on a release, -namespace and -deploymentName select it, and
// -flags takes all other inputs, as in -flags="--kube-context=prod".
func (Deploy) Status(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--command=status", namespace, deploymentName, flags)
}

// Pause keeps a rollout at its weight until somebody resumes, promotes or aborts it.
func (Deploy) Pause(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--command=pause", namespace, deploymentName, flags)
}

// Resume continues a paused rollout.
func (Deploy) Resume(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--command=resume", namespace, deploymentName, flags)
}

// Promote goes on with the next step at once; with -full it skips the remaining steps.
//
// After the promotion it ends the time in which the previous version is warm.
func (Deploy) Promote(ctx context.Context, namespace, deploymentName *string, full *bool, flags *string) error {
	return release(ctx, "--command=promote", namespace, deploymentName, flags, gobuild.Flags("full", full)...)
}

// Abort shifts traffic back to the version that was live before the release.
func (Deploy) Abort(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--command=abort", namespace, deploymentName, flags)
}

// Rollback goes back to the previous version: at once while it is warm, else by a
// quick release of its image.
func (Deploy) Rollback(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--command=rollback", namespace, deploymentName, flags)
}

// History lists the recorded releases, the newest first.
func (Deploy) History(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--command=history", namespace, deploymentName, flags)
}

// Release ends a release: it removes what is left of it, and its record.
func (Deploy) Release(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--command=release", namespace, deploymentName, flags)
}

// Forget deletes the record and the lease of a release, and changes nothing else.
func (Deploy) Forget(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--command=forget", namespace, deploymentName, flags)
}

// Reap removes previous versions whose time is over, and finishes rollouts that no
// run drives.
func (Deploy) Reap(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--command=reap", namespace, deploymentName, flags)
}

// Attach shows the log of a release that runs as a Job in the cluster.
func (Deploy) Attach(ctx context.Context, namespace, deploymentName, flags *string) error {
	return release(ctx, "--attach", namespace, deploymentName, flags)
}

// release runs a command on an existing release.
func release(ctx context.Context, command string, namespace, deploymentName, flags *string, more ...string) error {
	args := append([]string{command}, gobuild.Flags("namespace", namespace, "deployment-name", deploymentName)...)
	args = append(args, more...)
	return become(ctx, "./internal/devtools/localdeploy/cmd/localdeploy", append(args, gobuild.Split(flags)...)...)
}

// Rbac prints the manifest of a ServiceAccount for releases that run in the cluster.
//
// The defaults are -namespace=production and -account=candlefish-deploy.
func Rbac(ctx context.Context, namespace, account *string) error {
	return target(ctx, "rbac", gobuild.Flags("namespace", namespace, "account", account)...)
}

// Bench measures the real thing and writes its figures below out.
type Bench mg.Namespace

// Deploy measures releases on the sandbox under load; it takes about ten minutes.
//
// -only takes the beginning of the names of the scenarios, as in -only=life.
func (Bench) Deploy(ctx context.Context, only *string) error {
	return target(ctx, "bench:deploy", gobuild.Flags("only", only)...)
}

// Judge measures the judge on simulated rollouts, beside what is usually done instead.
//
// -runs is the number of rollouts of each kind, 100 if not given, -only a part of the
// names of the kinds.
func (Bench) Judge(ctx context.Context, runs, only *string) error {
	return target(ctx, "bench:judge", gobuild.Flags("runs", runs, "only", only)...)
}

// Trial measures the judge on rollouts simulated by a second generator.
//
// -runs is the number of rollouts per row, -step the dwell of each step, as in
// -step=300s, -rate the requests per second. -only takes healthy, sick, or a part of
// the names of the rows. -flags takes the rest, as in -flags="--pinned=false --seed=2",
// "--record=FILE" to record latencies, and "--replay=FILE" for rows with those.
func (Bench) Trial(ctx context.Context, runs, step, rate, only, flags *string) error {
	args := gobuild.Flags("runs", runs, "step", step, "rate", rate, "only", only)
	return target(ctx, "bench:trial", append(args, gobuild.Split(flags)...)...)
}

// Soak releases good and bad images for -duration under load, with kills and a
// user's changes between them; it fails if a request was lost or something is left.
//
// The order of all depends on -seed alone. -rate is the load in requests per
// second; -during is the share of runs that a user's change meets, from 0 to 1.
func (Bench) Soak(ctx context.Context, duration, seed, rate, during *string) error {
	return target(ctx, "bench:soak", gobuild.Flags("duration", duration, "seed", seed, "rate", rate, "during", during)...)
}

// Security measures parts of the security gate beside the tools that do the same.
//
// -only takes the beginning of the names of the scenarios, as in -only=merge;
// -results is how many results there are, 100,000 if not given, -rounds how often all
// is measured, and -seed what the results depend on.
func (Bench) Security(ctx context.Context, only, results, rounds, seed *string) error {
	return target(ctx, "bench:security", gobuild.Flags("only", only, "results", results, "rounds", rounds, "seed", seed)...)
}

// Perf measures the performance gate: its decisions beside those of benchstat,
// lighthouse-ci and k6, defects planted in the sample website, false alarms, and how
// long the whole gate takes.
//
// -only takes the beginning of the names of the parts: benchstat, lhci, k6, gate,
// planted, aa. -pool takes analysis.json files of earlier comparisons for aa.
func (Bench) Perf(ctx context.Context, only, pool *string) error {
	return target(ctx, "bench:perf", gobuild.Flags("only", only, "pool", pool)...)
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

// Tools are the programs of others that the gates run.
type Tools mg.Namespace

// Install builds and installs them at locked versions, with checksums.
//
// -names takes tools with commas between; without it, those that -gate needs:
// security, the default, performance or all. -dir is their folder, the user's cache if
// not given.
func (Tools) Install(ctx context.Context, names, gate, dir *string) error {
	return target(ctx, "tools:install", gobuild.Flags("names", names, "gate", gate, "dir", dir)...)
}

// List shows which are there and verified, and how to get the others.
//
// -lock is a lock file of your own, see docs/security-tools.md.
func (Tools) List(ctx context.Context, dir, lock *string) error {
	return target(ctx, "tools:list", gobuild.Flags("dir", dir, "lock", lock)...)
}

// Sum prints the sha256 of a program or a folder as a lock file of your own has it.
func (Tools) Sum(ctx context.Context, path string) error { return target(ctx, "tools:sum", path) }

// Security scans this repository, or another one by -flags="--dir=PATH".
type Security mg.Namespace

// Quick scans what a pull request must not bring: secrets, known vulnerabilities of
// npm packages, dangerous workflows.
//
// As in all targets of a scan, inputs come from the environment or from -flags, as
// in -flags="--fail-on=medium --base=origin/main".
func (Security) Quick(ctx context.Context, flags *string) error {
	return securityGate(ctx, flags, "--level=quick")
}

// Standard also scans code, containers, configuration and all dependencies.
func (Security) Standard(ctx context.Context, flags *string) error {
	return securityGate(ctx, flags, "--level=standard")
}

// Deep also scans the whole history, and hosts.
func (Security) Deep(ctx context.Context, flags *string) error {
	return securityGate(ctx, flags, "--level=deep")
}

// Report writes the reports of the last scan again.
func (Security) Report(ctx context.Context, flags *string) error {
	return securityGate(ctx, flags, "--command=report")
}

// Baseline records the findings of the last scan, so that later ones are compared
// with them.
func (Security) Baseline(ctx context.Context, flags *string) error {
	return securityGate(ctx, flags, "--command=baseline")
}

// Explain says of a finding of the last scan who saw it, why it counts, how to mend
// it and how to waive it.
//
// -finding is its ID, its CVE, or the beginning of either; without it all findings
// that fail are explained.
func (Security) Explain(ctx context.Context, finding, flags *string) error {
	return securityGate(ctx, flags, append([]string{"--command=explain"}, gobuild.Flags("finding", finding)...)...)
}

func securityGate(ctx context.Context, flags *string, args ...string) error {
	return target(ctx, "security", append(args, gobuild.Split(flags)...)...)
}

// Perf measures performance, of the sample website if no URL is given.
type Perf mg.Namespace

// Lighthouse audits pages on desktop and mobile.
//
// As in all targets of a measurement, inputs come from the environment or from -flags,
// as in -flags="--runs=9 --budgets=performance-budgets.yaml". -defect plants a defect
// in the sample website: blocking-script, slow-api, layout-shift, memory-leak or
// slow-handler.
func (Perf) Lighthouse(ctx context.Context, url, pages, runs, defect, flags *string) error {
	return perfGate(ctx, flags, append(gobuild.Flags("url", url, "pages", pages, "runs", runs, "defect", defect), "--meters=lighthouse")...)
}

// Load puts a site under load by k6.
//
// -scenarios takes basic, load, stress, spike, sustained, all, or a script of yours;
// -duration is that of each scenario.
func (Perf) Load(ctx context.Context, url, scenarios, duration, users, defect, flags *string) error {
	return perfGate(ctx, flags, append(gobuild.Flags("url", url, "scenarios", scenarios, "duration", duration, "users", users, "defect", defect), "--meters=load")...)
}

// Browser runs user journeys in Chromium.
func (Perf) Browser(ctx context.Context, url, journeys, runs, defect, flags *string) error {
	return perfGate(ctx, flags, append(gobuild.Flags("url", url, "journeys", journeys, "runs", runs, "defect", defect), "--meters=journey")...)
}

// Compare measures two versions in turn and says whether the one of -url got worse than
// that of -baseUrl.
//
// Without either it compares the sample website with itself, or with -defect planted.
func (Perf) Compare(ctx context.Context, url, baseUrl, runs, defect, flags *string) error {
	return perfGate(ctx, flags, append(gobuild.Flags("url", url, "base-url", baseUrl, "runs", runs, "defect", defect), "--compare=base")...)
}

// Baseline shows the baseline that -flags="--baseline=..." names, or pins its anchor.
//
// -pin pins the newest run that passed, -unpin removes the anchor; if there are runs of
// several machines, -flags="--baseline-machine=..." names one.
func (Perf) Baseline(ctx context.Context, pin, unpin *bool, flags *string) error {
	command := "baseline"
	switch {
	case pin != nil && *pin:
		command = "pin"
	case unpin != nil && *unpin:
		command = "unpin"
	}
	return perfGate(ctx, flags, "--command="+command)
}

func perfGate(ctx context.Context, flags *string, args ...string) error {
	return target(ctx, "perf", append(args, gobuild.Split(flags)...)...)
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
