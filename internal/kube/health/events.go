package health

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/candlefish/deploy-action/internal/kube"
)

// explainingReasons are the reasons of events that say why a pod does not start
// or is not ready.
var explainingReasons = []string{"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "NetworkNotReady", "Unhealthy"}

// explaining returns the newest event that says why a pod is not ready, nil if
// there is none.
func explaining(events []corev1.Event, pod *corev1.Pod) *corev1.Event {
	var newest *corev1.Event
	for i := range events {
		e := &events[i]
		if e.InvolvedObject.UID != pod.UID || !slices.Contains(explainingReasons, e.Reason) {
			continue
		}
		if newest == nil || lastSeen(e).After(lastSeen(newest)) {
			newest = e
		}
	}
	return newest
}

// lastSeen returns when an event last happened. Reporters fill different
// fields.
func lastSeen(e *corev1.Event) time.Time {
	t := e.LastTimestamp.Time
	if e.Series != nil && e.Series.LastObservedTime.After(t) {
		t = e.Series.LastObservedTime.Time
	}
	if e.EventTime.After(t) {
		t = e.EventTime.Time
	}
	return t
}

// eventsEvery is the shortest time between two requests for events.
const eventsEvery = 3 * time.Second

// Events reads the events of pods that are not ready. They are only asked for
// while something waits: a watch of all events of a busy namespace costs more
// than it says. It may be used by several goroutines.
type Events struct {
	client    kubernetes.Interface
	namespace string

	mu     sync.Mutex
	known  []corev1.Event
	next   time.Time // no request before it
	asking bool
	denied bool // the identity may not list events
}

// NewEvents returns a reader of the events in a namespace.
func NewEvents(client kubernetes.Interface, namespace string) *Events {
	return &Events{client: client, namespace: namespace}
}

// Of returns the known events of the pods, and when newer ones may be known,
// zero if nothing is asked for. It returns immediately and asks in the
// background.
func (e *Events) Of(ctx context.Context, pods []*corev1.Pod, now time.Time) ([]corev1.Event, time.Time) {
	pod := unexplained(pods)
	e.mu.Lock()
	defer e.mu.Unlock()
	if pod == nil || e.denied {
		return e.known, time.Time{}
	}
	if !e.asking && !now.Before(e.next) {
		e.asking, e.next = true, now.Add(eventsEvery)
		go e.ask(context.WithoutCancel(ctx), pod)
	}
	if e.asking {
		return e.known, now.Add(time.Second)
	}
	return e.known, e.next
}

// unexplained returns the first pod on a node that is not ready, nil if there
// is none. One is enough: the pods of a canary are equal.
func unexplained(pods []*corev1.Pod) *corev1.Pod {
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && pod.Spec.NodeName != "" && pod.Status.Phase != corev1.PodFailed && !kube.PodReady(pod) {
			return pod
		}
	}
	return nil
}

// ask lists the events of one pod. An error leaves the known ones.
func (e *Events) ask(ctx context.Context, pod *corev1.Pod) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	list, err := e.client.CoreV1().Events(e.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID), Limit: 100})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asking = false
	if err == nil {
		e.known = list.Items
	}
	e.denied = e.denied || apierrors.IsForbidden(err)
}
