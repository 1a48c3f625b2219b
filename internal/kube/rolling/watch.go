package rolling

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/candlefish/deploy-action/internal/jsonpatch"
	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/updates"
	"github.com/candlefish/deploy-action/internal/release"
)

// A watch keeps a workload, its revisions and the pods of its namespace in memory.
type watch struct {
	updates.Kind
	factory informers.SharedInformerFactory
	cluster *kube.Cluster
	ns      string
	changed chan struct{}
	cancel  context.CancelFunc
}

// syncLimit bounds the first list of the watched objects.
const syncLimit = 30 * time.Second

func newWatch(ctx context.Context, c *kube.Cluster, record *release.Record) (*watch, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &watch{
		factory: informers.NewSharedInformerFactoryWithOptions(c.Typed, 0, informers.WithNamespace(record.Namespace)),
		cluster: c, ns: record.Namespace, changed: make(chan struct{}, 1), cancel: cancel,
	}
	w.Kind = updates.Of(c, w.factory, record.Rolling.Kind, record.Namespace, record.Deployment)
	notify := func() {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	for _, informer := range append(w.Informers(), w.factory.Core().V1().Pods().Informer()) {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { notify() }, UpdateFunc: func(any, any) { notify() }, DeleteFunc: func(any) { notify() },
		}); err != nil {
			cancel()
			return nil, fmt.Errorf("watch %s in %s: %w", record.Workload(), record.Namespace, err)
		}
	}
	w.factory.Start(ctx.Done())
	synced, stop := context.WithTimeout(ctx, syncLimit)
	defer stop()
	for of, ok := range w.factory.WaitForCacheSync(synced.Done()) {
		if !ok {
			cancel()
			return nil, fmt.Errorf("list %v: no answer within %s", of, syncLimit)
		}
	}
	return w, nil
}

func (w *watch) stop() {
	w.cancel()
	w.factory.Shutdown()
}

func (w *watch) object() *updates.Object { return w.Cached() }

func (w *watch) get(ctx context.Context) (*updates.Object, error) { return w.Live(ctx) }

func (w *watch) write(ctx context.Context, p jsonpatch.Patch) (*updates.Object, error) {
	return w.Patch(ctx, p.JSON())
}

// pods lists the workload's pods as the watch has them.
func (w *watch) pods() []*corev1.Pod {
	all, _ := w.factory.Core().V1().Pods().Lister().Pods(w.ns).List(labels.Everything())
	var own []*corev1.Pod
	for _, pod := range all {
		if w.Owns(pod) {
			own = append(own, pod)
		}
	}
	return own
}

// readPods reads the workload's pods.
func (w *watch) readPods(ctx context.Context) ([]corev1.Pod, error) {
	o, err := w.Live(ctx)
	if err != nil {
		return nil, err
	}
	list, err := w.cluster.Typed.CoreV1().Pods(w.ns).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(o.Selector)})
	if err != nil {
		return nil, err
	}
	var own []corev1.Pod
	for _, pod := range list.Items {
		if w.Owns(&pod) {
			own = append(own, pod)
		}
	}
	return own, nil
}
