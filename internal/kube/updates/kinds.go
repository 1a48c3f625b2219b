package updates

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

// Of returns a workload by its kind, which is a word of the API such as StatefulSet.
func Of(c *kube.Cluster, f informers.SharedInformerFactory, name, ns, object string) Kind {
	a := at{c, f, ns, object}
	switch name {
	case StatefulSet:
		return statefulSet{numbered{a}}
	case DaemonSet:
		return daemonSet{numbered{a}}
	default:
		return deployment{a}
	}
}

// An at is where a workload is.
type at struct {
	cluster *kube.Cluster
	factory informers.SharedInformerFactory
	ns      string
	name    string
}

// A deployment has its revisions as ReplicaSets.
type deployment struct{ at }

func ofDeployment(d *appsv1.Deployment) *Object {
	return &Object{
		Meta: d, Template: d.Spec.Template, Selector: d.Spec.Selector, Replicas: int(kube.Deref(d.Spec.Replicas)), Paused: d.Spec.Paused,
		Settings: Settings{Deployment: &d.Spec.Strategy, MinReady: d.Spec.MinReadySeconds, Deadline: d.Spec.ProgressDeadlineSeconds},
		Observed: d.Status.ObservedGeneration >= d.Generation, Limit: d.Spec.RevisionHistoryLimit,
	}
}

func (k deployment) Live(ctx context.Context) (*Object, error) {
	d, err := k.cluster.Typed.AppsV1().Deployments(k.ns).Get(ctx, k.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return ofDeployment(d), nil
}

func (k deployment) Cached() *Object {
	d, err := k.factory.Apps().V1().Deployments().Lister().Deployments(k.ns).Get(k.name)
	if err != nil {
		return nil
	}
	return ofDeployment(d)
}

func (k deployment) Patch(ctx context.Context, raw []byte) (*Object, error) {
	d, err := k.cluster.Typed.AppsV1().Deployments(k.ns).Patch(ctx, k.name, types.JSONPatchType, raw, kube.Patching)
	if err != nil {
		return nil, err
	}
	return ofDeployment(d), nil
}

func (k deployment) Informers() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{k.factory.Apps().V1().Deployments().Informer(), k.factory.Apps().V1().ReplicaSets().Informer()}
}

func (k deployment) Newest(ctx context.Context, o *Object, container string) (release.Revision, error) {
	list, err := k.cluster.Typed.AppsV1().ReplicaSets(k.ns).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(o.Selector)})
	if err != nil {
		return release.Revision{}, err
	}
	for i := range list.Items {
		if rs := &list.Items[i]; metav1.IsControlledBy(rs, o.Meta) && SameTemplate(rs.Spec.Template, o.Template) {
			return kube.RevisionOf(rs, container), nil
		}
	}
	return release.Revision{}, fmt.Errorf("%w: the ReplicaSet does not exist", kube.ErrNotYet)
}

func (k deployment) Template(r release.Revision) (corev1.PodTemplateSpec, error) {
	rs, err := k.factory.Apps().V1().ReplicaSets().Lister().ReplicaSets(k.ns).Get(r.ReplicaSet)
	if err != nil {
		return corev1.PodTemplateSpec{}, fmt.Errorf("the recorded replicaset %s: %w", r.ReplicaSet, err)
	}
	return Plain(rs.Spec.Template), nil
}

func (k deployment) IsOf(pod *corev1.Pod, r release.Revision) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && r.UID != "" && string(owner.UID) == r.UID
}

func (k deployment) Owns(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	d, err := k.factory.Apps().V1().Deployments().Lister().Deployments(k.ns).Get(k.name)
	if owner == nil || err != nil {
		return false
	}
	rs, err := k.factory.Apps().V1().ReplicaSets().Lister().ReplicaSets(k.ns).Get(owner.Name)
	return err == nil && rs.UID == owner.UID && metav1.IsControlledBy(rs, d)
}

// A numbered is a workload with its revisions as ControllerRevisions.
type numbered struct{ at }

// revisionTemplate decodes the pod template of a ControllerRevision, which has it as a
// patch of its workload.
func revisionTemplate(cr *appsv1.ControllerRevision) (corev1.PodTemplateSpec, error) {
	var data struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(cr.Data.Raw, &data); err != nil {
		return corev1.PodTemplateSpec{}, fmt.Errorf("decode controllerrevision %s: %w", cr.Name, err)
	}
	return data.Spec.Template, nil
}

// revision describes a ControllerRevision. Pods have its label as the hash.
func revision(cr *appsv1.ControllerRevision, hash, container string) (release.Revision, error) {
	template, err := revisionTemplate(cr)
	r := release.Revision{ReplicaSet: cr.Name, UID: string(cr.UID), Hash: hash}
	for _, c := range template.Spec.Containers {
		if c.Name == container {
			r.Image = c.Image
		}
	}
	return r, err
}

func (k numbered) Template(r release.Revision) (corev1.PodTemplateSpec, error) {
	cr, err := k.factory.Apps().V1().ControllerRevisions().Lister().ControllerRevisions(k.ns).Get(r.ReplicaSet)
	if err != nil {
		return corev1.PodTemplateSpec{}, fmt.Errorf("the recorded controllerrevision %s: %w", r.ReplicaSet, err)
	}
	return revisionTemplate(cr)
}

func (k numbered) IsOf(pod *corev1.Pod, r release.Revision) bool {
	return r.Hash != "" && pod.Labels[appsv1.ControllerRevisionHashLabelKey] == r.Hash
}

// own reports whether a workload of the watch controls a pod.
func own(pod *corev1.Pod, o *Object) bool { return o != nil && metav1.IsControlledBy(pod, o.Meta) }

// newestOf returns the newest ControllerRevision of a workload, nil if it has none.
func newestOf(all []*appsv1.ControllerRevision, o *Object) *appsv1.ControllerRevision {
	var newest *appsv1.ControllerRevision
	for _, cr := range all {
		if metav1.IsControlledBy(cr, o.Meta) && (newest == nil || cr.Revision > newest.Revision) {
			newest = cr
		}
	}
	return newest
}

func (k numbered) readRevisions(ctx context.Context, o *Object) ([]*appsv1.ControllerRevision, error) {
	list, err := k.cluster.Typed.AppsV1().ControllerRevisions(k.ns).List(ctx, metav1.ListOptions{LabelSelector: labels.Everything().String()})
	if err != nil {
		return nil, err
	}
	var all []*appsv1.ControllerRevision
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], o.Meta) {
			all = append(all, &list.Items[i])
		}
	}
	return all, nil
}

// errNotObserved says that a controller has not seen the newest write.
func errNotObserved(o *Object) error {
	return fmt.Errorf("%w: the controller of %s has not seen its newest write", kube.ErrNotYet, o.Meta.GetName())
}
