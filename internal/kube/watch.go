package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// A watch keeps what Observe reads in memory and says when it changed. A
// connection that breaks is made again by client-go; until then the last
// state stands, which is why nothing here can turn silence into success.
type watch struct {
	typed   informers.SharedInformerFactory
	dynamic dynamicinformer.DynamicSharedInformerFactory
	cancel  context.CancelFunc
	ns      string
	changed chan struct{} // for one reader: the rollout's loop
	mu      sync.Mutex
	wake    chan struct{} // closed at the next change, for until
}

func (c *Cluster) newWatch(ctx context.Context, namespace string) (*watch, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &watch{
		typed:   informers.NewSharedInformerFactoryWithOptions(c.typed, 0, informers.WithNamespace(namespace)),
		dynamic: dynamicinformer.NewFilteredDynamicSharedInformerFactory(c.dynamic, 0, namespace, nil),
		cancel:  cancel,
		ns:      namespace,
		changed: make(chan struct{}, 1),
		wake:    make(chan struct{}),
	}
	for _, informer := range []cache.SharedIndexInformer{
		w.typed.Core().V1().Pods().Informer(),
		w.typed.Core().V1().Services().Informer(),
		w.typed.Apps().V1().Deployments().Informer(),
		w.typed.Apps().V1().ReplicaSets().Informer(),
		w.typed.Discovery().V1().EndpointSlices().Informer(),
		w.dynamic.ForResource(routeResource).Informer(),
	} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { w.notify() },
			UpdateFunc: func(any, any) { w.notify() },
			DeleteFunc: func(any) { w.notify() },
		}); err != nil {
			cancel()
			return nil, err
		}
	}
	w.typed.Start(ctx.Done())
	w.dynamic.Start(ctx.Done())
	synced, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	for kind, ok := range w.typed.WaitForCacheSync(synced.Done()) {
		if !ok {
			cancel()
			return nil, fmt.Errorf("list %v: no answer within 30s", kind)
		}
	}
	for resource, ok := range w.dynamic.WaitForCacheSync(synced.Done()) {
		if !ok {
			cancel()
			return nil, fmt.Errorf("list %s: no answer within 30s", resource.Resource)
		}
	}
	return w, nil
}

func (w *watch) stop() {
	w.cancel()
	w.typed.Shutdown()
	w.dynamic.Shutdown()
}

func (w *watch) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
	w.mu.Lock()
	close(w.wake)
	w.wake = make(chan struct{})
	w.mu.Unlock()
}

// next is closed when anything watched changes after the call.
func (w *watch) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wake
}

// until repeats f until it returns nil or an error that cannot heal. Between
// two attempts it sleeps until something watched changes; the timer is for
// what is not watched and for a watch that is cut off.
func (t *Target) until(ctx context.Context, f func(context.Context) error) error {
	for {
		changed := t.watch.next()
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := f(attempt)
		cancel()
		if err == nil || !mayHeal(err) {
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

func (w *watch) pods() []*corev1.Pod {
	pods, _ := w.typed.Core().V1().Pods().Lister().Pods(w.ns).List(labels.Everything())
	return pods
}

// podsOf lists the pods that the ReplicaSet of uid owns.
func (w *watch) podsOf(uid string) []*corev1.Pod {
	var own []*corev1.Pod
	for _, pod := range w.pods() {
		if ref := metav1.GetControllerOf(pod); ref != nil && string(ref.UID) == uid {
			own = append(own, pod)
		}
	}
	return own
}

func (w *watch) endpointSlices(service string) []*discoveryv1.EndpointSlice {
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service})
	slices, _ := w.typed.Discovery().V1().EndpointSlices().Lister().EndpointSlices(w.ns).List(selector)
	return slices
}

// endpointPod is the pod behind an endpoint, nil when it is not known.
func (w *watch) endpointPod(e discoveryv1.Endpoint) *corev1.Pod {
	if e.TargetRef == nil || e.TargetRef.Kind != "Pod" {
		return nil
	}
	pod, err := w.typed.Core().V1().Pods().Lister().Pods(w.ns).Get(e.TargetRef.Name)
	if err != nil {
		return nil
	}
	return pod
}

func (w *watch) route(name string) *unstructured.Unstructured {
	obj, err := w.dynamic.ForResource(routeResource).Lister().ByNamespace(w.ns).Get(name)
	if err != nil {
		return nil
	}
	route, _ := obj.(*unstructured.Unstructured)
	return route
}
