package kube

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/candlefish/deploy-action/internal/router"
)

// A Watch keeps the objects of a namespace in memory and signals changes.
// client-go reconnects after an interruption; until then the last state
// remains.
type Watch struct {
	typed   informers.SharedInformerFactory
	dynamic map[string]dynamicinformer.DynamicSharedInformerFactory // by namespace
	objects map[Watched]bool
	cancel  context.CancelFunc
	ns      string
	changed chan struct{} // for one reader: the rollout's loop
	mu      sync.Mutex
	wake    chan struct{} // closed at the next change, for Until
}

// A Watched is a kind of object in one namespace.
type Watched struct {
	Kind      router.Kind
	Namespace string
}

// NewWatch watches the workloads and Services of a namespace, and more objects:
// the routes, and what is written beside them. It returns when it has listed all
// of them. End the watch with Stop.
func (c *Cluster) NewWatch(ctx context.Context, namespace string, objects ...Watched) (*Watch, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &Watch{
		typed:   informers.NewSharedInformerFactoryWithOptions(c.Typed, 0, informers.WithNamespace(namespace)),
		dynamic: map[string]dynamicinformer.DynamicSharedInformerFactory{},
		objects: map[Watched]bool{},
		cancel:  cancel,
		ns:      namespace,
		changed: make(chan struct{}, 1),
		wake:    make(chan struct{}),
	}
	watched := []cache.SharedIndexInformer{
		w.typed.Core().V1().Pods().Informer(),
		w.typed.Core().V1().Services().Informer(),
		w.typed.Apps().V1().Deployments().Informer(),
		w.typed.Apps().V1().ReplicaSets().Informer(),
		w.typed.Discovery().V1().EndpointSlices().Informer(),
	}
	for _, o := range objects {
		if w.dynamic[o.Namespace] == nil {
			w.dynamic[o.Namespace] = dynamicinformer.NewFilteredDynamicSharedInformerFactory(c.Dynamic, 0, o.Namespace, nil)
		}
		if !w.objects[o] {
			w.objects[o] = true
			watched = append(watched, w.dynamic[o.Namespace].ForResource(ResourceOf(o.Kind)).Informer())
		}
	}
	for _, informer := range watched {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { w.notify() },
			UpdateFunc: func(any, any) { w.notify() },
			DeleteFunc: func(any) { w.notify() },
		}); err != nil {
			cancel()
			return nil, err
		}
	}
	if err := w.start(ctx); err != nil {
		cancel()
		return nil, err
	}
	return w, nil
}

// start starts the watches and waits for their first lists.
func (w *Watch) start(ctx context.Context) error {
	w.typed.Start(ctx.Done())
	for _, factory := range w.dynamic {
		factory.Start(ctx.Done())
	}
	synced, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	for kind, ok := range w.typed.WaitForCacheSync(synced.Done()) {
		if !ok {
			return fmt.Errorf("list %v: no answer within 30s", kind)
		}
	}
	for namespace, factory := range w.dynamic {
		for resource, ok := range factory.WaitForCacheSync(synced.Done()) {
			if !ok {
				return fmt.Errorf("list %s in %s: no answer within 30s", resource.Resource, namespace)
			}
		}
	}
	return nil
}

// Stop ends the watch.
func (w *Watch) Stop() {
	w.cancel()
	w.typed.Shutdown()
	for _, factory := range w.dynamic {
		factory.Shutdown()
	}
}

// Changed returns a channel that signals a change of a watched object.
func (w *Watch) Changed() <-chan struct{} { return w.changed }

func (w *Watch) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
	w.mu.Lock()
	close(w.wake)
	w.wake = make(chan struct{})
	w.mu.Unlock()
}

// next returns a channel that is closed at the next change of a watched object.
func (w *Watch) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wake
}

// Until repeats f until it returns nil or an error that is not transient.
// Between attempts it waits for a change of a watched object; a timer covers
// unwatched data and an interrupted watch.
func (w *Watch) Until(ctx context.Context, f func(context.Context) error) error {
	for {
		changed := w.next()
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := f(attempt)
		cancel()
		if err == nil || !IsTransient(err) {
			return err
		}
		timer := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (w *Watch) pods() []*corev1.Pod {
	pods, _ := w.typed.Core().V1().Pods().Lister().Pods(w.ns).List(labels.Everything())
	return pods
}

// PodsOf lists the pods that the ReplicaSet of uid owns.
func (w *Watch) PodsOf(uid string) []*corev1.Pod {
	var own []*corev1.Pod
	for _, pod := range w.pods() {
		if ref := metav1.GetControllerOf(pod); ref != nil && string(ref.UID) == uid {
			own = append(own, pod)
		}
	}
	return own
}

// EndpointSlices lists the EndpointSlices of a Service.
func (w *Watch) EndpointSlices(service string) []*discoveryv1.EndpointSlice {
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service})
	slices, _ := w.typed.Discovery().V1().EndpointSlices().Lister().EndpointSlices(w.ns).List(selector)
	return slices
}

// EndpointPod returns the pod behind an endpoint, nil if unknown.
func (w *Watch) EndpointPod(e discoveryv1.Endpoint) *corev1.Pod {
	if e.TargetRef == nil || e.TargetRef.Kind != "Pod" {
		return nil
	}
	pod, err := w.typed.Core().V1().Pods().Lister().Pods(w.ns).Get(e.TargetRef.Name)
	if err != nil {
		return nil
	}
	return pod
}

// Object returns an object by name, nil if it does not exist or its kind is not
// watched.
func (w *Watch) Object(of Watched, name string) *unstructured.Unstructured {
	if !w.objects[of] {
		return nil
	}
	obj, err := w.dynamic[of.Namespace].ForResource(ResourceOf(of.Kind)).Lister().ByNamespace(of.Namespace).Get(name)
	if err != nil {
		return nil
	}
	object, _ := obj.(*unstructured.Unstructured)
	return object
}

// Deployment returns a Deployment, nil if it does not exist.
func (w *Watch) Deployment(name string) *appsv1.Deployment {
	d, err := w.typed.Apps().V1().Deployments().Lister().Deployments(w.ns).Get(name)
	if err != nil {
		return nil
	}
	return d
}

// Service returns a Service, nil if it does not exist.
func (w *Watch) Service(name string) *corev1.Service {
	s, err := w.typed.Core().V1().Services().Lister().Services(w.ns).Get(name)
	if err != nil {
		return nil
	}
	return s
}

// NotOlder reports whether a resource version is b or a later one. The API server
// numbers the versions of one kind of object in order; see
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.
func NotOlder(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	return errX == nil && errY == nil && x >= y
}

// ReplicaSet returns a ReplicaSet, nil if it does not exist.
func (w *Watch) ReplicaSet(name string) *appsv1.ReplicaSet {
	rs, err := w.typed.Apps().V1().ReplicaSets().Lister().ReplicaSets(w.ns).Get(name)
	if err != nil {
		return nil
	}
	return rs
}

// ReplicaSetsOf lists the ReplicaSets of a Deployment.
func (w *Watch) ReplicaSetsOf(deployment string) []*appsv1.ReplicaSet {
	owner := w.Deployment(deployment)
	if owner == nil {
		return nil
	}
	var own []*appsv1.ReplicaSet
	sets, _ := w.typed.Apps().V1().ReplicaSets().Lister().ReplicaSets(w.ns).List(labels.Everything())
	for _, rs := range sets {
		if metav1.IsControlledBy(rs, owner) {
			own = append(own, rs)
		}
	}
	return own
}

// ResourceOf returns the client-go resource of a kind of route.
func ResourceOf(k router.Kind) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Resource}
}
