package rolling

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/candlefish/deploy-action/internal/kube"
	"github.com/candlefish/deploy-action/internal/kube/workload"
	"github.com/candlefish/deploy-action/internal/release"
)

// Template returns the pod template that a release gives its workload, from the live
// one.
func Template(record *release.Record, live corev1.PodTemplateSpec) (corev1.PodTemplateSpec, error) {
	template, err := workload.Template(record, live)
	if err != nil || record.Rolling.PreStop == 0 {
		return template, err
	}
	for i := range template.Spec.Containers {
		if c := &template.Spec.Containers[i]; c.Name == record.Container && !hasPreStop(c) {
			addPreStop(&template.Spec, c, int64(record.Rolling.PreStop/time.Second))
		}
	}
	return template, nil
}

func hasPreStop(c *corev1.Container) bool { return c.Lifecycle != nil && c.Lifecycle.PreStop != nil }

// addPreStop makes a container sleep before its end. The sleep counts for the grace
// period, so that grows by it.
func addPreStop(pod *corev1.PodSpec, c *corev1.Container, seconds int64) {
	if c.Lifecycle == nil {
		c.Lifecycle = &corev1.Lifecycle{}
	}
	c.Lifecycle.PreStop = &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: seconds}}
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if pod.TerminationGracePeriodSeconds != nil {
		grace = *pod.TerminationGracePeriodSeconds
	}
	pod.TerminationGracePeriodSeconds = new(grace + seconds)
}

// outdated returns the pods to delete so that so many of all are new or on their way.
// The highest ordinal goes first, as with a StatefulSet's controller.
func outdated(all []corev1.Pod, isNew func(*corev1.Pod) bool, pods int) []*corev1.Pod {
	var old []*corev1.Pod
	for i := range all {
		// One that stops has no successor yet, and counts for it.
		if pod := &all[i]; !isNew(pod) && pod.DeletionTimestamp == nil {
			old = append(old, pod)
		}
	}
	slices.SortFunc(old, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(ordinal(b.Name), ordinal(a.Name)), cmp.Compare(b.Name, a.Name))
	})
	missing := pods - (len(all) - len(old))
	return old[:min(max(0, missing), len(old))]
}

// ordinal returns the number at the end of a name, -1 if there is none.
func ordinal(name string) int {
	n, err := strconv.Atoi(name[strings.LastIndex(name, "-")+1:])
	if err != nil {
		return -1
	}
	return n
}

func ignoreMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// readySince reports whether a pod has been ready for a time.
func readySince(pod *corev1.Pod, d time.Duration, now time.Time) (ready bool, at time.Time) {
	c := kube.PodCondition(pod, corev1.PodReady)
	if pod.DeletionTimestamp != nil || c == nil || c.Status != corev1.ConditionTrue {
		return false, time.Time{}
	}
	at = c.LastTransitionTime.Add(d)
	return !now.Before(at), at
}
