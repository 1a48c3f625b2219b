// Package view is what people see of a release: the plan and the progress on the
// console, the report, the summary, the outputs, and the hints what to type next.
package view

import (
	"fmt"
	"strconv"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/kube/apply"
	"github.com/candlefish/deploy-action/internal/kube/detached"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
	"github.com/candlefish/deploy-action/internal/smoke"
	"github.com/candlefish/deploy-action/internal/traffic"
)

// A Run is one run as people see it: its configuration, and where its output
// goes.
type Run struct {
	Cfg     inputs.Config
	ID      release.Run
	Console *console.Console
	Action  *action.Action
	Print   func(text string) // prints the final text and logs it
	Started time.Time
	Program string // see action.Env
	Told    Told
}

// Told is what a run told GitHub.
type Told struct {
	GitOps, GitOpsPage string // see the outputs gitops-status and gitops-url
	Deployment         int64  // 0 for none
}

// outputs returns the outputs of what GitHub was told.
func (t Told) outputs() map[string]string {
	id := ""
	if t.Deployment != 0 {
		id = strconv.FormatInt(t.Deployment, 10)
	}
	return map[string]string{"gitops-status": t.GitOps, "gitops-url": t.GitOpsPage, "github-deployment-id": id}
}

// Attach is the command, in Command, that watches a release in the cluster.
const Attach = "attach"

// Command returns what a person types to run a command on a target, in the way
// this run was started.
func (r *Run) Command(name, namespace, deployment string) string {
	return Command(r.Action.Getenv, r.Program, name, namespace, deployment)
}

// Command returns what a person types to run a command on a target. In the
// environment of a mage target that is a mage target, elsewhere the program as it
// was started. On a runner and in a Job nobody types; the person who reads the
// hint has the program somewhere else.
func Command(getenv func(string) string, program, name, namespace, deployment string) string {
	if getenv(action.EnvMage) != "" {
		return fmt.Sprintf("go tool mage deploy:%s -namespace=%s -deploymentName=%s", name, namespace, deployment)
	}
	if program == "" || getenv("GITHUB_ACTIONS") == "true" || getenv(detached.EnvRun) != "" {
		program = "deploy"
	}
	if name == Attach {
		return fmt.Sprintf("%s --attach --namespace %s --deployment-name %s", program, namespace, deployment)
	}
	return fmt.Sprintf("%s --command %s --namespace %s --deployment-name %s", program, name, namespace, deployment)
}

// LookHint returns the command that shows the state when it is unknown.
func LookHint(record *release.Record) string {
	if record.Rolling != nil {
		return fmt.Sprintf("check the pods: kubectl -n %s get %s,pods,configmap/%s -o wide", record.Namespace, record.Workload(), release.ObjectName(record.Deployment))
	}
	return fmt.Sprintf("check the weights: kubectl -n %s get %s,configmap/%s -o yaml", record.Namespace, discover.Routes(record), release.ObjectName(record.Deployment))
}

// A Delivery is the result of one run.
type Delivery struct {
	Found   *discover.Found
	Planned bool // a dry run
	// Applied counts the objects that the run applied or deleted, where the manifests
	// leave the pods as they are.
	Applied int
	// Changes is what the manifests change.
	Changes []apply.Difference
	// Unsettled is the error of what was to be applied after the promotion, or undone
	// after an abort.
	Unsettled error
	// Asked: the run did what a command asked for, to the release of Record if it is
	// not nil.
	Asked  bool
	Record *release.Record
	// Unchanged: the image was already released; nothing was changed.
	Unchanged bool
	// Previous is the image that served before the release.
	Previous string
	State    rollout.State
	Proof    workload.Proof
	// Unproven is the error of the comparison of the pods.
	Unproven error
	Failure  *workload.PodFailure
	Traffic  traffic.Snapshot
	// Smoke are the results of the last smoke tests.
	Smoke []smoke.Result
	// Missing lists the recorded routes and Services that no longer exist, as
	// kubectl names them.
	Missing []string
	// Drained is the time spent in drain windows.
	Drained time.Duration
	// Held is the time spent waiting for the other members of a group.
	Held time.Duration
	// SaveErr is the error recording the end in the cluster.
	SaveErr error
}

// Phase returns the phase of the release at the end of the run, "" if there is
// none.
func (d *Delivery) Phase() string {
	if d == nil {
		return ""
	}
	return string(d.State.Phase)
}
