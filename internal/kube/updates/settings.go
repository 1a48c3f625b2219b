package updates

import (
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/release"
	"github.com/candlefish/deploy-action/internal/rollout"
)

// The kinds of workload.
const (
	Deployment  = "Deployment"
	StatefulSet = "StatefulSet"
	DaemonSet   = "DaemonSet"
)

// Never is a minReadySeconds that no pod reaches: a year. neverEnds is the progress
// deadline, which has to be later.
const (
	Never     int32 = 365 * 24 * 3600
	neverEnds int32 = Never + 3600
)

// Settings are the fields beside the pod template by which a controller updates its
// pods. Those of another kind are nil.
type Settings struct {
	Deployment  *appsv1.DeploymentStrategy        `json:"deployment,omitempty"`
	StatefulSet *appsv1.StatefulSetUpdateStrategy `json:"stateful_set,omitempty"`
	DaemonSet   *appsv1.DaemonSetUpdateStrategy   `json:"daemon_set,omitempty"`
	MinReady    int32                             `json:"min_ready,omitempty"` // minReadySeconds
	// Deadline is progressDeadlineSeconds, of a Deployment.
	Deadline *int32 `json:"deadline,omitempty"`
}

func (s Settings) kind() string {
	switch {
	case s.StatefulSet != nil:
		return StatefulSet
	case s.DaemonSet != nil:
		return DaemonSet
	default:
		return Deployment
	}
}

// Write adds s to a patch.
func (s Settings) Write(p jsonpatch.Patch) jsonpatch.Patch {
	p = p.Add("/spec/minReadySeconds", s.MinReady)
	switch {
	case s.Deployment != nil:
		p = p.Add("/spec/strategy", s.Deployment)
		if s.Deadline != nil {
			p = p.Add("/spec/progressDeadlineSeconds", *s.Deadline)
		}
	case s.StatefulSet != nil:
		p = p.Add("/spec/updateStrategy", s.StatefulSet)
	case s.DaemonSet != nil:
		p = p.Add("/spec/updateStrategy", s.DaemonSet)
	}
	return p
}

// Gate returns the settings by which a controller replaces pods until state.Pods of
// replicas are new, state.Extra of them in addition to the size, and then stops.
func (s Settings) Gate(state rollout.State, replicas int) Settings {
	switch {
	case s.Deployment != nil:
		surge, gone := intstr.FromInt(state.Extra), intstr.FromInt(state.Pods-state.Extra)
		s.Deployment = &appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &gone}}
		s.MinReady, s.Deadline = Never, new(neverEnds)
	case s.StatefulSet != nil && !s.OnDelete():
		s.StatefulSet = s.StatefulSet.DeepCopy()
		if s.StatefulSet.RollingUpdate == nil {
			s.StatefulSet.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{}
		}
		s.StatefulSet.RollingUpdate.Partition = new(int32(max(0, replicas-state.Pods)))
	case s.DaemonSet != nil:
		s.DaemonSet = &appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	}
	return s
}

// Undoing returns the settings by which a controller goes back without help.
func (s Settings) Undoing() Settings {
	if !s.OnDelete() {
		return s
	}
	if s.StatefulSet != nil {
		s.StatefulSet = &appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType}
	} else {
		s.DaemonSet = &appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType}
	}
	return s
}

// OnDelete reports whether somebody else has to delete the pods.
func (s Settings) OnDelete() bool {
	return s.StatefulSet != nil && s.StatefulSet.Type == appsv1.OnDeleteStatefulSetStrategyType ||
		s.DaemonSet != nil && s.DaemonSet.Type == appsv1.OnDeleteDaemonSetStrategyType
}

// Surge returns how many pods more than replicas the settings allow.
func (s Settings) Surge(replicas int) int {
	if s.Deployment == nil || s.Deployment.RollingUpdate == nil || s.Deployment.RollingUpdate.MaxSurge == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(s.Deployment.RollingUpdate.MaxSurge, replicas, true)
	if err != nil {
		return 0
	}
	return n
}

// Options are the changes that a person may ask for. They stay when the release is
// promoted, and go when it is undone.
type Options struct {
	MinReady      time.Duration // at least so long ready before the next pod is replaced
	NoUnavailable bool          // maxUnavailable 0
	PreStop       time.Duration // sleep before the container is told to end
}

// kept returns the settings that the release leaves.
func (s Settings) kept(o Options) Settings {
	s.MinReady = max(s.MinReady, int32(o.MinReady/time.Second))
	if s.Deployment != nil && s.Deployment.RollingUpdate != nil && o.NoUnavailable {
		s.Deployment = s.Deployment.DeepCopy()
		s.Deployment.RollingUpdate.MaxUnavailable = new(intstr.FromInt(0))
		if s.Surge(100) == 0 { // both may not be 0
			s.Deployment.RollingUpdate.MaxSurge = new(intstr.FromInt(1))
		}
	}
	return s
}

// Rolled returns what the record keeps of the settings.
func (s Settings) Rolled(o Options) (*release.Rolling, error) {
	before, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the update settings: %w", err)
	}
	kept := s.kept(o)
	after, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("encode the update settings: %w", err)
	}
	return &release.Rolling{Kind: s.kind(), Before: before, After: after, MinReady: time.Duration(kept.MinReady) * time.Second}, nil
}
