package distributed

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// labelRun is the label of k6-operator's pods.
const labelRun = "k6_cr"

// A watcher knows the TestRun and its pods as they are now.
type watcher struct {
	run  *run
	pods listers.PodNamespaceLister
	runs cache.GenericNamespaceLister
	wake chan struct{}
}

// watch starts to watch, until ctx ends.
func (r *run) watch(ctx context.Context) (*watcher, error) {
	of := func(selector string) func(*metav1.ListOptions) {
		return func(o *metav1.ListOptions) { o.LabelSelector = selector }
	}
	typed := informers.NewSharedInformerFactoryWithOptions(r.cluster.Typed, 0, informers.WithNamespace(r.Namespace), informers.WithTweakListOptions(of(labelRun+"="+r.name)))
	dynamic := dynamicinformer.NewFilteredDynamicSharedInformerFactory(r.cluster.Dynamic, 0, r.Namespace, of(labelLoad+"="+r.name))
	pods, runs := typed.Core().V1().Pods(), dynamic.ForResource(testRuns)
	w := &watcher{run: r, pods: pods.Lister().Pods(r.Namespace), runs: runs.Lister().ByNamespace(r.Namespace), wake: make(chan struct{}, 1)}
	wake := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { w.notify() }, UpdateFunc: func(any, any) { w.notify() }, DeleteFunc: func(any) { w.notify() },
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), runs.Informer()} {
		if _, err := informer.AddEventHandler(wake); err != nil {
			return nil, fmt.Errorf("watch %s: %w", r.name, err)
		}
	}
	typed.Start(ctx.Done())
	dynamic.Start(ctx.Done())
	limited, cancel := context.WithTimeout(ctx, takeLimit)
	defer cancel()
	if !cache.WaitForCacheSync(limited.Done(), pods.Informer().HasSynced, runs.Informer().HasSynced) {
		return nil, fmt.Errorf("watch %s: its pods could not be listed within %v", r.name, takeLimit)
	}
	return w, nil
}

func (w *watcher) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// pod returns a pod, nil if it is gone.
func (w *watcher) pod(name string) *corev1.Pod {
	pod, err := w.pods.Get(name)
	if err != nil {
		return nil
	}
	return pod
}

// seen is what is known now.
func (w *watcher) seen() seen {
	s := seen{name: w.run.name}
	s.pods, _ = w.pods.List(labels.Everything()) // of a cache: it does not fail
	object, err := w.runs.Get(w.run.name)
	if err != nil {
		s.gone = true
		return s
	}
	if u, ok := object.(*unstructured.Unstructured); ok {
		s.stage, _, _ = unstructured.NestedString(u.Object, "status", "stage")
		s.gone = u.GetDeletionTimestamp() != nil
	}
	return s
}
