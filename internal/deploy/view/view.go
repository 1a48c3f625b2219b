// Package view is what people see of a release: the plan and the progress on the
// console, the report, the summary, the outputs, and the hints what to type next.
package view

import (
	"fmt"
	"time"

	"github.com/candlefish/deploy-action/internal/action"
	"github.com/candlefish/deploy-action/internal/console"
	"github.com/candlefish/deploy-action/internal/deploy/inputs"
	"github.com/candlefish/deploy-action/internal/kube/discover"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
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
}

// Command returns what a person types to run a command on a target.
func (r *Run) Command(name, namespace, deployment string) string {
	if r.Action.Getenv("CANDLEFISH_MAGE") != "" {
		return fmt.Sprintf("go tool mage deploy:%s -namespace=%s -deployment-name=%s", name, namespace, deployment)
	}
	return fmt.Sprintf("deploy --command %s --namespace %s --deployment-name %s", name, namespace, deployment)
}

// LookHint returns the command that shows the state when it is unknown.
func LookHint(record *release.Record) string {
	return fmt.Sprintf("check the weights: kubectl -n %s get %s,configmap/%s -o yaml", record.Namespace, discover.Routes(record), release.ObjectName(record.Deployment))
}

// A Delivery is the result of one run.
type Delivery struct {
	Found   *discover.Found
	Planned bool // a dry run
	// Asked: the run did what a command asked for.
	Asked bool
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
	// Drained is the time spent in drain windows.
	Drained time.Duration
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
