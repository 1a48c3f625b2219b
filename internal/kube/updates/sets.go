package updates

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/release"
)

type statefulSet struct{ numbered }

func ofStatefulSet(s *appsv1.StatefulSet) *Object {
	return &Object{
		Meta: s, Template: s.Spec.Template, Selector: s.Spec.Selector, Replicas: int(kube.Deref(s.Spec.Replicas)),
		Settings: Settings{StatefulSet: &s.Spec.UpdateStrategy, MinReady: s.Spec.MinReadySeconds},
		Observed: s.Status.ObservedGeneration >= s.Generation, Update: s.Status.UpdateRevision, Limit: s.Spec.RevisionHistoryLimit,
	}
}

func (k statefulSet) Live(ctx context.Context) (*Object, error) {
	s, err := k.cluster.Typed.AppsV1().StatefulSets(k.ns).Get(ctx, k.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return ofStatefulSet(s), nil
}

func (k statefulSet) Cached() *Object {
	s, err := k.factory.Apps().V1().StatefulSets().Lister().StatefulSets(k.ns).Get(k.name)
	if err != nil {
		return nil
	}
	return ofStatefulSet(s)
}

func (k statefulSet) Patch(ctx context.Context, raw []byte) (*Object, error) {
	s, err := k.cluster.Typed.AppsV1().StatefulSets(k.ns).Patch(ctx, k.name, types.JSONPatchType, raw, kube.Patching)
	if err != nil {
		return nil, err
	}
	return ofStatefulSet(s), nil
}

func (k statefulSet) Informers() []cache.SharedIndexInformer {
	apps := k.factory.Apps().V1()
	return []cache.SharedIndexInformer{apps.StatefulSets().Informer(), apps.ControllerRevisions().Informer()}
}

// Newest reads the workload again: only its status names the revision.
func (k statefulSet) Newest(ctx context.Context, o *Object, container string) (release.Revision, error) {
	seen, err := k.Live(ctx)
	if err != nil {
		return release.Revision{}, err
	}
	if !seen.Observed || seen.Meta.GetGeneration() < o.Meta.GetGeneration() || seen.Update == "" {
		return release.Revision{}, errNotObserved(o)
	}
	cr, err := k.cluster.Typed.AppsV1().ControllerRevisions(k.ns).Get(ctx, seen.Update, metav1.GetOptions{})
	if err != nil {
		return release.Revision{}, err
	}
	return revision(cr, cr.Name, container)
}

func (k statefulSet) Owns(pod *corev1.Pod) bool { return own(pod, k.Cached()) }

type daemonSet struct{ numbered }

func ofDaemonSet(d *appsv1.DaemonSet) *Object {
	return &Object{
		Meta: d, Template: d.Spec.Template, Selector: d.Spec.Selector, Replicas: int(d.Status.DesiredNumberScheduled),
		Settings: Settings{DaemonSet: &d.Spec.UpdateStrategy, MinReady: d.Spec.MinReadySeconds},
		Observed: d.Status.ObservedGeneration >= d.Generation, Limit: d.Spec.RevisionHistoryLimit,
	}
}

func (k daemonSet) Live(ctx context.Context) (*Object, error) {
	d, err := k.cluster.Typed.AppsV1().DaemonSets(k.ns).Get(ctx, k.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return ofDaemonSet(d), nil
}

func (k daemonSet) Cached() *Object {
	d, err := k.factory.Apps().V1().DaemonSets().Lister().DaemonSets(k.ns).Get(k.name)
	if err != nil {
		return nil
	}
	return ofDaemonSet(d)
}

func (k daemonSet) Patch(ctx context.Context, raw []byte) (*Object, error) {
	d, err := k.cluster.Typed.AppsV1().DaemonSets(k.ns).Patch(ctx, k.name, types.JSONPatchType, raw, kube.Patching)
	if err != nil {
		return nil, err
	}
	return ofDaemonSet(d), nil
}

func (k daemonSet) Informers() []cache.SharedIndexInformer {
	apps := k.factory.Apps().V1()
	return []cache.SharedIndexInformer{apps.DaemonSets().Informer(), apps.ControllerRevisions().Informer()}
}

func (k daemonSet) Newest(ctx context.Context, o *Object, container string) (release.Revision, error) {
	seen, err := k.Live(ctx)
	if err != nil {
		return release.Revision{}, err
	}
	if !seen.Observed || seen.Meta.GetGeneration() < o.Meta.GetGeneration() {
		return release.Revision{}, errNotObserved(o)
	}
	all, err := k.readRevisions(ctx, o)
	if err != nil {
		return release.Revision{}, err
	}
	cr := newestOf(all, o)
	if cr == nil {
		return release.Revision{}, fmt.Errorf("%w: the controllerrevision does not exist", kube.ErrNotYet)
	}
	return revision(cr, cr.Labels[appsv1.ControllerRevisionHashLabelKey], container)
}

func (k daemonSet) Owns(pod *corev1.Pod) bool { return own(pod, k.Cached()) }
