// Package updates is how the API has the workloads with rolling updates, Deployments,
// StatefulSets and DaemonSets: their pod templates and revisions, and the settings by
// which their controllers replace pods. Package rolling decides what to write.
package updates

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/candlefish/deploy-action/internal/release"
)

// An Object is a workload of any kind.
type Object struct {
	Meta     metav1.Object
	Template corev1.PodTemplateSpec
	Selector *metav1.LabelSelector
	Settings Settings
	Replicas int // that it wants
	Paused   bool
	// Observed: its controller has seen the newest write.
	Observed bool
	// Update names the revision of the template, for a StatefulSet.
	Update string
	Limit  *int32 // revisionHistoryLimit
}

// A Kind is how the API has one kind of workload and its revisions.
type Kind interface {
	// Live reads the workload, Cached returns it as the watch has it, nil if it is gone.
	Live(ctx context.Context) (*Object, error)
	Cached() *Object
	Patch(ctx context.Context, raw []byte) (*Object, error)
	// Informers are those of the workload and its revisions.
	Informers() []cache.SharedIndexInformer
	// Newest returns the revision that has the template of o; it wraps kube.ErrNotYet
	// until the controller has made it.
	Newest(ctx context.Context, o *Object, container string) (release.Revision, error)
	// Template returns the pod template of a revision, as the watch has it.
	Template(r release.Revision) (corev1.PodTemplateSpec, error)
	// IsOf reports whether a pod of the workload has a revision.
	IsOf(pod *corev1.Pod, r release.Revision) bool
	// Owns reports whether a pod is the workload's.
	Owns(pod *corev1.Pod) bool
}

// SameTemplate compares two pod templates, the label of a Deployment's controller left
// out.
func SameTemplate(a, b corev1.PodTemplateSpec) bool {
	return equality.Semantic.DeepEqual(Plain(a), Plain(b))
}

// Plain returns a template without the label that a Deployment's controller adds.
func Plain(t corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	t = *t.DeepCopy()
	delete(t.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	if len(t.Labels) == 0 {
		t.Labels = nil
	}
	return t
}
