package source

import (
	"context"
	"time"

	"github.com/candlefish/deploy-action/internal/rollout"
)

// Pods are the pods of a rollout as its cluster shows them.
type Pods interface {
	// RolloutPods lists the pods of both versions that are not being stopped,
	// as new as the cluster's last word. It sends no request.
	RolloutPods() []Pod
	// PodUsage asks the cluster's metrics API what the containers of all pods
	// in the rollout's namespace use, by pod. Pods that were not measured yet
	// are missing.
	PodUsage(ctx context.Context) (map[string]PodUsage, error)
}

// A Pod is a pod of one version, seen through the rollout's container.
type Pod struct {
	Side      rollout.Side
	Name, UID string
	// Container is the rollout's; HasContainer says whether the pod has one of
	// that name.
	Container    string
	HasContainer bool
	// Limits and Requests of the container by resource: cpu in cores, memory
	// in bytes. What is not set is missing.
	Limits, Requests map[string]float64
	// Reported says whether the kubelet has told the container's state, which
	// the rest is about.
	Reported bool
	Restarts int
	// OOMKills are the ends for want of memory that the state shows, each by
	// the ID of the container that ended: the current and the last one at most.
	OOMKills []string
}

// A PodUsage is what the containers of a pod used on the average of a window that
// ended At, by container and resource: cpu in cores, memory in bytes.
type PodUsage struct {
	At         time.Time
	Containers map[string]map[string]float64
}
