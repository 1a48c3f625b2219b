package inputs

import (
	"maps"
	"slices"

	"github.com/candlefish/deploy-action/internal/deploy/inputs/members"
	"github.com/candlefish/deploy-action/internal/input"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The commands beside the requests to a rollout.
const (
	CommandDeploy  = "deploy"
	CommandStatus  = "status"
	CommandHistory = "history"
	CommandForget  = "forget"
	CommandReap    = "reap"
)

// commands lists the values of the input "command".
func commands() []string {
	list := []string{CommandDeploy, CommandStatus, CommandHistory}
	for _, r := range rollout.Requests() {
		if r != rollout.RequestPromoteFull { // promote with the input full
			list = append(list, string(r))
		}
	}
	return append(list, CommandForget, CommandReap)
}

// GoesBack reports whether the command asks for the previous version.
func (c Config) GoesBack() bool {
	return c.Command == string(rollout.RequestAbort) || c.Command == string(rollout.RequestRollback) || c.Command == string(rollout.RequestRelease)
}

// own are the inputs of one run, which another process of the same release does
// not take over.
var own = []string{"command", "full", "image", "images", "manifests", "prune", "kubeconfig", "kube-context", "eks-cluster", "aws-region", "report-dir", "dry-run", "run-url", "namespace", "deployment-name"}

// Outside are the inputs of the process that starts or watches a Job, which the
// Job's process does not get.
var Outside = []string{"run-in", "run-image", "service-account", "pod-patch", "wait", "attach", "when-cancelled", "kubeconfig", "kube-context", "eks-cluster", "aws-region",
	"report-dir", "analysis-file", "smoke-file", "run-url", "namespace", "deployment-name", "image", "manifests", "probe-url"}

// Recorded returns the inputs that the record keeps for another process.
func Recorded(v input.Values) map[string]string {
	given := v.Given()
	for _, name := range members.Inputs() { // the record has the group itself
		delete(given, name)
	}
	maps.DeleteFunc(given, func(name, _ string) bool {
		return slices.Contains(own, name) || slices.Contains(Outside, name) && name != "probe-url" && name != "analysis-file"
	})
	return given
}
